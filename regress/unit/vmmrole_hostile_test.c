/*
 * vmm and guests' processes at their worst: late, lying, flooding, closing
 * their channel; and a parent that asks for what there is not.
 */

#include <poll.h>
#include <stdio.h>
#include <syslog.h>

#include "regress/unit/vmmrole_test.h"

#define START	 IMSG_VMDOP_START_VM_RESPONSE
#define ENDED	 IMSG_VMDOP_TERMINATE_VM_EVENT
#define PAUSED	 IMSG_VMDOP_PAUSE_VM_RESPONSE
#define NLINES	 200
#define PATIENCE 10000 /* ms */

/* --- guests ------------------------------------------------------------ */

static void
say_exit(struct imsgbuf *ib, enum vmexit how, char *text)
{
	struct vmop_result r = { .exit = how, .text = text };

	guest_send(ib, IMSG_VMDOP_VM_EXIT, 0, &r);
}

static void
flood(struct imsgbuf *ib)
{
	char text[] = "a\nb";
	struct log_line l = { .prio = LOG_EMERG, .text = text };
	struct ibuf *b;
	int i;

	for (i = 0; i < NLINES; i++) {
		b = imsg_create(ib, IMSG_CTL_LOG, 0, 0, 0);
		if (b == NULL || ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
		    log_line_put(b, &l) == -1)
			_exit(9);
		imsg_close(ib, b);
		if (imsgbuf_flush(ib) == -1)
			_exit(9);
	}
}

/* Says that it is somebody else, in a text that is none. */
static void
lie(struct imsgbuf *ib, uint64_t reqid)
{
	char name[] = "other", tty[] = "/dev/sda", text[4000];
	struct vmop_result r = { .id = 77,
		.exit = VMEXIT_LAUNCH,
		.pid = 1,
		.generation = 99,
		.name = name,
		.tty = tty,
		.text = text };

	memset(text, '\033', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	guest_send(ib, START, reqid, &r);
}

/* Does it have anything but its channel? */
static void
only_channel(void)
{
	int fd;

	for (fd = PROC_CHANNEL_FD + 1; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			_exit(8);
}

void
guest_started(struct imsgbuf *ib, struct imsg *m, uint64_t reqid, char *name)
{
	struct vmop_result ok = { 0 };
	struct vm_spec *s = vm_spec_get(m->buf);
	char dirty[] = "done\033[2J";

	if (s == NULL)
		_exit(9);
	strcpy(name, s->name);
	vm_spec_free(s);
	if (strcmp(name, "slow") == 0)
		return;
	if (strcmp(name, "liar") == 0) {
		lie(ib, reqid);
		return;
	}
	guest_send(ib, START, reqid, &ok);
	if (strcmp(name, "flood") == 0)
		flood(ib);
	if (strcmp(name, "closes") == 0) {
		close(PROC_CHANNEL_FD);
		for (;;)
			pause();
	}
	if (strcmp(name, "launch") == 0)
		say_exit(ib, VMEXIT_LAUNCH, NULL);
	if (strcmp(name, "signal") == 0)
		say_exit(ib, VMEXIT_SIGNAL, NULL);
	if (strcmp(name, "none") == 0)
		say_exit(ib, VMEXIT_NONE, NULL);
	if (strcmp(name, "dirty") == 0) {
		say_exit(ib, VMEXIT_FAILED, dirty);
		_exit(0);
	}
	if (strcmp(name, "crash") == 0) {
		say_exit(ib, VMEXIT_POWEROFF, NULL);
		raise(SIGKILL);
	}
}

void
guest_order_got(struct imsgbuf *ib, struct imsg *m, uint64_t reqid,
    const char *name)
{
	static uint64_t held;
	struct vmop_result ok = { 0 };
	int *fds;

	if (m->hdr.type == IMSG_VMDOP_VM_STOP)
		guest_end(ib, VMEXIT_STOPPED);
	if (m->hdr.type == IMSG_VMDOP_PAUSE_VM && held == 0) {
		held = reqid;
	} else if (m->hdr.type == IMSG_VMDOP_PAUSE_VM) {
		/* Both at last, the first one long too late. */
		guest_send(ib, PAUSED, held, &ok);
		guest_send(ib, PAUSED, reqid, &ok);
	} else if (m->hdr.type == IMSG_CTL_CONSOLE_REQUEST) {
		if (imsg_get_fds(m, &fds) != 1 || write(fds[0], "hi", 2) != 2)
			_exit(9);
		guest_send(ib, IMSG_CTL_CONSOLE_RESPONSE, reqid, &ok);
	} else if (m->hdr.type == IMSG_CTL_VERBOSE) {
		only_channel();
		guest_end(ib, VMEXIT_POWEROFF);
	}
}

/* --- tests ------------------------------------------------------------- */

static void
up(const char *name)
{
	start(name, 1, 11);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
}

static void
stop(void)
{
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 90, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

static void
test_slow_launch(void **state)
{
	role.launch_s = 1;
	start("slow", 1, 11);
	expect(START, 11, VMERR_TIMEOUT, VMEXIT_FAILED, "not up in time");
}

static void
test_stopped_while_launching(void **state)
{
	start("slow", 1, 11);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 12, VMOP_FORCE, NULL);
	expect(IMSG_VMDOP_TERMINATE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE,
	    NULL);
	expect(START, 11, VMERR_GUEST, VMEXIT_STOPPED, "stopped");
}

/* Who asks is not kept waiting; what comes later is not taken amiss. */
static void
test_late_answer(void **state)
{
	role.order_s = 1;
	up("late");
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	expect(PAUSED, 12, VMERR_TIMEOUT, VMEXIT_NONE, "late does not answer");
	role.order_s = DEADLINE;
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 13, 0, NULL);
	expect(PAUSED, 13, VMERR_OK, VMEXIT_NONE, NULL);
	stop();
}

/* How it ended is vmm's to say. */
static void
test_claims(void **state)
{
	static const char *const names[] = { "launch", "signal", "none" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		up(names[i]);
		expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED,
		    "killed by vmm: malformed message");
	}
	/* What it said first does not hide what happened then. */
	up("crash");
	expect(ENDED, 0, VMERR_OK, VMEXIT_POWEROFF, "powered off");
}

/* Who it is, too; and nothing goes up that could harm a terminal. */
static void
test_lies(void **state)
{
	struct vmop_result r;
	uint32_t type;

	start("liar", 1, 11);
	assert_int_equal(next(&type, &r), 11);
	assert_int_equal(type, START);
	assert_int_equal(r.err, VMERR_OK);
	assert_int_equal(r.id, 1);
	assert_int_equal(r.generation, 1);
	assert_int_equal(r.exit, VMEXIT_NONE);
	assert_true(r.pid > 1);
	assert_string_equal(r.name, "liar");
	assert_null(r.tty);
	assert_non_null(r.text);
	assert_null(strchr(r.text, '\033'));
	assert_true(strlen(r.text) < VMM_TEXT_MAX);
	vmop_result_fini(&r);
	stop();
	start("dirty", 1, 12);
	expect(START, 12, VMERR_OK, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "done^[[2J");
}

static void
test_closes(void **state)
{
	role.close_s = 1;
	up("closes");
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "it closed its channel");
}

/* One answer to each of the two, in any order. */
static void
expect_both(void)
{
	struct vmop_result r;
	uint32_t type;
	int i, pause = 0, stop = 0;

	for (i = 0; i < 2; i++) {
		switch (next(&type, &r)) {
		case 12:
			assert_int_equal(type, PAUSED);
			assert_int_equal(r.err, VMERR_GONE);
			pause++;
			break;
		case 13:
			assert_int_equal(type,
			    IMSG_VMDOP_TERMINATE_VM_RESPONSE);
			assert_int_equal(r.err, VMERR_OK);
			stop++;
			break;
		default:
			fail();
		}
		vmop_result_fini(&r);
	}
	assert_true(pause == 1 && stop == 1);
}

static void
test_orders_to_the_deaf(void **state)
{
	role.close_s = DEADLINE;
	up("closes");
	/* Whether it is noticed yet or not: one answer. */
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 13, VMOP_FORCE, NULL);
	expect_both();
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

static unsigned int nlines;

static void
count_line(void *arg, int prio, const char *line)
{
	if (strncmp(line, "vm/flood: ", 10) != 0)
		return;
	assert_null(strchr(line, '\n'));
	assert_int_equal(prio, LOG_ERR);
	nlines += strstr(line, "a\\nb") != NULL;
}

static void
test_flood(void **state)
{
	log_set_sink(count_line, NULL);
	nlines = 0;
	up("flood");
	/* All that was said before is read before this is answered. */
	stop();
	log_set_sink(NULL, NULL);
	assert_true(nlines > 0);
	/* It may have taken two or three seconds. */
	assert_true(nlines <= 3 * PEER_LOG_RATE);
}

/* The end of a console that vmm got is the guest's, and no longer vmm's. */
static void
test_console(void **state)
{
	struct pollfd p = { .events = POLLIN };
	char text[3];
	int sv[2];

	up("console");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	order(IMSG_CTL_CONSOLE_REQUEST, 1, 1, 12, 0, &sv[0]);
	expect(IMSG_CTL_CONSOLE_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	assert_int_equal(read(sv[1], text, sizeof(text)), 2);
	stop();
	p.fd = sv[1];
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(read(sv[1], text, sizeof(text)), 0);
	close(sv[1]);
}

static void
test_verbose(void **state)
{
	up("alone");
	order(IMSG_CTL_VERBOSE, 0, 0, 0, 0, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_POWEROFF, "powered off");
}

static void
start_spec(const char *name, uint32_t id, uint32_t flags, uint64_t reqid)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct vm_spec *s = vm_spec_new(name);
	const struct fdlist none = FDLIST_INIT;

	s->id = id;
	s->generation = 2;
	s->flags = flags;
	assert_int_equal(vm_spec_put(b, s), 0);
	assert_int_equal(wire_put_fdlist(b, &none), 0);
	vm_spec_free(s);
	send_body(IMSG_VMDOP_START_VM_REQUEST, reqid, b, NULL, 0);
}

/* Each is refused with an answer. */
static void
test_starts(void **state)
{
	int exe = role.exe;

	start_spec("probe", 1, VMF_PROBE, 11);
	expect(START, 11, VMERR_INVALID, VMEXIT_NONE, NULL);
	start_spec("noid", 0, 0, 12);
	expect(START, 12, VMERR_INVALID, VMEXIT_NONE, NULL);
	role.exe = -1;
	start_spec("early", 1, 0, 13);
	expect(START, 13, VMERR_GUEST, VMEXIT_NONE, "not ready");
	role.exe = role.kvm;
	start_spec("noexec", 1, 0, 14);
	expect(START, 14, VMERR_GUEST, VMEXIT_NONE, "vmd-guest: ");
	role.exe = exe;
	up("one");
	start_spec("one", 1, 0, 15);
	expect(START, 15, VMERR_BUSY, VMEXIT_NONE, "last run");
	send_body(IMSG_CTL_SHUTDOWN, 0, NULL, NULL, 0);
	start_spec("two", 2, 0, 16);
	expect(START, 16, VMERR_BUSY, VMEXIT_NONE, "ending");
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		T(test_slow_launch),
		T(test_stopped_while_launching),
		T(test_late_answer),
		T(test_claims),
		T(test_lies),
		T(test_closes),
		T(test_orders_to_the_deaf),
		T(test_flood),
		T(test_console),
		T(test_verbose),
		T(test_starts),
	};

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
