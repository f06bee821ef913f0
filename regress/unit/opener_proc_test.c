/*
 * The opener as a process: this program starts itself again in that role,
 * and opens files on behalf of root and of somebody else.
 */

#include <sys/socket.h>
#include <sys/stat.h>

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
#include <unistd.h>
#include <cmocka.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define JOE 12345

/* The sanitizers need more than the filter allows. */
int
sandbox_seccomp(const char *name, int channel)
{
	return 1;
}

unsigned int
sandbox_own(void)
{
	return SB_OWN_REPORT;
}

int
sandbox_traps(int fd, const char *prefix)
{
	return 0;
}

int
procs_add(struct parent *p, const char *name, enum proc_kind kind, pid_t pid,
    uint32_t own)
{
	return 0;
}

void
procs_del(struct parent *p, pid_t pid)
{
}

static struct parent parent;
static struct parent_args args;
static char dir[] = "/tmp/opener_proc.XXXXXX";
static gid_t joes_groups[] = { 777 };
static struct cred joe = { JOE, JOE, joes_groups, 1 };
static struct cred root = { 0, 0, NULL, 0 };

struct answer {
	int there;
	int fd;
	char *why;
};

static void
done(void *arg, int fd, const char *why)
{
	struct answer *a = arg;

	a->there = 1;
	a->fd = fd;
	a->why = why == NULL ? NULL : strdup(why);
	event_base_loopbreak(parent.base);
}

/* Open `name' in the directory; NULL when that worked, else why not. */
static const char *
try(const char *name, uint32_t how, uint32_t trusted, struct cred *who,
    struct stat *st)
{
	static char why[256];
	char path[128];
	struct open_msg m = { path, how, trusted, who };
	struct answer a = { 0, -1, NULL };

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_non_null(open_start(&parent, &m, done, &a));
	event_base_dispatch(parent.base);
	assert_true(a.there);
	snprintf(why, sizeof(why), "%s", a.why == NULL ? "" : a.why);
	free(a.why);
	/* Let it be reaped. */
	event_base_dispatch(parent.base);
	if (a.fd == -1)
		return why;
	if (st != NULL)
		assert_int_equal(fstat(a.fd, st), 0);
	close(a.fd);
	return NULL;
}

static void
make(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(fchown(fd, uid, gid), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
as_somebody(void **state)
{
	make("joes", JOE, JOE, 0600);
	make("roots", 0, 0, 0600);
	make("groups", 0, 777, 0640);
	make("others", 0, 778, 0640);
	assert_null(try("joes", OPEN_READ, 0, &joe, NULL));
	assert_null(try("groups", OPEN_READ, 0, &joe, NULL));
	assert_string_equal(try("roots", OPEN_READ, 0, &joe, NULL),
	    strerror(EACCES));
	assert_string_equal(try("others", OPEN_READ, 0, &joe, NULL),
	    strerror(EACCES));
	assert_string_equal(try("none", OPEN_READ, 0, &joe, NULL),
	    strerror(ENOENT));
	assert_null(try("roots", OPEN_READ, 0, &root, NULL));
}

/* Names of the configuration. */
static void
trusted(void **state)
{
	/* Root's alone: opened as root, also for the VM of another. */
	assert_null(try("roots", OPEN_READ, 1, &joe, NULL));
	/* Not so: as the owner of the VM, never as root. */
	assert_null(try("joes", OPEN_READ, 1, &joe, NULL));
	assert_string_equal(try("joes", OPEN_READ, 1, &root, NULL),
	    "joes does not belong to root");
	make("joes2", JOE + 1, 0, 0600);
	assert_string_equal(try("joes2", OPEN_READ, 1, &joe, NULL),
	    strerror(EACCES));
}

static void
new_log(void **state)
{
	struct stat st;
	char path[128];

	assert_null(try("log", OPEN_APPEND, 1, &root, &st));
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	snprintf(path, sizeof(path), "%s/home", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, JOE, JOE), 0);
	assert_null(try("home/log", OPEN_APPEND, 1, &joe, &st));
	assert_int_equal(st.st_uid, JOE);
	assert_string_equal(try("home/log2", OPEN_APPEND, 1, &root, NULL),
	    "home does not belong to root");
}

/* Only what can be a file of a VM comes back; open(2) does not hang. */
static void
no_files(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_string_equal(try("fifo", OPEN_READ, 0, &joe, NULL), "is a FIFO");
	assert_string_equal(try(".", OPEN_READ, 0, &joe, NULL),
	    "is a directory");
	assert_string_equal(try("../../dev/null", OPEN_READ, 0, &joe, NULL),
	    "not a regular file or block device");
}

static void
cancelled(void **state)
{
	char path[] = "/dev/null";
	struct open_msg m = { path, OPEN_READ, 0, &root };
	struct answer a = { 0, -1, NULL };
	struct opening *o;

	assert_non_null(o = open_start(&parent, &m, done, &a));
	open_cancel(o);
	event_base_dispatch(parent.base);
	assert_false(a.there);
}

static int
setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	args.exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	parent.args = &args;
	parent.base = event_base_new();
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1)
		return -1;
	return parent.base == NULL || args.exe == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	event_base_free(parent.base);
	close(args.exe);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int
main(int argc, char **argv)
{
	const struct proc_args a = { .role = "opener" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_somebody),
		cmocka_unit_test(trusted),
		cmocka_unit_test(new_log),
		cmocka_unit_test(no_files),
		cmocka_unit_test(cancelled),
	};

	if (argc == 3 && strcmp(argv[1], "-P") == 0)
		return opener_main(&a);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
