/* The file of ids: what is kept, and what a damaged one does. */

#include <errno.h>
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
#include "vmd/parent/ids.h"

static char dir[] = "/tmp/ids_test.XXXXXX";
static int dirfd_;

static int
unused(void *arg, uint32_t id)
{
	return 0;
}

static int
is_arg(void *arg, uint32_t id)
{
	return id == *(uint32_t *)arg;
}

static void
quiet(void *arg, int prio, const char *line)
{
	(*(int *)arg)++;
}

static int
make(void **state)
{
	if (strstr(dir, "XXXXXX") != NULL) {
		if (mkdtemp(dir) == NULL)
			return -1;
		dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	}
	unlinkat(dirfd_, IDS_FILE, 0);
	return dirfd_ == -1 ? -1 : 0;
}

static int
clean(void **state)
{
	unlinkat(dirfd_, IDS_FILE, 0);
	close(dirfd_);
	return rmdir(dir);
}

static void
put(const void *text, size_t len)
{
	int fd = openat(dirfd_, IDS_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void
check(const char *want)
{
	char buf[512];
	int fd = openat(dirfd_, IDS_FILE, O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, want);
}

static void
survives(void **state)
{
	struct ids *t;

	assert_non_null(t = ids_load(dirfd_));
	assert_int_equal(ids_assign(t, "web1", 0, 1, unused, NULL), 1);
	assert_int_equal(ids_assign(t, "adhoc", 0, 0, unused, NULL), 2);
	assert_int_equal(ids_assign(t, "web2", 0, 1, unused, NULL), 3);
	assert_int_equal(ids_assign(t, "db", 40, 1, unused, NULL), 40);
	assert_int_equal(ids_assign(t, "web1", 0, 1, unused, NULL), 1);
	assert_int_equal(ids_save(t), 0);
	ids_free(t);
	check("web1 1\nweb2 3\ndb 40\n");
	assert_non_null(t = ids_load(dirfd_));
	assert_int_equal(ids_find(t, "web2"), 3);
	assert_int_equal(ids_find(t, "adhoc"), 0);
	/* The lowest free one again. */
	assert_int_equal(ids_assign(t, "new", 0, 1, unused, NULL), 2);
	ids_free(t);
}

static void
in_use(void **state)
{
	uint32_t one = 1;
	struct ids *t;

	assert_non_null(t = ids_load(dirfd_));
	assert_int_equal(ids_assign(t, "a", 0, 1, is_arg, &one), 2);
	assert_int_equal(ids_assign(t, "b", 1, 1, is_arg, &one), 0);
	assert_int_equal(errno, EEXIST);
	ids_free(t);
}

static void
fixed_wins(void **state)
{
	struct ids *t;

	put("old 7\nweb1 1\n", 13);
	assert_non_null(t = ids_load(dirfd_));
	assert_int_equal(ids_assign(t, "web1", 7, 1, unused, NULL), 7);
	assert_int_equal(ids_find(t, "old"), 0);
	assert_int_equal(ids_save(t), 0);
	check("web1 7\n");
	ids_clear(t);
	assert_int_equal(ids_find(t, "web1"), 0);
	assert_int_equal(ids_save(t), 0);
	check("");
	ids_free(t);
}

static void
damaged(void **state)
{
	static const char bad[] =
	    "good 5\nnoid\n-dash 3\nx 0\nx 4294967296\n"
	    "y -1\nz 9z\ngood 6\nother 5\nnul\0x 8\nalso 12\n"
	    "averyveryverylongnamethatgoesonandonandonandonandonandonandon"
	    "andonandonandonandon 17\n 4\n\ntail 9";
	int complaints = 0;
	struct ids *t;

	put(bad, sizeof(bad) - 1);
	log_set_sink(quiet, &complaints);
	assert_non_null(t = ids_load(dirfd_));
	log_set_sink(NULL, NULL);
	assert_true(complaints >= 11);
	assert_int_equal(ids_find(t, "good"), 5);
	assert_int_equal(ids_find(t, "other"), 0);
	assert_int_equal(ids_find(t, "x"), 0);
	assert_int_equal(ids_find(t, "tail"), 0);
	assert_int_equal(ids_assign(t, "n", 0, 1, unused, NULL), 1);
	assert_int_equal(ids_save(t), 0);
	ids_free(t);
}

/* Not a file at all. */
static void
odd(void **state)
{
	assert_int_equal(symlinkat("/dev/zero", dirfd_, IDS_FILE), 0);
	assert_null(ids_load(dirfd_));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(survives, make),
		cmocka_unit_test_setup(in_use, make),
		cmocka_unit_test_setup(fixed_wins, make),
		cmocka_unit_test_setup(damaged, make),
		cmocka_unit_test_setup(odd, make),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, clean);
}
