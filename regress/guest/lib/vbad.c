/*
 * A hostile driver of any virtio device.  See vbad.h.
 */
#include "blk.h"
#include "vbad.h"

#define NOWHERE 0x7000000000ULL
#define MEMORY	(64ULL << 20)

static uint16_t idx;  /* what avail.idx is going to be */
static uint16_t size; /* of the queue */
static uint64_t table;

/* --- rings ------------------------------------------------------------------ */

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
	set_next(q, 0, size);
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
	store64(q->desc + 16, MEMORY - 8);
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
	vq_desc(q->desc, 0, table, 17, VQ_INDIRECT);
}

static void
table_nowhere(struct vq *q)
{
	vq_desc(q->desc, 0, NOWHERE, 48, VQ_INDIRECT);
}

static void
table_in_a_table(struct vq *q)
{
	vq_desc(table, 0, table, 16, VQ_INDIRECT);
	vq_desc(q->desc, 0, table, 16, VQ_INDIRECT);
}

static void
table_and_next(struct vq *q)
{
	vq_desc(q->desc, 0, table, 16, VQ_INDIRECT | VQ_NEXT);
}

static void
head_outside(struct vq *q)
{
	store16(q->avail + 4, size);
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

#define HEADER VBAD_HEADER
#define ASYNC  VBAD_ASYNC

static const struct {
	const char *what;
	void (*spoil)(struct vq *q);
	int kind; /* of devices that have to mind */
} rings[] = {
	{ "loop", loop, 0 },
	{ "loop to itself", loop_to_itself, 0 },
	{ "next outside", next_outside, 0 },
	{ "next far outside", next_far_outside, 0 },
	{ "no memory there", no_memory, 0 },
	{ "address wraps", address_wraps, 0 },
	{ "past the end of memory", past_the_end, 0 },
	{ "too long", too_long, 0 },
	{ "empty", empty, 0 },
	{ "written before read", written_before_read, 0 },
	{ "no status", no_status, HEADER },
	{ "short header", short_header, HEADER },
	{ "table of odd size", table_of_odd_size, 0 },
	{ "table nowhere", table_nowhere, 0 },
	{ "table in a table", table_in_a_table, 0 },
	{ "table and next", table_and_next, 0 },
	{ "head outside", head_outside, 0 },
	{ "index jumps", index_jumps, 0 },
	{ "same head twice", same_head_twice, ASYNC },
};

static int
needs_reset(const struct vbad *v)
{
	struct wait w = { 0 };

	while (!(virtio_status(v->d) & 0x40))
		if (wait_over(&w))
			return 0;
	return 1;
}

static void
spoil(const struct vbad *v, unsigned int i)
{
	struct vq *q = v->q;
	int ok;

	if (!v->up())
		check(0, "driver");
	v->good();
	store16(q->avail + 4, 0);
	idx = 1;
	size = (uint16_t)q->size;
	table = v->table;
	rings[i].spoil(q);
	/* Not before: it looks at the ring when it likes. */
	store16(q->avail + 2, idx);
	vq_kick(q);
	ok = needs_reset(v) && v->other_works(i + 1);
	ok = ok && v->up() && v->works(i + 1);
	check(ok, rings[i].what);
}

void
vbad_rings(const struct vbad *v)
{
	unsigned int i;

	for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		if ((rings[i].kind & ~v->kind) == 0)
			spoil(v, i);
}

/* All up to DRIVER_OK, with one area of the queue at `where'. */
static void
misplaced(const struct vbad *v, unsigned int reg, uint64_t where)
{
	const uint64_t common = v->d->common;

	virtio_reset(v->d);
	virtio_set_status(v->d, 1);
	virtio_set_status(v->d, 3);
	store32(common + 8, 1);
	store32(common + 12, 1);
	virtio_set_status(v->d, 11);
	store16(common + 22, (uint16_t)v->q->n);
	store64(common + 32, v->rings);
	store64(common + 40, v->rings + 0x1000);
	store64(common + 48, v->rings + 0x2000);
	store64(common + reg, where);
	store16(common + 28, 1);
	virtio_set_status(v->d, 15);
	vq_kick(v->q);
}

/* Areas of a queue that are not memory. */
void
vbad_areas(const struct vbad *v)
{
	static const unsigned int regs[] = { 32, 40, 48 };
	const uint64_t where[] = { NOWHERE, UINT64_MAX - 15, MEMORY - 16,
		v->table + 1 };
	unsigned int i, j, bad = 0;

	for (i = 0; i < 3; i++)
		for (j = 0; j < 4; j++) {
			misplaced(v, regs[i], where[j]);
			bad += !v->other_works(40 + i) || !v->up() ||
			    !v->works(50 + i);
		}
	check(bad == 0, "areas outside memory");
}

/* --- registers -------------------------------------------------------------- */

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
poke_conf(const struct vdev *d)
{
	unsigned int reg = 0x40 + random32() % 0xc0;

	if (reg < d->cfg_cap || reg >= d->cfg_cap + 20)
		pci_conf_set(d, reg, random32());
}

void
vbad_registers(const struct vbad *v)
{
	unsigned int i, round, bad = 0;

	for (round = 0; round < 10; round++) {
		if (round & 1)
			v->up();
		for (i = 0; i < 300; i++)
			poke(v->d->common + random32() % (i & 1 ? 64 : 0x4000));
		for (i = 0; i < 50; i++)
			poke_conf(v->d);
		virtio_msix(v->d, 0);
		bad += !v->other_works(round + 1);
		bad += !v->up() || !v->works(round + 1);
	}
	check(bad == 0, "registers at random");
}
