/* See disk_cut.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "regress/unit/disk_cut.h"

#define EXHAUST 5 /* lost operations of which all choices are tried */
#define SHOW	4 /* in so many thousand qemu-img looks, too */

/* The byte of operation `i' at `off'. */
void
pattern(uint8_t *buf, size_t i, uint64_t off, uint64_t len)
{
	uint64_t at, v;

	for (at = 0; at < len; at += 8) {
		v = (i + 1) << 32 | (off + at) / 8;
		memcpy(buf + at, &v, 8);
	}
}

/* Is it that? */
static int
matches(const uint8_t *data, size_t i, uint64_t off)
{
	uint8_t want[512];

	if (run.ops[i].op != DISK_WRITE) {
		memset(want, 0, sizeof(want));
	} else {
		pattern(want, i, off, 8);
		if (memcmp(data, want, 8) != 0)
			return 0;
		pattern(want, i, off, sizeof(want));
	}
	return memcmp(data, want, sizeof(want)) == 0;
}

/* Could this be in a sector, at `now'?  `killed': only the process ended. */
static int
allowed(const uint8_t *data, uint64_t off, uint64_t now, int killed)
{
	const struct op *o;
	size_t i;

	for (i = run.nops; i-- > 0;) {
		o = &run.ops[i];
		if (o->begun > now || off < o->off || off >= o->off + o->len ||
		    o->op == DISK_READ)
			continue;
		if (matches(data, i, off))
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
	const struct image im = { run.file, run.file_len, run.orig, run.first,
		run.backing };
	const uint8_t *data;
	struct look l;
	uint64_t off;
	int status;

	run.images++;
	if (look(&im, &l) == -1) {
		print_message("after %zu operations (%s): %s\n", cut,
		    killed ? "killed" : "power cut", l.why);
		save("broken");
		fail();
	}
	for (off = 0; off < run.s->size; off += 512) {
		data = show(&im, &l, off);
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

/* A sync failed: some of what is between never comes to the disk. */
static void
lose(const struct fake_event *from, const struct fake_event *to)
{
	for (; from < to; from++)
		if (rig_random() % 2)
			apply(from);
}

/* Cut after each operation. */
void
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
		if (p > 0 && fake.log[p - 1].failed) {
			lose(&fake.log[durable], &fake.log[p - 1]);
			durable = p;
		}
		now = p < fake.n ? fake.log[p].clock - 1 : fake.clock;
		cut_here(durable, p, now, samples);
	}
}

/* Kill after each operation. */
void
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
