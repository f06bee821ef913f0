/*
 * The block device without its process: every type of request in several
 * layouts, what it refuses, and what the status and the length say then.
 */

#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <unistd.h>

#include "lib/disk/disk.h"
#include "regress/unit/dev_fake.h"
#include "regress/unit/vq_test.h"

#define PIECES	8 /* of 64 bytes: a sector */
#define SECTORS 256
#define HDR	FAKE_DATA
#define BUF	(FAKE_DATA + 0x1000)
#define STATUS	(FAKE_DATA + 0x800)
#define RANGES	(FAKE_DATA + 0x400)
#define FLUSHES                                                                \
	((1ULL << VIRTIO_BLK_F_FLUSH) | (1ULL << VIRTIO_BLK_F_CONFIG_WCE))

struct one {
	struct fake f;
	int fd;
	unsigned int ndesc;
	uint16_t seen; /* used.idx */
};

static int
make(void **state, uint32_t flags)
{
	struct one *o = calloc(1, sizeof(*o));
	uint8_t sector[DISK_SECTOR];
	int i, fd, keep;

	assert_non_null(o);
	fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_not_equal(fd, -1);
	for (i = 0; i < SECTORS; i++) {
		memset(sector, i, sizeof(sector));
		assert_int_equal(write(fd, sector, sizeof(sector)),
		    sizeof(sector));
	}
	keep = dup(fd);
	assert_int_equal(fake_open(&o->f, &vioblk_ops, &fd, 1, flags, 0), 0);
	o->fd = keep;
	o->f.watch.on = 1;
	fake_activate(&o->f, 0, FLUSHES);
	*state = o;
	return 0;
}

static int
setup(void **state)
{
	return make(state, 0);
}

static int
setup_ro(void **state)
{
	return make(state, DISKF_READONLY);
}

static int
teardown(void **state)
{
	struct one *o = *state;

	fake_close(&o->f);
	close(o->fd);
	free(o);
	return 0;
}

/* Append to the chain that is being made. */
static void
seg(struct one *o, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct test_desc d = { addr, len, flags | F_NEXT,
		(uint16_t)(o->ndesc + 1) };

	desc_put(&o->f.d.mem, FAKE_DESC, o->ndesc++, &d);
}

static void
header(struct one *o, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = htole32(type),
		.sector = htole64(sector) };

	memcpy(o->f.d.mem.base + HDR, &h, sizeof(h));
	o->ndesc = 0;
	seg(o, HDR, sizeof(h), 0);
}

/* Close the chain, run it: the length in the used ring. */
static uint32_t
go(struct one *o)
{
	struct gmem *g = &o->f.d.mem;
	uint64_t last = FAKE_DESC + 16ULL * (o->ndesc - 1) + 12;

	poke16(g, last, peek16(g, last) & (uint16_t)~F_NEXT);
	offer(g, &o->f.d.queues[0].vq.conf, 0);
	assert_int_equal(fake_run(&o->f), 0);
	assert_int_equal(peek16(g, FAKE_USED + 2), ++o->seen);
	return peek32(g,
	    FAKE_USED + 4 + 8ULL * ((o->seen - 1U) % FAKE_QUEUE) + 4);
}

static uint8_t
status(struct one *o)
{
	return o->f.d.mem.base[STATUS];
}

/* Header, `len' bytes at BUF, status. */
static uint32_t
simple(struct one *o, uint32_t type, uint64_t sector, uint32_t len,
    uint16_t flags)
{
	o->f.d.mem.base[STATUS] = 0xee;
	header(o, type, sector);
	if (len > 0)
		seg(o, BUF, len, flags);
	seg(o, STATUS, 1, F_WRITE);
	return go(o);
}

static void
in_and_out(void **state)
{
	struct one *o = *state;
	uint8_t *buf = o->f.d.mem.base + BUF, back[1024];

	assert_int_equal(simple(o, VIRTIO_BLK_T_IN, 5, 1024, F_WRITE), 1025);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	assert_int_equal(buf[0], 5);
	assert_int_equal(buf[512], 6);
	memset(buf, 0xab, 1024);
	assert_int_equal(simple(o, VIRTIO_BLK_T_OUT, 7, 1024, 0), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(o->fd, back, 1024, 7 * 512), 1024);
	assert_memory_equal(back, buf, 1024);
	assert_int_equal(o->f.page.stats[DEVS_READS], 1);
	assert_int_equal(o->f.page.stats[DEVS_WRITE_BYTES], 1024);
}

/* Header, data and status share segments, or are in pieces. */
static void
any_layout(void **state)
{
	struct one *o = *state;
	uint8_t *m = o->f.d.mem.base, back[512];

	/* Header and data in one, cut at odd places. */
	header(o, VIRTIO_BLK_T_OUT, 9);
	memset(m + HDR + 16, 0x5c, 512);
	o->ndesc = 0;
	seg(o, HDR, 3, 0);
	seg(o, HDR + 3, 20, 0);
	seg(o, HDR + 23, 16 + 512 - 23, 0);
	seg(o, STATUS, 1, F_WRITE);
	assert_int_equal(go(o), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(o->fd, back, 512, 9 * 512), 512);
	assert_memory_equal(back, m + HDR + 16, 512);

	/* Data and status in one. */
	header(o, VIRTIO_BLK_T_IN, 9);
	seg(o, BUF, 100, F_WRITE);
	seg(o, BUF + 100, 413, F_WRITE);
	assert_int_equal(go(o), 513);
	assert_memory_equal(m + BUF, back, 512);
	assert_int_equal(m[BUF + 512], VIRTIO_BLK_S_OK);
}

/* Several at a time: those beside one another are one for the host. */
static void
several(struct one *o, uint32_t type, const uint64_t *sectors, unsigned int n)
{
	struct gmem *g = &o->f.d.mem;
	struct virtio_blk_outhdr h = { .type = htole32(type) };
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct test_desc d[3] = {
			{ HDR + sizeof(h) * i, sizeof(h), F_NEXT, 0 },
			{ BUF + 512 * i, 512, F_NEXT, 0 },
			{ STATUS + i, 1, F_WRITE, 0 },
		};
		unsigned int k;

		h.sector = htole64(sectors[i]);
		memcpy(g->base + HDR + sizeof(h) * i, &h, sizeof(h));
		g->base[STATUS + i] = 0xee;
		if (type == VIRTIO_BLK_T_IN)
			d[1].flags |= F_WRITE;
		for (k = 0; k < 3; k++) {
			d[k].next = (uint16_t)(3 * i + k + 1);
			desc_put(g, FAKE_DESC, 3 * i + k, &d[k]);
		}
		offer(g, &o->f.d.queues[0].vq.conf, (uint16_t)(3 * i));
	}
	assert_int_equal(fake_run(&o->f), 0);
	o->seen = (uint16_t)(o->seen + n);
	assert_int_equal(peek16(g, FAKE_USED + 2), o->seen);
	for (i = 0; i < n; i++)
		assert_int_equal(g->base[STATUS + i], VIRTIO_BLK_S_OK);
}

static void
streams(void **state)
{
	static const uint64_t sectors[] = { 20, 21, 22, 30, 23 };
	struct one *o = *state;
	uint8_t *buf = o->f.d.mem.base + BUF, back[512];
	unsigned int i;

	for (i = 0; i < 5; i++)
		memset(buf + 512 * i, 0xa0 + (int)i, 512);
	several(o, VIRTIO_BLK_T_OUT, sectors, 5);
	for (i = 0; i < 5; i++) {
		assert_int_equal(pread(o->fd, back, 512,
				     (off_t)sectors[i] * 512),
		    512);
		assert_memory_equal(back, buf + 512 * i, 512);
	}
	memset(buf, 0, 5 * 512);
	several(o, VIRTIO_BLK_T_IN, sectors, 5);
	for (i = 0; i < 5; i++) {
		assert_int_equal(buf[512 * i], 0xa0 + i);
		assert_int_equal(buf[512 * i + 511], 0xa0 + i);
	}
	assert_int_equal(o->f.page.stats[DEVS_READS], 5);
	assert_int_equal(o->f.page.stats[DEVS_WRITES], 5);
	assert_int_equal(o->f.page.stats[DEVS_WRITE_BYTES], 5 * 512);
}

/* More segments than a request has room for, and again with few. */
static void
many_segments(void **state)
{
	struct one *o = *state;
	uint8_t *m = o->f.d.mem.base, back[PIECES * 64];
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		header(o, VIRTIO_BLK_T_OUT, 8);
		for (i = 0; i < PIECES; i++) {
			memset(m + BUF + 128 * i, (int)(0x40 * round + i), 64);
			seg(o, BUF + 128 * i, 64, 0);
		}
		seg(o, STATUS, 1, F_WRITE);
		assert_int_equal(go(o), 1);
		assert_int_equal(status(o), VIRTIO_BLK_S_OK);
		assert_int_equal(pread(o->fd, back, sizeof(back), 8 * 512),
		    sizeof(back));
		for (i = 0; i < PIECES; i++)
			assert_memory_equal(back + 64 * i, m + BUF + 128 * i,
			    64);
		assert_int_equal(simple(o, VIRTIO_BLK_T_IN, 8, sizeof(back),
				     F_WRITE),
		    sizeof(back) + 1);
		assert_memory_equal(m + BUF, back, sizeof(back));
	}
}

static void
bad_data(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{ 0, 0 },
		{ 0, 1 },
		{ 0, 511 },
		{ 0, 513 },
		{ SECTORS, 512 },
		{ SECTORS - 1, 1024 },
		{ UINT64_MAX, 512 },
		{ UINT64_MAX / 512, 512 },
		{ 1ULL << 55, 512 },
	};
	struct one *o = *state;
	unsigned int i;

	for (i = 0; i < NELEM(bad); i++) {
		assert_int_equal(simple(o, VIRTIO_BLK_T_IN, bad[i].sector,
				     bad[i].len, F_WRITE),
		    1);
		assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
		assert_int_equal(simple(o, VIRTIO_BLK_T_OUT, bad[i].sector,
				     bad[i].len, 0),
		    1);
		assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(o->f.page.stats[DEVS_ERRORS], 2 * NELEM(bad));
}

static void
unknown_types(void **state)
{
	static const uint32_t types[] = { 2, 3, 7, 9, 10, 12, 14, 15, 16,
		0x80000000, UINT32_MAX };
	struct one *o = *state;
	unsigned int i;

	for (i = 0; i < NELEM(types); i++) {
		assert_int_equal(simple(o, types[i], 0, 512, F_WRITE), 1);
		assert_int_equal(status(o), VIRTIO_BLK_S_UNSUPP);
	}
}

static void
flush_and_id(void **state)
{
	struct one *o = *state;

	assert_int_equal(simple(o, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	assert_int_equal(o->f.page.stats[DEVS_FLUSHES], 1);
	/* The same by its old name. */
	assert_int_equal(simple(o, 5, 0, 0, 0), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	assert_int_equal(o->f.page.stats[DEVS_FLUSHES], 2);
	assert_int_equal(simple(o, VIRTIO_BLK_T_GET_ID, 0, 20, F_WRITE), 21);
	assert_string_equal((char *)o->f.d.mem.base + BUF, "vioblk0");
	/* Less room than it has, and none. */
	assert_int_equal(simple(o, VIRTIO_BLK_T_GET_ID, 0, 3, F_WRITE), 4);
	assert_int_equal(simple(o, VIRTIO_BLK_T_GET_ID, 0, 0, 0), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
}

static uint32_t
ranges(struct one *o, uint32_t type, unsigned int n, uint64_t sector,
    uint32_t count, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes r = { htole64(sector),
		htole32(count), htole32(flags) };
	unsigned int i;

	o->f.d.mem.base[STATUS] = 0xee;
	for (i = 0; i < n; i++) {
		r.sector = htole64(sector + 2ULL * count * i);
		memcpy(o->f.d.mem.base + BUF + i * sizeof(r), &r, sizeof(r));
	}
	header(o, type, 0);
	seg(o, BUF, n * (uint32_t)sizeof(r), 0);
	seg(o, STATUS, 1, F_WRITE);
	return go(o);
}

static void
expect(struct one *o, unsigned int sector, uint8_t value)
{
	uint8_t b[512];
	unsigned int i;

	assert_int_equal(pread(o->fd, b, 512, sector * 512L), 512);
	for (i = 0; i < 512; i++)
		assert_int_equal(b[i], value);
}

static void
zeroes_and_discard(void **state)
{
	struct one *o = *state;

	/* Three ranges, each two sectors, two apart. */
	assert_int_equal(ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 3, 10, 2, 0), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	expect(o, 9, 9);
	expect(o, 10, 0);
	expect(o, 11, 0);
	expect(o, 12, 12);
	expect(o, 14, 0);
	expect(o, 19, 0);
	expect(o, 20, 20);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 1, 30, 1, 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	expect(o, 30, 0);
	ranges(o, VIRTIO_BLK_T_DISCARD, 1, 40, 8, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
}

static void
bad_ranges(void **state)
{
	struct one *o = *state;

	ranges(o, VIRTIO_BLK_T_DISCARD, 1, 0, 1, 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_UNSUPP);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 1, 2);
	assert_int_equal(status(o), VIRTIO_BLK_S_UNSUPP);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 0, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 1, SECTORS - 1, 2, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 1, UINT64_MAX, 2, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 17, 0, 1, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	simple(o, VIRTIO_BLK_T_DISCARD, 0, 15, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	expect(o, 0, 0);
	expect(o, 1, 1);
}

static void
read_only(void **state)
{
	struct one *o = *state;

	assert_true(o->f.ready.features & (1ULL << VIRTIO_BLK_F_RO));
	simple(o, VIRTIO_BLK_T_OUT, 3, 512, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	ranges(o, VIRTIO_BLK_T_WRITE_ZEROES, 1, 3, 1, 0);
	assert_int_equal(status(o), VIRTIO_BLK_S_IOERR);
	expect(o, 3, 3);
	simple(o, VIRTIO_BLK_T_IN, 3, 512, F_WRITE);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
}

/* No status byte, or no header: there is nobody to tell. */
static void
no_place(void **state)
{
	struct one *o = *state;
	struct gmem *g = &o->f.d.mem;

	header(o, VIRTIO_BLK_T_OUT, 0);
	seg(o, BUF, 512, 0);
	poke16(g, FAKE_DESC + 16 + 12, 0);
	offer(g, &o->f.d.queues[0].vq.conf, 0);
	assert_int_equal(fake_run(&o->f), -1);
	assert_int_equal(peek16(g, FAKE_USED + 2), 0);

	fake_reset(&o->f);
	memset(g->base, 0, FAKE_DATA);
	fake_activate(&o->f, 0, FLUSHES);
	o->ndesc = 0;
	seg(o, HDR, 15, 0);
	seg(o, STATUS, 1, F_WRITE);
	poke16(g, FAKE_DESC + 16 + 12, F_WRITE);
	offer(g, &o->f.d.queues[0].vq.conf, 0);
	assert_int_equal(fake_run(&o->f), -1);

	/* After a reset all is well. */
	fake_reset(&o->f);
	memset(g->base, 0, FAKE_DATA);
	fake_activate(&o->f, 0, FLUSHES);
	assert_int_equal(simple(o, VIRTIO_BLK_T_IN, 1, 512, F_WRITE), 513);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
}

static void
write_cache(void **state)
{
	struct one *o = *state;
	unsigned int wce = offsetof(struct virtio_blk_config, wce);
	uint8_t now;

	virtio_page_read(&o->f.page.virtio, wce, &now, 1);
	assert_int_equal(now, 1);
	/* The vm process says so. */
	now = 0;
	virtio_page_write(&o->f.page.virtio, wce, &now, 1);
	/* Each write is flushed now; it is one request to the guest. */
	assert_int_equal(simple(o, VIRTIO_BLK_T_OUT, 7, 512, 0), 1);
	assert_int_equal(status(o), VIRTIO_BLK_S_OK);
	assert_int_equal(o->f.page.stats[DEVS_WRITES], 1);
}

static void
config_space(void **state)
{
	struct one *o = *state;
	struct virtio_blk_config c;

	assert_int_equal(o->f.ready.config_len, sizeof(c));
	memcpy(&c, o->f.ready.config, sizeof(c));
	assert_int_equal(le64toh(c.capacity), SECTORS);
	assert_int_equal(le32toh(c.seg_max), 126);
	assert_int_equal(le32toh(c.blk_size), 512);
	assert_int_equal(le16toh(c.num_queues), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(in_and_out),
		T(any_layout),
		T(streams),
		T(many_segments),
		T(bad_data),
		T(unknown_types),
		T(flush_and_id),
		T(zeroes_and_discard),
		T(bad_ranges),
		cmocka_unit_test_setup_teardown(read_only, setup_ro, teardown),
		T(no_place),
		T(write_cache),
		T(config_space),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
