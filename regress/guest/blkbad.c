/*
 * A hostile driver of a disk: rings that lead nowhere, registers written at
 * random.  The device says that it needs a reset, after which it works; the
 * second disk does not notice.
 */
#include "blk.h"

#define RINGS	0x1000000ULL
#define HEADER	0x1100000ULL
#define STATUS	0x1101000ULL
#define TABLE	0x1102000ULL
#define DATA	0x1200000ULL
#define NOWHERE 0x7000000000ULL
#define SIZE	16

static struct vdev disks[2];
static struct vq queues[2];
static uint16_t idx; /* what avail.idx is going to be */

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

/* --- rings ------------------------------------------------------------------- */

static void
good(struct vq *q)
{
	blk_header(HEADER, BLK_IN, 0);
	vq_desc(q->desc, 0, HEADER, 16, VQ_NEXT);
	vq_desc(q->desc, 1, DATA, SECTOR, VQ_NEXT | VQ_WRITE);
	vq_desc(q->desc, 2, STATUS, 1, VQ_WRITE);
}

static void
set_next(struct vq *q, unsigned int i, uint16_t next)
{
	store16(q->desc + 16 * i + 14, next);
}

static void
loop(struct vq *q)
{
	set_next(q, 1, 0);
}

static void
loop_to_itself(struct vq *q)
{
	set_next(q, 1, 1);
}

static void
next_outside(struct vq *q)
{
	set_next(q, 0, SIZE);
}

static void
next_far_outside(struct vq *q)
{
	set_next(q, 0, 0xffff);
}

static void
no_memory(struct vq *q)
{
	store64(q->desc + 16, NOWHERE);
}

static void
address_wraps(struct vq *q)
{
	store64(q->desc + 16, UINT64_MAX - 100);
}

static void
past_the_end(struct vq *q)
{
	store64(q->desc + 16, (64ULL << 20) - 256);
}

static void
too_long(struct vq *q)
{
	store32(q->desc + 16 + 8, UINT32_MAX);
}

static void
empty(struct vq *q)
{
	store32(q->desc + 16 + 8, 0);
}

static void
written_before_read(struct vq *q)
{
	store16(q->desc + 12, VQ_NEXT | VQ_WRITE);
	store16(q->desc + 16 + 12, VQ_NEXT);
}

static void
no_status(struct vq *q)
{
	store16(q->desc + 16 + 12, 0);
}

static void
short_header(struct vq *q)
{
	store32(q->desc + 8, 15);
}

static void
table_of_odd_size(struct vq *q)
{
	vq_desc(q->desc, 0, TABLE, 17, VQ_INDIRECT);
}

static void
table_nowhere(struct vq *q)
{
	vq_desc(q->desc, 0, NOWHERE, 48, VQ_INDIRECT);
}

static void
table_in_a_table(struct vq *q)
{
	vq_desc(TABLE, 0, TABLE, 16, VQ_INDIRECT);
	vq_desc(q->desc, 0, TABLE, 16, VQ_INDIRECT);
}

static void
table_and_next(struct vq *q)
{
	vq_desc(q->desc, 0, TABLE, 16, VQ_INDIRECT | VQ_NEXT);
}

static void
head_outside(struct vq *q)
{
	store16(q->avail + 4, SIZE);
}

static void
index_jumps(struct vq *q)
{
	idx = 0x8000;
}

static void
same_head_twice(struct vq *q)
{
	/* A slot that is in flight: the first one cannot be over yet. */
	store16(q->avail + 6, 0);
	idx = 2;
}

static const struct {
	const char *what;
	void (*spoil)(struct vq *q);
} rings[] = {
	{ "loop", loop },
	{ "loop to itself", loop_to_itself },
	{ "next outside", next_outside },
	{ "next far outside", next_far_outside },
	{ "no memory there", no_memory },
	{ "address wraps", address_wraps },
	{ "past the end of memory", past_the_end },
	{ "too long", too_long },
	{ "empty", empty },
	{ "written before read", written_before_read },
	{ "no status", no_status },
	{ "short header", short_header },
	{ "table of odd size", table_of_odd_size },
	{ "table nowhere", table_nowhere },
	{ "table in a table", table_in_a_table },
	{ "table and next", table_and_next },
	{ "head outside", head_outside },
	{ "index jumps", index_jumps },
	{ "same head twice", same_head_twice },
};

static int
needs_reset(void)
{
	struct wait w = { 0 };

	while (!(virtio_status(&disks[0]) & 0x40))
		if (wait_over(&w))
			return 0;
	return 1;
}

static void
spoil(unsigned int i)
{
	struct vq *q = &queues[0];
	int ok;

	if (!up(0))
		check(0, "driver");
	good(q);
	store16(q->avail + 4, 0);
	idx = 1;
	rings[i].spoil(q);
	/* Not before: it looks at the ring when it likes. */
	store16(q->avail + 2, idx);
	vq_kick(q);
	ok = needs_reset() && works(1, i + 1);
	ok = ok && up(0) && works(0, i + 1);
	check(ok, rings[i].what);
}

/* Areas of a queue that are not memory. */
static void
areas(void)
{
	static const unsigned int regs[] = { 32, 40, 48 };
	static const uint64_t where[] = { NOWHERE, UINT64_MAX - 15,
		(64ULL << 20) - 16, DATA + 1 };
	unsigned int i, j, bad = 0;

	for (i = 0; i < 3; i++)
		for (j = 0; j < 4; j++) {
			virtio_begin(&disks[0], 0);
			virtio_queue(&queues[0], &disks[0], 0, SIZE, RINGS,
			    VIRTIO_NOMSI);
			/* Once enabled it is fixed: from the beginning. */
			virtio_reset(&disks[0]);
			virtio_set_status(&disks[0], 1);
			virtio_set_status(&disks[0], 3);
			store32(disks[0].common + 8, 1);
			store32(disks[0].common + 12, 1);
			virtio_set_status(&disks[0], 11);
			store64(disks[0].common + 32, RINGS);
			store64(disks[0].common + 40, RINGS + 0x1000);
			store64(disks[0].common + 48, RINGS + 0x2000);
			store64(disks[0].common + regs[i], where[j]);
			store16(disks[0].common + 28, 1);
			virtio_set_status(&disks[0], 15);
			vq_kick(&queues[0]);
			bad += !works(1, 40 + i) || !up(0) || !works(0, 50 + i);
		}
	check(bad == 0, "areas outside memory");
}

/* --- registers ------------------------------------------------------------------ */

static void
poke(uint64_t at)
{
	uint32_t v = random32(), kind = random32() % 4;

	/* Often something that is nearly right. */
	if (random32() & 1)
		v &= 15;
	if (kind == 0)
		store8(at, (uint8_t)v);
	else if (kind == 1)
		store16(at & ~1ULL, (uint16_t)v);
	else if (kind == 2)
		store32(at & ~3ULL, v);
	else
		store64(at & ~7ULL, v | (uint64_t)random32() << 32);
}

/* Not the window, through which we would send ourselves an INIT by MSI. */
static void
poke_conf(void)
{
	unsigned int reg = 0x40 + random32() % 0xc0;

	if (reg < disks[0].cfg_cap || reg >= disks[0].cfg_cap + 20)
		pci_conf_set(&disks[0], reg, random32());
}

static void
registers(void)
{
	unsigned int i, round, bad = 0;

	for (round = 0; round < 10; round++) {
		if (round & 1)
			up(0);
		for (i = 0; i < 300; i++)
			poke(disks[0].common +
			    random32() % (i & 1 ? 64 : 0x4000));
		for (i = 0; i < 50; i++)
			poke_conf();
		virtio_msix(&disks[0], 0);
		bad += !works(1, round + 1);
		bad += !up(0) || !works(0, round + 1);
	}
	check(bad == 0, "registers at random");
}

void
guest_main(const struct start_info *si)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		check(blk_find(&disks[i], i) && up(i) && works(i, 1), "disk");
	for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		spoil(i);
	areas();
	registers();
	put("end of tests\n");
	power_off();
}
