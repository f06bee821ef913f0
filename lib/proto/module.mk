PROTO_SRCS = \
	lib/proto/devmsg.c \
	lib/proto/devstat.c \
	lib/proto/imginfo.c \
	lib/proto/msg.c \
	lib/proto/netconf.c \
	lib/proto/privmsg.c \
	lib/proto/vmerr.c \
	lib/proto/vminfo.c \
	lib/proto/vmspec.c \
	lib/proto/wire.c

PROTO_TEST_SRCS = $(PROTO_SRCS) lib/imsg/ibuf.c lib/util/fdlist.c \
	$(GMEM_SRCS)

UNIT += devmsg_test
devmsg_test_SRCS = $(PROTO_TEST_SRCS)

UNIT += devstat_test
devstat_test_SRCS = $(PROTO_TEST_SRCS)

UNIT += imginfo_test
imginfo_test_SRCS = $(PROTO_TEST_SRCS)

UNIT += privmsg_test
privmsg_test_SRCS = $(PROTO_TEST_SRCS)

UNIT += vminfo_test
vminfo_test_SRCS = $(PROTO_TEST_SRCS)

UNIT += vmspec_test
vmspec_test_SRCS = $(PROTO_TEST_SRCS)
vmspec_test_LIBS = -Wl,--wrap=calloc,--wrap=malloc,--wrap=strdup

UNIT += wire_test
wire_test_SRCS = $(PROTO_TEST_SRCS)

FUZZ += devmsg privmsg vminfo vmspec wire
devmsg_FUZZ_SRCS = $(PROTO_TEST_SRCS)
privmsg_FUZZ_SRCS = $(PROTO_TEST_SRCS)
vminfo_FUZZ_SRCS = $(PROTO_TEST_SRCS)
vmspec_FUZZ_SRCS = $(PROTO_TEST_SRCS)
wire_FUZZ_SRCS = $(PROTO_TEST_SRCS)
