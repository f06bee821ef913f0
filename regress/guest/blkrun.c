/*
 * Keeps disks busy: random reads, writes, zeroes, discards and flushes of
 * sectors that say what they are, in deep queues, each read compared with
 * what was written last.  It sleeps until an interrupt comes, so that one
 * that is lost is noticed.
 *
 * All disks that are there are used, two queues each.  By the serial line:
 * `p' asks for the number of requests done and of errors; `f' has all
 * finished and flushed, prints what the first half of each disk says, and
 * lets only the other half change from then on; `q' ends it: all is finished
 * and flushed, every sector is read and compared, and the sum of what they
 * should say is printed.  A request that fails is counted and its
 * sectors are believed again when they are written.
 */
#include "blk.h"

#define DISKS	 2
#define QUEUES	 2
#define SLOTS	 40	/* requests in a queue */
#define SIZE	 128	/* of a queue: three descriptors each */
#define MAX	 8	/* sectors of a request */
#define SECTORS	 32768U /* of a disk, at most */
#define RINGS	 0x1000000ULL
#define HEADERS	 0x1100000ULL
#define BUFFERS	 0x1200000ULL
#define VECTOR	 0x50
#define PATIENCE 3000 /* ticks of 10 ms without an interrupt */

/* What is known of a sector. */
#define BUSY	0x1 /* in a request */
#define UNKNOWN 0x2
#define ZERO	0x4

struct slot {
	int used;
	uint32_t type, at, n;
	uint64_t header, data, status;
};

struct queue {
	struct vq vq;
	struct slot slots[SLOTS];
};

static struct disk {
	struct vdev dev;
	uint32_t sectors;
	unsigned int nqueues;
	struct queue queues[QUEUES];
	uint16_t gen[SECTORS]; /* last written, unless ZERO */
	uint8_t state[SECTORS];
} disks[DISKS];
static unsigned int ndisks;

static volatile uint32_t interrupts, ticks;
static uint64_t done, errors, wrong;
static unsigned int flying;
static int ending, freezing;
static int frozen; /* the first half of each disk */

static void __attribute__((interrupt)) on_msi(struct frame *f)
{
	interrupts++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_tick(struct frame *f)
{
	ticks++;
	pic_eoi(0);
}

static void
ticking(void)
{
	idt_set(0x20, on_tick);
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
	pic_unmask(0);
}

static uint32_t
expected(const struct disk *d, uint32_t s)
{
	return d->state[s] & ZERO ? 0 : d->gen[s];
}

static uint16_t
next(const struct disk *d, uint32_t s)
{
	return d->gen[s] == UINT16_MAX ? 1 : (uint16_t)(d->gen[s] + 1);
}

static void
complain(const struct disk *d, uint32_t s)
{
	if (wrong++ > 10)
		return;
	put("FAIL disk ");
	put_dec((uint64_t)(d - disks));
	put(" sector ");
	put_dec(s);
	say_dec(" should be in generation", expected(d, s));
}

/* --- requests ------------------------------------------------------------- */

static int
claim(struct disk *d, uint32_t at, uint32_t n)
{
	uint32_t i;

	for (i = at; i < at + n; i++)
		if (d->state[i] & BUSY)
			return 0;
	for (i = at; i < at + n; i++)
		d->state[i] |= BUSY;
	return 1;
}

static uint32_t
choose(const struct disk *d)
{
	uint32_t r = random32() % 64;

	if (r < 36)
		return BLK_OUT;
	if (r < 58)
		return BLK_IN;
	if (r < 60)
		return BLK_FLUSH;
	if (r < 62 && d->dev.features & BLK_F_ZERO)
		return BLK_ZERO;
	return d->dev.features & BLK_F_DISCARD ? BLK_DISCARD : BLK_IN;
}

static void
prepare(struct disk *d, struct slot *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		uint64_t to = s->data + i * SECTOR;

		if (s->type == BLK_IN)
			sector_spoil(to);
		else if (s->type == BLK_OUT)
			sector_fill(to, s->at + i, next(d, s->at + i));
	}
	if (s->type == BLK_ZERO || s->type == BLK_DISCARD)
		blk_range(s->data, s->at, s->n,
		    s->type == BLK_ZERO ? random32() & 1 : 0);
}

/* The descriptors of a slot are its own. */
static void
submit(struct queue *q, struct slot *s)
{
	unsigned int head = 3 * (unsigned int)(s - q->slots), i = head;
	uint32_t len = s->n * SECTOR;

	if (s->type == BLK_ZERO || s->type == BLK_DISCARD)
		len = 16;
	blk_header(s->header, s->type,
	    s->type == BLK_IN || s->type == BLK_OUT ? s->at : 0);
	store8(s->status, 0xee);
	vq_desc(q->vq.desc, i++, s->header, 16, VQ_NEXT);
	if (s->type != BLK_FLUSH)
		vq_desc(q->vq.desc, i++, s->data, len,
		    VQ_NEXT | (s->type == BLK_IN ? VQ_WRITE : 0));
	vq_desc(q->vq.desc, i, s->status, 1, VQ_WRITE);
	s->used = 1;
	flying++;
	vq_put(&q->vq, (uint16_t)head);
}

static void
begin(struct disk *d, struct queue *q, struct slot *s)
{
	s->type = choose(d);
	s->n = s->type == BLK_FLUSH ? 0 : 1 + random32() % MAX;
	s->at = frozen ? d->sectors / 2 : 0;
	s->at += random32() % (d->sectors - MAX - s->at);
	if (!claim(d, s->at, s->n))
		return;
	prepare(d, s);
	submit(q, s);
}

static void
sector_done(struct disk *d, const struct slot *s, uint32_t i, int ok)
{
	uint32_t at = s->at + i;

	d->state[at] &= (uint8_t)~BUSY;
	if (s->type == BLK_IN) {
		if (ok && !(d->state[at] & UNKNOWN) &&
		    !sector_is(s->data + i * SECTOR, at, expected(d, at)))
			complain(d, at);
		return;
	}
	d->state[at] &= (uint8_t) ~(UNKNOWN | ZERO);
	if (!ok || s->type == BLK_DISCARD)
		d->state[at] |= UNKNOWN;
	else if (s->type == BLK_ZERO)
		d->state[at] |= ZERO;
	if (s->type == BLK_OUT)
		d->gen[at] = next(d, at);
}

static void
end(struct disk *d, struct queue *q, uint32_t id)
{
	struct slot *s = &q->slots[id / 3];
	uint8_t status;
	uint32_t i;

	if (id % 3 != 0 || id / 3 >= SLOTS || !s->used) {
		say_dec("FAIL done, but never begun:", id);
		return;
	}
	status = load8(s->status);
	/* The file of the image may have no holes. */
	if (status == BLK_UNSUPP && s->type == BLK_DISCARD)
		status = BLK_OK;
	if (status != BLK_OK)
		errors++;
	if (status > BLK_IOERR)
		say_dec("FAIL status", status);
	for (i = 0; i < s->n; i++)
		sector_done(d, s, i, status == BLK_OK);
	s->used = 0;
	flying--;
	done++;
}

/* --- the loop -------------------------------------------------------------- */

static void
collect(struct disk *d, struct queue *q)
{
	while (load16(q->vq.used + 2) != q->vq.seen) {
		end(d, q, load32(q->vq.used + 4 + 8 * (q->vq.seen % SIZE)));
		q->vq.seen++;
	}
}

static void
fill(struct disk *d, struct queue *q)
{
	unsigned int i;

	for (i = 0; i < SLOTS && !ending && !freezing; i++)
		if (!q->slots[i].used)
			begin(d, q, &q->slots[i]);
	vq_show(&q->vq);
}

static void
each(void (*fn)(struct disk *, struct queue *))
{
	unsigned int i, j;

	for (i = 0; i < ndisks; i++)
		for (j = 0; j < disks[i].nqueues; j++)
			fn(&disks[i], &disks[i].queues[j]);
}

static void
listen(struct disk *d, struct queue *q)
{
	vq_interrupts(&q->vq, 1);
}

static int
pending(void)
{
	unsigned int i, j;

	for (i = 0; i < ndisks; i++)
		for (j = 0; j < disks[i].nqueues; j++) {
			const struct vq *q = &disks[i].queues[j].vq;

			if (load16(q->used + 2) != q->seen)
				return 1;
		}
	return 0;
}

/* Sleep until an interrupt of a disk came; 0 if there is none. */
static int
wait(void)
{
	uint32_t before = interrupts, from = ticks;

	each(listen);
	if (pending())
		return 1;
	while (interrupts == before) {
		if (ticks - from > PATIENCE)
			return 0;
		user_idle();
	}
	return 1;
}

static void
report(const char *what)
{
	put(what);
	put_char(' ');
	put_dec(done);
	put(" errors ");
	put_dec(errors);
	put_char('\n');
}

static void
serial(void)
{
	uint8_t c;

	if (!(inb(0x3f8 + 5) & 1))
		return;
	c = inb(0x3f8);
	if (c == 'q')
		ending = 1;
	else if (c == 'f')
		freezing = 1;
	else if (c == 'p')
		report("progress");
}

/* --- beginning and end ------------------------------------------------------ */

static void
setup(struct disk *d, unsigned int n)
{
	unsigned int i, j;

	if (!virtio_begin(&d->dev,
		BLK_F_FLUSH | BLK_F_MQ | BLK_F_DISCARD | BLK_F_ZERO |
		    VIRTIO_EVENT_IDX))
		check(0, "features");
	d->sectors = (uint32_t)load64(d->dev.config + BLK_CAPACITY);
	if (d->sectors > SECTORS)
		d->sectors = SECTORS;
	d->nqueues = load16(d->dev.config + BLK_NQUEUES);
	if (d->nqueues > QUEUES)
		d->nqueues = QUEUES;
	virtio_vector(&d->dev, 0, VECTOR, 0);
	virtio_msix(&d->dev, 1);
	for (i = 0; i < d->nqueues; i++) {
		unsigned int k = n * QUEUES + i;
		struct queue *q = &d->queues[i];

		virtio_queue(&q->vq, &d->dev, i, SIZE, RINGS + k * VIRTIO_RING,
		    0);
		for (j = 0; j < SLOTS; j++) {
			unsigned int m = k * SLOTS + j;

			q->slots[j].header = HEADERS + 32 * m;
			q->slots[j].status = HEADERS + 32 * m + 16;
			q->slots[j].data = BUFFERS + MAX * SECTOR * m;
		}
	}
	if (!virtio_go(&d->dev))
		check(0, "driver");
}

/* With nothing in flight. */
static int
one(struct disk *d, uint32_t type, uint32_t at, uint32_t n)
{
	struct queue *q = &d->queues[0];
	struct slot *s = &q->slots[0];

	s->type = type;
	s->at = at;
	s->n = n;
	if (type == BLK_IN)
		prepare(d, s);
	submit(q, s);
	vq_show(&q->vq);
	while (s->used) {
		if (!wait())
			return 0;
		collect(d, q);
	}
	return load8(s->status) == BLK_OK;
}

static void
tell(const struct disk *d, const char *what, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t at, unknown = 0;

	for (at = 0; at < n; at++)
		if (d->state[at] & UNKNOWN)
			unknown++;
		else
			sum += sector_word(at, expected(d, at));
	say_dec(what, n);
	say_dec("unknown", unknown);
	say_hex("sum", sum);
}

static void
verify(struct disk *d)
{
	uint32_t at, n;

	check(one(d, BLK_FLUSH, 0, 0), "flush");
	for (at = 0; at < d->sectors; at += n) {
		n = d->sectors - at < MAX ? d->sectors - at : MAX;
		if (!one(d, BLK_IN, at, n))
			complain(d, at);
	}
	tell(d, "sectors", d->sectors);
}

/* The host is to know the first `n'. */
static void
settle(struct disk *d, uint32_t n)
{
	uint32_t at;

	for (at = 0; at < n; at++)
		if (d->state[at] & UNKNOWN) {
			sector_fill(d->queues[0].slots[0].data, at,
			    next(d, at));
			one(d, BLK_OUT, at, 1);
		}
}

/* Nothing is in flight: what is in the first halves is to stay. */
static void
freeze(void)
{
	unsigned int i;

	for (i = 0; i < ndisks; i++) {
		settle(&disks[i], disks[i].sectors / 2);
		check(one(&disks[i], BLK_FLUSH, 0, 0), "flush");
		tell(&disks[i], "frozen", disks[i].sectors / 2);
	}
	freezing = 0;
	frozen = 1;
	each(fill);
}

static void
run(void)
{
	each(fill);
	while (flying > 0) {
		if (!wait()) {
			check(0, "interrupt");
			report("stuck");
			break;
		}
		each(collect);
		serial();
		each(fill);
		if (freezing && flying == 0)
			freeze();
	}
}

static void
all(void)
{
	unsigned int i;

	while (ndisks < DISKS && blk_find(&disks[ndisks].dev, ndisks)) {
		setup(&disks[ndisks], ndisks);
		ndisks++;
	}
	say_dec("disks", ndisks);
	run();
	for (i = 0; i < ndisks; i++) {
		settle(&disks[i], disks[i].sectors);
		verify(&disks[i]);
	}
	check(wrong == 0, "all sectors");
	report("done");
	user_off();
}

void
guest_main(const struct start_info *si)
{
	pic_init();
	lapic_init();
	ticking();
	idt_set(VECTOR, on_msi);
	user_mode(all);
}
