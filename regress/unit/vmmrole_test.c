/*
 * vmm with a fake parent and fake guests: this program itself, started as
 * `vm', which behaves as the name of its VM says.  Every request has one
 * answer, every end its cause, and a guest that misbehaves dies alone.
 */

#include "regress/unit/vmmrole_test.h"

/* The first message: what is this VM called? */
void
guest_started(struct imsgbuf *ib, struct imsg *m, uint64_t reqid, char *name)
{
	struct vmop_result ok = { 0 }, no = { .err = VMERR_GUEST };
	static const uint32_t huge[4] = { 1, 0x7fffffff, 0, 0 };
	struct vm_spec *s = vm_spec_get(m->buf);
	char text[] = "boot: no kernel";

	if (s == NULL)
		_exit(9);
	strcpy(name, s->name);
	vm_spec_free(s);
	no.text = text;
	if (strcmp(name, "dies") == 0)
		_exit(3);
	if (strcmp(name, "refuses") == 0) {
		guest_send(ib, IMSG_VMDOP_START_VM_RESPONSE, reqid, &no);
		_exit(0);
	}
	if (strcmp(name, "wrong") == 0)
		reqid++;
	guest_send(ib, IMSG_VMDOP_START_VM_RESPONSE, reqid, &ok);
	if (strcmp(name, "twice") == 0)
		guest_send(ib, IMSG_VMDOP_START_VM_RESPONSE, reqid, &ok);
	if (strcmp(name, "unknown") == 0)
		guest_send(ib, 9999, 0, &ok);
	if (strcmp(name, "unasked") == 0)
		guest_send(ib, IMSG_VMDOP_PAUSE_VM_RESPONSE, 7, &ok);
	if (strcmp(name, "above") == 0)
		guest_send(ib, IMSG_VMDOP_TERMINATE_VM_EVENT, 0, &ok);
	if (strcmp(name, "huge") == 0 && write(3, huge, sizeof(huge)) == -1)
		_exit(9);
}

void
guest_order_got(struct imsgbuf *ib, struct imsg *m, uint64_t reqid,
    const char *name)
{
	struct vmop_result ok = { 0 };
	uint32_t type = m->hdr.type;

	if (strcmp(name, "mute") == 0)
		return;
	if (type == IMSG_VMDOP_PAUSE_VM)
		guest_send(ib, IMSG_VMDOP_PAUSE_VM_RESPONSE, reqid, &ok);
	else if (type == IMSG_CTL_CONSOLE_REQUEST)
		guest_send(ib, IMSG_CTL_CONSOLE_RESPONSE, reqid, &ok);
	else if (type == IMSG_VMDOP_VM_SHUTDOWN)
		guest_end(ib, VMEXIT_POWEROFF);
	else if (type == IMSG_VMDOP_VM_STOP && strcmp(name, "deaf") != 0)
		guest_end(ib, VMEXIT_STOPPED);
}

static void
test_life(void **state)
{
	int sv[2];

	start("ok", 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	order(IMSG_CTL_CONSOLE_REQUEST, 1, 1, 13, 0, &sv[0]);
	expect(IMSG_CTL_CONSOLE_RESPONSE, 13, VMERR_OK, VMEXIT_NONE, NULL);
	close(sv[1]);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 14, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 14, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

static void
test_power_button(void **state)
{
	start("ok", 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_POWEROFF, "powered off");
}

static void
test_refused(void **state)
{
	start("refuses", 1, 11);
	expect(START, 11, VMERR_GUEST, VMEXIT_NONE, "boot: no kernel");
	start("dies", 1, 12);
	expect(START, 12, VMERR_GUEST, VMEXIT_FAILED, "exited with status 3");
}

/* Each of these is killed, says why, and disturbs nobody. */
static void
test_misbehaving(void **state)
{
	static const struct {
		const char *name;
		const char *why;
	} bad[] = {
		{ "unknown", "unknown message" },
		{ "unasked", "malformed message" },
		{ "twice", "malformed message" },
		{ "above", "message not allowed" },
		{ "huge", "malformed stream" },
	};
	size_t i;

	start("ok", 1, 1);
	expect(START, 1, VMERR_OK, VMEXIT_NONE, NULL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(bad[i].name, 2, 100 + i);
		expect(START, 100 + i, VMERR_OK, VMEXIT_NONE, NULL);
		expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, bad[i].why);
	}
	/* The wrong request id: as if it had not answered. */
	start("wrong", 2, 200);
	expect(START, 200, VMERR_GUEST, VMEXIT_FAILED, "malformed message");
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 300, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 300, VMERR_OK, VMEXIT_NONE, NULL);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 301, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 301, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, NULL);
}

/* One that does not obey is killed; who stopped it gets what was asked. */
static void
test_deaf(void **state)
{
	start("deaf", 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 12, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

/* The order says after how many seconds. */
static void
test_deaf_soon(void **state)
{
	role.kill_s = 10000;
	start("deaf", 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
	order_arg(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 12, VMOP_FORCE, 1,
	    NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

/* It dies with orders unanswered: each is answered, then the end is told. */
static void
test_killed(void **state)
{
	struct vmop_result r;
	uint32_t type;

	start("mute", 1, 11);
	assert_int_equal(next(&type, &r), 11);
	assert_true(r.pid > 0);
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 13, 0, NULL);
	/* What was sent is in vmm's hands when it answers this one. */
	order(IMSG_VMDOP_PAUSE_VM, 9, 1, 14, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 14, VMERR_NOTRUNNING, VMEXIT_NONE,
	    NULL);
	kill(r.pid, SIGKILL);
	vmop_result_fini(&r);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 12, VMERR_GONE, VMEXIT_NONE, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 13, VMERR_GONE, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_SIGNAL, "killed by signal 9");
}

/* So many, late or not, and no more; other guests have their own. */
static void
test_many_orders(void **state)
{
	struct vmop_result r;
	unsigned int i;
	uint32_t type;

	role.order_s = 1;
	start("mute", 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
	for (i = 0; i < VMM_MAX_ORDERS; i++)
		order(IMSG_VMDOP_PAUSE_VM, 1, 1, 100 + i, 0, NULL);
	/* In any order. */
	for (i = 0; i < VMM_MAX_ORDERS; i++) {
		assert_in_range(next(&type, &r), 100, 100 + VMM_MAX_ORDERS - 1);
		assert_int_equal(type, IMSG_VMDOP_PAUSE_VM_RESPONSE);
		assert_int_equal(r.err, VMERR_TIMEOUT);
		vmop_result_fini(&r);
	}
	for (i = 0; i < 3; i++) {
		order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 300, 0, NULL);
		expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 300, VMERR_LIMIT,
		    VMEXIT_NONE, "mute has not answered 64 requests");
	}
	start("ok", 2, 12);
	expect(START, 12, VMERR_OK, VMEXIT_NONE, NULL);
	for (i = 0; i < 2 * VMM_MAX_ORDERS; i++) {
		order(IMSG_VMDOP_PAUSE_VM, 2, 1, 400 + i, 0, NULL);
		expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 400 + i, VMERR_OK,
		    VMEXIT_NONE, NULL);
	}
	for (i = 1; i <= 2; i++) {
		order(IMSG_VMDOP_TERMINATE_VM_REQUEST, i, 1, 13, VMOP_FORCE,
		    NULL);
		expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 13, VMERR_OK,
		    VMEXIT_NONE, NULL);
		expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, NULL);
	}
}

/* Its status went to somebody else: not as if it had ended well. */
static void
test_unknown_status(void **state)
{
	struct vmop_result r;
	uint32_t type;

	start("ok", 1, 11);
	assert_int_equal(next(&type, &r), 11);
	kill(r.pid, SIGKILL);
	assert_int_equal(waitpid(r.pid, NULL, 0), r.pid);
	vmop_result_fini(&r);
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "nobody knows how");
}

/* An order for an earlier run reaches nobody. */
static void
test_generation(void **state)
{
	start("ok", 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 0, 12, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 12, VMERR_NOTRUNNING,
	    VMEXIT_NONE, NULL);
	send_body(IMSG_CTL_SHUTDOWN, 0, NULL, NULL, 0);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, NULL);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_power_button),
		T(test_refused),
		T(test_misbehaving),
		T(test_deaf),
		T(test_deaf_soon),
		T(test_killed),
		T(test_many_orders),
		T(test_unknown_status),
		T(test_generation),
	};

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
