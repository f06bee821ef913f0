/*
 * A driver for the SCSI host with the CD-ROM: probes the drive as firmware
 * does and reads the whole medium, whose block n begins with the bytes
 * "block n " and is full of (uint8_t)n.  Words on the command line: `empty',
 * there is to be no medium; `again', then read it once more when told.
 */
#include "virtio.h"

#define SLOT   2
#define DATA   0x1000000ULL /* memory that nobody else has */
#define REQ    (DATA + 0x20000)
#define RESP   (DATA + 0x21000)
#define BUF    (DATA + 0x30000)
#define QUEUES 3
#define SIZE   8
#define BLOCK  2048
#define CHUNK  16 /* blocks */

static struct vdev dev;
static struct vq queues[QUEUES];

static void
start(void)
{
	unsigned int q;

	check(virtio_begin(&dev, 0), "features");
	for (q = 0; q < QUEUES; q++)
		virtio_queue(&queues[q], &dev, q, SIZE, DATA + VIRTIO_RING * q,
		    VIRTIO_NOMSI);
	virtio_go(&dev);
}

static void
desc(unsigned int q, unsigned int i, uint64_t addr, uint32_t len, int flags)
{
	vq_desc(queues[q].desc, i, addr, len, flags);
}

/* The chain at descriptor 0: the length in the used ring, or -1. */
static int
go(unsigned int q)
{
	vq_offer(&queues[q], 0);
	return (int)vq_wait(&queues[q]);
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
