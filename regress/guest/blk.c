/*
 * A driver for virtio disks that tries everything: requests of every kind
 * and layout, interrupts, the write cache, a read-only disk (the second), a
 * reset with requests in flight, two processors.  The host compares the
 * image afterwards.
 */
#include "blkone.h"
#include "smp.h"

#define VECTOR 0x50
#define LINE   0x60
#define PIECES 60

static struct vdev other;
static struct vq beside;
static uint64_t capacity;

/* --- requests --------------------------------------------------------------- */

static void
kinds(void)
{
	int64_t len = 0;

	check(writes(0, 8, 1) && holds(0, 8, 1), "OUT and IN");
	check(request(cur, BLK_FLUSH, 0, 0, &len) == BLK_OK && len == 1,
	    "FLUSH");
	memset((void *)DATA, 0xee, 20);
	check(request(cur, BLK_GET_ID, 0, 20, &len) == BLK_OK && len == 21 &&
		memcmp((void *)DATA, "serial of disk 0\0\0\0\0", 20) == 0,
	    "GET_ID");
	check(writes(16, 32, 1) && range(BLK_ZERO, 20, 8, 0) == BLK_OK &&
		holds(20, 8, 0) && holds(16, 4, 1) && holds(28, 4, 1),
	    "WRITE_ZEROES");
	check(range(BLK_ZERO, 32, 8, 1) == BLK_OK && holds(32, 8, 0),
	    "WRITE_ZEROES, unmapping");
	check(!(virtio_offered(&disk) & BLK_F_DISCARD) ||
		(range(BLK_DISCARD, 1024, 512, 0) == BLK_OK &&
		    writes(1024, 8, 1) && holds(1024, 8, 1)),
	    "DISCARD");
	check(range(BLK_DISCARD, 0, 8, 1) == BLK_UNSUPP, "DISCARD with flags");
	check(request(cur, 99, 0, 512, NULL) == BLK_UNSUPP &&
		request(cur, 2, 0, 0, NULL) == BLK_UNSUPP,
	    "unknown");
}

static void
refused(void)
{
	check(request(cur, BLK_IN, capacity, 512, NULL) == BLK_IOERR &&
		request(cur, BLK_OUT, capacity - 1, 1024, NULL) == BLK_IOERR &&
		request(cur, BLK_OUT, UINT64_MAX, 512, NULL) == BLK_IOERR &&
		request(cur, BLK_IN, 1ULL << 55, 512, NULL) == BLK_IOERR,
	    "beyond the end");
	check(request(cur, BLK_OUT, 0, 511, NULL) == BLK_IOERR &&
		request(cur, BLK_IN, 0, 513, NULL) == BLK_IOERR &&
		request(cur, BLK_IN, 0, 0, NULL) == BLK_IOERR,
	    "not whole sectors");
	check(range(BLK_ZERO, capacity - 1, 2, 0) == BLK_IOERR &&
		range(BLK_ZERO, 0, 0, 0) == BLK_IOERR &&
		range(BLK_ZERO, UINT64_MAX, 1, 0) == BLK_IOERR &&
		range(BLK_ZERO, 0, UINT32_MAX, 0) == BLK_IOERR,
	    "bad ranges");
	check(writes((uint32_t)capacity - 8, 8, 1) &&
		holds((uint32_t)capacity - 8, 8, 1),
	    "up to the end");
}

/* Everything in pieces; the status is the last byte of the last one. */
static int
pieces(uint32_t s, int in, int indirect)
{
	struct piece p[PIECES];
	unsigned int n = 0, len, left = 8 * SECTOR;
	uint64_t at = DATA;
	int64_t got;

	blk_header(HEADER, in ? BLK_IN : BLK_OUT, s);
	p[n++] = (struct piece){ HEADER, 7, 0 };
	p[n++] = (struct piece){ HEADER + 7, 9, 0 };
	for (; left > 0; left -= len, at += len) {
		len = n + 2 < PIECES ? 1 + random32() % 200 : left;
		len = len < left ? len : left;
		p[n++] = (struct piece){ at, len, in };
	}
	p[n++] = (struct piece){ STATUS, 1, 1 };
	return send(cur, p, n, indirect, &got) == BLK_OK &&
	    got == (in ? 8 * SECTOR + 1 : 1);
}

static void
layouts(int indirect, const char *what)
{
	const uint32_t s = indirect ? 104 : 96;
	unsigned int i, bad = 0;

	fill(s, 8, 2);
	bad += !pieces(s, 0, indirect) + !holds(s, 8, 2);
	for (i = 0; i < 8; i++)
		sector_spoil(DATA + i * SECTOR);
	bad += !pieces(s, 1, indirect);
	for (i = 0; i < 8; i++)
		bad += !sector_is(DATA + i * SECTOR, s + i, 2);
	check(bad == 0, what);
}

/* It counts from the moment on that it can be read. */
static int
cache(uint8_t on)
{
	uint64_t at = disk.config + BLK_WRITEBACK;
	struct wait w = { 0 };

	store8(at, on);
	while (load8(at) != on)
		if (wait_over(&w))
			return 0;
	return 1;
}

static void
write_cache(void)
{
	uint64_t wce = disk.config + BLK_WRITEBACK;

	check(load8(wce) == 1, "the write cache is on");
	check(cache(0) && writes(120, 8, 3) && holds(120, 8, 3), "off");
	check(cache(1) && writes(128, 8, 3), "and on");
	cache(0);
	up(&disk, &queue, BLK_F_FLUSH | BLK_F_WCE, VIRTIO_NOMSI);
	check(load8(wce) == 1, "on again after a reset");
	up(&disk, &queue, 0, VIRTIO_NOMSI);
	check(writes(136, 8, 3) && holds(136, 8, 3), "a driver without flush");
}

static void
read_only(void)
{
	check(blk_find(&other, 1), "a second disk");
	check((virtio_offered(&other) & BLK_F_RO) != 0, "is read-only");
	check(up(&other, &beside, BLK_F_FLUSH | BLK_F_RO, VIRTIO_NOMSI),
	    "its driver");
	cur = &beside;
	fill(0, 8, 9);
	check(request(cur, BLK_OUT, 0, 8 * SECTOR, NULL) == BLK_IOERR &&
		range(BLK_ZERO, 0, 8, 0) != BLK_OK &&
		range(BLK_DISCARD, 0, 8, 0) != BLK_OK,
	    "not written");
	check(holds(0, 8, 7) && request(cur, BLK_FLUSH, 0, 0, NULL) == BLK_OK,
	    "read");
	cur = &queue;
	/* It shares its interrupt line with others. */
	virtio_reset(&other);
}

/* --- interrupts --------------------------------------------------------------- */

static volatile unsigned int msis, lines, ticks;

static void __attribute__((interrupt)) on_msi(struct frame *f)
{
	msis++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_line(struct frame *f)
{
	/* Reading it takes the cause away. */
	if (load8(disk.isr) & 1)
		lines++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_tick(struct frame *f)
{
	ticks++;
	pic_eoi(0);
}

/* Twenty requests, each noticed by an interrupt; one that does not want any. */
static int
noticed(volatile unsigned int *n)
{
	unsigned int i, before, from;
	const struct piece p[] = { { HEADER, 16, 0 }, { DATA, SECTOR, 1 },
		{ STATUS, 1, 1 } };

	blk_header(HEADER, BLK_IN, 0);
	for (i = 0; i < 20; i++) {
		before = *n;
		from = ticks;
		vq_interrupts(cur, 1);
		chain(cur, p, 3, 0);
		while (*n == before && ticks - from < 500)
			guest_idle();
		if (*n == before || vq_wait(cur) == -1)
			return 0;
	}
	before = *n;
	vq_interrupts(cur, 0);
	if (send(cur, p, 3, 0, NULL) != BLK_OK)
		return 0;
	for (from = ticks; ticks - from < 5;)
		guest_idle();
	return *n == before;
}

static void
interrupts(uint64_t features, const char *by_msi, const char *by_line)
{
	unsigned int pin = pci_conf8(&disk, 0x3c);

	virtio_vector(&disk, 0, VECTOR, 0);
	virtio_msix(&disk, 1);
	check(up(&disk, &queue, features, 0) && noticed(&msis), by_msi);
	virtio_msix(&disk, 0);
	up(&disk, &queue, features, VIRTIO_NOMSI);
	ioapic_route(pin, LINE, 1);
	check(noticed(&lines), by_line);
	ioapic_mask(pin);
}

/* --- resets -------------------------------------------------------------------- */

static void
reset_busy(void)
{
	unsigned int i, bad = 0;

	for (i = 0; i < 20; i++) {
		up(&disk, &queue, 0, VIRTIO_NOMSI);
		flood(&queue, 256, 20);
		bad += !up(&disk, &queue, 0, VIRTIO_NOMSI);
		bad += !writes(300, 8, 1 + i) || !holds(300, 8, 1 + i);
	}
	check(bad == 0, "resets with requests in flight");
	/* Whatever became of them: now they are what the host expects. */
	flood(&queue, 256, 20);
	for (i = 0; i < 20; i++)
		bad += vq_wait(&queue) == -1;
	check(bad == 0, "and after them");
}

/* --- two processors ------------------------------------------------------------- */

#define EACH 300

static struct vq both[2];
static volatile uint32_t finished, failed;

/* A processor's own queue, memory and sectors. */
static void
work(unsigned int n)
{
	uint64_t mem = DATA + 0x10000 * (n + 1);
	struct vq *q = &both[n];
	uint32_t i, s = 512 + 64 * n;

	for (i = 0; i < EACH; i++) {
		int in = i & 1;

		blk_header(mem, in ? BLK_IN : BLK_OUT, s + i / 2 % 64);
		if (in)
			sector_spoil(mem + 512);
		else
			sector_fill(mem + 512, s + i / 2 % 64, i / 2 + 1);
		store8(mem + 16, 0xee);
		vq_desc(q->desc, 0, mem, 16, VQ_NEXT);
		vq_desc(q->desc, 1, mem + 512, SECTOR,
		    VQ_NEXT | (in ? VQ_WRITE : 0));
		vq_desc(q->desc, 2, mem + 16, 1, VQ_WRITE);
		vq_offer(q, 0);
		if (vq_wait(q) == -1 || load8(mem + 16) != BLK_OK ||
		    (in &&
			load64(mem + 512) !=
			    sector_word(s + i / 2 % 64, i / 2 + 1))) {
			failed++;
			break;
		}
	}
	__asm__ volatile("lock incl %0" : "+m"(finished));
}

void
ap_main(void)
{
	work(1);
}

static void
processors(const struct start_info *si)
{
	struct wait w = { 0 };
	unsigned int n;

	check(load16(disk.config + BLK_NQUEUES) == 2, "two queues");
	virtio_begin(&disk, BLK_F_MQ | VIRTIO_EVENT_IDX);
	for (n = 0; n < 2; n++)
		virtio_queue(&both[n], &disk, n, SIZE,
		    RINGS + VIRTIO_RING * (2 + n), VIRTIO_NOMSI);
	virtio_go(&disk);
	n = smp_start(si);
	work(0);
	while (finished < 2 && !wait_over(&w))
		;
	check(n == 2 && finished == 2 && failed == 0,
	    "two processors with a queue each");
}

/* --- all of it ---------------------------------------------------------------- */

static void
everything(const struct start_info *si)
{
	check(blk_find(&disk, 0), "a disk");
	capacity = load64(disk.config + BLK_CAPACITY);
	check(up(&disk, &queue, BLK_F_FLUSH, VIRTIO_NOMSI), "driver");
	kinds();
	refused();
	layouts(0, "in pieces");
	check(up(&disk, &queue, BLK_F_FLUSH | VIRTIO_INDIRECT, VIRTIO_NOMSI),
	    "driver with indirect descriptors");
	layouts(1, "in pieces, indirect");
	check(up(&disk, &queue, BLK_F_FLUSH | BLK_F_WCE, VIRTIO_NOMSI),
	    "driver with write cache");
	write_cache();
	read_only();
	interrupts(0, "MSI-X", "interrupt line");
	interrupts(VIRTIO_EVENT_IDX, "MSI-X, event index",
	    "interrupt line, event index");
	reset_busy();
	processors(si);
}

void
guest_main(const struct start_info *si)
{
	pic_init();
	lapic_init();
	idt_set(0x20, on_tick);
	idt_set(VECTOR, on_msi);
	idt_set(LINE, on_line);
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
	pic_unmask(0);
	everything(si);
	put("end of tests\n");
	power_off();
}
