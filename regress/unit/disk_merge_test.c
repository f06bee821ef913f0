/*
 * Neighbouring requests joined: which are, and who is told what.  The disk
 * below is a list of what was submitted.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/disk/merge.h"

#define LEN 4096
#define MAX 512

static struct disk_req *submitted[MAX];
static unsigned int nsubmitted;

static struct one {
	struct disk_req r;
	struct iovec iov[MERGE_IOVS + 1];
	unsigned int done;
	int error;
} ones[MAX];

static struct merge m;
static uint8_t mem[LEN];

void
disk_submit(struct disk *d, struct disk_req *r)
{
	assert_ptr_equal(d, mem);
	assert_true(nsubmitted < MAX);
	submitted[nsubmitted++] = r;
}

static void
one_done(struct disk_req *r, int error)
{
	struct one *o = (struct one *)r;

	o->done++;
	o->error = error;
}

/* Request `i' in `n' pieces. */
static void
add(unsigned int i, enum disk_op op, uint64_t off, int n)
{
	struct one *o = &ones[i];
	int k;

	memset(o, 0, sizeof(*o));
	for (k = 0; k < n; k++)
		o->iov[k] = (struct iovec){ mem + i, LEN / (size_t)n };
	o->r.op = op;
	o->r.off = off;
	o->r.len = LEN;
	o->r.iov = o->iov;
	o->r.niov = n;
	o->r.done = one_done;
	merge_add(&m, &o->r);
}

static int
begin(void **state)
{
	nsubmitted = 0;
	merge_init(&m, (struct disk *)(void *)mem);
	return 0;
}

static void
joined(void **state)
{
	struct disk_req *all;
	int i;

	add(0, DISK_READ, 8 * LEN, 1);
	add(1, DISK_READ, 9 * LEN, 4);
	add(2, DISK_READ, 10 * LEN, 2);
	assert_int_equal(nsubmitted, 0);
	merge_release(&m);
	assert_int_equal(nsubmitted, 1);
	all = submitted[0];
	assert_int_equal(all->op, DISK_READ);
	assert_int_equal(all->off, 8 * LEN);
	assert_int_equal(all->len, 3 * LEN);
	assert_int_equal(all->niov, 7);
	for (i = 0; i < 7; i++)
		assert_ptr_equal(all->iov[i].iov_base,
		    mem +
			(i == 0	      ? 0 :
				i < 5 ? 1 :
					2));
	all->done(all, 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(ones[i].done, 1);
		assert_int_equal(ones[i].error, 0);
	}
	/* Nothing is left. */
	merge_release(&m);
	assert_int_equal(nsubmitted, 1);
}

/* One that has none beside it is submitted as it is. */
static void
alone(void **state)
{
	add(0, DISK_WRITE, 0, 1);
	add(1, DISK_READ, LEN, 1);     /* another kind */
	add(2, DISK_READ, 3 * LEN, 1); /* a gap */
	add(3, DISK_READ, 2 * LEN, 1); /* backwards */
	add(4, DISK_READ, 2 * LEN, 1); /* the same again */
	add(5, DISK_READ, 3 * LEN, MERGE_IOVS + 1);
	merge_release(&m);
	assert_int_equal(nsubmitted, 6);
	assert_ptr_equal(submitted[0], &ones[0].r);
	assert_ptr_equal(submitted[3], &ones[3].r);
	/* What was held went first. */
	assert_ptr_equal(submitted[4], &ones[4].r);
	assert_ptr_equal(submitted[5], &ones[5].r);
}

static void
most(void **state)
{
	unsigned int i;

	for (i = 0; i < 2 * MERGE_REQS + 1; i++)
		add(i, DISK_WRITE, (uint64_t)i * LEN, 1);
	assert_int_equal(nsubmitted, 2);
	assert_int_equal(submitted[0]->len, MERGE_REQS * LEN);
	assert_int_equal(submitted[1]->off, MERGE_REQS * LEN);
	merge_release(&m);
	assert_int_equal(nsubmitted, 3);
	assert_ptr_equal(submitted[2], &ones[i - 1].r);
	for (i = 0; i < 2; i++)
		submitted[i]->done(submitted[i], 0);
	for (i = 0; i < 2 * MERGE_REQS; i++)
		assert_int_equal(ones[i].done, 1);

	begin(NULL);
	add(0, DISK_READ, 0, MERGE_IOVS - 1);
	add(1, DISK_READ, LEN, 1);
	assert_int_equal(nsubmitted, 0);
	add(2, DISK_READ, 2 * LEN, 1);
	assert_int_equal(nsubmitted, 1);
	assert_int_equal(submitted[0]->niov, MERGE_IOVS);
	submitted[0]->done(submitted[0], 0);
	merge_release(&m);
	assert_ptr_equal(submitted[1], &ones[2].r);
}

/* Each is tried by itself: only one of them has to fail. */
static void
fails(void **state)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		add(i, DISK_READ, (uint64_t)i * LEN, 1);
	merge_release(&m);
	submitted[0]->done(submitted[0], EIO);
	assert_int_equal(nsubmitted, 4);
	for (i = 0; i < 3; i++) {
		assert_int_equal(ones[i].done, 0);
		assert_ptr_equal(submitted[1 + i], &ones[i].r);
		assert_int_equal(ones[i].r.len, LEN);
		assert_int_equal(ones[i].r.niov, 1);
		submitted[1 + i]->done(submitted[1 + i], i == 1 ? EIO : 0);
	}
	for (i = 0; i < 3; i++) {
		assert_int_equal(ones[i].done, 1);
		assert_int_equal(ones[i].error, i == 1 ? EIO : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(joined, begin),
		cmocka_unit_test_setup(alone, begin),
		cmocka_unit_test_setup(most, begin),
		cmocka_unit_test_setup(fails, begin),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
