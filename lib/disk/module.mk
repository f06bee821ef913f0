QCOW2_HDR_SRCS = lib/disk/qcow2_hdr.c

# Offline: new images, copies, checks.
IMAGE_SRCS = \
	lib/disk/check.c \
	lib/disk/check_refs.c \
	lib/disk/convert.c \
	lib/disk/convert_chain.c \
	lib/disk/create.c \
	lib/disk/file.c \
	$(QCOW2_HDR_SRCS)
IMAGE_LIBS = -lz -lzstd

UNIT += qcow2_hdr_test
qcow2_hdr_test_SRCS = $(QCOW2_HDR_SRCS)

FUZZ += qcow2_hdr
qcow2_hdr_FUZZ_SRCS = $(QCOW2_HDR_SRCS)

FUZZ += image
image_FUZZ_SRCS = $(IMAGE_SRCS)
image_FUZZ_LIBS = $(IMAGE_LIBS)
