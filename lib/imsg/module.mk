IMSG_SRCS = \
	lib/imsg/ibuf.c \
	lib/imsg/imsg.c


FUZZ += imsg
imsg_FUZZ_SRCS = $(IMSG_SRCS)
