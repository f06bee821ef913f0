# The CD-ROM.
CDROM_SRCS = \
	vmd/dev/cdrom.c \
	vmd/dev/cdrom_info.c

VIOSCSI_SRCS = \
	$(CDROM_SRCS) \
	vmd/dev/vioscsi.c \
	vmd/dev/vioscsi_req.c

UNIT += cdrom_test
cdrom_test_SRCS = $(CDROM_SRCS)

UNIT += vioscsi_req_test
vioscsi_req_test_SRCS = $(CDROM_SRCS) vmd/dev/vioscsi_req.c \
	lib/virtio/vq_iov.c

UNIT += vioscsi_test
vioscsi_test_SRCS = $(VIOSCSI_SRCS) $(DEV_TEST_SRCS)
vioscsi_test_LIBS = $(DISK_LIBS) -lbsd

FUZZ += cdrom vioscsi
cdrom_FUZZ_SRCS = $(CDROM_SRCS)
vioscsi_FUZZ_SRCS = $(VIOSCSI_SRCS) $(DEV_TEST_SRCS)
vioscsi_FUZZ_LIBS = $(DISK_LIBS) -lbsd
