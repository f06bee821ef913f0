#ifndef BLKONE_H
#define BLKONE_H

/*
 * Requests to a disk, one at a time, for the drivers that try them out.
 */

#include "blk.h"

#define RINGS  0x1000000ULL
#define HEADER 0x1100000ULL
#define STATUS 0x1101000ULL
#define TABLE  0x1102000ULL
#define DATA   0x1200000ULL
#define SIZE   64

struct piece {
	uint64_t addr;
	uint32_t len;
	int write;
};

static struct vdev disk;
static struct vq queue, *cur = &queue;

/* --- one request ----------------------------------------------------------- */

static inline int
up(struct vdev *d, struct vq *q, uint64_t features, uint16_t vector)
{
	if (!virtio_begin(d, features))
		return 0;
	virtio_queue(q, d, 0, SIZE, RINGS + (q == &queue ? 0 : VIRTIO_RING),
	    vector);
	return virtio_go(d);
}

/* In a table, or in the ring from descriptor 0 on. */
static inline void
chain(struct vq *q, const struct piece *p, unsigned int n, int indirect)
{
	uint64_t table = indirect ? TABLE : q->desc;
	unsigned int i;

	for (i = 0; i < n; i++)
		vq_desc(table, i, p[i].addr, p[i].len,
		    (p[i].write ? VQ_WRITE : 0) | (i + 1 < n ? VQ_NEXT : 0));
	if (indirect)
		vq_desc(q->desc, 0, TABLE, 16 * n, VQ_INDIRECT);
	vq_offer(q, 0);
}

/* The status, or -1; what was written, if that is asked. */
static inline int
send(struct vq *q, const struct piece *p, unsigned int n, int indirect,
    int64_t *len)
{
	int64_t got;

	store8(STATUS, 0xee);
	chain(q, p, n, indirect);
	got = vq_wait(q);
	if (len != NULL)
		*len = got;
	return got == -1 ? -1 : load8(STATUS);
}

static inline int
request(struct vq *q, uint32_t type, uint64_t sector, uint32_t len, int64_t *n)
{
	const int in = type == BLK_IN || type == BLK_GET_ID;
	const struct piece p[] = { { HEADER, 16, 0 }, { DATA, len, in },
		{ STATUS, 1, 1 } };
	const struct piece none[] = { p[0], p[2] };

	blk_header(HEADER, type, sector);
	return len > 0 ? send(q, p, 3, 0, n) : send(q, none, 2, 0, n);
}

static inline void
fill(uint32_t s, unsigned int n, uint32_t gen)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		sector_fill(DATA + i * SECTOR, s + i, gen);
}

static inline int
holds(uint32_t s, unsigned int n, uint32_t gen)
{
	unsigned int i;
	int64_t len;

	for (i = 0; i < n; i++)
		sector_spoil(DATA + i * SECTOR);
	if (request(cur, BLK_IN, s, n * SECTOR, &len) != BLK_OK ||
	    len != n * SECTOR + 1)
		return 0;
	for (i = 0; i < n; i++)
		if (!sector_is(DATA + i * SECTOR, s + i, gen))
			return 0;
	return 1;
}

static inline int
writes(uint32_t s, unsigned int n, uint32_t gen)
{
	fill(s, n, gen);
	return request(cur, BLK_OUT, s, n * SECTOR, NULL) == BLK_OK;
}

static inline int
range(uint32_t type, uint64_t s, uint32_t n, uint32_t flags)
{
	blk_range(DATA, s, n, flags);
	return request(cur, type, 0, 16, NULL);
}

/* `n' writes of a sector each, from `s' on, that nobody waits for. */
static inline void
flood(struct vq *q, uint32_t s, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint64_t at = DATA + 1024 * i;

		blk_header(at + 512, BLK_OUT, s + i);
		sector_fill(at, s + i, 4);
		vq_desc(q->desc, 3 * i, at + 512, 16, VQ_NEXT);
		vq_desc(q->desc, 3 * i + 1, at, SECTOR, VQ_NEXT);
		vq_desc(q->desc, 3 * i + 2, at + 1023, 1, VQ_WRITE);
		vq_put(q, (uint16_t)(3 * i));
	}
	vq_show(q);
}

#endif
