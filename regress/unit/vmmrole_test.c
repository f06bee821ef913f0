/*
 * vmm with a fake parent and fake guests: this program itself, started as
 * `vm', which behaves as the name of its VM says.  Every request has one
 * answer, every end its cause, and a guest that misbehaves dies alone.
 */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/event.h>
#include <cmocka.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "proc/proc.h"
#include "vmd/vmm/vmm.h"

#define DEADLINE 20 /* s for anything to happen */

/* --- the guest ------------------------------------------------------------ */

static void
guest_send(struct imsgbuf *ib, uint32_t type, uint64_t reqid,
    const struct vmop_result *r)
{
	struct ibuf *b = imsg_create(ib, type, 0, 0, 0);

	if (b == NULL || wire_put_u64(b, reqid) == -1 ||
	    wire_put_u64(b, 0) == -1 || vmop_result_put(b, r) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

static void __attribute__((noreturn))
guest_end(struct imsgbuf *ib, enum vmexit how)
{
	struct vmop_result r = { .exit = how };

	guest_send(ib, IMSG_VMDOP_VM_EXIT, 0, &r);
	_exit(0);
}

/* The first message: what is this VM called? */
static void
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

static void
guest_order_got(struct imsgbuf *ib, uint32_t type, uint64_t reqid,
    const char *name)
{
	struct vmop_result ok = { 0 };

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

static void __attribute__((noreturn)) guest_main(void)
{
	char name[VM_NAME_MAX] = "";
	struct imsgbuf ib;
	struct imsg m;
	uint64_t reqid, conn;

	imsgbuf_init(&ib, PROC_CHANNEL_FD);
	imsgbuf_allow_fdpass(&ib);
	imsgbuf_set_maxsize(&ib, MSG_MAXSIZE);
	while (imsgbuf_read(&ib) == 1) {
		while (imsgbuf_get(&ib, &m) == 1) {
			if (wire_get_u64(m.buf, &reqid) == -1 ||
			    wire_get_u64(m.buf, &conn) == -1)
				_exit(9);
			if (m.hdr.type == IMSG_VMDOP_START_VM_REQUEST)
				guest_started(&ib, &m, reqid, name);
			else
				guest_order_got(&ib, m.hdr.type, reqid, name);
			imsg_free(&m);
		}
	}
	_exit(0);
}

/* --- the parent ----------------------------------------------------------- */

static struct event_base *base;
static struct vmm_role role;
static struct imsgbuf down; /* our end of its channel */
static int down_fd, fds_before;
static struct event *readable;

static int
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
up_closed(struct peer *p, const char *why)
{
	fail_msg("vmm closed its channel: %s", why == NULL ? "end" : why);
}

static void
wake(int fd, short ev, void *arg)
{
	event_base_loopbreak(base);
}

static int
setup(void **state)
{
	struct peer_conf pc = { .role = ROLE_PARENT,
		.name = "parent",
		.msgs = vmm_msgs,
		.nmsgs = vmm_nmsgs,
		.closed = up_closed,
		.arg = &role };
	int sv[2];

	fds_before = open_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1 ||
	    (base = event_base_new()) == NULL)
		return -1;
	vmm_role_init(&role, base);
	role.shared_ids = 1;
	role.kill_s = 1;
	role.kvm = open("/dev/null", O_RDWR | O_CLOEXEC);
	role.exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	role.up = peer_new(base, sv[0], &pc);
	down_fd = sv[1];
	fcntl(down_fd, F_SETFL, O_NONBLOCK);
	imsgbuf_init(&down, down_fd);
	imsgbuf_allow_fdpass(&down);
	imsgbuf_set_maxsize(&down, MSG_MAXSIZE);
	readable = event_new(base, down_fd, EV_READ | EV_PERSIST, wake, NULL);
	return readable == NULL ? -1 : event_add(readable, NULL);
}

/* No guest, no process, no descriptor is left. */
static int
teardown(void **state)
{
	int empty = TAILQ_EMPTY(&role.guests);

	event_free(readable);
	peer_free(role.up);
	imsgbuf_clear(&down);
	close(down_fd);
	close(role.kvm);
	close(role.exe);
	event_base_free(base);
	if (!empty || waitpid(-1, NULL, WNOHANG) != -1)
		return -1;
	return open_fds() == fds_before ? 0 : -1;
}

static void
send_body(uint32_t type, uint64_t reqid, struct ibuf *body, int *fds, size_t n)
{
	struct ibuf *b = imsg_create(&down, type, 0, 0, 0);

	assert_non_null(b);
	assert_int_equal(wire_put_u64(b, reqid), 0);
	assert_int_equal(wire_put_u64(b, 0), 0);
	if (body != NULL)
		assert_int_equal(ibuf_add_ibuf(b, body), 0);
	assert_int_equal(imsg_set_fds(b, fds, n), 0);
	imsg_close(&down, b);
	assert_int_equal(imsgbuf_write(&down), 0);
	ibuf_free(body);
}

static void
start(const char *name, uint32_t id, uint64_t reqid)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct vm_spec *s = vm_spec_new(name);
	const struct fdlist none = FDLIST_INIT;

	s->id = id;
	s->generation = 1;
	assert_int_equal(vm_spec_put(b, s), 0);
	assert_int_equal(wire_put_fdlist(b, &none), 0);
	vm_spec_free(s);
	send_body(IMSG_VMDOP_START_VM_REQUEST, reqid, b, NULL, 0);
}

static void
order(uint32_t type, uint32_t id, uint64_t generation, uint64_t reqid,
    uint32_t flags, int *fd)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct vmop_id v = { .id = id,
		.generation = generation,
		.flags = flags };

	assert_int_equal(vmop_id_put(b, &v), 0);
	send_body(type, reqid, b, fd, fd != NULL);
}

/* The next message but for the log; its request id. */
static uint64_t
next(uint32_t *type, struct vmop_result *r)
{
	const struct timeval tv = { DEADLINE, 0 };
	uint64_t reqid, conn;
	struct imsg m;

	for (;;) {
		while (imsgbuf_get(&down, &m) != 1) {
			event_base_loopexit(base, &tv);
			event_base_dispatch(base);
			assert_false(event_base_got_exit(base));
			assert_int_equal(imsgbuf_read(&down), 1);
		}
		if (m.hdr.type != IMSG_CTL_LOG)
			break;
		imsg_free(&m);
	}
	*type = m.hdr.type;
	assert_int_equal(wire_get_u64(m.buf, &reqid), 0);
	assert_int_equal(wire_get_u64(m.buf, &conn), 0);
	assert_int_equal(vmop_result_get(m.buf, r), 0);
	imsg_free(&m);
	return reqid;
}

static void
expect(uint32_t want, uint64_t reqid, enum vmerr err, enum vmexit how,
    const char *text)
{
	struct vmop_result r;
	uint32_t type;
	uint64_t got = next(&type, &r);

	assert_string_equal(msg_name(type), msg_name(want));
	assert_int_equal(got, reqid);
	assert_int_equal(r.err, err);
	assert_int_equal(r.exit, how);
	if (text != NULL)
		assert_non_null(strstr(r.text == NULL ? "" : r.text, text));
	vmop_result_fini(&r);
}

#define START IMSG_VMDOP_START_VM_RESPONSE
#define ENDED IMSG_VMDOP_TERMINATE_VM_EVENT

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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_power_button),
		T(test_refused),
		T(test_misbehaving),
		T(test_deaf),
		T(test_killed),
		T(test_unknown_status),
		T(test_generation),
	};

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
