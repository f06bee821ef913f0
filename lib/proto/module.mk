PROTO_SRCS = \
	lib/proto/msg.c \
	lib/proto/vmerr.c \
	lib/proto/vminfo.c \
	lib/proto/vmspec.c \
	lib/proto/wire.c
