# The CD-ROM.
CDROM_SRCS = \
	vmd/dev/cdrom.c \
	vmd/dev/cdrom_info.c

UNIT += cdrom_test
cdrom_test_SRCS = $(CDROM_SRCS)

FUZZ += cdrom
cdrom_FUZZ_SRCS = $(CDROM_SRCS)
