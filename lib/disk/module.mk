QCOW2_HDR_SRCS = \
	lib/disk/qcow2_ext.c \
	lib/disk/qcow2_hdr.c

IO_SRCS = \
	lib/disk/io.c \
	lib/disk/io_ring.c \
	lib/disk/io_sync.c

DISK_SRCS = \
	lib/disk/alloc.c \
	lib/disk/cache.c \
	lib/disk/comp.c \
	lib/disk/cow.c \
	lib/disk/disk.c \
	lib/disk/free.c \
	lib/disk/grow.c \
	lib/disk/locks.c \
	lib/disk/map.c \
	lib/disk/merge.c \
	lib/disk/qcow2_ext.c \
	lib/disk/qcow2_hdr.c \
	lib/disk/raw.c \
	lib/disk/read.c \
	lib/disk/refcount.c \
	lib/disk/sync.c \
	lib/disk/unpack.c \
	lib/disk/write.c \
	lib/disk/xfer.c \
	lib/disk/zero.c

DISK_LIBS = -l:liburing.a -lz -lzstd

UNIT += disk_images_test
disk_images_test_SRCS = regress/unit/disk_rig.c $(IO_SRCS) $(DISK_SRCS)
disk_images_test_LIBS = $(DISK_LIBS)

UNIT += disk_io_test
disk_io_test_SRCS = $(IO_SRCS)
disk_io_test_LIBS = -l:liburing.a

UNIT += disk_cut_test
disk_cut_test_SRCS = regress/unit/disk_cut.c regress/unit/disk_fakeio.c \
	regress/unit/disk_look.c regress/unit/disk_rig.c \
	regress/unit/fake_ioq.c $(DISK_SRCS)
disk_cut_test_LIBS = -lz -lzstd

UNIT += disk_kill_test
disk_kill_test_SRCS = regress/unit/disk_rig.c $(IO_SRCS) $(DISK_SRCS)
disk_kill_test_LIBS = $(DISK_LIBS)

UNIT += disk_lost_test
disk_lost_test_SRCS = regress/unit/disk_fakeio.c regress/unit/disk_rig.c \
	regress/unit/fake_ioq.c $(DISK_SRCS)
disk_lost_test_LIBS = -lz -lzstd

UNIT += disk_merge_test
disk_merge_test_SRCS = lib/disk/merge.c

UNIT += disk_order_test
disk_order_test_SRCS = regress/unit/disk_fakeio.c regress/unit/disk_rig.c \
	regress/unit/fake_ioq.c $(DISK_SRCS)
disk_order_test_LIBS = -lz -lzstd

UNIT += disk_random_test
disk_random_test_SRCS = regress/unit/disk_rig.c $(IO_SRCS) $(DISK_SRCS)
disk_random_test_LIBS = $(DISK_LIBS)

UNIT += disk_raw_test
disk_raw_test_SRCS = $(IO_SRCS) $(DISK_SRCS)
disk_raw_test_LIBS = $(DISK_LIBS)
# Offline: new images, copies, checks.
IMAGE_SRCS = \
	lib/disk/check.c \
	lib/disk/check_refs.c \
	lib/disk/convert.c \
	lib/disk/convert_chain.c \
	lib/disk/create.c \
	lib/disk/file.c \
	lib/disk/imglock.c \
	lib/disk/unpack.c \
	$(QCOW2_HDR_SRCS)
IMAGE_LIBS = -lz -lzstd

UNIT += qcow2_hdr_test
qcow2_hdr_test_SRCS = $(QCOW2_HDR_SRCS)

FUZZ += qcow2_hdr
qcow2_hdr_FUZZ_SRCS = $(QCOW2_HDR_SRCS)

FUZZ += image
image_FUZZ_SRCS = $(IMAGE_SRCS)
image_FUZZ_LIBS = $(IMAGE_LIBS)
FUZZ += qcow2
qcow2_FUZZ_SRCS = $(IO_SRCS) $(DISK_SRCS)
qcow2_FUZZ_LIBS = $(DISK_LIBS)

UNIT += image_runtime_test
image_runtime_test_SRCS = regress/unit/disk_rig.c $(IO_SRCS) $(DISK_SRCS) \
	$(IMAGE_SRCS)
image_runtime_test_LIBS = $(DISK_LIBS)
