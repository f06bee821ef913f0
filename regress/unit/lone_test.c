/* Who is to kick for each request, and who is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vmd/dev/lone.h"

/* Answers in a row; how many until `on' is no longer `on'. */
static unsigned int
until_changed(struct lone *l, int wanted, unsigned int max)
{
	unsigned int n;
	int on = l->on;

	for (n = 0; n < max && l->on == on; n++)
		lone_answered(l, 1, wanted);
	return n;
}

static void
test_sleeps(void **state)
{
	struct lone l;

	lone_init(&l);
	assert_false(l.on);
	lone_answered(&l, 1, 1);
	assert_true(l.on);
	/* As long as it has to be woken. */
	assert_int_equal(until_changed(&l, 1, 10000), 10000);
	/* Several at a time are none of our business. */
	lone_answered(&l, 2, 1);
	assert_false(l.on);
}

static void
test_looks(void **state)
{
	struct lone l;

	lone_init(&l);
	assert_int_equal(until_changed(&l, 0, 10000), 10000);
	assert_false(l.on);
	/* Once it had slept. */
	lone_answered(&l, 1, 1);
	assert_in_range(until_changed(&l, 0, 10000), 1, 100);
	assert_false(l.on);
	assert_int_equal(until_changed(&l, 0, 10000), 10000);
	/* And does so once more: asked as soon as the first time. */
	lone_answered(&l, 1, 1);
	assert_in_range(until_changed(&l, 0, 10000), 1, 100);
}

/* Held by its kicks, and asleep when it is not: asked ever more rarely. */
static void
test_held(void **state)
{
	struct lone l;
	unsigned int i, n, before = 0;

	lone_init(&l);
	for (i = 0; i < 20; i++) {
		lone_answered(&l, 1, 1);
		assert_true(l.on);
		n = until_changed(&l, 0, 100000);
		assert_true(n >= before);
		before = n;
		/* The answer may be in time once or twice all the same. */
		lone_answered(&l, 1, 0);
		lone_answered(&l, 1, 0);
	}
	assert_in_range(before, 1000, 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sleeps),
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_held),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
