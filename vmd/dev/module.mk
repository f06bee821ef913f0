# Device processes: other roles of the program vmd-guest.
include vmd/dev/scsi.mk

VIONET_SRCS = \
	vmd/dev/stream.c \
	vmd/dev/vionet.c \
	vmd/dev/vionet_ctrl.c \
	vmd/dev/vionet_rx.c \
	vmd/dev/vionet_soft.c \
	vmd/dev/vionet_stream.c \
	vmd/dev/vionet_tap.c \
	vmd/dev/vionet_tx.c

DEV_SRCS = \
	vmd/dev/chan.c \
	vmd/dev/dev.c \
	vmd/dev/dev_queue.c \
	vmd/dev/dev_start.c \
	vmd/dev/lone.c \
	vmd/dev/spin.c \
	vmd/dev/vioblk.c \
	$(VIONET_SRCS) \
	$(VIOSCSI_SRCS)

DEV_TEST_SRCS = regress/unit/dev_fake.c $(DISK_SRCS) $(IO_SRCS) \
	$(VIRTIO_SRCS) $(UTIL_SRCS)

UNIT += vioblk_test
vioblk_test_SRCS = vmd/dev/vioblk.c $(DEV_TEST_SRCS)
vioblk_test_LIBS = $(DISK_LIBS) -lbsd

UNIT += stream_test
stream_test_SRCS = vmd/dev/stream.c

FUZZ += stream
stream_FUZZ_SRCS = vmd/dev/stream.c
# Over an engine of its own.
UNIT += vioblk_order_test
vioblk_order_test_SRCS = vmd/dev/vioblk.c regress/unit/dev_fake.c \
	regress/unit/fake_ioq.c $(DISK_SRCS) $(IMAGE_SRCS) $(VIRTIO_SRCS) $(UTIL_SRCS)
vioblk_order_test_LIBS = -lz -lzstd -lbsd

UNIT += dev_dirty_test
dev_dirty_test_SRCS = vmd/dev/dev_queue.c vmd/dev/lone.c vmd/dev/spin.c $(VIRTIO_SRCS) \
	$(IMSG_SRCS) $(PROTO_SRCS) $(UTIL_SRCS)
dev_dirty_test_LIBS = -lbsd

UNIT += lone_test spin_test
lone_test_SRCS = vmd/dev/lone.c
spin_test_SRCS = vmd/dev/spin.c

FUZZ += vioblk
vioblk_FUZZ_SRCS = vmd/dev/vioblk.c $(DEV_TEST_SRCS)
vioblk_FUZZ_LIBS = $(DISK_LIBS) -lbsd

# The real program between a vmm and a vm process of the test.
DEVPROC_TEST_SRCS = proc/spawn.c lib/util/fdlist.c $(GMEM_SRCS) \
	$(VIRTIO_SRCS) $(IMSG_SRCS) $(PROTO_SRCS)
UNIT += dev_life_test dev_badpeer_test dev_qcow2_test
dev_life_test_SRCS = $(DEVPROC_TEST_SRCS)
dev_life_test_LIBS = -lbsd
dev_badpeer_test_SRCS = $(DEVPROC_TEST_SRCS)
dev_badpeer_test_LIBS = -lbsd

$(B)/unit/dev_life_test $(B)/unit/dev_badpeer_test: | $(B)/vmd-guest
dev_qcow2_test_SRCS = $(DEVPROC_TEST_SRCS) $(IMAGE_SRCS) $(DISK_SRCS) \
	$(IO_SRCS)
dev_qcow2_test_LIBS = $(DISK_LIBS) -lbsd

$(B)/unit/dev_life_test $(B)/unit/dev_badpeer_test \
$(B)/unit/dev_qcow2_test: | $(B)/vmd-guest

# All of vionet but the host's side.
VIONET_TEST_SRCS = regress/unit/vionet_fake.c \
	$(filter-out vmd/dev/vionet_tap.c vmd/dev/vionet_stream.c \
		vmd/dev/stream.c,$(VIONET_SRCS)) $(NET_SRCS) \
	$(VIRTIO_SRCS) $(UTIL_SRCS)
UNIT += vionet_test vionet_more_test
vionet_test_SRCS = $(VIONET_TEST_SRCS)
vionet_test_LIBS = -lbsd
vionet_more_test_SRCS = $(VIONET_TEST_SRCS)
vionet_more_test_LIBS = -lbsd

# Its taps, real ones.
UNIT += vionet_tap_test
vionet_tap_test_SRCS = vmd/dev/vionet_tap.c

FUZZ += vionet
vionet_FUZZ_SRCS = $(VIONET_TEST_SRCS)
vionet_FUZZ_LIBS = -lbsd
