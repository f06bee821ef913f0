/* Names that are root's alone, and names that are not. */

#include <sys/stat.h>

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

#include "vmd/parent/opener.h"

#define JOE 12345

static char dir[] = "/tmp/opener_test.XXXXXX";
static char why[256];

static const char *
in(const char *name)
{
	static char path[4][256];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void
file(const char *name, uid_t uid, mode_t mode)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(fchown(fd, uid, 0), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
folder(const char *name, uid_t uid, mode_t mode)
{
	assert_int_equal(mkdir(in(name), 0700), 0);
	assert_int_equal(chown(in(name), uid, 0), 0);
	assert_int_equal(chmod(in(name), mode), 0);
}

/* 1: opened, 0: not root's alone, -1: another error. */
static int
safe(const char *path, enum open_how how)
{
	int fd = open_rootsafe(path, how, why, sizeof(why));

	if (fd != -1) {
		close(fd);
		return 1;
	}
	return why[0] != '\0' ? 0 : -1;
}

static int
make(void **state)
{
	if (getuid() != 0 || mkdtemp(dir) == NULL)
		return 0;
	file("root", 0, 0644);
	file("joes", JOE, 0644);
	file("groupw", 0, 0664);
	file("otherw", 0, 0646);
	folder("open", 0, 0777);
	file("open/root", 0, 0644);
	folder("sticky", 0, 01777);
	file("sticky/root", 0, 0644);
	file("sticky/joes", JOE, 0644);
	file("sticky/linked", 0, 0644);
	folder("home", JOE, 0755);
	file("home/root", 0, 0644);
	return 0;
}

static int
clean(void **state)
{
	char cmd[300];

	if (strstr(dir, "XXXXXX") != NULL)
		return 0;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void
need_root(void)
{
	if (getuid() != 0)
		skip();
}

static void
plain(void **state)
{
	need_root();
	assert_int_equal(safe(in("root"), OPEN_READ), 1);
	assert_int_equal(safe(in("./root"), OPEN_READ), 1);
	assert_int_equal(safe(in("sticky/../root"), OPEN_READ), 1);
	assert_int_equal(safe(in("joes"), OPEN_READ), 0);
	assert_string_equal(why, "joes does not belong to root");
	assert_int_equal(safe(in("groupw"), OPEN_READ), 0);
	assert_string_equal(why, "groupw can be written by others than root");
	assert_int_equal(safe(in("otherw"), OPEN_READ), 0);
}

static void
directories(void **state)
{
	need_root();
	assert_int_equal(safe(in("open/root"), OPEN_READ), 0);
	assert_int_equal(safe(in("home/root"), OPEN_READ), 0);
	assert_string_equal(why, "home does not belong to root");
	assert_int_equal(safe(in("open/../root"), OPEN_READ), 0);
	/* Nobody can exchange root's names in a sticky directory ... */
	assert_int_equal(safe(in("sticky/root"), OPEN_READ), 1);
	assert_int_equal(safe(in("sticky/joes"), OPEN_READ), 0);
	/* ... but may have linked another file of root's there. */
	assert_int_equal(link(in("sticky/linked"), in("secret")), 0);
	assert_int_equal(safe(in("sticky/linked"), OPEN_READ), 0);
}

static void
links(void **state)
{
	need_root();
	assert_int_equal(symlink("root", in("l1")), 0);
	assert_int_equal(symlink(in("l1"), in("l2")), 0);
	assert_int_equal(symlink("sticky", in("l3")), 0);
	assert_int_equal(symlink("loop", in("loop")), 0);
	assert_int_equal(symlink("home/root", in("l4")), 0);
	assert_int_equal(symlink("../root", in("home/l5")), 0);
	assert_int_equal(symlink("../root", in("sticky/l6")), 0);
	assert_int_equal(lchown(in("sticky/l6"), JOE, 0), 0);
	assert_int_equal(safe(in("l1"), OPEN_READ), 1);
	assert_int_equal(safe(in("l2"), OPEN_READ), 1);
	assert_int_equal(safe(in("l3/root"), OPEN_READ), 1);
	assert_int_equal(safe(in("l4"), OPEN_READ), 0);
	assert_int_equal(safe(in("home/l5"), OPEN_READ), 0);
	assert_int_equal(safe(in("sticky/l6"), OPEN_READ), 0);
	assert_int_equal(safe(in("loop"), OPEN_READ), -1);
	assert_int_equal(errno, ELOOP);
}

static void
kinds(void **state)
{
	need_root();
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(safe(in("fifo"), OPEN_READ), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(safe(in("sticky"), OPEN_READ), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(safe(in("root/x"), OPEN_READ), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(safe(in("none"), OPEN_READ), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(safe("relative", OPEN_READ), -1);
	assert_int_equal(errno, EINVAL);
}

static void
appends(void **state)
{
	struct stat st;
	int fd;

	need_root();
	fd = open_rootsafe(in("log"), OPEN_APPEND, why, sizeof(why));
	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(write(fd, "ab", 2), 2);
	close(fd);
	fd = open_rootsafe(in("log"), OPEN_APPEND, why, sizeof(why));
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "cd", 2), 2);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4);
	close(fd);
	assert_int_equal(safe(in("home/log"), OPEN_APPEND), 0);
	assert_int_equal(access(in("home/log"), F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(directories),
		cmocka_unit_test(links),
		cmocka_unit_test(kinds),
		cmocka_unit_test(appends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make, clean);
}
