#ifndef VIRTIO_VQ_INT_H
#define VIRTIO_VQ_INT_H

#include "lib/virtio/vq.h"

/*
 * What the files of the queue share.  Nothing outside lib/virtio includes
 * this, but for the test that dies at every VQ_STEP(): one comes before
 * and after each store that another process or the guest can see.
 */
#ifndef VQ_STEP
#define VQ_STEP() ((void)0)
#endif

#define VQ_DESC_SIZE 16

/* vq.heads */
#define VQ_HEAD_FREE   0
#define VQ_HEAD_TAKEN  1
#define VQ_HEAD_PUSHED 2
#define VQ_HEAD_OLD    3 /* taken by an earlier process, not given out yet */
#define VQ_HEAD_REDO   4 /* ... and given out */

static inline void
vq_store16(void *p, uint16_t v)
{
	VQ_STEP();
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
	VQ_STEP();
}

static inline void
vq_store32(void *p, uint32_t v)
{
	VQ_STEP();
	__atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE);
	VQ_STEP();
}

static inline void
vq_store64(void *p, uint64_t v)
{
	VQ_STEP();
	__atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE);
	VQ_STEP();
}

static inline uint16_t
vq_load16(const void *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}

/*
 * vq_chain.c: the segments of the chain at `head', a valid index.  0, or -1
 * with errno EPROTO.
 */
int vq_walk(const struct vq *q, struct vq_chain *c, uint16_t head);

/*
 * vq_inflight.c: with q->conf.inflight.  vq_record_open() sets the indices,
 * heads and seq of `q'; 0, or -1 with errno.
 */
int vq_record_open(struct vq *q);
void vq_record_take(struct vq *q, uint16_t head);
void vq_record_untake(struct vq *q, uint16_t head);
void vq_record_push(struct vq *q, uint16_t head, uint16_t at);
/* used.idx is stored: forget q->pushed[0..n). */
void vq_record_publish(struct vq *q, uint16_t n);
/* The oldest VQ_HEAD_OLD, or -1. */
int vq_record_oldest(const struct vq *q);

#endif
