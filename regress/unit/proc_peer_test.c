/*
 * Channels: what the dispatcher refuses, what a peer that floods, stalls,
 * lies or dies does, and that nothing of it stays behind.
 */

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "proc/peer.h"
#include "regress/unit/imsg_test.h"
#include "regress/unit/until.h"

#define NOBODY 65534

static struct peer *in; /* under test: a vmm that hears a vm */
static struct peer *out;
static int sv[2];
static size_t fds_before;

static struct {
	unsigned int msgs;
	uint32_t type;
	struct msg_hdr hdr;
	size_t nfds;
	size_t len;
	int closed;
	const char *why;
	unsigned int drained;
	unsigned int lines;
	int prio;
	char line[2048];
} got;

static int
on_msg(struct peer *p, struct msg *m)
{
	got.msgs++;
	got.type = m->type;
	got.hdr = m->hdr;
	got.nfds = m->nfds;
	got.len = ibuf_size(&m->body);
	ibuf_skip(&m->body, ibuf_size(&m->body));
	return 0;
}

static int
on_refuse(struct peer *p, struct msg *m)
{
	uint32_t v;

	return wire_get_u32(&m->body, &v);
}

/* Leaves what the message still has. */
static int
on_nothing(struct peer *p, struct msg *m)
{
	got.msgs++;
	return 0;
}

static int
on_free(struct peer *p, struct msg *m)
{
	got.msgs++;
	peer_free(p);
	in = NULL;
	return 0;
}

static void
on_closed(struct peer *p, const char *why)
{
	got.closed++;
	got.why = why;
}

static void
on_drained(struct peer *p)
{
	got.drained++;
}

static int on_more(struct peer *p, struct msg *m);

static const struct msg_handler msgs[] = {
	{ IMSG_CTL_LOG, ROLE_VM, peer_log },
	{ IMSG_VMDOP_START_VM_REQUEST, ROLE_VM | ROLE_DEVICE, on_msg },
	{ IMSG_VMDOP_VM_EXIT, ROLE_VM, on_msg },
	{ IMSG_VMDOP_VM_ENDING, ROLE_VM, on_more },
	{ IMSG_VMDOP_PAUSE_VM, ROLE_VM, on_refuse },
	{ IMSG_VMDOP_UNPAUSE_VM, ROLE_VM, on_nothing },
	{ IMSG_CTL_SHUTDOWN, ROLE_VM, on_free },
	{ IMSG_VMDOP_LOAD, ROLE_PARENT, on_msg },
};

static struct peer *
make_peer(int fd, size_t max_queue, unsigned int timeout)
{
	const struct peer_conf pc = {
		.role = ROLE_VM,
		.name = "vm/test",
		.msgs = msgs,
		.nmsgs = sizeof(msgs) / sizeof(msgs[0]),
		.closed = on_closed,
		.arg = &got,
		.max_queue = max_queue,
		.write_timeout = timeout,
		.read_timeout = 1,
	};

	return peer_new(base, fd, &pc);
}

static int
setup(void **state)
{
	memset(&got, 0, sizeof(got));
	fds_before = count_fds();
	base = event_base_new();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	in = make_peer(sv[0], 0, 0);
	out = make_peer(sv[1], 0, 0);
	return in == NULL || out == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	log_set_sink(NULL, NULL);
	peer_free(in);
	peer_free(out);
	event_base_free(base);
	return count_fds() == fds_before ? 0 : -1;
}

static void
say(uint32_t type, size_t len, size_t nfds)
{
	const struct msg_hdr h = { 7, 8 };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	int fds[IMSG_MAXFDS];
	size_t i;

	for (i = 0; i < nfds; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ibuf_add_zero(b, len), 0);
	assert_int_equal(peer_send(out, type, h, b, fds, nfds), 0);
	for (i = 0; i < nfds; i++)
		assert_int_equal(fds[i], -1);
}

static void
until_closed(const char *why)
{
	until(got.closed);
	if (why == NULL)
		assert_null(got.why);
	else
		assert_string_equal(got.why, why);
	settle();
	assert_int_equal(got.closed, 1);
}

/* --- the dispatcher ---------------------------------------------------- */

static void
delivered(void **state)
{
	assert_string_equal(peer_name(in), "vm/test");
	assert_int_equal(peer_role(in), ROLE_VM);
	assert_ptr_equal(peer_arg(in), &got);
	assert_int_equal(peer_fd(in), sv[0]);
	say(IMSG_VMDOP_START_VM_REQUEST, 100, 3);
	until(got.msgs == 1);
	assert_int_equal(got.type, IMSG_VMDOP_START_VM_REQUEST);
	assert_int_equal(got.hdr.reqid, 7);
	assert_int_equal(got.hdr.conn, 8);
	assert_int_equal(got.len, 100);
	assert_int_equal(got.nfds, 3);
	say(IMSG_VMDOP_VM_EXIT, 0, 0);
	until(got.msgs == 2);
	assert_int_equal(got.closed, 0);
}

static void
wrong_sender(void **state)
{
	say(IMSG_VMDOP_LOAD, 0, 0);
	until_closed("message not allowed");
	assert_int_equal(got.msgs, 0);
}

static void
not_in_table(void **state)
{
	say(IMSG_CTL_RESET, 0, 0);
	until_closed("message not allowed");
}

static void
unknown_type(void **state)
{
	say(IMSG_TYPE_MAX, 0, 0);
	until_closed("unknown message");
}

static void
type_zero(void **state)
{
	say(IMSG_NONE, 0, 0);
	until_closed("unknown message");
}

static void
no_header(void **state)
{
	const uint32_t m[] = { IMSG_VMDOP_VM_EXIT, 31, 0, 0, 1, 2, 3, 4 };

	assert_int_equal(raw_send(sv[1], m, 31, 0), 31);
	until_closed("short message");
	assert_int_equal(got.msgs, 0);
}

static void
short_body(void **state)
{
	say(IMSG_VMDOP_PAUSE_VM, 3, 0);
	until_closed("malformed message");
}

static void
long_body(void **state)
{
	say(IMSG_VMDOP_UNPAUSE_VM, 1, 0);
	until_closed("message too long");
}

static void
extra_descriptor(void **state)
{
	say(IMSG_VMDOP_VM_EXIT, 0, 1);
	until_closed("too many descriptors");
	assert_int_equal(got.msgs, 0);
}

static void
noise(void **state)
{
	static const char text[] = "this is not a message at all";

	assert_int_equal(raw_send(sv[1], text, sizeof(text), 2), sizeof(text));
	until_closed("malformed stream");
}

static void
too_large_to_send(void **state)
{
	const struct msg_hdr h = { 0 };
	struct ibuf *b = ibuf_dynamic(0, 2 * MSG_MAXSIZE);
	int fd = open("/dev/null", O_RDONLY);

	assert_int_equal(ibuf_add_zero(b, MSG_MAXSIZE), 0);
	assert_int_equal(peer_send(out, IMSG_VMDOP_VM_EXIT, h, b, &fd, 1), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(fd, -1);
	/* The channel is as good as before. */
	say(IMSG_VMDOP_VM_EXIT, MSG_MAXSIZE - 32, 0);
	until(got.msgs == 1);
	assert_int_equal(got.len, MSG_MAXSIZE - 32);
}

static void
free_in_handler(void **state)
{
	say(IMSG_CTL_SHUTDOWN, 0, 0);
	say(IMSG_VMDOP_VM_EXIT, 0, 0);
	until(got.msgs == 1);
	settle();
	assert_int_equal(got.msgs, 1);
	assert_null(in);
}

/* --- its end ----------------------------------------------------------- */

/* What it said before it died still counts; its descriptors are closed. */
static void
peer_death(void **state)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		say(IMSG_VMDOP_VM_EXIT, 10, 0);
		say(IMSG_VMDOP_START_VM_REQUEST, 10, 200);
		say(IMSG_VMDOP_VM_EXIT, 20, 0);
		if (peer_flush(out, 1000) == -1)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	peer_free(out);
	out = NULL;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	peer_drain(in);
	assert_int_equal(got.msgs, 3);
	assert_int_equal(got.len, 20);
	until_closed(NULL);
	assert_int_equal(peer_result(in, IMSG_VMDOP_VM_EXIT,
			     (struct msg_hdr){ 0 }, &(struct vmop_result){ 0 }),
	    -1);
	assert_int_equal(errno, EPIPE);
}

/*
 * Midway through a message.  Its descriptors are its own end of the channel:
 * as we hold them there is no end of file, but a deadline.
 */
static void
death_midway(void **state)
{
	const uint32_t m[] = { IMSG_VMDOP_START_VM_REQUEST, 0x80000000U | 100,
		0, 0, 5 };

	assert_int_equal(raw_send(sv[1], m, sizeof(m), 5), sizeof(m));
	peer_free(out);
	out = NULL;
	until_closed("message not finished");
	assert_int_equal(got.msgs, 0);
}

/* A message that takes its time, but less than it may. */
static void
in_pieces(void **state)
{
	const uint32_t m[] = { IMSG_VMDOP_VM_EXIT, 32, 0, 0, 1, 2, 3, 4 };
	unsigned int i, k;

	for (k = 0; k < 3; k++) {
		for (i = 0; i < 8; i++) {
			assert_int_equal(raw_send(sv[1], m + i, 4, 0), 4);
			settle();
		}
		assert_int_equal(got.msgs, k + 1);
	}
	assert_int_equal(got.closed, 0);
}

static void
paused(void **state)
{
	say(IMSG_VMDOP_VM_EXIT, 1, 0);
	say(IMSG_VMDOP_VM_EXIT, 2, 0);
	peer_pause(in, 1);
	settle();
	assert_int_equal(got.msgs, 0);
	peer_pause(in, 0);
	until(got.msgs == 2);
	assert_int_equal(got.len, 2);
	/* Gone while nobody reads it. */
	peer_pause(in, 1);
	say(IMSG_VMDOP_VM_EXIT, 3, 0);
	until(peer_queued(out) == 0);
	peer_free(out);
	out = NULL;
	until_closed(NULL);
	assert_int_equal(got.msgs, 2);
}

/* --- one that does not read -------------------------------------------- */

static void
queue_limit(void **state)
{
	const struct msg_hdr h = { 0 };
	struct ibuf *b;
	int i, rc = 0;

	peer_free(out);
	out = NULL;
	peer_free(in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	in = make_peer(sv[0], 1 << 20, 0);
	for (i = 0; i < 100 && rc == 0; i++) {
		b = ibuf_dynamic(0, MSG_MAXSIZE);
		assert_int_equal(ibuf_add_zero(b, 100000), 0);
		rc = peer_send(in, IMSG_VMDOP_VM_EXIT, h, b, NULL, 0);
		settle();
	}
	assert_int_equal(rc, -1);
	assert_true(i < 20);
	until_closed("does not read");
	close(sv[1]);
}

static void
write_timeout(void **state)
{
	const struct msg_hdr h = { 0 };
	struct ibuf *b;
	int i;

	peer_free(out);
	out = NULL;
	peer_free(in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	in = make_peer(sv[0], 0, 1);
	for (i = 0; i < 10; i++) {
		b = ibuf_dynamic(0, MSG_MAXSIZE);
		assert_int_equal(ibuf_add_zero(b, 200000), 0);
		assert_int_equal(peer_send(in, IMSG_VMDOP_VM_EXIT, h, b, NULL,
				     0),
		    0);
	}
	assert_int_equal(peer_flush(in, 10), -1);
	assert_int_equal(errno, ETIMEDOUT);
	until_closed("does not read");
	close(sv[1]);
}

static void
drained(void **state)
{
	int i;

	peer_on_drained(out, on_drained);
	peer_pause(in, 1);
	for (i = 0; i < 10; i++)
		say(IMSG_VMDOP_VM_EXIT, 200000, 0);
	settle();
	assert_int_equal(got.drained, 0);
	assert_true(peer_queued(out) > 0);
	peer_pause(in, 0);
	until(got.drained == 1);
	assert_int_equal(peer_queued(out), 0);
	until(got.msgs == 10);
}

/* --- one that does too much -------------------------------------------- */

/* Others get their turn while one never stops. */
static void
flood(void **state)
{
	struct peer *a, *b;
	int other[2], i;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
	a = make_peer(other[0], 0, 0);
	b = make_peer(other[1], 0, 0);
	for (i = 0; i < 50000; i++)
		say(IMSG_VMDOP_VM_EXIT, 0, 0);
	assert_int_equal(peer_result(b, IMSG_VMDOP_VM_EXIT,
			     (struct msg_hdr){ 0 }, &(struct vmop_result){ 0 }),
	    0);
	until(got.len > 0);
	assert_true(got.msgs < 25000);
	until(got.msgs == 50001);
	peer_free(a);
	peer_free(b);
}

/*
 * More descriptors on their way than our user may have: they wait, and the
 * channel does not break.  In a process of its own, as another user.
 */
static int
too_many_refs(void)
{
	const struct rlimit few = { 64, 64 };
	unsigned int i;
	int n;

	if (setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &few) == -1)
		return 2;
	peer_pause(in, 1);
	for (i = 0; i < 30; i++) {
		say(IMSG_VMDOP_START_VM_REQUEST, 0, 10);
		for (n = 0; n < 10; n++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		/* The queue holds them: no more than we may have. */
		if (peer_queued(out) > 0)
			break;
	}
	if (got.closed || i == 30)
		return 3;
	peer_pause(in, 0);
	while (got.msgs < i + 1 && !got.closed)
		event_base_loop(base, EVLOOP_ONCE);
	return got.closed ? 4 : 0;
}

static void
descriptors_under_way(void **state)
{
	int status;
	pid_t pid;

	if (getuid() != 0)
		skip();
	if ((pid = fork()) == 0) {
		event_reinit(base);
		alarm(PATIENCE);
		_exit(too_many_refs());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int refill;

/* For each message that is read there is a new one. */
static int
on_more(struct peer *p, struct msg *m)
{
	ibuf_skip(&m->body, ibuf_size(&m->body));
	assert_true(++got.msgs < 100000);
	if (refill)
		say(IMSG_VMDOP_VM_ENDING, 0, 0);
	return peer_flush(out, 0);
}

/* What the living say does not hold up who looks for a last word. */
static void
drain_the_living(void **state)
{
	unsigned int n;

	refill = 1;
	say(IMSG_VMDOP_VM_ENDING, 0, 0);
	assert_int_equal(peer_flush(out, 0), 0);
	peer_drain(in);
	assert_int_equal(got.closed, 0);
	refill = 0;
	n = got.msgs;
	/* Nothing of it is lost. */
	until(got.msgs == n + 1);
}

static void
sink(void *arg, int prio, const char *line)
{
	got.lines++;
	got.prio = prio;
	snprintf(got.line, sizeof(got.line), "%s", line);
}

static void
say_line(uint32_t prio, const char *text)
{
	const struct msg_hdr h = { 0 };
	char copy[1025];
	const struct log_line l = { prio, copy };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	snprintf(copy, sizeof(copy), "%s", text);
	assert_int_equal(log_line_put(b, &l), 0);
	assert_int_equal(peer_send(out, IMSG_CTL_LOG, h, b, NULL, 0), 0);
}

/* At most so many lines in a second, under the name that we know. */
static void
log_flood(void **state)
{
	time_t start = time(NULL);
	int i;

	log_set_sink(sink, NULL);
	say_line(LOG_ERR, "a\nb\033[2Jc");
	until(got.lines == 1);
	assert_ptr_equal(strstr(got.line, "vm/test: a"), got.line);
	assert_null(strchr(got.line, '\n'));
	assert_null(strchr(got.line, '\033'));
	for (i = 0; i < 1000; i++)
		say_line(LOG_ERR, "noise");
	say(IMSG_VMDOP_VM_EXIT, 0, 0);
	until(got.msgs == 1);
	assert_true(got.lines >= PEER_LOG_RATE);
	/* A new second allows as many again, and a line that counts. */
	assert_true(got.lines <=
	    (PEER_LOG_RATE + 1) * (unsigned int)(time(NULL) - start + 2));
	assert_int_equal(got.closed, 0);
}

/* Nothing that a guest says reaches every terminal, or waits for us. */
static void
log_priority(void **state)
{
	struct peer_conf pc = {
		.role = ROLE_VMM,
		.name = "vmm",
		.closed = on_closed,
	};
	struct peer *vmm;
	int pair[2];

	log_set_sink(sink, NULL);
	say_line(LOG_EMERG, "the end is near");
	until(got.lines == 1);
	assert_int_equal(got.prio, LOG_ERR);
	say_line(LOG_CRIT, "fatal");
	until(got.lines == 2);
	assert_int_equal(got.prio, LOG_ERR);
	say_line(LOG_INFO, "well");
	until(got.lines == 3);
	assert_int_equal(got.prio, LOG_INFO);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	assert_non_null(vmm = peer_new(base, pair[0], &pc));
	assert_int_equal(peer_log_prio(vmm, LOG_EMERG), LOG_CRIT);
	assert_int_equal(peer_log_prio(vmm, LOG_ERR), LOG_ERR);
	peer_free(vmm);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(delivered),
		T(wrong_sender),
		T(not_in_table),
		T(unknown_type),
		T(type_zero),
		T(no_header),
		T(short_body),
		T(long_body),
		T(extra_descriptor),
		T(noise),
		T(too_large_to_send),
		T(free_in_handler),
		T(peer_death),
		T(death_midway),
		T(in_pieces),
		T(paused),
		T(queue_limit),
		T(write_timeout),
		T(drained),
		T(flood),
		T(descriptors_under_way),
		T(drain_the_living),
		T(log_flood),
		T(log_priority),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
