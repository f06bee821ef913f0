# Messages between processes and the buffers they are made of.
IMSG_SRCS = \
	lib/imsg/ibuf.c \
	lib/imsg/imsg.c \
	lib/imsg/imsg_send.c \
	lib/imsg/msgbuf.c

UNIT += ibuf_test
ibuf_test_SRCS = lib/imsg/ibuf.c

UNIT += imsg_hostile_test
imsg_hostile_test_SRCS = $(IMSG_SRCS)

UNIT += imsg_test
imsg_test_SRCS = $(IMSG_SRCS)

FUZZ += imsg
imsg_FUZZ_SRCS = $(IMSG_SRCS)
