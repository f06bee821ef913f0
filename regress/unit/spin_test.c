/*
 * Looking before sleeping: what is learned from short and long sleeps.  Time
 * is not measured: a sleep is as long as the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <x86intrin.h>

#include "vmd/dev/spin.h"

#define MAX (1ULL << 40) /* ticks: minutes */

static int looks;

static int
at_third(void *arg)
{
	return ++looks == 3 ? 7 : 0;
}

static int
never(void *arg)
{
	looks++;
	return 0;
}

static void
sleep_of(struct spin *s, uint64_t ticks)
{
	uint64_t window = s->window;

	s->window = 0;
	s->idle = 0;
	assert_int_equal(spin_wait(s, never, NULL), 0);
	s->window = window;
	s->idle -= ticks;
	spin_woke(s);
}

static void
test_learns(void **state)
{
	struct spin s = { .max = MAX };
	int i;

	/* Long sleeps: never. */
	sleep_of(&s, MAX);
	assert_true(s.window == 0);
	/* Short ones: longer and longer, up to the most. */
	for (i = 0; i < 10; i++) {
		sleep_of(&s, 0);
		assert_true(s.window > 0 && s.window <= MAX);
	}
	assert_true(s.window == MAX);
	/* And back to nothing. */
	for (i = 0; i < 10; i++)
		sleep_of(&s, MAX);
	assert_true(s.window == 0);
}

static void
test_wait(void **state)
{
	struct spin s = { .max = MAX };

	looks = 0;
	assert_int_equal(spin_wait(&s, never, NULL), 0);
	assert_int_equal(looks, 0); /* does not pay */
	s.window = MAX;
	assert_int_equal(spin_wait(&s, at_third, NULL), 7);
	assert_int_equal(looks, 3);
	s.window = 1000;
	assert_int_equal(spin_wait(&s, never, NULL), 0);
}

static void
test_clock(void **state)
{
	struct spin s;
	uint64_t begin;

	/* Too short to tell how fast the counter is: something usual. */
	spin_begin(&s);
	spin_ready(&s, 50);
	assert_true(s.max > 0);
	begin = s.max;
	spin_begin(&s);
	while (__rdtsc() - s.tsc < 20 * begin)
		_mm_pause();
	spin_ready(&s, 50);
	/* 50 us of a counter between 500 MHz and 10 GHz. */
	assert_in_range(s.max, 25000, 500000);
	assert_true(s.window == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learns),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_clock),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
