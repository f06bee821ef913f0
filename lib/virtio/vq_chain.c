/*
 * The chains of a split virtqueue: descriptors to segments, in device
 * processes and in the vm process.  All of it is written by the guest, and
 * may be while it is read: each descriptor is copied once and then only the
 * copy is looked at.  Virtio 1.2, 2.7.4 to 2.7.5.3.
 */
#include <errno.h>

#include "lib/virtio/vq_int.h"

#define F_NEXT	   0x1
#define F_WRITE	   0x2
#define F_INDIRECT 0x4

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static int
broke(void)
{
	errno = EPROTO;
	return -1;
}

static void
desc_set(struct desc *d, uint64_t addr, uint64_t rest)
{
	d->addr = addr;
	d->len = (uint32_t)rest;
	d->flags = (uint16_t)(rest >> 32);
	d->next = (uint16_t)(rest >> 48);
}

/* From the queue's own table, which is aligned. */
static void
desc_load(const uint8_t *p, struct desc *d)
{
	const uint64_t *w = (const uint64_t *)(const void *)p;

	desc_set(d, __atomic_load_n(&w[0], __ATOMIC_RELAXED),
	    __atomic_load_n(&w[1], __ATOMIC_RELAXED));
}

/* Of `len' bytes at `gpa' those in its range; NULL if there is none. */
static void *
piece(const struct gmem *g, uint64_t gpa, uint64_t len, uint64_t *n)
{
	const struct gmem_range *r;
	size_t i;

	for (i = 0; i < g->nranges; i++) {
		r = &g->ranges[i];
		if (gpa < r->gpa || gpa - r->gpa >= r->size)
			continue;
		*n = r->size - (gpa - r->gpa);
		if (*n > len)
			*n = len;
		return gmem_ptr(g, gpa, *n);
	}
	return NULL;
}

static int
in_memory(const struct gmem *g, uint64_t gpa, uint64_t len)
{
	uint64_t off, n;

	for (off = 0; off < len; off += n)
		if (piece(g, gpa + off, len - off, &n) == NULL)
			return 0;
	return 1;
}

/* Add what `d' describes to the end of the chain. */
static int
segment(const struct vq *q, struct vq_chain *c, const struct desc *d)
{
	int wr = (d->flags & F_WRITE) != 0;
	uint32_t *total = wr ? &c->wrlen : &c->rdlen;
	uint64_t off, n;
	struct iovec *v;

	if (d->len == 0 || d->len > UINT32_MAX - *total ||
	    d->addr > UINT64_MAX - d->len || (!wr && c->nwr > 0))
		return broke();
	for (off = 0; off < d->len; off += n) {
		if (c->nrd + c->nwr >= c->max)
			return broke();
		v = &c->iov[c->nrd + c->nwr];
		v->iov_base = piece(q->conf.mem, d->addr + off, d->len - off,
		    &n);
		if (v->iov_base == NULL)
			return broke();
		v->iov_len = n;
		if (wr)
			c->nwr++;
		else
			c->nrd++;
	}
	*total += d->len;
	return 0;
}

/* The table that `t' describes.  It may not be aligned, nor in one range. */
static int
indirect(const struct vq *q, struct vq_chain *c, const struct desc *t)
{
	uint32_t i = 0, n, count = t->len / VQ_DESC_SIZE;
	uint64_t w[2];
	struct desc d;

	if ((q->conf.features & VQ_F_INDIRECT) == 0 ||
	    (t->flags & F_NEXT) != 0 || t->len % VQ_DESC_SIZE != 0 ||
	    count == 0 || count > q->conf.size ||
	    t->addr > UINT64_MAX - t->len ||
	    !in_memory(q->conf.mem, t->addr, t->len))
		return broke();
	for (n = 0; n < count; n++) {
		if (gmem_read(q->conf.mem, t->addr + (uint64_t)i * VQ_DESC_SIZE,
			w, sizeof(w)) == -1)
			return broke();
		desc_set(&d, w[0], w[1]);
		if ((d.flags & F_INDIRECT) != 0 || segment(q, c, &d) == -1)
			return broke();
		if ((d.flags & F_NEXT) == 0)
			return 0;
		if ((i = d.next) >= count)
			return broke();
	}
	return broke();
}

int
vq_walk(const struct vq *q, struct vq_chain *c, uint16_t head)
{
	uint16_t i = head, n;
	struct desc d;
	int rc = -1;

	c->head = head;
	c->nrd = c->nwr = 0;
	c->rdlen = c->wrlen = 0;
	for (n = 0; n < q->conf.size; n++) {
		desc_load(q->desc + (size_t)i * VQ_DESC_SIZE, &d);
		if ((d.flags & F_INDIRECT) != 0) {
			rc = indirect(q, c, &d);
			break;
		}
		if (segment(q, c, &d) == -1)
			break;
		if ((d.flags & F_NEXT) == 0) {
			rc = 0;
			break;
		}
		if ((i = d.next) >= q->conf.size)
			break;
	}
	c->rd = c->iov;
	c->wr = c->iov + c->nrd;
	return rc == 0 ? 0 : broke();
}
