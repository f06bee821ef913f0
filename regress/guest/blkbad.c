/*
 * A hostile driver of a disk: rings that lead nowhere, registers written at
 * random.  The device says that it needs a reset, after which it works; the
 * second disk does not notice.
 */
#include "blk.h"
#include "vbad.h"

#define RINGS  0x1000000ULL
#define HEADER 0x1100000ULL
#define STATUS 0x1101000ULL
#define TABLE  0x1102000ULL
#define DATA   0x1200000ULL
#define SIZE   16

static struct vdev disks[2];
static struct vq queues[2];

static int
up(unsigned int n)
{
	if (!virtio_begin(&disks[n], BLK_F_FLUSH | VIRTIO_INDIRECT))
		return 0;
	virtio_queue(&queues[n], &disks[n], 0, SIZE, RINGS + VIRTIO_RING * n,
	    VIRTIO_NOMSI);
	return virtio_go(&disks[n]);
}

static int
works(unsigned int n, uint32_t gen)
{
	struct vq *q = &queues[n];
	uint64_t h = HEADER + 64 * n, data = DATA + 0x1000 * n;
	int in;

	for (in = 0; in < 2; in++) {
		blk_header(h, in ? BLK_IN : BLK_OUT, 8);
		if (in)
			sector_spoil(data);
		else
			sector_fill(data, 8, gen);
		store8(h + 16, 0xee);
		vq_desc(q->desc, 0, h, 16, VQ_NEXT);
		vq_desc(q->desc, 1, data, SECTOR,
		    VQ_NEXT | (in ? VQ_WRITE : 0));
		vq_desc(q->desc, 2, h + 16, 1, VQ_WRITE);
		vq_offer(q, 0);
		if (vq_wait(q) == -1 || load8(h + 16) != BLK_OK)
			return 0;
	}
	return sector_is(data, 8, gen);
}

static int
first_up(void)
{
	return up(0);
}

static int
first_works(uint32_t gen)
{
	return works(0, gen);
}

static int
second_works(uint32_t gen)
{
	return works(1, gen);
}

static void
good(void)
{
	struct vq *q = &queues[0];

	blk_header(HEADER, BLK_IN, 0);
	vq_desc(q->desc, 0, HEADER, 16, VQ_NEXT);
	vq_desc(q->desc, 1, DATA, SECTOR, VQ_NEXT | VQ_WRITE);
	vq_desc(q->desc, 2, STATUS, 1, VQ_WRITE);
}

void
guest_main(const struct start_info *si)
{
	static const struct vbad bad = { .d = &disks[0],
		.q = &queues[0],
		.rings = RINGS,
		.table = TABLE,
		.kind = VBAD_HEADER | VBAD_ASYNC,
		.up = first_up,
		.good = good,
		.works = first_works,
		.other_works = second_works };
	unsigned int i;

	for (i = 0; i < 2; i++)
		check(blk_find(&disks[i], i) && up(i) && works(i, 1), "disk");
	vbad_rings(&bad);
	vbad_areas(&bad);
	vbad_registers(&bad);
	put("end of tests\n");
	power_off();
}
