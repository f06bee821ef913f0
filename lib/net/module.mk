# What a network device process and the parent know of frames and addresses.
NET_SRCS = \
	lib/net/addr.c \
	lib/net/answer.c \
	lib/net/dhcp.c \
	lib/net/dhcp6.c \
	lib/net/filter.c \
	lib/net/filter6.c \
	lib/net/pkt.c \
	lib/net/ra.c \
	lib/net/vnet.c

# The parent's alone; link with -lmd.
NET_MAC_SRCS = lib/net/mac.c
NET_MAC_LIBS = -lmd

UNIT += net_addr_test
net_addr_test_SRCS = $(NET_SRCS) $(NET_MAC_SRCS)
net_addr_test_LIBS = $(NET_MAC_LIBS)

NET_TEST_SRCS = regress/unit/net_frames.c $(NET_SRCS)

UNIT += net_dhcp_test
net_dhcp_test_SRCS = regress/unit/net_talk.c $(NET_TEST_SRCS)

UNIT += net_ra_test
net_ra_test_SRCS = regress/unit/net_talk.c $(NET_TEST_SRCS)

UNIT += net_filter_test
net_filter_test_SRCS = $(NET_TEST_SRCS)

UNIT += net_vnet_test
net_vnet_test_SRCS = $(NET_TEST_SRCS)

FUZZ += net net_vnet
net_FUZZ_SRCS = $(NET_SRCS)
net_vnet_FUZZ_SRCS = $(NET_SRCS)
