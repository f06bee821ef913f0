/*
 * Random requests to qcow2 images of many shapes, several at a time, next
 * to the same on plain bytes.  What is read is compared at once, the whole
 * at the end, also by qemu-img; and qemu-img check finds no fault and no
 * lost cluster.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "regress/unit/disk_rig.h"

#define K	1024ULL
#define M	(1024 * K)
#define SLOTS	12
#define LEN_MAX (192 * K)

/* How the layers are made; `%s' of compressed ones is a raw file. */
struct shape {
	const char *name;
	const char *make;
	const char *chain[5];
	uint64_t size;
	int sync;
};

#define CREATE	"qemu-img create -q -f qcow2 "
#define CONVERT "qemu-img convert -O qcow2 "

static const struct shape shapes[] = {
	{ "v3, 64K", CREATE "top 48M", { "top" }, 48 * M, 0 },
	{ "v2, 64K, fallback", CREATE "-o compat=0.10 top 48M", { "top" },
	    48 * M, 1 },
	{ "v3, 512", CREATE "-o cluster_size=512 top 24M", { "top" }, 24 * M,
	    0 },
	{ "v2, 512, fallback", CREATE "-o cluster_size=512,compat=0.10 top 20M",
	    { "top" }, 20 * M, 1 },
	{ "v3, 2M", CREATE "-o cluster_size=2M top 49M", { "top" }, 49 * M, 0 },
	{ "refcounts of 1 bit",
	    CREATE "-o refcount_bits=1,cluster_size=4k "
		   "top 30M",
	    { "top" }, 30 * M, 0 },
	{ "refcounts of 2 bits",
	    CREATE "-o refcount_bits=2,cluster_size=1k "
		   "top 30M",
	    { "top" }, 30 * M, 1 },
	{ "refcounts of 64 bits",
	    CREATE "-o refcount_bits=64,"
		   "cluster_size=512 top 12M",
	    { "top" }, 12 * M, 0 },
	{ "refcounts of 32 bits, lazy",
	    CREATE "-o refcount_bits=32,"
		   "cluster_size=2k,lazy_refcounts=on top 20M",
	    { "top" }, 20 * M, 0 },
	{ "over a shorter raw one", CREATE "-b data.raw -F raw top 40M",
	    { "top", "data.raw" }, 40 * M, 0 },
	{ "over a longer one",
	    CONVERT "data.raw base;" CREATE
		    "-b base -F qcow2 -o cluster_size=8k top 10000896",
	    { "top", "base" }, 10000896, 0 },
	{ "v2 over v2",
	    CONVERT "-o compat=0.10,cluster_size=4k data.raw base;" CREATE
		    "-b base -F qcow2 -o compat=0.10,cluster_size=16k top 24M",
	    { "top", "base" }, 24 * M, 0 },
	{ "over compressed over raw",
	    CREATE "-b data.raw -F raw mid 20M;" CONVERT
		   "-c -o cluster_size=32k data.raw low;" CREATE
		   "-b low -F qcow2 -o cluster_size=4k mid 12M;" CREATE
		   "-b mid -F qcow2 -o cluster_size=64k top 30M",
	    { "top", "mid", "low" }, 30 * M, 0 },
	{ "deflate", CONVERT "-c data.raw top", { "top" }, 16 * M, 0 },
	{ "zstd, fallback",
	    CONVERT "-c -o compression_type=zstd,"
		    "cluster_size=16k data.raw top",
	    { "top" }, 16 * M, 1 },
	{ "zstd, 2M",
	    CONVERT "-c -o compression_type=zstd,cluster_size=2M "
		    "data.raw top",
	    { "top" }, 16 * M, 0 },
	{ "preallocated", CREATE "-o preallocation=metadata top 30M", { "top" },
	    30 * M, 0 },
	{ "2M over 512",
	    CONVERT "-c -o cluster_size=512 data.raw base;" CREATE
		    "-b base -F qcow2 -o cluster_size=2M top 17M",
	    { "top", "base" }, 17 * M, 0 },
};

/* One request that may be under way. */
struct slot {
	struct rig_req q;
	int used;
	uint64_t off, len;
	struct iovec iov[8];
	uint8_t *buf;
};

struct run {
	struct rig g;
	uint64_t size;
	uint8_t *model;
	struct slot slots[SLOTS];
	int keeps; /* a discard may leave things as they are */
};

/* Bytes that compress, in parts, and some zeros. */
static void
make_data(void)
{
	static uint8_t buf[64 * K];
	FILE *f;
	size_t i, n;

	assert_non_null(f = fopen("data.raw", "w"));
	for (n = 0; n < 16 * M / sizeof(buf); n++) {
		for (i = 0; i < sizeof(buf); i += 8) {
			uint64_t v = n % 3 == 0 ? 0 :
			    i % 64 < 16		? rig_random() :
						  n + i / 512;

			memcpy(buf + i, &v, 8);
		}
		assert_int_equal(fwrite(buf, 1, sizeof(buf), f), sizeof(buf));
	}
	assert_int_equal(fclose(f), 0);
}

/* What the disk shows at first. */
static void
read_model(struct run *r)
{
	int fd;

	rig_sh("qemu-img convert -O raw top model");
	assert_int_not_equal(fd = open("model", O_RDONLY | O_CLOEXEC), -1);
	assert_int_equal(pread(fd, r->model, r->size, 0), (ssize_t)r->size);
	close(fd);
}

static int
overlaps(const struct run *r, uint64_t off, uint64_t len)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (r->slots[i].used &&
		    off < r->slots[i].off + r->slots[i].len &&
		    r->slots[i].off < off + len)
			return 1;
	return 0;
}

/* A range near others, so that clusters are shared. */
static void
choose(const struct run *r, uint64_t *off, uint64_t *len)
{
	static uint64_t near;

	if (rig_random() % 64 == 0)
		near = rig_random() % r->size;
	do {
		*len = 512 *
		    (1 +
			rig_random() %
			    (rig_random() % 8 == 0 ? LEN_MAX / 512 : 24));
		*off = rig_random() % 3 == 0 ? rig_random() % r->size :
					       near + rig_random() % (256 * K);
		*off &= ~511ULL;
		if (rig_random() % 16 == 0)
			*off &= ~(64 * K - 1);
		if (rig_random() % 64 == 0)
			*off = r->size - *len;
	} while (*off >= r->size || *len > r->size - *off ||
	    overlaps(r, *off, *len));
}

static void
finish(struct run *r, struct slot *s)
{
	uint8_t *at = r->model + s->off;
	size_t i;

	assert_int_equal(rig_wait(&r->g, &s->q), 0);
	s->used = 0;
	if (s->q.r.op == DISK_READ)
		assert_memory_equal(s->buf, at, s->len);
	if (s->q.r.op != DISK_DISCARD)
		return;
	/* The old bytes or zeros, sector by sector. */
	assert_int_equal(rig_rw(&r->g, DISK_READ, s->buf, s->len, s->off), 0);
	for (i = 0; i < s->len; i += 512) {
		static const uint8_t zeros[512];

		if (memcmp(s->buf + i, zeros, 512) == 0)
			memset(at + i, 0, 512);
		assert_memory_equal(s->buf + i, at + i, 512);
	}
}

/* Divide it among vectors of odd lengths. */
static int
divide(struct slot *s)
{
	uint64_t at = 0, n;
	int i;

	for (i = 0; i < 8 && at < s->len; i++, at += n) {
		n = i == 7 ? s->len - at : 1 + rig_random() % s->len;
		if (n > s->len - at || rig_random() % 2)
			n = s->len - at;
		s->iov[i] = (struct iovec){ s->buf + at, n };
	}
	return i;
}

static void
begin(struct run *r, struct slot *s)
{
	static const enum disk_op ops[16] = { DISK_WRITE, DISK_WRITE,
		DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_READ,
		DISK_READ, DISK_READ, DISK_READ, DISK_READ, DISK_READ,
		DISK_DISCARD, DISK_ZERO, DISK_ZERO, DISK_FLUSH };
	struct disk_req *q = &s->q.r;
	uint64_t i, v;

	memset(q, 0, sizeof(*q));
	q->op = ops[rig_random() % 16];
	choose(r, &s->off, &s->len);
	q->off = s->off;
	q->len = s->len;
	q->unmap = rig_random() % 2 == 0;
	q->iov = s->iov;
	if (q->op == DISK_WRITE || q->op == DISK_READ)
		q->niov = divide(s);
	if (q->op == DISK_WRITE) {
		v = rig_random();
		for (i = 0; i < s->len; i += 8, v += 0x0101010101010101ULL)
			memcpy(s->buf + i, &v, 8);
		memcpy(r->model + s->off, s->buf, s->len);
	} else if (q->op == DISK_ZERO) {
		memset(r->model + s->off, 0, s->len);
	} else if (q->op == DISK_FLUSH) {
		s->len = 0;
	}
	s->used = 1;
	rig_submit(&r->g, &s->q);
}

static void
compare(const struct run *r)
{
	FILE *f;

	assert_non_null(f = fopen("model", "w"));
	assert_int_equal(fwrite(r->model, 1, r->size, f), r->size);
	assert_int_equal(fclose(f), 0);
	rig_sh("qemu-img check -q -f qcow2 top");
	rig_sh("qemu-img compare -q -f raw -F qcow2 model top");
}

static void
run_ops(struct run *r, unsigned int n)
{
	struct slot *s;
	size_t i;

	while (n-- > 0) {
		s = &r->slots[rig_random() % SLOTS];
		if (s->used)
			finish(r, s);
		begin(r, s);
	}
	for (i = 0; i < SLOTS; i++)
		if (r->slots[i].used)
			finish(r, &r->slots[i]);
}

static void
run_shape(const struct shape *s, unsigned int ops)
{
	struct run r = { .size = s->size };
	size_t i;
	int again;

	make_data();
	rig_sh("%s", s->make);
	assert_non_null(r.model = malloc(s->size));
	for (i = 0; i < SLOTS; i++)
		assert_non_null(r.slots[i].buf = malloc(LEN_MAX));
	read_model(&r);
	for (again = 0; again < 2; again++) {
		assert_int_equal(rig_open(&r.g, s->chain, 0, s->sync), 0);
		assert_int_equal(disk_size(r.g.d), s->size);
		run_ops(&r, ops / 2);
		assert_int_equal(rig_close(&r.g), 0);
		compare(&r);
	}
	for (i = 0; i < SLOTS; i++)
		free(r.slots[i].buf);
	free(r.model);
	rig_sh("rm -f *");
}

static void
test_shape(void **state)
{
	const struct shape *s = *state;
	unsigned int ops = 100000 / (sizeof(shapes) / sizeof(shapes[0])) + 1;

	if (getenv("CHECK_LONG") != NULL)
		ops *= 10;
	rig_seed(getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) :
					  (uint64_t)(s - shapes));
	run_shape(s, ops);
}

int
main(int argc, char *argv[])
{
	return rig_shapes("disk_random", test_shape, shapes, sizeof(shapes[0]),
	    sizeof(shapes) / sizeof(shapes[0]), argc > 1 ? argv[1] : NULL);
}
