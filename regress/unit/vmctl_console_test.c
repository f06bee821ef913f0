/*
 * The console of vmctl: escapes, pipes, a terminal that must be left as it
 * was found, and a guest that resets.
 */

#include "regress/unit/vmctl_test.h"

#include <fcntl.h>
#include <pty.h>
#include <termios.h>
#include <time.h>

#define END	 IMSG_VMDOP_GET_INFO_VM_END_DATA
#define RESPONSE IMSG_CTL_CONSOLE_RESPONSE

static void
escapes(void **state)
{
	static const struct {
		const char *in;
		const char *out;
		enum esc_event ev;
	} t[] = {
		{ "ls\r", "ls\r", ESC_NONE },
		{ "~.", "", ESC_LEAVE },
		{ "ls\r~.more", "ls\r", ESC_LEAVE },
		{ "ls\n~.", "ls\n", ESC_LEAVE },
		{ "~\004", "", ESC_LEAVE },
		{ "a~.", "a~.", ESC_NONE },
		{ "~~.", "~.", ESC_NONE },
		{ "\r~~~.", "\r~~.", ESC_NONE },
		{ "~?", "", ESC_HELP },
		{ "~?~.", "", ESC_LEAVE },
		{ "~#", "", ESC_BREAK },
		{ "ls\r~#", "ls\r", ESC_BREAK },
		{ "a~#", "a~#", ESC_NONE },
		{ "~~#", "~#", ESC_NONE },
		{ "~x~.", "~x~.", ESC_NONE },
		{ "~\r~.", "~\r", ESC_LEAVE },
		{ "~", "", ESC_NONE },
		{ "", "", ESC_NONE },
	};
	char got[64];
	size_t i, n, half, len, m, used;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		len = strlen(t[i].in);
		/* In two pieces, wherever they part. */
		for (half = 0; half <= len; half++) {
			struct escape e = { .bol = 1 };
			int a, b = ESC_NONE;

			a = escape_filter(&e, t[i].in, half, got, &n, &used);
			m = 0;
			if (a < ESC_BREAK)
				b = escape_filter(&e, t[i].in + half,
				    len - half, got + n, &m, &used);
			got[n + m] = '\0';
			assert_string_equal(got, t[i].out);
			assert_int_equal(a > b ? a : b, t[i].ev);
		}
	}
}

/* One VM, running as process `pid' (0: stopped). */
static void
send_state(struct request *r, int pid)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	const struct vmop_result ok = { 0 };
	struct vm_info i = { .state = pid ? VMS_RUNNING : VMS_STOPPED };

	i.spec = vm_spec_new("web1");
	i.spec->id = 1;
	i.pid = pid;
	if (b == NULL || vm_info_put(b, &i) == -1)
		_exit(99);
	fake_send(r, IMSG_VMDOP_GET_INFO_VM_DATA, ibuf_data(b), ibuf_size(b),
	    -1);
	fake_result(r, END, &ok, -1);
	ibuf_free(b);
	vm_spec_free(i.spec);
}

/* Our end of a console; the other one goes with the answer. */
static int
give_console(struct request *r, uint32_t want)
{
	const struct vmop_result ok = { 0 };
	struct vmop_id op;
	int sv[2];

	if (vmop_id_get(r->body, &op) == -1 ||
	    (op.flags & (VMOP_READONLY | VMOP_STEAL | VMOP_HISTORY)) != want)
		_exit(96);
	vmop_id_fini(&op);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		_exit(95);
	fake_result(r, RESPONSE, &ok, sv[1]);
	imsgbuf_flush(r->ib);
	return sv[0];
}

/* A stopped VM: its history, then the end. */
static int
history(struct request *r)
{
	int s;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		send_state(r, 0);
		return 0;
	}
	s = give_console(r, VMOP_HISTORY);
	if (write(s, "the\r\nhistory", 12) != 12)
		_exit(94);
	close(s);
	return 0;
}

static void
stopped(void **state)
{
	assert_int_equal(vmctl(history, "console web1"), 0);
	assert_string_equal(out, "the\r\nhistory");
	assert_string_equal(err, "");
}

/* A guest that ends, starts again at once and then stays down. */
static int
resets(struct request *r)
{
	static int run, asked;
	int s;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		/* The old process is seen once more after its end. */
		if (run == 0 || (run == 1 && asked++ == 0))
			send_state(r, 100);
		else
			send_state(r, run == 1 ? 200 : 0);
		return 0;
	}
	s = give_console(r,
	    run < 2 ? VMOP_HISTORY : VMOP_HISTORY | VMOP_READONLY);
	run++;
	if (write(s, "one\ntwo\nend\n", 4 * (size_t)run) == -1)
		_exit(94);
	close(s);
	return 0;
}

static void
guest_resets(void **state)
{
	assert_int_equal(vmctl(resets, "console web1"), 0);
	assert_string_equal(out, "one\ntwo\nend\n");
	assert_string_equal(err, "");
}

static int
refuses(struct request *r)
{
	const struct vmop_result no = { .err = VMERR_PERM };

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST)
		send_state(r, 100);
	else
		fake_result(r, RESPONSE, &no, -1);
	return 0;
}

/* The answer is good but has no descriptor. */
static int
forgets(struct request *r)
{
	const struct vmop_result ok = { 0 };

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST)
		send_state(r, 100);
	else
		fake_result(r, RESPONSE, &ok, -1);
	return 0;
}

static void
refused(void **state)
{
	assert_int_equal(vmctl(refuses, "console web1"), 5);
	assert_string_equal(err, "vmctl: console web1: not permitted\n");
	assert_int_equal(vmctl(forgets, "console web1"), 1);
	assert_string_equal(err,
	    "vmctl: console web1: no console in the answer\n");
}

/* Sends back what is typed, in brackets; ends at "end". */
static int
echoes(struct request *r)
{
	char buf[256];
	ssize_t n;
	int s;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		send_state(r, 0);
		return 0;
	}
	s = give_console(r, VMOP_HISTORY);
	if (write(s, "ready\n", 6) != 6)
		_exit(94);
	while ((n = read(s, buf, sizeof(buf))) > 0) {
		if (write(s, buf, (size_t)n) != n)
			_exit(94);
		if (memmem(buf, (size_t)n, "end", 3) != NULL)
			break;
	}
	close(s);
	return 0;
}

/* Read from `fd' until `text' was there. */
static void
expect(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(buf) - 1) {
		assert_int_equal(poll(&p, 1, DEADLINE * 1000), 1);
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		buf[len] = '\0';
		if (strstr(buf, text) != NULL)
			return;
	}
	fail_msg("no %s", text);
}

static pid_t
attach(int in, int to, const char *option)
{
	static char prog[] = "vmctl", s[] = "-s", cmd[] = "console",
		    vm[] = "web1";
	char *o = strdup(option),
	     *argv[] = { prog, s, fake_sock, cmd, vm, o, NULL };
	pid_t pid;

	pid = vmctl_spawn(argv, in, to, to);
	free(o);
	return pid;
}

static int
status_of(pid_t pid)
{
	int st;

	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

static void
pipes(void **state)
{
	pid_t daemon = fake_start(echoes), pid;
	int in[2], to[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	pid = attach(in[0], to[1], "--");
	expect(to[0], "ready");
	assert_int_equal(write(in[1], "hello\n", 6), 6);
	expect(to[0], "hello\n");
	/* The end of input does not end the console. */
	assert_int_equal(write(in[1], "the end\n", 8), 8);
	close(in[1]);
	expect(to[0], "the end\n");
	assert_int_equal(status_of(pid), 0);
	fake_stop(daemon);

	daemon = fake_start(echoes);
	close(in[0]);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pid = attach(in[0], to[1], "--");
	expect(to[0], "ready");
	assert_int_equal(write(in[1], "~.", 2), 2);
	assert_int_equal(status_of(pid), 0);
	fake_stop(daemon);
	close(in[0]);
	close(in[1]);
	close(to[0]);
	close(to[1]);
}

/* Says when it got a BREAK, and what was typed around it. */
static int
breaks(struct request *r)
{
	static int s = -1, refused;
	const struct vmop_result ok = { 0 }, no = { .err = VMERR_NOTRUNNING };
	char buf[256];
	ssize_t n;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		send_state(r, 0);
		return 0;
	}
	if (r->type != IMSG_CTL_BREAK) {
		s = give_console(r, VMOP_HISTORY);
		return 0;
	}
	/* What came before it is there already. */
	if ((n = recv(s, buf, sizeof(buf), MSG_DONTWAIT)) > 0 &&
	    write(s, buf, (size_t)n) != n)
		_exit(94);
	if (write(s, "<break>", 7) != 7)
		_exit(94);
	fake_result(r, IMSG_CTL_BREAK_RESPONSE, refused++ == 0 ? &ok : &no, -1);
	imsgbuf_flush(r->ib);
	if (refused < 2)
		return 0;
	if ((n = read(s, buf, sizeof(buf))) > 0 &&
	    write(s, buf, (size_t)n) != n)
		_exit(94);
	close(s);
	return 0;
}

static void
sends_break(void **state)
{
	static char prog[] = "vmctl", opt[] = "-s", cmd[] = "console",
		    vm[] = "web1";
	char *argv[] = { prog, opt, fake_sock, cmd, vm, NULL };
	pid_t daemon = fake_start(breaks), pid;
	int in[2], to[2], e[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(e, O_CLOEXEC), 0);
	assert_int_equal(write(in[1], "a\r~#b\r~#the end", 15), 15);
	pid = vmctl_spawn(argv, in[0], to[1], e[1]);
	expect(to[0], "a\r<break>b\r<break>the end");
	expect(e[0], "\r\nBREAK: not running\r\n");
	assert_int_equal(status_of(pid), 0);
	fake_stop(daemon);
	close(in[0]);
	close(in[1]);
	close(to[0]);
	close(to[1]);
	close(e[0]);
	close(e[1]);
}

/* A guest that says much and never listens. */
static int
floods(struct request *r)
{
	static char line[4096];
	size_t i;
	int s;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		send_state(r, 0);
		return 0;
	}
	s = give_console(r, VMOP_HISTORY | VMOP_READONLY);
	memset(line, 'x', sizeof(line));
	for (i = 0; i < 256; i++)
		if (write(s, line, sizeof(line)) != (ssize_t)sizeof(line))
			_exit(94);
	close(s);
	return 0;
}

static void
flood(void **state)
{
	pid_t daemon = fake_start(floods), pid;
	int to[2], in[2];
	size_t sum = 0;
	char buf[4096];
	ssize_t n;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(write(in[1], "typed, but nobody cares", 23), 23);
	pid = attach(in[0], to[1], "-r");
	close(to[1]);
	while ((n = read(to[0], buf, sizeof(buf))) > 0)
		sum += (size_t)n;
	assert_int_equal(sum, 256 * 4096);
	assert_int_equal(status_of(pid), 0);
	fake_stop(daemon);
	close(to[0]);
	close(in[0]);
	close(in[1]);
}

static void
same_terminal(int fd, const struct termios *before)
{
	struct termios after;

	assert_int_equal(tcgetattr(fd, &after), 0);
	assert_int_equal(after.c_iflag, before->c_iflag);
	assert_int_equal(after.c_oflag, before->c_oflag);
	assert_int_equal(after.c_cflag, before->c_cflag);
	assert_int_equal(after.c_lflag, before->c_lflag);
	assert_memory_equal(after.c_cc, before->c_cc, sizeof(before->c_cc));
}

/* A guest that says much, to somebody who goes away. */
static int
talks(struct request *r)
{
	static char line[4096];
	int s;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		send_state(r, 0);
		return 0;
	}
	s = give_console(r, VMOP_HISTORY);
	memset(line, 'x', sizeof(line));
	while (write(s, line, sizeof(line)) > 0)
		;
	close(s);
	return 0;
}

/* Until `fd' takes nothing more. */
static void
await_full(int fd)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int i;

	for (i = 0; i < DEADLINE * 1000 && poll(&p, 1, 0) == 1; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* The end of `pid', which has `DEADLINE' for it. */
static int
ends(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i, st;

	for (i = 0; i < DEADLINE * 1000; i++) {
		if (waitpid(pid, &st, WNOHANG) == pid)
			return st;
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	fail_msg("it does not end");
	return -1;
}

/* Nobody reads what the guest says, and yet we can leave. */
static void
full(void **state)
{
	static const int sigs[] = { 0, SIGTERM, SIGHUP };
	struct termios before;
	int master, slave, st, to[2];
	pid_t daemon, pid;
	size_t i;

	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		daemon = fake_start(talks);
		assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
		assert_int_equal(tcgetattr(slave, &before), 0);
		assert_int_equal(pipe2(to, O_CLOEXEC), 0);
		pid = attach(slave, to[1], "--");
		expect(to[0], "Connected");
		await_full(to[1]);
		if (sigs[i] == 0)
			assert_int_equal(write(master, "~.", 2), 2);
		else
			assert_int_equal(kill(pid, sigs[i]), 0);
		st = ends(pid);
		if (sigs[i] == 0)
			assert_int_equal(st, 0);
		else
			assert_true(WIFSIGNALED(st) && WTERMSIG(st) == sigs[i]);
		same_terminal(slave, &before);
		fake_stop(daemon);
		close(master);
		close(slave);
		close(to[0]);
		close(to[1]);
	}
}

/* The terminal is raw while we are there and as before afterwards. */
static void
terminal(void **state)
{
	static const int sigs[] = { 0, SIGTERM, SIGHUP, SIGINT };
	struct termios before, during;
	int master, slave, st;
	pid_t daemon, pid;
	size_t i;

	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		daemon = fake_start(echoes);
		assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
		assert_int_equal(tcgetattr(slave, &before), 0);
		pid = attach(slave, slave, "--");
		expect(master, "ready");
		assert_int_equal(tcgetattr(slave, &during), 0);
		assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
		if (sigs[i] == 0)
			assert_int_equal(write(master, "~.", 2), 2);
		else
			assert_int_equal(kill(pid, sigs[i]), 0);
		expect(master, "Disconnected");
		st = status_of(pid);
		if (sigs[i] == 0)
			assert_int_equal(st, 0);
		else
			assert_true(WIFSIGNALED(st) && WTERMSIG(st) == sigs[i]);
		same_terminal(slave, &before);
		close(master);
		close(slave);
		fake_stop(daemon);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(stopped),
		cmocka_unit_test(guest_resets),
		cmocka_unit_test(refused),
		cmocka_unit_test(pipes),
		cmocka_unit_test(sends_break),
		cmocka_unit_test(flood),
		cmocka_unit_test(full),
		cmocka_unit_test(terminal),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
