/* Images that guests have had as raw disks are remembered. */

#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/util/log.h"
#include "vmd/parent/raws.h"

static char dir[] = "/tmp/raws_test.XXXXXX";
static int dirfd_ = -1;
static int warnings;

static void
on_log(void *arg, int prio, const char *line)
{
	warnings++;
}

static int
file(const char *name)
{
	int fd = openat(dirfd_, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	return fd;
}

static struct raws *
load(void)
{
	struct raws *t = raws_load(dirfd_);

	assert_non_null(t);
	return t;
}

static void
kept(void **state)
{
	struct raws *t = load();
	int a = file("a"), b = file("b");

	assert_int_equal(raws_has(t, a, "/vm/a"), 0);
	assert_int_equal(raws_add(t, a, "/vm/a\nb"), 0);
	assert_int_equal(raws_add(t, a, "/vm/a\nb"), 0);
	assert_int_equal(raws_has(t, a, "/vm/a\nb"), 1);
	assert_int_equal(raws_has(t, b, "/vm/a\nb"), 0);
	raws_free(t);
	/* After a restart, whatever was written to it. */
	assert_int_equal(pwrite(a, "QFI\373", 4, 0), 4);
	t = load();
	assert_int_equal(raws_has(t, a, "/vm/a\nb"), 1);
	assert_int_equal(raws_has(t, b, "/vm/b"), 0);
	assert_int_equal(raws_add(t, b, "/vm/b"), 0);
	raws_free(t);
	t = load();
	assert_int_equal(raws_has(t, a, "/vm/a\nb"), 1);
	assert_int_equal(raws_has(t, b, "/vm/b"), 1);
	raws_free(t);
	assert_int_equal(raws_has(t = load(), -1, "/"), -1);
	raws_free(t);
	close(a);
	close(b);
	assert_int_equal(warnings, 0);
}

/* Another file by the same name is another image. */
static void
replaced(void **state)
{
	struct raws *t = load();
	int a = file("new"), b;

	assert_int_equal(raws_add(t, a, "/vm/new"), 0);
	assert_int_equal(unlinkat(dirfd_, "new", 0), 0);
	b = file("new");
	assert_int_equal(raws_has(t, b, "/vm/new"), 0);
	close(a);
	close(b);
	raws_free(t);
}

static void
damaged(void **state)
{
	static const char text[] = "1 2 3 /good\n"
				   "x\n"
				   "1 2\n"
				   "1 2 3 relative\n"
				   "1 2 1000000000 /nsec\n"
				   "\n"
				   "7 0 0 /good\n"
				   "8 0 0 /cut";
	struct raws *t;
	int fd = openat(dirfd_, RAWS_FILE, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	warnings = 0;
	t = load();
	assert_int_equal(warnings, 6);
	raws_free(t);
}

/* The oldest go. */
static void
many(void **state)
{
	struct raws *t;
	int fd, i, first = file("first");
	struct statx st;
	FILE *f;

	assert_int_equal(statx(first, "", AT_EMPTY_PATH,
			     STATX_INO | STATX_BTIME, &st),
	    0);
	fd = openat(dirfd_, RAWS_FILE, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	assert_non_null(f = fdopen(fd, "w"));
	fprintf(f, "%llu %lld %u /first\n", (unsigned long long)st.stx_ino,
	    (long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
	for (i = 1; i < RAWS_MAX; i++)
		fprintf(f, "1 1 %d /x\n", i);
	fclose(f);
	t = load();
	assert_int_equal(raws_has(t, first, "/first"), 1);
	fd = file("last");
	assert_int_equal(raws_add(t, fd, "/last"), 0);
	assert_int_equal(raws_has(t, first, "/first"), 0);
	assert_int_equal(raws_has(t, fd, "/last"), 1);
	raws_free(t);
	close(fd);
	close(first);
}

static int
setup(void **state)
{
	log_set_sink(on_log, NULL);
	if (mkdtemp(dir) == NULL)
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	close(dirfd_);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept),
		cmocka_unit_test(replaced),
		cmocka_unit_test(damaged),
		cmocka_unit_test(many),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
