/*
 * Devices of a guest in the real vmm: launches that fail half-way, processes
 * that do not go when they are killed, bad ones, and what is said of them in
 * numbers.
 */

#include "regress/unit/vmmdev_test.h"

/* --- a launch that fails half-way ------------------------------------------- */

/* Turns of the loop in which all that is not held back happens. */
static void
turn(void)
{
	int i;

	for (i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_ONCE);
}

/* Started, of no use, killed, and not gone: nothing waits for it but this. */
static void
replacement_fails(void **state)
{
	struct fdlist *fds;
	int fd;

	up("ok", "", "");
	logged("I am vioblk", 2);
	fds = &device_find(TAILQ_FIRST(&role.guests), DEV_VIOBLK, 0)->fds;
	fd = fds->ents[0].fd;
	fds->ents[0].fd = 4000; /* no descriptor: it cannot be handed on */
	reaps = 1;
	kill_device(0);
	expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE,
	    "vioblk0 cannot be started again: Bad file descriptor");
	fds->ents[0].fd = fd;
	turn();
	assert_true(device_pid(0) > 1);
	/* Its old I/O may still be under way. */
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 12, VMERR_GUEST, VMEXIT_NONE,
	    "cannot be started again: Device or resource busy");
	reaps = -1;
	while (device_pid(0) != 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(count("vioblk0: started again"), 0);
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 13, 0, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 13, VMERR_OK, VMEXIT_NONE, NULL);
	logged("I am vioblk0", 2);
	stop();
}

/* The end of a guest waits for the last of its processes, vmm does not. */
static void
ends_late(void **state)
{
	struct fdlist *fds;
	int fd;

	up("ok", "", "");
	logged("I am vioblk", 2);
	fds = &device_find(TAILQ_FIRST(&role.guests), DEV_VIOBLK, 0)->fds;
	fd = fds->ents[0].fd;
	fds->ents[0].fd = 4000;
	reaps = 1;
	kill_device(0);
	expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE, "cannot be started again");
	fds->ents[0].fd = fd;
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	reaps = 2; /* the vm process and the other disk */
	turn();
	assert_false(TAILQ_EMPTY(&role.guests));
	reaps = -1;
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

/* What cannot end, not even when it is killed, is told, once. */
static void
stays(void **state)
{
	role.reap_s = 0;
	up("ok", "deaf", "deaf");
	logged("I am vioblk", 2);
	reaps = 0;
	guest_kill(TAILQ_FIRST(&role.guests), "a test", VMERR_GUEST);
	expect(IMSG_VMDOP_VM_LATE, 0, VMERR_OK, VMEXIT_NONE,
	    "killed, waiting for the disk");
	turn();
	assert_false(TAILQ_EMPTY(&role.guests));
	reaps = -1;
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "killed by vmm");
	/* Now only its devices. */
	up("ok", "deaf", "deaf");
	logged("I am vioblk", 2);
	reaps = 1;
	kill(TAILQ_FIRST(&role.guests)->pid, SIGKILL);
	expect(IMSG_VMDOP_VM_LATE, 0, VMERR_OK, VMEXIT_NONE,
	    "killed, waiting for the disk");
	reaps = -1;
	expect(ENDED, 0, VMERR_OK, VMEXIT_SIGNAL, "killed by signal 9");
	/* A device whose guest goes on is not meant. */
	role.reap_s = DEADLINE;
	up("ok", "", "");
	kill_device(0);
	logged("vioblk0: started again", 1);
	stop();
}

/* The third of two devices' four channels cannot be made. */
static void
launch_fails(void **state)
{
	struct vmop_result r;
	uint32_t type;

	sockets = 3;
	reaps = 0;
	start_with("waits", 11, "deaf", "");
	while (TAILQ_EMPTY(&role.guests))
		event_base_loop(base, EVLOOP_ONCE);
	sockets = -1;
	turn();
	/* Neither is it forgotten nor can another run begin. */
	assert_false(TAILQ_EMPTY(&role.guests));
	start_with("waits", 12, "", "");
	expect(START, 12, VMERR_BUSY, VMEXIT_NONE, "has not ended");
	reaps = -1;
	assert_int_equal(next(&type, &r), 11);
	assert_int_equal(type, START);
	assert_int_equal(r.err, VMERR_GUEST);
	assert_string_equal(r.text, "devices: Too many open files");
	vmop_result_fini(&r);
	assert_true(TAILQ_EMPTY(&role.guests));
}

/* --- bad devices ---------------------------------------------------------- */

/* It costs the device its life, until it is not worth it any more. */
static void
bad_devices(void **state)
{
	static const struct {
		const char *serial;
		const char *why;
	} bad[] = {
		{ "up-unknown", "vioblk0: unknown message, killed" },
		{ "up-above", "vioblk0: message not allowed, killed" },
		{ "up-closes", "vioblk0: killed by signal 9" },
		{ "up-fails", "vioblk0: exited with status 3" },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		up("pokes", bad[i].serial, "deaf");
		expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE,
		    "vioblk0 died 3 times in a minute");
		assert_int_equal(count(bad[i].why), DEVICE_DEATHS);
		stop();
	}
}

/* The next message says that vioblk0 is ready, or has ended. */
static void
reported(int is_ready)
{
	const struct timeval tv = { DEADLINE, 0 };
	struct proc_info i;
	struct imsg m;

	do {
		while (imsgbuf_get(&down, &m) != 1) {
			event_base_loopexit(base, &tv);
			event_base_dispatch(base);
			assert_false(event_base_got_exit(base));
			assert_int_equal(imsgbuf_read(&down), 1);
		}
	} while (m.hdr.type == IMSG_CTL_LOG);
	assert_string_equal(msg_name(m.hdr.type),
	    msg_name(IMSG_CTL_PROC_REPORT));
	assert_int_equal(ibuf_skip(m.buf, MSG_HDR_LEN), 0);
	assert_int_equal(proc_info_get(m.buf, &i), 0);
	assert_int_equal(wire_end(m.buf), 0);
	assert_string_equal(i.name, "vm/pokes/vioblk0");
	assert_int_equal(i.own, is_ready ? SB_OWN_REPORT : 0);
	proc_info_fini(&i);
	imsg_free(&m);
}

/* Each process reports its sandbox, once, and its end is told. */
static void
reports(void **state)
{
	up("pokes", "up-reports", "deaf");
	reported(1);
	kill_device(0);
	reported(0);
	reported(1);
	assert_int_equal(count("vioblk0: started again"), 1);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	reported(0);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
	up("pokes", "up-reports twice", "deaf");
	reported(1);
	logged("vioblk0: malformed message, killed", 1);
	role.kill_s = 1;
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 91, VMOP_FORCE, NULL);
	while (!TAILQ_EMPTY(&role.guests))
		event_base_loop(base, EVLOOP_ONCE);
}

static void
flood(void **state)
{
	up("ok", "flood", "");
	logged("vm/ok/vioblk0: line", 1);
	logged("vm/ok/vioblk1: I am", 1);
	stop();
	/* It may have taken two or three seconds. */
	assert_true(count("vm/ok/vioblk0: line") <= 3 * PEER_LOG_RATE);
}

/* A guest's process cannot keep vmm by talking while its device ends. */
static void
flood_of_the_living(void **state)
{
	up("floods", "", "");
	logged("I am vioblk", 2);
	alarm(DEADLINE);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	logged("vioblk0: the vm process gave it up, killed", 1);
	logged("vioblk0: started again", 1);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_GONE, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
	alarm(0);
}

/* --- in numbers ------------------------------------------------------------- */

#define ASK IMSG_VMDOP_DEVICES_REQUEST
#define SAY IMSG_VMDOP_DEVICES_RESPONSE

static void
is_device(uint32_t n, uint32_t replacements, uint32_t is_counted)
{
	const struct dev_stats *d = &last_list.devs[n];

	assert_int_equal(last_list.n, 2);
	assert_int_equal(d->kind, DEV_VIOBLK);
	assert_int_equal(d->idx, n);
	assert_int_equal(d->state, DEVST_RUNNING);
	assert_int_equal(d->replaced, replacements);
	assert_int_equal(d->counted, is_counted);
	assert_true(d->size == (is_counted ? 512 : 0));
	assert_true(d->counts[DEVS_READS] == (is_counted ? 70 + n : 0));
}

/* Numbers of the guest's process, states and replacements of ours. */
static void
listed(void **state)
{
	up("ok", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 1);
	is_device(1, 0, 1);
	kill_device(1);
	logged("vioblk1: started again", 1);
	order(ASK, 1, 1, 13, 0, NULL);
	expect(SAY, 13, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 1);
	is_device(1, 1, 1);
	order(ASK, 1, 2, 14, 0, NULL);
	expect(SAY, 14, VMERR_NOTRUNNING, VMEXIT_NONE, NULL);
	stop();
}

/* It leaves one out, or has more than it was given. */
static void
listed_wrong(void **state)
{
	up("half", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 0);
	is_device(1, 0, 1);
	stop();
	up("more", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 1);
	is_device(1, 0, 1);
	stop();
	up("nonsense", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_GONE, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "malformed message");
	up("twice", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "malformed message");
}

/* One that does not answer is asked once, and no more after that. */
static void
listed_late(void **state)
{
	const struct order *o;

	role.order_s = 1;
	up("late", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_TIMEOUT, VMEXIT_NONE, "late does not answer");
	order(ASK, 1, 1, 13, 0, NULL);
	expect(SAY, 13, VMERR_TIMEOUT, VMEXIT_NONE, "late does not answer");
	o = TAILQ_FIRST(&TAILQ_FIRST(&role.guests)->orders);
	assert_non_null(o);
	assert_null(TAILQ_NEXT(o, entry));
	stop();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		D(replacement_fails),
		D(ends_late),
		D(stays),
		D(launch_fails),
		D(bad_devices),
		D(reports),
		D(flood),
		D(flood_of_the_living),
		D(listed),
		D(listed_wrong),
		D(listed_late),
	};

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	if (strcmp(argv[0], "vioblk") == 0)
		device_main();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
