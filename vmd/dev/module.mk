# Device processes: other roles of the program vmd-guest.
DEV_SRCS = \
	vmd/dev/chan.c \
	vmd/dev/dev.c \
	vmd/dev/vioblk.c
