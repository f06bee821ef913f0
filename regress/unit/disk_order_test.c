/*
 * Requests to the same cluster at the same time, their operations done in
 * any order: who changes where a cluster is waits for those who use it, and
 * a cluster is taken once.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "regress/unit/disk_fakeio.h"
#include "regress/unit/disk_rig.h"

#define N     8
#define TRIES 200
#define K     1024ULL

static const char *const top[] = { "top", NULL };

struct slot {
	struct rig_req q;
	struct iovec iov;
	uint8_t buf[4096];
	int order; /* in which it was done */
};

static int dones;

static void
slot_done(struct disk_req *r, int error)
{
	struct slot *s = (struct slot *)r;

	assert_int_equal(error, 0);
	s->q.done = 1;
	s->order = dones++;
}

static void
submit(struct rig *g, struct slot *s, enum disk_op op, uint64_t off,
    uint64_t len)
{
	memset(&s->q, 0, sizeof(s->q));
	s->iov = (struct iovec){ s->buf, len };
	s->q.r.op = op;
	s->q.r.off = off;
	s->q.r.len = len;
	s->q.r.unmap = 1;
	s->q.r.iov = &s->iov;
	s->q.r.niov = 1;
	s->q.r.done = slot_done;
	disk_submit(g->d, &s->q.r);
}

/* A cluster is not given up while it is read or written. */
static void
test_discard_waits(void **state)
{
	static const enum disk_op first[] = { DISK_READ, DISK_WRITE };
	static const enum disk_op then[] = { DISK_DISCARD, DISK_ZERO };
	static struct slot a, b;
	struct rig g;
	int i;

	rig_sh("qemu-img create -q -f qcow2 top 1m");
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	for (i = 0; i < TRIES; i++) {
		rig_seed((uint64_t)i);
		memset(a.buf, i | 1, sizeof(a.buf));
		assert_int_equal(rig_rw(&g, DISK_WRITE, a.buf, 4096, 8 * K), 0);
		submit(&g, &a, first[i & 1], 8 * K, 4096);
		submit(&g, &b, then[i >> 1 & 1], 0, 64 * K);
		rig_wait(&g, &a.q);
		rig_wait(&g, &b.q);
		assert_true(a.order < b.order);
		assert_int_equal(a.buf[0], i | 1);
		assert_int_equal(rig_rw(&g, DISK_READ, a.buf, 4096, 8 * K), 0);
		assert_int_equal(a.buf[0], 0);
	}
	assert_int_equal(rig_close(&g), 0);
	rig_sh("qemu-img check -q -f qcow2 top");
}

/* Those that came first go first, whoever was there. */
static void
test_taken_once(void **state)
{
	static struct slot s[N];
	uint64_t off;
	struct rig g;
	int i, j;

	rig_sh("qemu-img create -q -f qcow2 top 32m");
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	for (i = 0; i < TRIES; i++) {
		rig_seed((uint64_t)i);
		off = (uint64_t)i * 64 * K;
		for (j = 0; j < N; j++) {
			memset(s[j].buf, i + j + 1, sizeof(s[j].buf));
			submit(&g, &s[j], DISK_WRITE, off + (uint64_t)j * 4096,
			    4096);
		}
		for (j = 0; j < N; j++)
			rig_wait(&g, &s[j].q);
		for (j = 0; j < N; j++) {
			assert_int_equal(rig_rw(&g, DISK_READ, s[0].buf, 4096,
					     off + (uint64_t)j * 4096),
			    0);
			assert_int_equal(s[0].buf[5], (i + j + 1) & 255);
		}
	}
	assert_int_equal(rig_close(&g), 0);
	/* None is lost: none was taken twice. */
	rig_sh("qemu-img check -q -f qcow2 top");
	assert_int_equal(
	    rig_status("qemu-img check -f qcow2 --output=json "
		       "top | grep -q '\"allocated-clusters\": %d,'",
		TRIES),
	    0);
}

/* The same bytes: the last that was begun is what is there, or before. */
static void
test_overlapping(void **state)
{
	static struct slot s[N];
	struct rig g;
	int i, j;

	rig_sh("qemu-img create -q -f qcow2 -o cluster_size=4k top 1m");
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	for (i = 0; i < TRIES; i++) {
		rig_seed((uint64_t)i);
		for (j = 0; j < N; j++) {
			memset(s[j].buf, j + 1, sizeof(s[j].buf));
			submit(&g, &s[j], j % 3 == 2 ? DISK_ZERO : DISK_WRITE,
			    (uint64_t)(i % 64) * 4096 + (j & 1) * 512, 3584);
		}
		for (j = 0; j < N; j++)
			rig_wait(&g, &s[j].q);
		assert_int_equal(rig_rw(&g, DISK_READ, s[0].buf, 4096,
				     (uint64_t)(i % 64) * 4096),
		    0);
		for (j = 0; j < 4096; j++)
			assert_in_range(s[0].buf[j], 0, N);
		if (i % 8 == 0)
			assert_int_equal(rig_range(&g, DISK_DISCARD, 0,
					     1024 * K, 0),
			    0);
	}
	assert_int_equal(rig_close(&g), 0);
	rig_sh("qemu-img check -q -f qcow2 top");
}

static int
enter(void **state)
{
	fake_reset();
	return rig_enter(state);
}

static int
leave(void **state)
{
	fake_reset();
	return rig_leave(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discard_waits),
		cmocka_unit_test(test_taken_once),
		cmocka_unit_test(test_overlapping),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disk_order", tests, enter, leave);
}
