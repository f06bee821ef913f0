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

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/qcow2_hdr.h"
#include "regress/unit/disk_fakeio.h"
#include "regress/unit/disk_rig.h"

#define K	 1024ULL
#define SLOTS	 5
#define OPS_MAX	 4000
#define EXHAUST	 6 /* lost operations of which all choices are tried */
#define FILE_MAX (16 << 20)
#define NEVER	 UINT64_MAX
#define SHOW	 4 /* in so many thousand qemu-img looks, too */

struct shape {
	const char *name;
	const char *make;
	const char *chain[3];
	uint64_t size;
	uint64_t prefill; /* bytes written before */
	uint64_t len_max;
	unsigned int ops;
	int no_punch;
};

#define CREATE	"qemu-img create -q -f qcow2 "
#define CONVERT "qemu-img convert -O qcow2 "

static const struct shape shapes[] = {
	{ "v3, 4K", CREATE "-o cluster_size=4k top 512k", { "top" }, 512 * K, 0,
	    10 * K, 120, 0 },
	{ "v3, 512, more L2 tables", CREATE "-o cluster_size=512 top 512k",
	    { "top" }, 512 * K, 0, 3 * K, 120, 0 },
	{ "over raw, 4K",
	    CREATE "-o cluster_size=4k -b data.raw -F raw top "
		   "512k",
	    { "top", "data.raw" }, 512 * K, 0, 10 * K, 120, 0 },
	{ "v2 over raw, 1K",
	    CREATE "-o cluster_size=1k,compat=0.10 "
		   "-b data.raw -F raw top 256k",
	    { "top", "data.raw" }, 256 * K, 0, 4 * K, 120, 0 },
	{ "compressed, 4K", CONVERT "-c -o cluster_size=4k data.raw top",
	    { "top" }, 256 * K, 0, 10 * K, 120, 0 },
	{ "a larger refcount table",
	    CREATE "-o cluster_size=512,"
		   "refcount_bits=64 top 5m",
	    { "top" }, 5120 * K, 1800 * K, 16 * K, 100, 0 },
	{ "bits, no holes",
	    CREATE "-o cluster_size=2k,refcount_bits=1 "
		   "-b data.raw -F raw top 256k",
	    { "top", "data.raw" }, 256 * K, 0, 6 * K, 120, 1 },
	{ "64K", CREATE "top 4m", { "top" }, 4096 * K, 0, 100 * K, 60, 0 },
};

/* A request, and when it was made and done. */
struct op {
	enum disk_op op;
	uint64_t off, len;
	uint64_t begun, done; /* NEVER: it was not, or failed */
	uint64_t flushed;     /* when a later flush was done */
};

struct slot {
	struct rig_req q;
	struct iovec iov;
	uint8_t *buf;
	size_t op;
	int used;
};

static struct run {
	const struct shape *s;
	struct rig g;
	uint8_t *first;	  /* what the disk showed before */
	uint8_t *backing; /* what the layers below show */
	struct op ops[OPS_MAX];
	size_t nops;
	struct slot slots[SLOTS];
	/* the file after a power cut */
	uint8_t *file;
	uint8_t *orig; /* as it was at first */
	uint64_t file_len, orig_len;
	uint64_t images, shown;
} run;

/* The byte of operation `i' at `off'. */
static void
pattern(uint8_t *buf, size_t i, uint64_t off, uint64_t len)
{
	uint64_t at, v;

	for (at = 0; at < len; at += 8) {
		v = (i + 1) << 32 | (off + at) / 8;
		memcpy(buf + at, &v, 8);
	}
}

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
	if (fake.fail_one_in == 0 && fake.fail_after < 0)
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
		s = &run.slots[rig_random() % SLOTS];
		if (s->used)
			slot_finish(s);
		slot_begin(s);
	}
	for (i = 0; i < SLOTS; i++)
		if (run.slots[i].used)
			slot_finish(&run.slots[i]);
}

/*
 * The image in run.file: is it sound?  What is counted: the references of
 * each cluster.
 */
struct look {
	struct qcow2_hdr h;
	uint64_t cs, ncl;
	uint8_t *refs;
	uint8_t *packed; /* has compressed data: may be counted more often */
	char why[128];
};

static uint64_t
be64_at(uint64_t off)
{
	uint64_t v;

	if (off + 8 > run.file_len)
		return 0;
	memcpy(&v, run.file + off, 8);
	return be64toh(v);
}

static int
refer(struct look *l, uint64_t off, uint64_t len, const char *what)
{
	int packed = what[0] == 'c' && what[1] == 'o';
	uint64_t c;

	if (len == 0)
		return 0;
	if (off + len > run.file_len + l->cs - 1) {
		snprintf(l->why, sizeof(l->why), "%s at %#jx beyond the end",
		    what, (uintmax_t)off);
		return -1;
	}
	for (c = off / l->cs; c <= (off + len - 1) / l->cs; c++)
		if (c < l->ncl && l->refs[c] < 255) {
			l->refs[c]++;
			l->packed[c] |= (uint8_t)packed;
		}
	return 0;
}

static uint64_t
refcount(const struct look *l, uint64_t c)
{
	unsigned int bits = 1U << l->h.ref_order, i;
	uint64_t per = l->cs * 8 / bits, block, at, v = 0;

	if (c / per >= l->h.ref_clusters * l->cs / 8)
		return 0;
	block = be64_at(l->h.ref_off + c / per * 8);
	if (block == 0)
		return 0;
	at = block + c % per * bits / 8;
	if (at + (bits + 7) / 8 > run.file_len)
		return 0;
	if (bits < 8)
		return run.file[at] >> (c % per * bits % 8) &
		    ((1U << bits) - 1);
	for (i = 0; i < bits / 8; i++)
		v = v << 8 | run.file[at + i];
	return v;
}

static int
look_l2(struct look *l, uint64_t table)
{
	uint64_t i, e;

	if (refer(l, table, l->cs, "L2 table") == -1)
		return -1;
	for (i = 0; i < l->cs / 8; i++) {
		e = be64_at(table + i * 8);
		if (e & QCOW2_COMPRESSED) {
			if (refer(l, qcow2_comp_off(&l->h, e),
				qcow2_comp_len(&l->h, e), "compressed") == -1)
				return -1;
		} else if ((e & QCOW2_OFFSET) != 0 &&
		    refer(l, e & QCOW2_OFFSET, l->cs, "cluster") == -1) {
			return -1;
		}
	}
	return 0;
}

static int
look_tables(struct look *l)
{
	uint64_t i, e;

	if (refer(l, 0, l->cs, "header") == -1 ||
	    refer(l, l->h.l1_off, l->h.l1_size * 8ULL, "L1") == -1 ||
	    refer(l, l->h.ref_off, l->h.ref_clusters * l->cs, "table") == -1)
		return -1;
	for (i = 0; i < l->h.ref_clusters * l->cs / 8; i++) {
		e = be64_at(l->h.ref_off + i * 8);
		if (e != 0 && refer(l, e, l->cs, "refcount block") == -1)
			return -1;
	}
	for (i = 0; i < l->h.l1_size; i++) {
		e = be64_at(l->h.l1_off + i * 8);
		if (e != 0 && look_l2(l, e & QCOW2_OFFSET) == -1)
			return -1;
	}
	return 0;
}

static int
look(struct look *l)
{
	static uint8_t refs[FILE_MAX / 512], packed[FILE_MAX / 512];
	uint64_t c, n;

	memset(l, 0, sizeof(*l));
	if (qcow2_hdr_parse(&l->h, run.file, run.file_len, run.file_len,
		QCOW2_FOR_WRITE, l->why, sizeof(l->why)) == -1)
		return -1;
	l->cs = qcow2_cluster(&l->h);
	l->ncl = (run.file_len + l->cs - 1) / l->cs;
	l->refs = refs;
	l->packed = packed;
	memset(refs, 0, l->ncl);
	memset(packed, 0, l->ncl);
	if (look_tables(l) == -1)
		return -1;
	for (c = 0; c < l->ncl; c++) {
		if (refs[c] == 0)
			continue;
		n = refcount(l, c);
		if (n == refs[c] || (packed[c] && n > refs[c]))
			continue;
		snprintf(l->why, sizeof(l->why),
		    "cluster %#jx has refcount "
		    "%ju, references %u",
		    (uintmax_t)c, (uintmax_t)n, refs[c]);
		return -1;
	}
	return 0;
}

/* A sector of the disk that the image shows. */
static const uint8_t *
show(const struct look *l, uint64_t off)
{
	static const uint8_t zeros[512];
	uint64_t table, e, at, e0;

	table = be64_at(l->h.l1_off + (off >> qcow2_l1_bits(&l->h)) * 8) &
	    QCOW2_OFFSET;
	at = (off >> l->h.cluster_bits) % (l->cs / 8) * 8;
	e = table == 0 ? 0 : be64_at(table + at);
	if (e & QCOW2_COMPRESSED) {
		/* These are never written: it is the one of the beginning. */
		table = be64toh(*(uint64_t *)(void *)(run.orig + l->h.l1_off +
			    (off >> qcow2_l1_bits(&l->h)) * 8)) &
		    QCOW2_OFFSET;
		memcpy(&e0, run.orig + table + at, 8);
		return be64toh(e0) == e ? run.first + off : NULL;
	}
	if (e & QCOW2_ZERO)
		return zeros;
	if ((e & QCOW2_OFFSET) == 0)
		return run.backing + off;
	at = (e & QCOW2_OFFSET) + off % l->cs;
	return at + 512 > run.file_len ? zeros : run.file + at;
}

/* Could this be in a sector, at `now'?  `killed': only the process ended. */
static int
allowed(const uint8_t *data, uint64_t off, uint64_t now, int killed)
{
	uint8_t want[512];
	const struct op *o;
	size_t i;

	for (i = run.nops; i-- > 0;) {
		o = &run.ops[i];
		if (o->begun > now || off < o->off || off >= o->off + o->len ||
		    o->op == DISK_READ)
			continue;
		if (o->op == DISK_WRITE)
			pattern(want, i, off, 512);
		else
			memset(want, 0, 512);
		if (memcmp(data, want, 512) == 0)
			return 1;
		if (o->op != DISK_DISCARD &&
		    (killed ? o->done : o->flushed) <= now)
			return 0;
	}
	return memcmp(data, run.first + off, 512) == 0;
}

static void
save(const char *name)
{
	FILE *f;

	assert_non_null(f = fopen(name, "w"));
	assert_int_equal(fwrite(run.file, 1, run.file_len, f), run.file_len);
	assert_int_equal(fclose(f), 0);
}

static void
examine(size_t cut, uint64_t now, int killed)
{
	const uint8_t *data;
	struct look l;
	uint64_t off;
	int status;

	run.images++;
	if (look(&l) == -1) {
		print_message("after %zu operations (%s): %s\n", cut,
		    killed ? "killed" : "power cut", l.why);
		save("broken");
		fail();
	}
	for (off = 0; off < run.s->size; off += 512) {
		data = show(&l, off);
		if (data != NULL && allowed(data, off, now, killed))
			continue;
		print_message("after %zu operations (%s): wrong data at "
			      "%#jx\n",
		    cut, killed ? "killed" : "power cut", (uintmax_t)off);
		save("broken");
		fail();
	}
	if (rig_random() % 1000 >= SHOW)
		return;
	save("cut");
	status = rig_status("qemu-img check -q -f qcow2 cut >/dev/null 2>&1");
	run.shown++;
	if (status != 0 && status != 3) {
		rig_status("qemu-img check -f qcow2 cut");
		fail();
	}
}

/* To undo what was applied to run.file. */
struct undo {
	uint64_t off, len, file_len;
	uint8_t *data;
};

static void
change(uint64_t off, uint64_t len, const uint8_t *data, int extend)
{
	assert_true(off + len <= FILE_MAX);
	if (extend && off + len > run.file_len)
		run.file_len = off + len;
	if (data != NULL)
		memcpy(run.file + off, data, len);
	else
		memset(run.file + off, 0, len);
}

static void
apply(const struct fake_event *e)
{
	uint64_t len = e->len;

	if (e->kind == FAKE_WRITE)
		change(e->off, e->len, e->data, 1);
	else if (e->kind == FAKE_ZERO)
		change(e->off, len, NULL, 0);
}

/* Some sectors of it only. */
static void
apply_torn(const struct fake_event *e)
{
	uint64_t off, n;

	for (off = e->off; off < e->off + e->len; off += n) {
		n = 512 - off % 512;
		if (n > e->off + e->len - off)
			n = e->off + e->len - off;
		if (rig_random() % 2)
			change(off, n,
			    e->kind == FAKE_WRITE ? e->data + (off - e->off) :
						    NULL,
			    e->kind == FAKE_WRITE);
	}
}

/* Of what is between, keep what `keep' says; look; put back. */
static void
try(const struct fake_event *from, const struct fake_event *to, uint64_t keep,
    int torn, uint64_t now)
{
	struct undo *u = calloc((size_t)(to - from) + 1, sizeof(*u));
	const struct fake_event *e;
	uint64_t bit = 1;
	size_t n = 0;

	assert_non_null(u);
	for (e = from; e < to; e++) {
		if (e->kind == FAKE_SYNC)
			continue;
		if (keep & bit || torn) {
			u[n].off = e->off;
			u[n].len = e->len;
			u[n].file_len = run.file_len;
			assert_non_null(u[n].data = malloc(e->len + 1));
			memcpy(u[n++].data, run.file + e->off, e->len);
			if (keep & bit)
				apply(e);
			else
				apply_torn(e);
		}
		bit = bit << 1 | bit >> 63;
	}
	examine((size_t)(to - fake.log), now, 0);
	while (n-- > 0) {
		memcpy(run.file + u[n].off, u[n].data, u[n].len);
		run.file_len = u[n].file_len;
		free(u[n].data);
	}
	free(u);
}

static void
cut_here(size_t durable, size_t p, uint64_t now, unsigned int samples)
{
	const struct fake_event *from = fake.log + durable, *to = fake.log + p;
	const struct fake_event *e;
	unsigned int n = 0, i;

	for (e = from; e < to; e++)
		n += e->kind != FAKE_SYNC;
	if (n <= EXHAUST) {
		for (i = 0; i < 1U << n; i++)
			try(from, to, i, 0, now);
	} else {
		try(from, to, 0, 0, now);
		for (i = 0; i < samples; i++)
			try(from, to, i < n ? 1ULL << i % 64 : rig_random(),
			    i % 3 == 1, now);
		for (i = 0; i < samples; i++)
			try(from, to,
			    i < n ? ~(1ULL << (n - 1 - i) % 64) :
				    rig_random() | rig_random(),
			    0, now);
	}
	if (n > 0)
		try(from, to, rig_random(), 1, now);
}

/* Cut after each operation. */
static void
cut_all(unsigned int samples)
{
	size_t p, durable = 0, covers;
	uint64_t now;

	memcpy(run.file, run.orig, FILE_MAX);
	run.file_len = run.orig_len;
	for (p = 0; p <= fake.n; p++) {
		covers = p > 0 && fake.log[p - 1].kind == FAKE_SYNC ?
		    fake.log[p - 1].covers :
		    0;
		for (; durable < covers; durable++)
			apply(&fake.log[durable]);
		now = p < fake.n ? fake.log[p].clock - 1 : fake.clock;
		cut_here(durable, p, now, samples);
	}
}

/* Kill after each operation. */
static void
kill_all(void)
{
	size_t p;

	memcpy(run.file, run.orig, FILE_MAX);
	run.file_len = run.orig_len;
	for (p = 0; p <= fake.n; p++) {
		if (p > 0)
			apply(&fake.log[p - 1]);
		examine(p, p < fake.n ? fake.log[p].clock - 1 : fake.clock, 1);
	}
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
	int many = getenv("CHECK_LONG") != NULL;

	rig_seed(getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) :
					  (uint64_t)(s - shapes));
	prepare(s);
	fake.recording = 1;
	fake.short_one_in = 20;
	fake.no_punch = s->no_punch;
	assert_int_equal(rig_open(&run.g, s->chain, 0, 0), 0);
	run_ops(many ? s->ops * 4 : s->ops);
	assert_int_equal(rig_close(&run.g), 0);
	fake.recording = 0;
	rig_sh("qemu-img check -q -f qcow2 top");
	kill_all();
	cut_all(many ? 24 : 6);
	print_message("%s: %zu operations, %ju images, %ju seen by qemu-img\n",
	    s->name, fake.n, (uintmax_t)run.images, (uintmax_t)run.shown);
	assert_true(run.images > fake.n * 3);
	finish();
}

static int
enter(void **state)
{
	return rig_enter(1);
}

static int
leave(void **state)
{
	rig_leave();
	return 0;
}

int
main(int argc, char *argv[])
{
	struct CMUnitTest tests[sizeof(shapes) / sizeof(shapes[0])];
	size_t i, n = 0;

	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (argc > 1 && strcmp(argv[1], shapes[i].name) != 0)
			continue;
		tests[n].name = shapes[i].name;
		tests[n].test_func = test_cut;
		tests[n].setup_func = NULL;
		tests[n].teardown_func = NULL;
		tests[n++].initial_state = (void *)(uintptr_t)&shapes[i];
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("disk_cut", tests, n, enter, leave);
}
