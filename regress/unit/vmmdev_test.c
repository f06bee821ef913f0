/*
 * Devices of a guest in the real vmm: what they are given, what happens when
 * one dies, when its guest does, when it is asked to be replaced.
 */

#include "regress/unit/vmmdev_test.h"

/* --- start and end -------------------------------------------------------- */

static void
given(void **state)
{
	up("ok", "one", "two");
	logged("vm/ok/vioblk0: I am vioblk0 of ok, path /a, flags 0, layers 2 "
	       "of 2, 0 more",
	    1);
	logged("vm/ok/vioblk1: I am vioblk1 of ok, path /b, flags 1, layers 2 "
	       "of 2, 0 more",
	    1);
	logged("vm/ok: got 0, replaced 0", 1);
	logged("vm/ok: got 1, replaced 0", 1);
	stop();
	assert_int_equal(count("started again"), 0);
}

static void
dies_before_up(void **state)
{
	start_with("waits", 11, "", "fails");
	expect(START, 11, VMERR_GUEST, VMEXIT_FAILED,
	    "vioblk1: exited with status 3");
	start_with("waits", 12, "denied", "");
	expect(START, 12, VMERR_GUEST, VMEXIT_FAILED,
	    "vioblk0: ended by its sandbox");
}

/* The vm process is killed: its devices go, and one end is told. */
static void
guest_dies(void **state)
{
	struct vmop_result r;
	uint32_t type;

	log_set_sink(keep_line, NULL);
	lines[0] = '\0';
	/* One that notices the end of its channel, one that does not. */
	start_with("ok", 11, "", "deaf");
	assert_int_equal(next(&type, &r), 11);
	assert_int_equal(type, START);
	logged("I am vioblk", 2);
	assert_int_equal(kill(r.pid, SIGKILL), 0);
	vmop_result_fini(&r);
	expect(ENDED, 0, VMERR_OK, VMEXIT_SIGNAL, "killed by signal 9");
	assert_true(TAILQ_EMPTY(&role.guests));
	/* The first may have ended before its guest was known to be dead. */
	assert_in_range(count("started again"), 0, 1);
	/* And nothing after it: this is the next answer. */
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 12, VMERR_NOTRUNNING, VMEXIT_NONE,
	    NULL);
}

/* --- death and replacement ------------------------------------------------ */

static void
replaced(void **state)
{
	pid_t other;

	up("ok", "", "");
	logged("I am vioblk", 2);
	other = device_pid(1);
	kill_device(0);
	logged("vm/ok/vioblk0: started again", 1);
	logged("vm/ok/vioblk0: killed by signal 9", 1);
	/* With all that the first one had. */
	logged("vm/ok/vioblk0: I am vioblk0 of ok, path /a, flags 0, layers 2 "
	       "of 2, 0 more",
	    2);
	logged("vm/ok: got 0, replaced 1", 1);
	assert_int_equal(device_pid(1), other);
	stop();
}

static void
die_three_times(const char *name)
{
	unsigned int i;

	up(name, "", "");
	for (i = 1; i <= 2; i++) {
		logged("I am vioblk0", i);
		kill_device(0);
		logged("vioblk0: started again", i);
	}
	logged("I am vioblk0", i);
	kill_device(0);
}

static void
too_often(void **state)
{
	die_three_times("ok");
	expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE,
	    "vioblk0 died 3 times in a minute");
	assert_int_equal(device_pid(0), 0);
	assert_true(device_pid(1) > 1);
	/* A person tries again, and it may die again. */
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	logged("I am vioblk0", 4);
	logged("got 0, replaced 1", 3);
	kill_device(0);
	logged("vioblk0: started again", 3);
	/* It is counted for each of them. */
	logged("I am vioblk1", 1);
	kill_device(1);
	logged("vioblk1: started again", 1);
	stop();
}

/* It cannot be paused: nobody is told that it is. */
static void
not_paused(void **state)
{
	die_three_times("stubborn");
	logged("vm/stubborn: cannot be paused: no reason given", 1);
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 12, VMERR_GUEST, VMEXIT_NONE,
	    NULL);
	stop();
}

/* One that ends well, and was not told to: as good as dead. */
static void
ends_unasked(void **state)
{
	up("hangsup", "", "");
	logged("I am vioblk0", 1);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	logged("vm/hangsup/vioblk0: exited with status 0", 1);
	logged("vm/hangsup/vioblk0: started again", 1);
	logged("I am vioblk0", 2);
	stop();
}

/* It was told to: not a word, and no other one. */
static void
ends_well(void **state)
{
	up("leaves", "", "");
	logged("I am vioblk0", 1);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	while (device_pid(0) != 0)
		event_base_loop(base, EVLOOP_ONCE);
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 13, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 13, VMERR_OK, VMEXIT_NONE, NULL);
	assert_int_equal(device_pid(0), 0);
	assert_int_equal(count("started again"), 0);
	assert_int_equal(count("exited"), 0);
	stop();
}

/* Given up by the vm process: killed, replaced. */
static void
given_up(void **state)
{
	up("ok", "deaf", "");
	logged("I am vioblk0", 1);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	logged("vioblk0: the vm process gave it up, killed", 1);
	logged("vioblk0: started again", 1);
	logged("got 0, replaced 1", 1);
	stop();
}

/* What it gives up is dead already, and its successor is not meant. */
static void
given_up_late(void **state)
{
	pid_t pid;

	up("old", "", "");
	logged("I am vioblk0", 1);
	kill_device(0);
	logged("I am vioblk0", 2);
	pid = device_pid(0);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	assert_int_equal(device_pid(0), pid);
	assert_int_equal(count("gave it up"), 0);
	stop();
}

/* A device, or a process of one, that it does not have. */
static void
lies(void **state)
{
	static const char *const names[] = { "lies", "foretells" };
	size_t i;

	for (i = 0; i < 2; i++) {
		up(names[i], "", NULL);
		order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
		expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_GONE, VMEXIT_NONE,
		    NULL);
		expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED,
		    "killed by vmm: malformed message");
	}
}

/* --- ids and a pid namespace for real ------------------------------------- */

static int
setup_ids(void **state)
{
	int fd;

	if (setup(state) == -1)
		return -1;
	role.shared_ids = 0;
	if (sandbox_ids_init() == -1 || (fd = sandbox_ids_open()) == -1)
		return -1;
	sandbox_ids_file(fd);
	return 0;
}

static int
finish_ids(void **state)
{
	sandbox_ids_file(-1);
	return finish(state);
}

static void
own_ids(void **state)
{
	up("ok", "", "");
	logged("uid own", 2);
	kill_device(0);
	logged("vioblk0: started again", 1);
	logged("uid own", 3);
	assert_int_equal(count("uid 0"), 0);
	stop();
}

#define IDS(f) cmocka_unit_test_setup_teardown(f, setup_ids, finish_ids)

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		D(given),
		D(dies_before_up),
		D(guest_dies),
		D(replaced),
		D(too_often),
		D(not_paused),
		D(ends_unasked),
		D(ends_well),
		D(given_up),
		D(given_up_late),
		D(lies),
		IDS(own_ids),
		IDS(guest_dies),
		IDS(too_often),
	};
	const size_t nids = 3;

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	if (strcmp(argv[0], "vioblk") == 0)
		device_main();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (geteuid() != 0)
		return _cmocka_run_group_tests("tests", tests,
		    sizeof(tests) / sizeof(tests[0]) - nids, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
