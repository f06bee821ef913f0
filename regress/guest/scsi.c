/*
 * A driver for the SCSI host with the CD-ROM: probes the drive as firmware
 * does, tries every command and every function of the control queue, is
 * interrupted in both ways, resets it while it reads, and reads the whole
 * medium, whose block n begins with the bytes "block n " and is full of
 * (uint8_t)n.  Words on the command line: `empty', there is to be no medium;
 * `again', then read it once more when told; `loop', read it again and again
 * until told.
 */
#include "scsione.h"

#define MSI_VECTOR 0x50
#define PIN_VECTOR 0x60
#define FLOOD	   (DATA + 0x100000)
#define NFLOOD	   8
#define ALLOC(n)   (uint8_t)((n) >> 8), (uint8_t)(n)
#define OVERRUN	   1
#define BAD_TARGET 3
#define REJECTED   11

static void
start(void)
{
	check(up(0, VIRTIO_NOMSI), "features");
}

/* --- the medium ------------------------------------------------------------ */

static void
read_all(uint32_t blocks)
{
	uint32_t at, i, n, bad = 0;

	for (at = 0; at < blocks; at += n) {
		n = blocks - at < CHUNK ? blocks - at : CHUNK;
		memset((void *)BUF, 0, 64);
		cdb(0x28, at, (uint16_t)n);
		if (command(0, n * BLOCK) != (int)(n * BLOCK) || !good())
			bad++;
		for (i = 0; i < n; i++)
			bad += !block_ok(BUF + i * BLOCK, at + i);
	}
	say_dec("blocks", blocks);
	check(bad == 0, "all blocks");
}

static void
probe(void)
{
	uint8_t *b = (uint8_t *)BUF;

	cdb(0x12, 0, 0);
	store8(REQ + 23, 36);
	check(command(0, 36) == 36 && good(), "INQUIRY");
	check(b[0] == 5 && b[1] == 0x80 &&
		memcmp(b + 8, "OpenBSD VMM CD-ROM ", 19) == 0,
	    "a CD-ROM");
	check(command(1, 36) == 0 && load8(RESP + 11) == 3, "no other target");
	cdb(0xff, 0, 0);
	check(command(0, 0) == 0 && sense_is(5, 0x20), "unknown command");
}

/* --- every command ----------------------------------------------------------- */

/* A command of these bytes; -1, or how many of `len' bytes came. */
#define send(len, ...)                                                         \
	send_bytes((const uint8_t[]){ __VA_ARGS__ },                           \
	    sizeof((const uint8_t[]){ __VA_ARGS__ }), len)

static int
send_bytes(const uint8_t *bytes, size_t n, uint32_t len)
{
	memset((void *)(REQ + 19), 0, 32);
	memcpy((void *)(REQ + 19), bytes, n);
	memset((void *)BUF, 0xee, 64);
	return command(0, len);
}

static int
two_blocks(int n, uint32_t at)
{
	return n == 2 * BLOCK && good() && block_ok(BUF, at) &&
	    block_ok(BUF + BLOCK, at + 1);
}

static void
reads(uint32_t blocks)
{
	const uint8_t last = (uint8_t)(blocks - 2);

	check(two_blocks(send(2 * BLOCK, 0x08, 0, 0, last, 2), last),
	    "READ(6)");
	check(two_blocks(send(2 * BLOCK, 0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 2), 5),
	    "READ(12)");
	check(two_blocks(send(2 * BLOCK, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0,
			     0, 2),
		  7),
	    "READ(16)");
	check(send(BLOCK, 0x88, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1) == 0 &&
		sense_is(5, 0x21),
	    "READ(16) far beyond the end");
	check(send(0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0) == 0 && good(),
	    "READ(10) of nothing");
	check(send(BLOCK, 0x28, 0, 0, 0, 0, 0, 0, 0, 2) == 0 &&
		load8(RESP + 11) == OVERRUN,
	    "READ(10) of more than there is room for");
	check(send(BLOCK, 0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff) == 0 &&
		load8(RESP + 10) == 2,
	    "READ(12) of as much as can be said");
}

static void
descriptions(uint32_t blocks)
{
	const uint8_t *b = (const uint8_t *)BUF;

	check(send(20, 0x43, 0, 0, 0, 0, 0, 0, ALLOC(20)) == 20 && good() &&
		b[1] == 18 && b[6] == 1 && b[14] == 0xaa &&
		big(BUF + 16) == blocks,
	    "READ TOC");
	check(send(12, 0x43, 0, 1, 0, 0, 0, 0, ALLOC(12)) == 12 && good() &&
		b[1] == 10,
	    "READ TOC, sessions");
	check(send(30, 0x5a, 0, 0x2a, 0, 0, 0, 0, ALLOC(30)) == 30 && good() &&
		b[8] == 0x2a,
	    "MODE SENSE(10)");
	check(send(16, 0x1a, 0, 0x01, 0, 16) == 16 && good() && b[4] == 1,
	    "MODE SENSE(6)");
	check(send(16, 0x1a, 0, 0x3e, 0, 16) == 0 && sense_is(5, 0x24),
	    "MODE SENSE(6), no such page");
	check(send(8, 0x46, 0, 0, 0, 0, 0, 0, ALLOC(8)) == 8 && good() &&
		b[7] == 8,
	    "GET CONFIGURATION");
	check(send(16, 0xa0, 0, 0, 0, 0, 0, 0, 0, ALLOC(16)) == 16 && good() &&
		big(BUF) == 8 && big(BUF + 8) == 0,
	    "REPORT LUNS");
	check(send(32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32) == 32 &&
		good() && big(BUF + 4) == blocks - 1 && big(BUF + 8) == BLOCK,
	    "READ CAPACITY(16)");
	check(send(24, 0x12, 1, 0x83, 0, 24) == 24 && good() && b[1] == 0x83,
	    "INQUIRY, vital product data");
	check(send(8, 0xbd, 0, 0, 0, 0, 0, 0, 0, ALLOC(8)) == 8 && good(),
	    "MECHANISM STATUS");
	check(send(34, 0x51, 0, 0, 0, 0, 0, 0, ALLOC(34)) == 0 &&
		sense_is(5, 0x24),
	    "READ DISC INFORMATION");
}

static int
event(void)
{
	const uint8_t *b = (const uint8_t *)BUF;

	if (send(8, 0x4a, 1, 0, 0, 0x10, 0, 0, ALLOC(8)) != 8 || !good() ||
	    b[2] != 4)
		return -1;
	return b[4] << 8 | b[5];
}

static int
ready(void)
{
	return send(0, 0x00) == 0;
}

static void
tray(void)
{
	check(event() == 0x0002, "GET EVENT STATUS: a medium, no news");
	check(send(0, 0x1e, 0, 0, 0, 1) == 0 && good(), "PREVENT");
	check(send(0, 0x1b, 0, 0, 0, 2) == 0 && sense_is(5, 0x53), "locked");
	check(send(0, 0x1e, 0, 0, 0, 0) == 0 && good() &&
		send(0, 0x1b, 0, 0, 0, 2) == 0 && good(),
	    "ALLOW and eject");
	check(ready() && sense_is(2, 0x3a), "the tray is open");
	check(event() == 0x0301, "GET EVENT STATUS: removed");
	check(send(0, 0x1b, 0, 0, 0, 3) == 0 && good(), "load");
	check(event() == 0x0202, "GET EVENT STATUS: new");
	check(ready() && sense_is(6, 0x28) && ready() && good(),
	    "attention, once");
	check(send(18, 0x03, 0, 0, 0, 18) == 18 && good() &&
		load8(BUF) == 0x70 && load8(BUF + 2) == 0,
	    "REQUEST SENSE");
}

/* --- the control queue ------------------------------------------------------- */

/* A request of `len' bytes in REQ; the byte at RESP + n - 1, or -1. */
static int
control(uint32_t len, uint32_t n)
{
	memset((void *)RESP, 0xee, 16);
	desc(0, 0, REQ, len, 1);
	desc(0, 1, RESP, n, 2);
	return go(0) == (int)n ? load8(RESP + n - 1) : -1;
}

static int
task(uint32_t function, uint8_t target)
{
	memset((void *)REQ, 0, 24);
	store32(REQ + 4, function);
	store8(REQ + 8, 1);
	store8(REQ + 9, target);
	store8(REQ + 10, 0x40);
	return control(24, 1);
}

static int
notices(uint32_t type, uint8_t target)
{
	memset((void *)REQ, 0, 16);
	store32(REQ, type);
	store8(REQ + 4, 1);
	store8(REQ + 5, target);
	store8(REQ + 6, 0x40);
	store32(REQ + 12, 0xffffffff);
	return control(16, 5);
}

static void
controls(void)
{
	uint32_t f, bad = 0;

	for (f = 0; f < 8; f++)
		bad += task(f, 0) != 0 || task(f, 1) != BAD_TARGET;
	check(bad == 0, "task management");
	check(task(8, 0) == REJECTED && task(0xffffffff, 0) == REJECTED,
	    "no other functions");
	check(notices(1, 0) == 0 && load32(RESP) == 0 &&
		notices(1, 1) == BAD_TARGET,
	    "asynchronous notification query");
	check(notices(2, 0) == 0 && load32(RESP) == 0, "and subscription");
	store32(REQ, 3);
	check(control(16, 5) == -1, "no other requests");
	check(ready() && good(), "ready after all that");
	check(task(5, 0) == 0, "unit reset");
}

/* --- interrupts ----------------------------------------------------------------- */

static volatile unsigned int msis, lines, ticks;

static void __attribute__((interrupt)) on_msi(struct frame *f)
{
	msis++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_line(struct frame *f)
{
	/* Reading it takes the cause away. */
	if (load8(dev.isr) & 1)
		lines++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_tick(struct frame *f)
{
	ticks++;
	pic_eoi(0);
}

/* The chain `i' of the flood: a read of a few blocks. */
static void
flood_one(unsigned int i)
{
	uint64_t at = FLOOD + 0x10000 * i;

	header(at, 0);
	memset((void *)(at + 19), 0, 32);
	store8(at + 19, 0x28);
	store8(at + 24, (uint8_t)i);
	store8(at + 27, CHUNK);
	memset((void *)(at + 64), 0xee, 108);
	desc(2, 3 * i, at, 51, VQ_NEXT);
	desc(2, 3 * i + 1, at + 64, 108, VQ_NEXT | VQ_WRITE);
	desc(2, 3 * i + 2, at + 4096, CHUNK * BLOCK, VQ_WRITE);
	vq_put(&queues[2], (uint16_t)(3 * i));
}

/* Ten reads, each noticed by an interrupt; one that does not want any. */
static int
noticed(volatile unsigned int *n)
{
	unsigned int i, before, from;

	for (i = 0; i < 10; i++) {
		before = *n;
		from = ticks;
		vq_interrupts(&queues[2], 1);
		flood_one(0);
		vq_show(&queues[2]);
		while (*n == before && ticks - from < 500)
			guest_idle();
		if (*n == before || vq_wait(&queues[2]) == -1 ||
		    !block_ok(FLOOD + 4096, 0))
			return 0;
	}
	before = *n;
	vq_interrupts(&queues[2], 0);
	flood_one(0);
	vq_show(&queues[2]);
	if (vq_wait(&queues[2]) == -1)
		return 0;
	for (from = ticks; ticks - from < 5;)
		guest_idle();
	return *n == before;
}

static void
interrupts(uint64_t features, const char *by_msi, const char *by_line)
{
	unsigned int pin = pci_conf8(&dev, 0x3c);

	virtio_vector(&dev, 0, MSI_VECTOR, 0);
	virtio_msix(&dev, 1);
	check(up(features, 0) && noticed(&msis), by_msi);
	virtio_msix(&dev, 0);
	up(features, VIRTIO_NOMSI);
	ioapic_route(pin, PIN_VECTOR, 1);
	check(noticed(&lines), by_line);
	ioapic_mask(pin);
}

/* --- resets ------------------------------------------------------------------- */

static void
flood(void)
{
	unsigned int i;

	for (i = 0; i < NFLOOD; i++)
		flood_one(i);
	vq_show(&queues[2]);
}

static void
reset_busy(void)
{
	unsigned int i, bad = 0;

	for (i = 0; i < 20; i++) {
		up(0, VIRTIO_NOMSI);
		flood();
		bad += !up(0, VIRTIO_NOMSI);
		bad += !two_blocks(send(2 * BLOCK, 0x28, 0, 0, 0, 0, (uint8_t)i,
				       0, 0, 2),
		    i);
	}
	check(bad == 0, "resets with reads in flight");
	flood();
	/* Its answer comes when they are done. */
	bad += task(2, 0) != 0;
	for (i = 0; i < NFLOOD; i++)
		bad += vq_wait(&queues[2]) != 108 + CHUNK * BLOCK;
	for (i = 0; i < NFLOOD; i++)
		bad += !block_ok(FLOOD + 0x10000 * i + 4096, i);
	check(bad == 0, "and after them");
}

static int
word(const char *line, char first)
{
	return line[0] == first;
}

/* All that a drive with a medium can do. */
static void
everything(uint32_t blocks)
{
	cdb(0x28, blocks, 1);
	check(command(0, BLOCK) == 0 && sense_is(5, 0x21), "beyond the end");
	reads(blocks);
	descriptions(blocks);
	tray();
	controls();
	interrupts(0, "MSI-X", "interrupt line");
	interrupts(VIRTIO_EVENT_IDX, "MSI-X, event index",
	    "interrupt line, event index");
	reset_busy();
}

/* Again and again, with a rest in between, until we are told. */
static void __attribute__((noreturn)) read_on(uint32_t blocks)
{
	uint32_t from;

	while (!(inb(0x3f8 + 5) & 1)) {
		read_all(blocks);
		for (from = ticks; ticks - from < 20;)
			guest_idle();
	}
	power_off();
}

static void
interrupts_on(void)
{
	pic_init();
	lapic_init();
	idt_set(0x20, on_tick);
	idt_set(MSI_VECTOR, on_msi);
	idt_set(PIN_VECTOR, on_line);
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
	pic_unmask(0);
}

void
guest_main(const struct start_info *si)
{
	const char *line = si->cmdline == 0 ? "" : (const char *)si->cmdline;
	uint32_t blocks;

	interrupts_on();
	check(virtio_find(&dev, SLOT, 0) && dev.config != 0, "structures");
	check(pci_conf(&dev, 0) == 0x10481af4, "ids");
	check(load32(dev.config) == 1 && load32(dev.config + 4) == 17 &&
		load32(dev.config + 20) == 96 && load32(dev.config + 24) == 32,
	    "configuration");
	start();
	/* A buffer for events, which never come. */
	desc(1, 0, DATA + 0x22000, 16, 2);
	vq_offer(&queues[1], 0);
	probe();
	cdb(0x00, 0, 0);
	command(0, 0);
	if (word(line, 'e')) {
		check(sense_is(2, 0x3a), "no medium");
		power_off();
	}
	check(good(), "ready");
	cdb(0x25, 0, 0);
	check(command(0, 8) == 8 && good() && big(BUF + 4) == BLOCK,
	    "READ CAPACITY");
	blocks = big(BUF) + 1;
	read_all(blocks);
	if (word(line, 'l'))
		read_on(blocks);
	everything(blocks);
	if (word(line, 'a')) {
		put("again?\n");
		while (!(inb(0x3f8 + 5) & 1))
			;
		(void)inb(0x3f8);
		read_all(blocks);
	}
	/* And once more from the beginning. */
	start();
	read_all(blocks);
	power_off();
}
