/*
 * The block device's process and a qcow2 image: what the guest was told is
 * in the file and in its tables when the vm process is gone, and when the
 * device was killed in the middle of new clusters and another went on.
 */

#include "lib/disk/check.h"
#include "lib/disk/create.h"
#include "regress/unit/devproc_test.h"

#define CLUSTER 128 /* sectors; each request has one of its own */

static int
begin_qcow2(void **state)
{
	const struct image_spec s = { .qcow2 = 1, .size = NREQS * IMAGE_BLOCK };
	struct image_new *n;
	char why[256];

	if (begin(state) == -1 || ftruncate(t.image, 0) == -1 ||
	    (n = image_new(t.image, &s, why, sizeof(why))) == NULL ||
	    image_new_finish(n) == -1)
		return -1;
	image_new_free(n);
	t.qcow2 = 1;
	return 0;
}

static int
pattern(unsigned int i)
{
	return 'a' + (int)i % 26;
}

static void
offer_writes(void)
{
	unsigned int i;

	for (i = 0; i < NREQS; i++) {
		memset(t.mem.base + DATA(i), pattern(i), 512);
		offer(i, VIRTIO_BLK_T_OUT, i * CLUSTER + i);
	}
}

static void
note_problem(void *arg, const char *line)
{
	fail_msg("%s", line);
}

static void
note_progress(void *arg, uint64_t done, uint64_t total)
{
	assert_true(done <= total);
}

/*
 * Nobody uses it, and nothing is wrong with it.  Who is killed may leave
 * clusters behind that it had taken and not used.
 */
static void
check_image(unsigned int leaks)
{
	const struct image_check_how how = { .say = note_problem,
		.progress = note_progress };
	struct image_check res;
	char why[256];

	assert_int_equal(image_check(t.image, &how, &res, why, sizeof(why)), 0);
	assert_int_equal(res.corruptions, 0);
	assert_int_equal(res.stale, 0);
	assert_true(res.leaks <= leaks);
	assert_false(res.dirty);
	assert_false(res.corrupt);
}

/* Another process, another guest: what does it read? */
static void
read_back(uint32_t done)
{
	unsigned int i;

	bury();
	memset(t.mem.base + AVAIL, 0, 0x2000);
	memset((uint8_t *)t.page + DEV_PAGE_RECORDS, 0,
	    t.page_size - DEV_PAGE_RECORDS);
	assert_int_equal(launch(), 0);
	ready();
	activate(0);
	for (i = 0; i < NREQS; i++) {
		memset(t.mem.base + DATA(i), 0xee, 512);
		offer(i, VIRTIO_BLK_T_IN, i * CLUSTER + i);
	}
	kick();
	served(NREQS);
	for (i = 0; i < NREQS; i++) {
		assert_int_equal(t.mem.base[STATUS(i)], VIRTIO_BLK_S_OK);
		if (done & 1U << i) {
			assert_int_equal(t.mem.base[DATA(i)], pattern(i));
			assert_int_equal(t.mem.base[DATA(i) + 511], pattern(i));
		}
	}
	say(VM, IMSG_DEVOP_SHUTDOWN, "", 0, NULL, 0);
	expect_ready(IMSG_DEVOP_SHUTDOWN_DONE, NULL);
	ends(0, NULL);
}

/* A bit for each request that the guest was told is done. */
static uint32_t
told(void)
{
	uint32_t done = 0;
	unsigned int i;

	for (i = 0; i < NREQS; i++)
		if (t.mem.base[STATUS(i)] == VIRTIO_BLK_S_OK)
			done |= 1U << i;
	return done;
}

static void
vm_gone(void **state)
{
	uint16_t after;
	uint32_t done;

	for (after = 0; after <= NREQS; after += NREQS / 2) {
		ready();
		activate(0);
		offer_writes();
		kick();
		served(after);
		hang_up(VM);
		ends(0, NULL);
		done = told();
		assert_true(after < NREQS || done == UINT32_MAX);
		check_image(0);
		read_back(done);
		check_image(0);
		finish(NULL);
		assert_int_equal(begin_qcow2(NULL), 0);
	}
}

/* After a death another one serves the rest, and the image is sound. */
static void
goes_on(void)
{
	assert_int_equal(launch(), 0);
	ready();
	activate(1);
	served(NREQS);
	assert_int_equal(told(), UINT32_MAX);
	say(VM, IMSG_DEVOP_SHUTDOWN, "", 0, NULL, 0);
	expect_ready(IMSG_DEVOP_SHUTDOWN_DONE, NULL);
	ends(0, NULL);
	check_image(NREQS);
	read_back(UINT32_MAX);
}

/* As often as there are requests, each time at another moment. */
static void
killed(void **state)
{
	unsigned int left = 0;
	uint16_t after;

	for (after = 0; after < NREQS; after++) {
		ready();
		activate(0);
		offer_writes();
		kick();
		served(after);
		bury();
		left += used() < NREQS;
		goes_on();
		finish(NULL);
		assert_int_equal(begin_qcow2(NULL), 0);
	}
	print_message("# %u of %u left something\n", left, NREQS);
}

/* At the beginning and at the end of each of its system calls. */
static void
killed_by_calls(void **state)
{
	unsigned int n, left = 0;

	for (n = 0; n < 48; n += 2) {
		ready();
		activate(0);
		round_trip(1);
		say(VM, IMSG_DEVOP_RESUME, "", 0, NULL, 0);
		if (!hold())
			skip();
		offer_writes();
		kick();
		kill_after(n, NREQS);
		left += used() < NREQS;
		goes_on();
		finish(NULL);
		assert_int_equal(begin_qcow2(NULL), 0);
	}
	assert_true(left >= 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin_qcow2, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(vm_gone),
		T(killed),
		T(killed_by_calls),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
