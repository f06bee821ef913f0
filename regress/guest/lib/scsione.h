#ifndef SCSIONE_H
#define SCSIONE_H

/*
 * Requests to the SCSI host with the CD-ROM, one at a time, for the drivers
 * that try it out.  Virtio 1.2, 5.6.
 */

#include "virtio.h"

#define SLOT   2
#define DATA   0x1000000ULL /* memory that nobody else has */
#define REQ    (DATA + 0x20000)
#define RESP   (DATA + 0x21000)
#define BUF    (DATA + 0x30000)
#define QUEUES 3
#define SIZE   32
#define BLOCK  2048
#define CHUNK  16 /* blocks */

static struct vdev dev;
static struct vq queues[QUEUES];

/* --- one request ----------------------------------------------------------- */

/* All up to DRIVER_OK; with the vector of the queues. */
static inline int
up(uint64_t features, uint16_t vector)
{
	unsigned int q;

	if (!virtio_begin(&dev, features))
		return 0;
	for (q = 0; q < QUEUES; q++)
		virtio_queue(&queues[q], &dev, q, SIZE, DATA + VIRTIO_RING * q,
		    vector);
	return virtio_go(&dev);
}

static inline void
desc(unsigned int q, unsigned int i, uint64_t addr, uint32_t len, int flags)
{
	vq_desc(queues[q].desc, i, addr, len, flags);
}

/* The chain at descriptor 0: the length in the used ring, or -1. */
static inline int
go(unsigned int q)
{
	vq_offer(&queues[q], 0);
	return (int)vq_wait(&queues[q]);
}

/* The header of a command for a target, unit 0, at `at'. */
static inline void
header(uint64_t at, uint8_t target)
{
	memset((void *)at, 0, 19);
	store8(at, 1);
	store8(at + 1, target);
	store8(at + 2, 0x40);
}

/* The command at REQ + 19, with `len' bytes to come: -1, or how many did. */
static inline int
command(uint8_t target, uint32_t len)
{
	int n;

	header(REQ, target);
	memset((void *)RESP, 0xee, 108);
	/* In odd pieces: the layout is the driver's. */
	desc(2, 0, REQ, 11, 1);
	desc(2, 1, REQ + 11, 40, 1);
	desc(2, 2, RESP, 108, len > 0 ? 3 : 2);
	desc(2, 3, BUF, len, 2);
	n = go(2);
	return n < 108 ? -1 : n - 108;
}

static inline void
cdb(uint8_t op, uint32_t at2, uint16_t at7)
{
	memset((void *)(REQ + 19), 0, 32);
	store8(REQ + 19, op);
	store8(REQ + 21, (uint8_t)(at2 >> 24));
	store8(REQ + 22, (uint8_t)(at2 >> 16));
	store8(REQ + 23, (uint8_t)(at2 >> 8));
	store8(REQ + 24, (uint8_t)at2);
	store8(REQ + 26, (uint8_t)(at7 >> 8));
	store8(REQ + 27, (uint8_t)at7);
}

static inline int
good(void)
{
	return load8(RESP + 10) == 0 && load8(RESP + 11) == 0;
}

static inline int
sense_is(uint8_t key, uint8_t code)
{
	return load8(RESP + 10) == 2 && load8(RESP + 11) == 0 &&
	    load8(RESP + 14) == key && load8(RESP + 24) == code;
}

static inline uint32_t
big(uint64_t a)
{
	return (uint32_t)load8(a) << 24 | (uint32_t)load8(a + 1) << 16 |
	    (uint32_t)load8(a + 2) << 8 | load8(a + 3);
}

static inline int
block_ok(uint64_t at, uint32_t n)
{
	unsigned int i;

	if (memcmp((void *)at, "block ", 6) != 0)
		return 0;
	for (i = 64; i < BLOCK; i += 13)
		if (load8(at + i) != (uint8_t)n)
			return 0;
	return 1;
}

#endif
