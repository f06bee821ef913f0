/* The state table of a VM: each pair, and that only known ones change it. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/util/log.h"
#include "vmd/parent/vm.h"

#define NO (-1)

/* Written out a second time, by hand: row state, column event. */
static const int want[VMS_MAX][EV_MAX] = {
	/* clang-format off */
	/* QUEUE  CANCEL  START  UP  FAIL  PAUSE  UNPAUSE  STOP  EXIT */
	[VMS_STOPPED] =
	{ VMS_WAITING, NO, VMS_STARTING, NO, NO, NO, NO, NO, NO },
	[VMS_WAITING] =
	{ NO, VMS_STOPPED, VMS_STARTING, NO, NO, NO, NO, NO, NO },
	[VMS_STARTING] =
	{ NO, NO, NO, VMS_RUNNING, VMS_STOPPED, NO, NO, VMS_STOPPING,
	  VMS_STOPPED },
	[VMS_RUNNING] =
	{ NO, NO, NO, NO, NO, VMS_PAUSED, NO, VMS_STOPPING, VMS_STOPPED },
	[VMS_PAUSED] =
	{ NO, NO, NO, NO, NO, NO, VMS_RUNNING, VMS_STOPPING, VMS_STOPPED },
	[VMS_STOPPING] =
	{ NO, NO, NO, NO, VMS_STOPPED, NO, NO, NO, VMS_STOPPED },
	/* clang-format on */
};

static void
each_pair(void **state)
{
	int s, e;

	for (s = 0; s < VMS_MAX; s++)
		for (e = 0; e < EV_MAX; e++)
			assert_int_equal(state_next((enum vm_state)s,
					     (enum vm_ev)e),
			    want[s][e]);
}

static void
out_of_range(void **state)
{
	assert_int_equal(state_next(VMS_MAX, EV_START), -1);
	assert_int_equal(state_next(VMS_STOPPED, EV_MAX), -1);
}

static void
event_changes_or_not(void **state)
{
	char name[] = "web1";
	struct vm_spec spec = { .name = name };
	struct vm v = { .spec = &spec };

	assert_int_equal(vm_event(&v, EV_STOP), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(v.state, VMS_STOPPED);
	assert_int_equal(vm_event(&v, EV_START), 0);
	assert_int_equal(vm_event(&v, EV_UP), 0);
	assert_int_equal(v.state, VMS_RUNNING);
	assert_int_equal(vm_event(&v, EV_UNPAUSE), -1);
	assert_int_equal(v.state, VMS_RUNNING);
	assert_int_equal(vm_event(&v, EV_STOP), 0);
	assert_int_equal(vm_event(&v, EV_EXIT), 0);
	assert_int_equal(v.state, VMS_STOPPED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pair),
		cmocka_unit_test(out_of_range),
		cmocka_unit_test(event_changes_or_not),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
