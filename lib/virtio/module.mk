# The device side of virtio: queues, and the page shared with a transport.
VQ_SRCS = \
	lib/virtio/vq.c \
	lib/virtio/vq_chain.c \
	lib/virtio/vq_iov.c \
	lib/virtio/vq_inflight.c

VIRTIO_SRCS = $(VQ_SRCS) lib/virtio/page.c

UNIT += vq_test
vq_test_SRCS = $(VQ_SRCS) $(GMEM_SRCS)

# Two files are in the test itself, with a place to die at every store.
UNIT += vq_death_test
vq_death_test_SRCS = $(GMEM_SRCS) lib/virtio/vq_chain.c

UNIT += vq_enum_test
vq_enum_test_SRCS = $(VQ_SRCS) $(GMEM_SRCS)

FUZZ += vq
vq_FUZZ_SRCS = $(VQ_SRCS) $(GMEM_SRCS)

UNIT += vq_race_test
vq_race_test_SRCS = $(VQ_SRCS) $(GMEM_SRCS)
vq_race_test_LIBS = -lpthread
