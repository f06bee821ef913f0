PRIV_SRCS = \
	vmd/priv/addr.c \
	vmd/priv/check.c \
	vmd/priv/group.c \
	vmd/priv/link.c \
	vmd/priv/name.c \
	vmd/priv/nft.c \
	vmd/priv/nic.c \
	vmd/priv/nl.c \
	vmd/priv/priv.c \
	vmd/priv/switch.c \
	vmd/priv/sweep.c \
	vmd/priv/sysctl.c \
	vmd/priv/tap.c \
	vmd/priv/vrf.c
PRIV_LIBS = -lmnl -lnftables

# The processes priv and control themselves, from the inside and out; the
# real programs too if they are built.
UNIT += priv_test
priv_test_SRCS = \
	regress/unit/role_child.c \
	$(PRIV_SRCS) \
	$(CONTROL_SRCS) lib/sandbox/lock.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) $(PROC_SRCS)
priv_test_LIBS = -lbsd -levent_core $(PRIV_LIBS)

# What it does to a host, in a network namespace of the test's own.
UNIT += priv_net_test
priv_net_test_SRCS = $(priv_test_SRCS) regress/unit/priv_rig.c
priv_net_test_LIBS = $(priv_test_LIBS)

UNIT += priv_switch_test
priv_switch_test_SRCS = $(priv_net_test_SRCS)
priv_switch_test_LIBS = $(priv_test_LIBS)

# What a guest can do through it.
UNIT += priv_guest_test
priv_guest_test_SRCS = $(priv_net_test_SRCS) lib/net/pkt.c \
	regress/unit/priv_world.c
priv_guest_test_LIBS = $(priv_test_LIBS)

UNIT += priv_bad_test
priv_bad_test_SRCS = $(priv_net_test_SRCS)
priv_bad_test_LIBS = $(priv_test_LIBS)

# Most of it only where the kernel has VRFs: see regress/net/priv.sh.
UNIT += priv_vrf_test
priv_vrf_test_SRCS = $(priv_guest_test_SRCS)
priv_vrf_test_LIBS = $(priv_test_LIBS)

# Answers of the kernel.
FUZZ += netlink
netlink_FUZZ_SRCS = $(filter-out vmd/priv/priv.c,$(PRIV_SRCS)) \
	lib/sandbox/landlock.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS)
netlink_FUZZ_LIBS = -lbsd $(PRIV_LIBS)
