/*
 * An fdatasync(2) fails that the guest did not ask for.  The kernel says so
 * once; whoever heard it, the guest's next flush must not say that all is
 * well, nor may closing.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "regress/unit/disk_fakeio.h"
#include "regress/unit/disk_rig.h"

#define CLUSTER 4096ULL
#define SIZE	(4ULL << 20)

static const char *const top[] = { "top", NULL };
static const char *const over[] = { "top", "data.raw", NULL };
static const char *const raw[] = { "data.raw", NULL };

static uint8_t buf[CLUSTER];

static int
write_at(struct rig *g, uint64_t off, size_t len)
{
	return rig_rw(g, DISK_WRITE, buf, len, off);
}

static int
flush(struct rig *g)
{
	return rig_range(g, DISK_FLUSH, 0, 0, 0);
}

/* From now on nothing is said to be durable, and reads are as ever. */
static void
expect_lost(struct rig *g)
{
	assert_int_equal(fake.fail_syncs, 0);
	assert_int_equal(flush(g), EIO);
	assert_int_equal(flush(g), EIO);
	assert_int_equal(rig_rw(g, DISK_READ, buf, sizeof(buf), 0), 0);
	assert_int_equal(rig_close(g), EIO);
}

/* Nobody waits for it: the pool is filled before it is empty. */
static void
test_refill(void **state)
{
	struct rig g;
	uint64_t off = 0;

	rig_sh("qemu-img create -q -f qcow2 -o cluster_size=4k top 4m");
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	assert_int_equal(write_at(&g, 0, CLUSTER), 0);
	assert_int_equal(flush(&g), 0);
	fake.fail_syncs = 1;
	while (fake.fail_syncs > 0 && (off += CLUSTER) < SIZE)
		assert_int_equal(write_at(&g, off, CLUSTER), 0);
	expect_lost(&g);
	rig_sh("qemu-img check -q -f qcow2 top >/dev/null 2>&1 || [ $? = 3 ]");
}

/* Its own request fails, but what others had written may be gone, too. */
static void
test_cow(void **state)
{
	struct rig g;

	rig_sh("truncate -s 4m data.raw; qemu-img create -q -f qcow2 "
	       "-o cluster_size=4k -b data.raw -F raw top 4m");
	assert_int_equal(rig_open(&g, over, 0, 0), 0);
	assert_int_equal(write_at(&g, 0, CLUSTER), 0);
	assert_int_equal(flush(&g), 0);
	assert_int_equal(write_at(&g, 0, CLUSTER), 0);
	fake.fail_syncs = 1;
	assert_int_equal(write_at(&g, CLUSTER, 512), EIO);
	expect_lost(&g);
	rig_sh("qemu-img check -q -f qcow2 top >/dev/null 2>&1 || [ $? = 3 ]");
}

/* The image does not grow by clusters that can never be used. */
static void
test_no_growth(void **state)
{
	struct rig g;
	size_t ops;
	uint64_t off;

	rig_sh("qemu-img create -q -f qcow2 -o cluster_size=4k top 4m");
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	fake.fail_syncs = 1;
	assert_int_equal(write_at(&g, 0, CLUSTER), EIO);
	ops = fake.ops;
	for (off = 0; off < SIZE; off += CLUSTER)
		assert_int_equal(write_at(&g, off, CLUSTER), EIO);
	assert_int_equal(fake.ops, ops);
	assert_int_equal(rig_rw(&g, DISK_READ, buf, sizeof(buf), 0), 0);
	assert_int_equal(rig_close(&g), EIO);
}

static void
test_raw(void **state)
{
	struct rig g;

	rig_sh("truncate -s 4m data.raw");
	assert_int_equal(rig_open(&g, raw, 0, 0), 0);
	assert_int_equal(write_at(&g, 0, CLUSTER), 0);
	assert_int_equal(flush(&g), 0);
	assert_int_equal(write_at(&g, 0, CLUSTER), 0);
	fake.fail_syncs = 1;
	assert_int_equal(flush(&g), EIO);
	assert_int_equal(write_at(&g, 0, CLUSTER), 0);
	expect_lost(&g);
}

static int
each(void **state)
{
	fake_reset();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refill, each),
		cmocka_unit_test_setup(test_cow, each),
		cmocka_unit_test_setup(test_no_growth, each),
		cmocka_unit_test_setup(test_raw, each),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disk_lost", tests, rig_enter,
	    rig_leave);
}
