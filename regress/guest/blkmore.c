/*
 * A driver for virtio disks in the machines that the first word of the
 * command line says: `many', 16 disks; `base', over the sectors of a backing
 * file; `boot', a reset of the machine with requests in flight.
 */
#include "blkone.h"

/* Each has its name, and the others' data is not on it. */
static void
many(void)
{
	char name[20] = "number ";
	unsigned int i;

	for (i = 0; i < 16; i++) {
		name[7] = (char)('a' + i);
		check(blk_find(&disk, i), "found");
		check((pci_conf(&disk, 0xc) >> 23 & 1) == (i % 8 == 0),
		    "multifunction");
		check(up(&disk, &queue, 0, VIRTIO_NOMSI) &&
			request(cur, BLK_GET_ID, 0, 20, NULL) == BLK_OK &&
			memcmp((void *)DATA, name, 20) == 0,
		    "named");
		check(writes(0, 1, i + 1) && writes(i + 1, 1, i + 1) &&
			holds(0, 1, i + 1),
		    "written");
		virtio_reset(&disk);
	}
	check(!blk_find(&disk, 16), "no more");
}

/* All sectors are of generation 7; each third becomes one of 8. */
static void
base(void)
{
	uint32_t s, bad = 0;

	blk_find(&disk, 0);
	check(up(&disk, &queue, BLK_F_FLUSH, VIRTIO_NOMSI), "driver");
	for (s = 0; s < 300; s++)
		bad += !holds(s, 1, 7);
	for (s = 0; s < 300; s += 3)
		bad += !writes(s, 1, 8);
	for (s = 0; s < 300; s++)
		bad += !holds(s, 1, s % 3 == 0 ? 8 : 7);
	check(bad == 0, "sectors");
}

/* The second time, sector 0 says so. */
static void
boot(void)
{
	blk_find(&disk, 0);
	check(up(&disk, &queue, BLK_F_FLUSH, VIRTIO_NOMSI), "driver");
	if (holds(0, 1, 5)) {
		put("second boot\n");
		check(writes(8, 8, 6) && holds(8, 8, 6), "works");
		return;
	}
	check(writes(0, 1, 5), "first boot");
	flood(&queue, 256, 20);
	outb(0xcf9, 6);
	halt();
}

void
guest_main(const struct start_info *si)
{
	const char *line = si->cmdline == 0 ? "" : (const char *)si->cmdline;

	pic_init();
	lapic_init();
	if (line[0] == 'm')
		many();
	else if (line[0] == 'b' && line[1] == 'a')
		base();
	else
		boot();
	put("end of tests\n");
	power_off();
}
