/* The console: readers, the writer, the history, back-pressure. */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/vminfo.h"
#include "lib/util/ring.h"
#include "vmd/vm/console.h"
#include "vmd/vm/device.h"

static struct event_base *base;
static int ring;
static struct console *con;

/* The UART: takes up to `room' bytes. */
static uint8_t typed[65536];
static size_t ntyped, room;

size_t
uart_input(struct uart *u, const uint8_t *buf, size_t len)
{
	size_t n = len < room ? len : room;

	assert_true(ntyped + n <= sizeof(typed));
	memcpy(typed + ntyped, buf, n);
	ntyped += n;
	room -= n;
	return n;
}

static void
turn(void)
{
	int i;

	for (i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
setup(void **state)
{
	static char not_null;

	ntyped = 0;
	room = sizeof(typed);
	base = event_base_new();
	ring = ring_create();
	con = console_new(base, ring, -1, -1);
	if (con == NULL)
		return -1;
	console_uart(con, (struct uart *)&not_null);
	return 0;
}

static int
teardown(void **state)
{
	console_free(con);
	close(ring);
	event_base_free(base);
	return 0;
}

static void
say(const char *s)
{
	console_output(con, (const uint8_t *)s, strlen(s));
}

/* Attach; our end. */
static int
attach(uint32_t flags, int want)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	assert_int_equal(console_attach(con, &sv[1], flags), want);
	assert_int_equal(sv[1], -1);
	return sv[0];
}

/* What there is to read now; "" for nothing, NULL for end of file. */
static const char *
hear(int fd)
{
	static char buf[65536];
	ssize_t n;

	turn();
	n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	if (n == 0)
		return NULL;
	if (n == -1) {
		assert_int_equal(errno, EAGAIN);
		n = 0;
	}
	buf[n] = '\0';
	return buf;
}

static void
type(int fd, const char *s)
{
	assert_int_equal(send(fd, s, strlen(s), MSG_NOSIGNAL), strlen(s));
	turn();
}

static void
history(void **state)
{
	int a, b;

	say("before ");
	turn();
	a = attach(VMOP_HISTORY, 1);
	b = attach(VMOP_READONLY, 0);
	say("after");
	assert_string_equal(hear(a), "before after");
	assert_string_equal(hear(b), "after");
	close(a);
	close(b);
}

/* A new run begins where the last one ended; both are history. */
static void
this_run(void **state)
{
	int a, b;

	say("first ");
	turn();
	console_free(con);
	con = console_new(base, ring, -1, -1);
	assert_non_null(con);
	say("second");
	turn();
	a = attach(VMOP_HISTORY | VMOP_RUN | VMOP_READONLY, 0);
	b = attach(VMOP_HISTORY | VMOP_READONLY, 0);
	assert_string_equal(hear(a), "second");
	assert_string_equal(hear(b), "first second");
	close(a);
	close(b);
}

static void
one_writer(void **state)
{
	int a = attach(0, 1), b = attach(0, 0), c;

	type(b, "no");
	type(a, "yes");
	assert_memory_equal(typed, "yes", 3);
	assert_int_equal(ntyped, 3);
	c = attach(VMOP_STEAL, 1);
	assert_non_null(strstr(hear(a), "another console"));
	type(a, "no");
	type(c, "!");
	assert_memory_equal(typed, "yes!", 4);
	assert_int_equal(ntyped, 4);
	/* Its place is free again when it goes. */
	close(c);
	turn();
	c = attach(0, 1);
	type(c, "?");
	assert_int_equal(ntyped, 5);
	close(a);
	close(b);
	close(c);
}

/* Who only stops sending goes on listening. */
static void
half_closed(void **state)
{
	int a = attach(0, 1), b;

	type(a, "x");
	assert_int_equal(shutdown(a, SHUT_WR), 0);
	turn();
	say("still");
	assert_string_equal(hear(a), "still");
	b = attach(0, 1);
	close(a);
	say("more");
	assert_string_equal(hear(b), "more");
	close(b);
}

/* One that never reads costs neither guest nor neighbour anything. */
static void
slow_reader(void **state)
{
	static char line[64];
	int slow = attach(VMOP_READONLY, 0), quick = attach(0, 1);
	const char *p, *last = NULL;
	unsigned int i, lines = 40000, got = 0, prev = 0;
	char keep[65536] = "";

	for (i = 1; i <= lines; i++) {
		snprintf(line, sizeof(line), "%08u\n", i);
		say(line);
		if (i % 100 == 0)
			got += (unsigned int)strlen(hear(quick)) / 9;
	}
	for (p = hear(quick); *p != '\0'; p = hear(quick))
		got += (unsigned int)strlen(p) / 9;
	assert_int_equal(got, lines);
	/* The slow one lost the middle, has the end, and in order. */
	for (p = hear(slow); *p != '\0'; p = hear(slow)) {
		i = (unsigned int)strlen(p);
		memcpy(keep, p, i + 1);
		last = keep;
	}
	assert_non_null(last);
	assert_string_equal(last + strlen(last) - 9, "00040000\n");
	prev = (unsigned int)atoi(strchr(last, '\n') + 1);
	for (p = strchr(last, '\n') + 1; *p != '\0'; p += 9, prev++)
		assert_int_equal(atoi(p), prev);
	close(slow);
	close(quick);
}

static void
back_pressure(void **state)
{
	int a = attach(0, 1);
	char text[5001];
	size_t i;

	for (i = 0; i < 5000; i++)
		text[i] = (char)('a' + i % 26);
	text[5000] = '\0';
	room = 16;
	type(a, text);
	assert_int_equal(ntyped, 16);
	for (i = 0; i < 1000 && ntyped < 5000; i++) {
		room = 16;
		console_room(con);
		turn();
	}
	assert_int_equal(ntyped, 5000);
	assert_memory_equal(typed, text, 5000);
	close(a);
}

static void
too_many(void **state)
{
	int fds[CONSOLE_MAX], sv[2];
	unsigned int i;

	for (i = 0; i < CONSOLE_MAX; i++)
		fds[i] = attach(VMOP_READONLY, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(console_attach(con, &sv[1], 0), -1);
	assert_int_equal(errno, EMFILE);
	assert_true(sv[1] != -1);
	/* One that went away makes room, said or not. */
	close(fds[0]);
	assert_int_equal(console_attach(con, &sv[1], 0), 1);
	close(sv[0]);
	for (i = 1; i < CONSOLE_MAX; i++)
		close(fds[i]);
}

static void
ends(void **state)
{
	int a = attach(0, 1);

	say("last words");
	console_free(con);
	con = NULL;
	assert_string_equal(hear(a), "last words");
	assert_null(hear(a));
	close(a);
}

static void
pty(void **state)
{
	int master, slave;
	struct termios t;
	char buf[32] = "";

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(slave, TCSANOW, &t), 0);
	console_free(con);
	con = console_new(base, ring, master, -1);
	assert_non_null(con);
	console_uart(con, (struct uart *)buf);
	say("login: ");
	turn();
	assert_int_equal(read(slave, buf, sizeof(buf)), 7);
	assert_int_equal(write(slave, "root", 4), 4);
	/* The line discipline takes its time. */
	alarm(20);
	while (ntyped < 4)
		event_base_loop(base, EVLOOP_ONCE);
	alarm(0);
	assert_memory_equal(typed, "root", 4);
	close(slave);
	turn(); /* a hang-up is not the end of anything */
	say("x");
	turn();
}

static void
log_bound(void **state)
{
	int fd = memfd_create("log", MFD_CLOEXEC), dup;
	struct stat st;

	assert_int_equal(ftruncate(fd, CONSOLE_LOG_MAX - 10), 0);
	assert_true(lseek(fd, 0, SEEK_END) > 0);
	dup = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	console_free(con);
	con = console_new(base, ring, -1, dup);
	assert_non_null(con);
	say("01234");
	turn();
	say("56789abcdef");
	turn();
	say("more");
	turn();
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, CONSOLE_LOG_MAX);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(history),
		T(this_run),
		T(one_writer),
		T(half_closed),
		T(slow_reader),
		T(back_pressure),
		T(too_many),
		T(ends),
		T(pty),
		T(log_bound),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
