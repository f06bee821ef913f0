/*
 * New image files: they appear complete or not at all, also on file systems
 * that have no files without a name, and nothing is overwritten.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmctl/cmd_disk.h"

static char dir[] = "/tmp/vmctl_newfile_test.XXXXXX";
static char file[64];
static int no_tmpfile; /* the file system has none */
static int no_rename;  /* nor a rename that does not overwrite */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_renameat2(int ofd, const char *o, int nfd, const char *n,
    unsigned int flags);
int __wrap_renameat2(int ofd, const char *o, int nfd, const char *n,
    unsigned int flags);

int
__wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return __real_open(path, flags, mode);
}

int
__wrap_renameat2(int ofd, const char *o, int nfd, const char *n,
    unsigned int flags)
{
	if (!no_rename)
		return __real_renameat2(ofd, o, nfd, n, flags);
	errno = EINVAL;
	return -1;
}

static int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/image", dir);
	return 0;
}

static int
teardown(void **state)
{
	unlink(file);
	return rmdir(dir);
}

/* Names in the directory. */
static int
count(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

/* A good end, a bad one, and somebody who was faster. */
static void
ends(int named)
{
	struct new_file f;
	struct stat st;
	int fd;

	assert_int_equal(newfile_open(&f, file), 0);
	assert_int_equal(count(), named);
	newfile_close(&f);
	assert_int_equal(count(), 0);

	assert_int_equal(newfile_open(&f, file), 0);
	assert_int_equal(write(f.fd, "new", 3), 3);
	assert_int_equal(newfile_commit(&f), 0);
	newfile_close(&f);
	assert_int_equal(count(), 1);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(newfile_open(&f, file), -1);
	assert_int_equal(errno, EEXIST);
	unlink(file);

	assert_int_equal(newfile_open(&f, file), 0);
	fd = __real_open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(newfile_commit(&f), -1);
	assert_int_equal(errno, EEXIST);
	newfile_close(&f);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 0);
	unlink(file);
	assert_int_equal(count(), 0);
}

static void
unnamed(void **state)
{
	no_tmpfile = no_rename = 0;
	ends(0);
}

static void
named(void **state)
{
	no_tmpfile = 1;
	no_rename = 0;
	ends(1);
	no_rename = 1;
	ends(1);
}

/* A signal removes it, and is still the end. */
static void
by_signal(void **state)
{
	static const int sigs[] = { SIGHUP, SIGINT, SIGTERM };
	struct new_file f;
	size_t i;
	pid_t pid;
	int st;

	no_tmpfile = 1;
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		assert_int_not_equal(pid = fork(), -1);
		if (pid == 0) {
			signal(sigs[i], SIG_DFL);
			if (newfile_open(&f, file) == 0 && count() == 1)
				raise(sigs[i]);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &st, 0), pid);
		assert_true(WIFSIGNALED(st));
		assert_int_equal(WTERMSIG(st), sigs[i]);
		assert_int_equal(count(), 0);
	}
}

static void
formats(void **state)
{
	static const struct {
		const char *arg;
		enum image_format fmt;
		const char *path;
	} t[] = {
		{ "raw:x.qcow2", FMT_RAW, "x.qcow2" },
		{ "qcow2:x", FMT_QCOW2, "x" },
		{ "x.QCow2", FMT_QCOW2, "x.QCow2" },
		{ "x.raw", FMT_RAW, "x.raw" },
		{ "x.qcow2/y", FMT_RAW, "x.qcow2/y" },
		{ "x.img", FMT_RAW, "x.img" },
		{ "raw:raw:x", FMT_RAW, "raw:x" },
	};
	const char *path;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(image_format(t[i].arg, -1), t[i].fmt);
		image_prefix(t[i].arg, &path);
		assert_string_equal(path, t[i].path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unnamed),
		cmocka_unit_test(named),
		cmocka_unit_test(by_signal),
		cmocka_unit_test(formats),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
