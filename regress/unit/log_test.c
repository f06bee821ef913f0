/* The log: levels, errno, encoding of foreign text, last words. */

#include "regress/unit/proto_test.h"

#include <syslog.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util/log.h"

static char line[8192];
static int prio, lines;

static void
sink(void *arg, int p, const char *text)
{
	assert_ptr_equal(arg, line);
	assert_true(strlen(text) < sizeof(line));
	strcpy(line, text);
	prio = p;
	lines++;
	errno = EDOM; /* must not be seen by those who log */
}

static int
setup(void **state)
{
	log_init("tester", LOG_TO_STDERR, 0);
	log_set_sink(sink, line);
	lines = 0;
	return 0;
}

static int
teardown(void **state)
{
	log_set_sink(NULL, NULL);
	return 0;
}

static void
levels(void **state)
{
	log_debug("not %d", 1);
	assert_int_equal(lines, 0);
	log_info("hello %s", "world");
	assert_string_equal(line, "hello world");
	assert_int_equal(prio, LOG_INFO);
	log_set_verbose(1);
	assert_int_equal(log_get_verbose(), 1);
	log_debug("now %d", 2);
	assert_string_equal(line, "now 2");
	assert_int_equal(prio, LOG_DEBUG);
	log_set_verbose(0);
	log_debug("not %d", 3);
	assert_int_equal(lines, 2);
}

static void
keeps_errno(void **state)
{
	errno = ENOENT;
	log_warn("disk %d", 7);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(prio, LOG_WARNING);
	assert_string_equal(line, "disk 7: No such file or directory");
	log_warnx("disk %d", 8);
	assert_string_equal(line, "disk 8");
	assert_int_equal(errno, ENOENT);
	log_info("x");
	assert_int_equal(errno, ENOENT);
	log_from("vm/a", LOG_INFO, "x");
	assert_int_equal(errno, ENOENT);
}

static void
long_lines(void **state)
{
	char *s = repeat('x', 5000);

	log_info("%s", s);
	assert_int_equal(strlen(line), 1023);
	errno = ENOENT;
	log_warn("%s", s);
	assert_int_equal(strlen(line), 1023);
	free(s);
	s = repeat('\n', 1024);
	log_from("vm/web1", LOG_INFO, s);
	assert_int_equal(strlen(line), strlen("vm/web1: ") + 2 * 1024);
	free(s);
	s = repeat('\001', 9000);
	log_from("vm/web1", LOG_INFO, s);
	assert_true(strlen(line) < 5000);
	free(s);
}

/* What a guest's process says cannot end a line or move a cursor. */
static void
foreign(void **state)
{
	const char *c;

	log_from("vm/web1", LOG_WARNING, "a\nb\r\033[2Jc\\d\t\200\377 % %s %n");
	assert_string_not_equal(line, "");
	assert_int_equal(prio, LOG_WARNING);
	assert_memory_equal(line, "vm/web1: a", 10);
	for (c = line; *c != '\0'; c++)
		assert_true((*c >= ' ' && *c < 0x7f) || *c == '\t');
	assert_non_null(strstr(line, "% %s %n"));
	/* Nor may it choose a facility. */
	log_from("vm/web1", LOG_AUTH | LOG_ERR, "x");
	assert_int_equal(prio, LOG_ERR);
	lines = 0;
	log_from("vm/web1", LOG_DEBUG, "x");
	assert_int_equal(lines, 0);
}

/* Run `fn' in a child; its standard error and status. */
static int
child(void (*fn)(void), char *out, size_t len)
{
	int p[2], status;
	ssize_t n;
	size_t got = 0;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		log_set_sink(NULL, NULL);
		fn();
		_exit(99);
	}
	assert_int_not_equal(pid, -1);
	close(p[1]);
	while ((n = read(p[0], out + got, len - 1 - got)) > 0)
		got += (size_t)n;
	out[got] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
die(void)
{
	errno = EPERM;
	fatal("open %s", "x");
}

static void
diex(void)
{
	errno = EPERM;
	fatalx("bad message %d", 4);
}

static void
speak(void)
{
	log_warnx("%s", "to standard error");
	_exit(0);
}

static void
last_words(void **state)
{
	char out[512];

	assert_int_equal(child(die, out, sizeof(out)), 1);
	assert_string_equal(out,
	    "fatal in tester: open x: Operation not permitted\n");
	assert_int_equal(child(diex, out, sizeof(out)), 1);
	assert_string_equal(out, "fatal in tester: bad message 4\n");
	assert_int_equal(child(speak, out, sizeof(out)), 0);
	assert_string_equal(out, "to standard error\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(levels),
		TEST(keeps_errno),
		TEST(long_lines),
		TEST(foreign),
		TEST(last_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
