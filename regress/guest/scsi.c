/*
 * A driver for the SCSI host with the CD-ROM: probes the drive as firmware
 * does and reads the whole medium, whose block n begins with the bytes
 * "block n " and is full of (uint8_t)n.  Words on the command line: `empty',
 * there is to be no medium; `again', then read it once more when told.
 */
#include "guest.h"

#define SLOT	 2
#define DATA	 0x1000000ULL /* memory that nobody else has */
#define RING	 0x4000	      /* bytes for each queue */
#define REQ	 (DATA + 0x20000)
#define RESP	 (DATA + 0x21000)
#define BUF	 (DATA + 0x30000)
#define QUEUES	 3
#define SIZE	 8
#define BLOCK	 2048
#define CHUNK	 16 /* blocks */

#define DEADLINE (PM_HZ * 10)

static uint64_t common, notify, config;
static uint32_t multiplier;
static uint64_t kick[QUEUES];
static uint16_t offered[QUEUES];

static uint32_t
conf(unsigned int reg)
{
	outl(0xcf8, 1U << 31 | SLOT << 11 | (reg & 0xfc));
	return inl(0xcfc);
}

static uint8_t
conf8(unsigned int reg)
{
	return (uint8_t)(conf(reg) >> 8 * (reg & 3));
}

static uint8_t
load8(uint64_t a)
{
	return *(volatile uint8_t *)a;
}

static uint16_t
load16(uint64_t a)
{
	return *(volatile uint16_t *)a;
}

static void
store8(uint64_t a, uint8_t v)
{
	*(volatile uint8_t *)a = v;
}

static void
store16(uint64_t a, uint16_t v)
{
	*(volatile uint16_t *)a = v;
}

static void
store64(uint64_t a, uint64_t v)
{
	*(volatile uint64_t *)a = v;
}

static void
find(void)
{
	unsigned int cap, type;
	uint64_t bar0 = conf(0x10) & ~15U;

	for (cap = conf8(0x34); cap != 0; cap = conf8(cap + 1)) {
		if (conf8(cap) != 9)
			continue;
		type = conf8(cap + 3);
		if (type == 1)
			common = bar0 + conf(cap + 8);
		else if (type == 2) {
			notify = bar0 + conf(cap + 8);
			multiplier = conf(cap + 16);
		} else if (type == 4)
			config = bar0 + conf(cap + 8);
	}
}

static uint64_t
ring(unsigned int q)
{
	return DATA + RING * q;
}

static void
start(void)
{
	unsigned int q;

	store8(common + 20, 0);
	while (load8(common + 20) != 0)
		;
	store8(common + 20, 1);
	store8(common + 20, 3);
	store32(common + 8, 1);
	store32(common + 12, 1); /* VERSION_1 */
	store8(common + 20, 11);
	check(load8(common + 20) == 11, "features");
	memset((void *)DATA, 0, RING * QUEUES);
	for (q = 0; q < QUEUES; q++) {
		store16(common + 22, (uint16_t)q);
		store16(common + 24, SIZE);
		store64(common + 32, ring(q));
		store64(common + 40, ring(q) + 0x1000);
		store64(common + 48, ring(q) + 0x2000);
		kick[q] = notify + load16(common + 30) * multiplier;
		store16(common + 28, 1);
		offered[q] = 0;
	}
	store8(common + 20, 15);
}

static void
desc(unsigned int q, unsigned int i, uint64_t addr, uint32_t len, int flags)
{
	store64(ring(q) + 16 * i, addr);
	store32(ring(q) + 16 * i + 8, len);
	store16(ring(q) + 16 * i + 12, (uint16_t)flags);
	store16(ring(q) + 16 * i + 14, (uint16_t)(i + 1));
}

/* The chain at descriptor 0: the length in the used ring, or -1. */
static int
go(unsigned int q)
{
	uint64_t avail = ring(q) + 0x1000, used = ring(q) + 0x2000;
	uint32_t from = pm_now();
	unsigned int i = offered[q] % SIZE;

	store16(avail + 4 + 2 * i, 0);
	store16(avail + 2, ++offered[q]);
	store16(kick[q], (uint16_t)q);
	while (load16(used + 2) != offered[q])
		if (pm_since(from) > DEADLINE)
			return -1;
	return (int)load32(used + 4 + 8 * i + 4);
}

/* The command at REQ + 19, with `len' bytes to come: -1, or how many did. */
static int
command(uint8_t target, uint32_t len)
{
	int n;

	memset((void *)REQ, 0, 19);
	store8(REQ, 1);
	store8(REQ + 1, target);
	store8(REQ + 2, 0x40);
	memset((void *)RESP, 0xee, 108);
	/* In odd pieces: the layout is the driver's. */
	desc(2, 0, REQ, 11, 1);
	desc(2, 1, REQ + 11, 40, 1);
	desc(2, 2, RESP, 108, len > 0 ? 3 : 2);
	desc(2, 3, BUF, len, 2);
	n = go(2);
	return n < 108 ? -1 : n - 108;
}

static void
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

static int
good(void)
{
	return load8(RESP + 10) == 0 && load8(RESP + 11) == 0;
}

static int
sense_is(uint8_t key, uint8_t code)
{
	return load8(RESP + 10) == 2 && load8(RESP + 11) == 0 &&
	    load8(RESP + 14) == key && load8(RESP + 24) == code;
}

static uint32_t
big(uint64_t a)
{
	return (uint32_t)load8(a) << 24 | (uint32_t)load8(a + 1) << 16 |
	    (uint32_t)load8(a + 2) << 8 | load8(a + 3);
}

static int
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

/* A reset of the unit, on the control queue. */
static void
reset_unit(void)
{
	memset((void *)REQ, 0, 24);
	store32(REQ + 4, 5);
	store8(REQ + 8, 1);
	store8(REQ + 10, 0x40);
	store8(RESP, 0xee);
	desc(0, 0, REQ, 24, 1);
	desc(0, 1, RESP, 1, 2);
	check(go(0) == 1 && load8(RESP) == 0, "unit reset");
}

static int
word(const char *line, char first)
{
	return line[0] == first;
}

void
guest_main(const struct start_info *si)
{
	const char *line = si->cmdline == 0 ? "" : (const char *)si->cmdline;
	uint32_t blocks;

	check(conf(0) == 0x10481af4, "ids");
	find();
	check(common != 0 && notify != 0 && config != 0, "structures");
	check(load32(config) == 1 && load32(config + 4) == 17 &&
		load32(config + 20) == 96 && load32(config + 24) == 32,
	    "configuration");
	start();
	/* A buffer for events, which never come. */
	desc(1, 0, DATA + 0x22000, 16, 2);
	store16(ring(1) + 0x1002, 1);
	store16(kick[1], 1);
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
	cdb(0x28, blocks, 1);
	check(command(0, BLOCK) == 0 && sense_is(5, 0x21), "beyond the end");
	reset_unit();
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
