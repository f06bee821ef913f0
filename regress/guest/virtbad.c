/*
 * A hostile driver of the devices other than disks: rings and registers of
 * the SCSI host and of the entropy device, each of which says that it needs
 * a reset and works after it, while the other does not notice; and the
 * registers of vmmci(4), which says nothing and obeys when it was reset.
 */
#include "blk.h"
#include "scsione.h"
#include "vbad.h"

#define RNG_SLOT   1
#define RNG_RINGS  (DATA + 0x200000)
#define RNG_BUF	   (DATA + 0x210000)
#define TABLE	   (DATA + 0x220000)
#define VMMCI_SLOT 3
#define VMMCI_PORT 0xd000
#define VMMCI_LEN  40
#define V_FEATURES 4
#define V_STATUS   18
#define V_COMMAND  20
#define V_SECONDS  24

static struct vdev rng;
static struct vq entropy;

/* --- the two --------------------------------------------------------------- */

static int
scsi_up(void)
{
	return up(VIRTIO_INDIRECT, VIRTIO_NOMSI);
}

/* A read of a block, in its layout. */
static void
read_block(uint32_t n)
{
	cdb(0x28, n, 1);
	header(REQ, 0);
}

static void
scsi_good(void)
{
	read_block(0);
	desc(2, 0, REQ, 51, VQ_NEXT);
	desc(2, 1, RESP, 108, VQ_NEXT | VQ_WRITE);
	desc(2, 2, BUF, BLOCK, VQ_WRITE);
}

static int
scsi_works(uint32_t n)
{
	memset((void *)BUF, 0, 64);
	read_block(n);
	return command(0, BLOCK) == BLOCK && load8(RESP + 10) == 0 &&
	    load8(RESP + 11) == 0 && block_ok(BUF, n);
}

static int
rng_up(void)
{
	if (!virtio_begin(&rng, VIRTIO_INDIRECT))
		return 0;
	virtio_queue(&entropy, &rng, 0, 16, RNG_RINGS, VIRTIO_NOMSI);
	return virtio_go(&rng);
}

static void
rng_good(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		vq_desc(entropy.desc, i, RNG_BUF + 64 * i, 64,
		    VQ_WRITE | (i < 2 ? VQ_NEXT : 0));
}

static int
rng_works(uint32_t n)
{
	unsigned int i, zero = 0;

	memset((void *)RNG_BUF, 0, 64);
	vq_desc(entropy.desc, 0, RNG_BUF, 64, VQ_WRITE);
	vq_offer(&entropy, 0);
	if (vq_wait(&entropy) != 64)
		return 0;
	for (i = 0; i < 64; i++)
		zero += load8(RNG_BUF + i) == 0;
	return zero < 32;
}

static void
attack(const char *what, const struct vbad *v)
{
	put(what);
	put_char('\n');
	check(v->up() && v->works(1), "works");
	vbad_rings(v);
	vbad_areas(v);
	vbad_registers(v);
}

/* --- vmmci ------------------------------------------------------------------- */

static void
access(uint16_t port)
{
	uint32_t v = random32(), kind = random32() % 8;

	if (random32() & 1)
		v &= 7;
	switch (kind) {
	case 0:
	case 1:
		outb(port, (uint8_t)v);
		break;
	case 2:
		outw(port, (uint16_t)v);
		break;
	case 3:
		outl(port, v);
		break;
	case 4:
		(void)inw(port);
		break;
	case 5:
		(void)inl(port);
		break;
	default:
		(void)inb(port);
		break;
	}
}

static int
vmmci_works(uint16_t port)
{
	outb(port + V_STATUS, 0);
	outb(port + V_STATUS, 3);
	outl(port + V_FEATURES, 0xffffffff);
	outb(port + V_STATUS, 7);
	return inl(port) == 7 && inl(port + V_FEATURES) == 7 &&
	    inb(port + V_STATUS) == 7 && inl(port + V_COMMAND) == 0 &&
	    inl(port + V_SECONDS + 4) == 0 &&
	    inl(port + V_SECONDS) > 1700000000;
}

/*
 * It is told that we power down, too: that is forgotten with a reset, and
 * else the end of us in three seconds.
 */
static void
vmmci(void)
{
	const struct vdev d = { .slot = VMMCI_SLOT };
	unsigned int i, round, bad = 0;

	check(pci_conf(&d, 0) == 0x07770b5d, "vmmci");
	for (round = 0; round < 10; round++) {
		pci_conf_set(&d, 0x10, VMMCI_PORT);
		for (i = 0; i < 200; i++)
			access((uint16_t)(VMMCI_PORT +
			    random32() % (VMMCI_LEN + 24)));
		/* Where the serial line is, nowhere, not decoded. */
		pci_conf_set(&d, 0x10, round & 1 ? 0x3f8 : 0xffffffff);
		(void)inb(0x3f8 + 7);
		pci_conf_set(&d, 4, random32() & ~1U);
		access(VMMCI_PORT);
		for (i = 0x40; i < 0x100; i += 4)
			pci_conf_set(&d, i, random32());
		pci_conf_set(&d, 0x10, VMMCI_PORT);
		pci_conf_set(&d, 4, 1);
		bad += !vmmci_works(VMMCI_PORT);
		bad += !scsi_works(round) || !rng_works(round);
	}
	check(bad == 0, "registers of vmmci");
	outb(VMMCI_PORT + V_STATUS, 0);
}

void
guest_main(const struct start_info *si)
{
	static const struct vbad scsi = { .d = &dev,
		.q = &queues[2],
		.rings = DATA + 2 * VIRTIO_RING,
		.table = TABLE,
		.kind = VBAD_HEADER | VBAD_ASYNC,
		.up = scsi_up,
		.good = scsi_good,
		.works = scsi_works,
		.other_works = rng_works };
	static const struct vbad random = { .d = &rng,
		.q = &entropy,
		.rings = RNG_RINGS,
		.table = TABLE,
		.up = rng_up,
		.good = rng_good,
		.works = rng_works,
		.other_works = scsi_works };

	check(virtio_find(&dev, SLOT, 0) && virtio_find(&rng, RNG_SLOT, 0) &&
		scsi_up() && rng_up(),
	    "devices");
	attack("scsi", &scsi);
	attack("entropy", &random);
	vmmci();
	put("end of tests\n");
	power_off();
}
