# Device processes: other roles of the program vmd-guest.
include vmd/dev/scsi.mk

DEV_SRCS = \
	vmd/dev/chan.c \
	vmd/dev/dev.c \
	vmd/dev/vioblk.c
