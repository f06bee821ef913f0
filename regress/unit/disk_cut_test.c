/*
 * The power fails while a qcow2 image is written to: after every operation
 * on its file, with any of those lost that no fdatasync(2) had confirmed.
 * What is left has no fault but lost clusters, has what the guest had
 * flushed, and no byte that was never at its place.  And the process is
 * killed: what was done before is all there, and so is what the guest was
 * told is written.
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

#include "regress/unit/disk_cut.h"

#define CREATE	"qemu-img create -q -f qcow2 -o cluster_size="
#define CONVERT "qemu-img convert -O qcow2 -c -o cluster_size="
#define ON_RAW	" -b data.raw -F raw top "

/* clang-format off */
static const struct shape shapes[] = {
	{ "v3, 4K", CREATE "4k top 512k", { "top" },
	    512 * K, 0, 10 * K, 120, 5, 0, 0 },
	{ "v3, 512, more L2 tables", CREATE "512 top 512k", { "top" },
	    512 * K, 0, 3 * K, 120, 12, 0, 0 },
	{ "over raw, 4K", CREATE "4k" ON_RAW "512k", { "top", "data.raw" },
	    512 * K, 0, 10 * K, 120, 5, 0, 0 },
	{ "v2 over raw, 1K", CREATE "1k,compat=0.10" ON_RAW "256k",
	    { "top", "data.raw" }, 256 * K, 0, 4 * K, 120, 5, 0, 0 },
	{ "compressed, 4K", CONVERT "4k data.raw top", { "top" },
	    256 * K, 0, 10 * K, 120, 5, 0, 0 },
	{ "a larger refcount table", CREATE "512,refcount_bits=64 top 5m",
	    { "top" }, 5120 * K, 1800 * K, 16 * K, 70, 5, 0, 0 },
	{ "bits, no holes", CREATE "2k,refcount_bits=1" ON_RAW "256k",
	    { "top", "data.raw" }, 256 * K, 0, 6 * K, 120, 5, 1, 0 },
	{ "64K", CREATE "64k top 4m", { "top" },
	    4096 * K, 0, 100 * K, 40, 12, 0, 0 },
	{ "v3, 1K, failing", CREATE "1k top 512k", { "top" },
	    512 * K, 0, 4 * K, 150, 12, 0, 25 },
	{ "over raw, 2K, failing", CREATE "2k" ON_RAW "256k",
	    { "top", "data.raw" }, 256 * K, 0, 8 * K, 150, 12, 0, 25 },
	{ "compressed, 4K, failing", CONVERT "4k data.raw top", { "top" },
	    256 * K, 0, 10 * K, 150, 5, 0, 25 },
};
/* clang-format on */

struct run run;

static int
busy(uint64_t off, uint64_t len)
{
	const struct op *o;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		o = &run.ops[run.slots[i].op];
		if (run.slots[i].used && off < o->off + o->len &&
		    o->off < off + len)
			return 1;
	}
	return 0;
}

static void
slot_finish(struct slot *s)
{
	rig_wait(&run.g, &s->q);
}

/* Exactly when it is done. */
static void
slot_done(struct disk_req *r, int error)
{
	struct slot *s = (struct slot *)r;
	struct op *o = &run.ops[s->op], *p;

	s->q.done = 1;
	s->q.error = error;
	s->used = 0;
	if (fake.fail_one_in == 0)
		assert_int_equal(error, 0);
	if (error != 0)
		return;
	o->done = ++fake.clock;
	if (o->op != DISK_FLUSH)
		return;
	for (p = run.ops; p < run.ops + run.nops; p++)
		if (p->done < o->begun && p->flushed == NEVER)
			p->flushed = o->done;
}

static void
slot_begin(struct slot *s)
{
	static const enum disk_op kinds[16] = { DISK_WRITE, DISK_WRITE,
		DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_WRITE,
		DISK_WRITE, DISK_READ, DISK_DISCARD, DISK_DISCARD, DISK_ZERO,
		DISK_ZERO, DISK_FLUSH, DISK_FLUSH, DISK_FLUSH };
	struct op *o = &run.ops[run.nops];
	struct disk_req *r = &s->q.r;

	memset(r, 0, sizeof(*r));
	o->op = r->op = kinds[rig_random() % 16];
	do {
		o->len = 512 * (1 + rig_random() % (run.s->len_max / 512));
		o->off = 512 * (rig_random() % (run.s->size / 512));
		if (run.s->prefill == 0 && rig_random() % 4)
			o->off %= run.s->size / 8;
		if (run.s->prefill != 0 && rig_random() % 4)
			o->off = run.s->prefill +
			    o->off % (run.s->size - run.s->prefill);
	} while (o->off > run.s->size - o->len || busy(o->off, o->len));
	if (o->op == DISK_FLUSH)
		o->off = o->len = 0;
	r->off = o->off;
	r->len = o->len;
	r->unmap = rig_random() % 2 == 0;
	s->iov = (struct iovec){ s->buf, o->len };
	r->iov = &s->iov;
	r->niov = o->op == DISK_WRITE || o->op == DISK_READ;
	if (o->op == DISK_WRITE)
		pattern(s->buf, run.nops, o->off, o->len);
	s->op = run.nops++;
	s->used = 1;
	s->q.done = 0;
	o->begun = ++fake.clock;
	o->done = o->flushed = NEVER;
	r->done = slot_done;
	disk_submit(run.g.d, r);
}

static void
run_ops(unsigned int n)
{
	struct slot *s;
	size_t i;

	while (n-- > 0) {
		s = &run.slots[rig_random() % run.s->slots];
		if (s->used)
			slot_finish(s);
		slot_begin(s);
	}
	for (i = 0; i < SLOTS; i++)
		if (run.slots[i].used)
			slot_finish(&run.slots[i]);
}

static void
load(const char *name, uint8_t *buf, uint64_t size, uint64_t *len)
{
	ssize_t n;
	int fd;

	assert_int_not_equal(fd = open(name, O_RDONLY | O_CLOEXEC), -1);
	memset(buf, 0, size);
	assert_int_not_equal(n = pread(fd, buf, size, 0), -1);
	if (len != NULL)
		*len = (uint64_t)n;
	close(fd);
}

static void
make_data(void)
{
	uint64_t i, v;
	FILE *f;

	assert_non_null(f = fopen("data.raw", "w"));
	for (i = 0; i < 256 * K / 8; i++) {
		v = i / 4096 % 3 == 1 ? 0 : i / 64 * 0x123456789ULL;
		assert_int_equal(fwrite(&v, 8, 1, f), 1);
	}
	assert_int_equal(fclose(f), 0);
}

static void
prefill(void)
{
	uint8_t *buf = malloc(64 * K);
	uint64_t off, i;

	assert_non_null(buf);
	assert_int_equal(rig_open(&run.g, run.s->chain, 0, 0), 0);
	for (off = 0; off < run.s->prefill; off += 64 * K) {
		for (i = 0; i < 64 * K; i++)
			buf[i] = (uint8_t)rig_random();
		assert_int_equal(rig_rw(&run.g, DISK_WRITE, buf, 64 * K, off),
		    0);
	}
	assert_int_equal(rig_close(&run.g), 0);
	free(buf);
}

static void
prepare(const struct shape *s)
{
	size_t i;

	memset(&run, 0, sizeof(run));
	fake_reset();
	run.s = s;
	make_data();
	rig_sh("%s", s->make);
	if (s->prefill)
		prefill();
	assert_non_null(run.first = malloc(s->size));
	assert_non_null(run.backing = calloc(1, s->size));
	assert_non_null(run.file = calloc(1, FILE_MAX));
	assert_non_null(run.orig = calloc(1, FILE_MAX));
	for (i = 0; i < SLOTS; i++)
		assert_non_null(run.slots[i].buf = malloc(s->len_max));
	rig_sh("qemu-img convert -O raw top first");
	load("first", run.first, s->size, NULL);
	if (s->chain[1] != NULL)
		load(s->chain[1], run.backing, s->size, NULL);
	load("top", run.orig, FILE_MAX, &run.orig_len);
}

static void
finish(void)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		free(run.slots[i].buf);
	free(run.first);
	free(run.backing);
	free(run.file);
	free(run.orig);
	fake_reset();
	rig_sh("rm -f *");
}

static void
test_cut(void **state)
{
	const struct shape *s = *state;
	int many = getenv("CHECK_LONG") != NULL, status;

	rig_seed(getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) :
					  (uint64_t)(s - shapes));
	prepare(s);
	fake.recording = 1;
	fake.short_one_in = 20;
	fake.no_punch = s->no_punch;
	assert_int_equal(rig_open(&run.g, s->chain, 0, 0), 0);
	fake.fail_one_in = s->fails;
	run_ops(many ? s->ops * 4 : s->ops);
	status = rig_close(&run.g);
	fake.recording = 0;
	fake.fail_one_in = 0;
	if (s->fails == 0) {
		assert_int_equal(status, 0);
		rig_sh("qemu-img check -q -f qcow2 top");
	}
	kill_all();
	cut_all(many ? 24 : 3);
	print_message("%s: %zu operations, %ju images, %ju seen by qemu-img\n",
	    s->name, fake.n, (uintmax_t)run.images, (uintmax_t)run.shown);
	assert_true(run.images > fake.n * 3);
	finish();
}

int
main(int argc, char *argv[])
{
	return rig_shapes("disk_cut", test_cut, shapes, sizeof(shapes[0]),
	    sizeof(shapes) / sizeof(shapes[0]), argc > 1 ? argv[1] : NULL);
}
