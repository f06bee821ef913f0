# The device side of virtio: queues, and the page shared with a transport.
VQ_SRCS = \
	lib/virtio/vq.c \
	lib/virtio/vq_chain.c \
	lib/virtio/vq_iov.c \
	lib/virtio/vq_inflight.c

VIRTIO_SRCS = $(VQ_SRCS) lib/virtio/page.c
