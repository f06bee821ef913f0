/* Restarts: what follows which end, the limit of resets, the delays. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmd/parent/restart.h"

static void
what_follows(void **state)
{
	/* clang-format off */
	static const struct {
		enum vmexit	 exit;
		enum restart_how never, on_failure, always;
	} rows[] = {
		{ VMEXIT_POWEROFF, RESTART_NO, RESTART_NO, RESTART_LATER },
		{ VMEXIT_RESET, RESTART_NOW, RESTART_NOW, RESTART_NOW },
		{ VMEXIT_TRIPLE, RESTART_NOW, RESTART_NOW, RESTART_NOW },
		{ VMEXIT_STOPPED, RESTART_NO, RESTART_NO, RESTART_NO },
		{ VMEXIT_SIGNAL, RESTART_NO, RESTART_LATER, RESTART_LATER },
		{ VMEXIT_EMULATION, RESTART_NO, RESTART_LATER,
		  RESTART_LATER },
		{ VMEXIT_FAILED, RESTART_NO, RESTART_LATER, RESTART_LATER },
		{ VMEXIT_LAUNCH, RESTART_NO, RESTART_LATER, RESTART_LATER },
	};
	/* clang-format on */
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(restart_how(RESTART_NEVER, rows[i].exit, 0,
				     BOOTDEV_AUTO),
		    rows[i].never);
		assert_int_equal(restart_how(RESTART_ON_FAILURE, rows[i].exit,
				     0, BOOTDEV_AUTO),
		    rows[i].on_failure);
		assert_int_equal(restart_how(RESTART_ALWAYS, rows[i].exit, 0,
				     BOOTDEV_AUTO),
		    rows[i].always);
		/* A person's stop is the end, whatever the guest did. */
		assert_int_equal(restart_how(RESTART_ALWAYS, rows[i].exit, 1,
				     BOOTDEV_AUTO),
		    RESTART_NO);
	}
}

static void
chosen_boot_device(void **state)
{
	assert_int_equal(restart_how(RESTART_NEVER, VMEXIT_RESET, 0,
			     BOOTDEV_CDROM),
	    RESTART_NO);
	assert_int_equal(restart_how(RESTART_ALWAYS, VMEXIT_TRIPLE, 0,
			     BOOTDEV_DISK),
	    RESTART_NO);
	assert_int_equal(restart_how(RESTART_ON_FAILURE, VMEXIT_FAILED, 0,
			     BOOTDEV_DISK),
	    RESTART_LATER);
}

static void
three_in_six_seconds(void **state)
{
	struct restart r = { 0 };

	assert_int_equal(restart_allowed(&r, 1000, 3, 6000), 1);
	assert_int_equal(restart_allowed(&r, 2000, 3, 6000), 1);
	assert_int_equal(restart_allowed(&r, 3000, 3, 6000), 1);
	assert_int_equal(restart_allowed(&r, 4000, 3, 6000), 0);
	assert_int_equal(restart_allowed(&r, 6999, 3, 6000), 0);
	/* The first one is old enough now. */
	assert_int_equal(restart_allowed(&r, 7000, 3, 6000), 1);
	assert_int_equal(restart_allowed(&r, 7500, 3, 6000), 0);
}

static void
slow_ones_go_on(void **state)
{
	struct restart r = { 0 };
	int64_t now;

	for (now = 1; now < 1000000; now += 2100)
		assert_int_equal(restart_allowed(&r, now, 3, 6000), 1);
}

/* The limit may change from one reset to the next. */
static void
other_limits(void **state)
{
	struct restart r = { 0 };
	int64_t now;

	assert_int_equal(restart_allowed(&r, 1000, 1, 500), 1);
	assert_int_equal(restart_allowed(&r, 1499, 1, 500), 0);
	assert_int_equal(restart_allowed(&r, 1500, 1, 500), 1);
	assert_int_equal(restart_allowed(&r, 1501, 2, 500), 1);
	assert_int_equal(restart_allowed(&r, 1502, 2, 500), 0);
	memset(&r, 0, sizeof(r));
	for (now = 1; now <= RESTART_LIMIT_MAX; now++)
		assert_int_equal(restart_allowed(&r, now, RESTART_LIMIT_MAX,
				     86400000),
		    1);
	assert_int_equal(restart_allowed(&r, 86400000, RESTART_LIMIT_MAX,
			     86400000),
	    0);
	assert_int_equal(restart_allowed(&r, 86400001, RESTART_LIMIT_MAX,
			     86400000),
	    1);
}

static void
delays_grow(void **state)
{
	static const unsigned int want[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	struct restart r = { 0 };
	size_t i;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(restart_delay(&r, 500), want[i]);
	/* After a good run it begins again. */
	assert_int_equal(restart_delay(&r, 60000), 1);
	assert_int_equal(restart_delay(&r, 59999), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_follows),
		cmocka_unit_test(chosen_boot_device),
		cmocka_unit_test(three_in_six_seconds),
		cmocka_unit_test(slow_ones_go_on),
		cmocka_unit_test(other_limits),
		cmocka_unit_test(delays_grow),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
