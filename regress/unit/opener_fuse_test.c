/*
 * Files of a file system that a user serves never reach the parent: here it
 * is served by a child of this program, which says that all is root's.
 */

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/fuse.h>

#include "lib/util/log.h"
#include "vmd/parent/helper.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define JOE 12345

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
static char dir[] = "/tmp/opener_fuse.XXXXXX";
static struct cred joe = { JOE, JOE, NULL, 0 };
static int mute; /* the server never answers a close(2) */
static char root_file[] = "/etc/passwd";
static struct cred jim = { JOE + 1, JOE + 1, NULL, 0 };
static struct cred root = { 0, 0, NULL, 0 };

/* --- a file system with one file ----------------------------------------- */

static void
reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header out = { .error = -error, .unique = unique };
	char buf[sizeof(out) + 512];

	out.len = (uint32_t)(sizeof(out) + len);
	memcpy(buf, &out, sizeof(out));
	if (len > 0)
		memcpy(buf + sizeof(out), data, len);
	if (write(fd, buf, out.len) == -1 && errno == ENODEV)
		_exit(0);
}

static struct fuse_attr
attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .blksize = 4096 };

	a.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0644;
	a.size = node == 1 ? 0 : 4096;
	return a;
}

static void
serve_one(int fd, const struct fuse_in_header *in, const char *arg)
{
	struct fuse_init_out init = { .major = 7,
		.minor = 31,
		.max_readahead = 4096,
		.max_write = 4096 };
	struct fuse_entry_out entry = { .nodeid = 2, .attr = attr_of(2) };
	struct fuse_attr_out attr = { .attr = attr_of(in->nodeid) };
	struct fuse_open_out opened = { .fh = 1 };
	struct fuse_statfs_out fs = { .st = { .bsize = 4096, .namelen = 255 } };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (strcmp(arg, "file") == 0)
			reply(fd, in->unique, 0, &entry, sizeof(entry));
		else
			reply(fd, in->unique, ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		reply(fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(fd, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_STATFS:
		reply(fd, in->unique, 0, &fs, sizeof(fs));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break;
	case FUSE_FLUSH:
		if (mute)
			break;
		/* FALLTHROUGH */
	case FUSE_RELEASE:
		reply(fd, in->unique, 0, NULL, 0);
		break;
	default:
		reply(fd, in->unique, ENOSYS, NULL, 0);
	}
}

static pid_t
serve(int fd)
{
	static char buf[FUSE_MIN_READ_BUFFER * 2];
	struct fuse_in_header in;
	ssize_t n;
	pid_t pid;

	if ((pid = fork()) != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = read(fd, buf, sizeof(buf))) >= (ssize_t)sizeof(in) ||
	    (n == -1 && (errno == EINTR || errno == ENOENT))) {
		if (n == -1)
			continue;
		memcpy(&in, buf, sizeof(in));
		serve_one(fd, &in, buf + sizeof(in));
	}
	_exit(0);
}

static int denials;

/* AddressSanitizer asks for the signal stack before _exit(2); not we. */
static void
on_log(void *arg, int prio, const char *line)
{
	if (strstr(line, "denied") != NULL &&
	    strstr(line, "sigaltstack") == NULL &&
	    strstr(line, "call 131") == NULL)
		denials++;
}

/* --- opening ------------------------------------------------------------- */

static int there;
static char text[256];

static void
done(void *arg, int fd, const char *why)
{
	there = 1;
	snprintf(text, sizeof(text), "%s", why == NULL ? "" : why);
	if (fd != -1)
		close(fd);
	event_base_loopbreak(parent.base);
}

static const char *
try_path(char *path, uint32_t trusted, struct cred *who)
{
	struct open_msg m = { path, OPEN_READ, trusted, who };

	there = 0;
	assert_non_null(open_start(&parent, &m, done, NULL));
	event_base_dispatch(parent.base);
	assert_true(there);
	if (!mute)
		event_base_dispatch(parent.base); /* let it be reaped */
	assert_int_equal(denials, 0);
	return text;
}

static const char *
try(const char *name, uint32_t trusted, struct cred *who)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return try_path(path, trusted, who);
}

/* Mount it as that user would; `silent': nobody serves it. */
static pid_t
put_there(uid_t uid, int silent, int *fd)
{
	char opts[128];
	pid_t pid;

	*fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	assert_int_not_equal(*fd, -1);
	snprintf(opts, sizeof(opts),
	    "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", *fd, uid,
	    uid);
	assert_int_equal(mount("test", dir, "fuse", MS_NOSUID | MS_NODEV, opts),
	    0);
	pid = silent ? -1 : serve(*fd);
	return pid;
}

static void
take_away(pid_t pid, int fd)
{
	umount2(dir, MNT_DETACH | MNT_FORCE);
	close(fd);
	if (pid == -1)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
of_a_user(void **state)
{
	int fd;
	pid_t pid = put_there(JOE, 0, &fd);

	assert_non_null(
	    strstr(try("file", 1, &root), "is on a file system of a user"));
	assert_string_equal(try("file", 1, &joe),
	    "is on a file system of a user");
	assert_string_equal(try("file", 0, &joe),
	    "is on a file system of a user");
	take_away(pid, fd);
}

static void
of_root(void **state)
{
	int fd;
	pid_t pid = put_there(0, 0, &fd);

	assert_string_equal(try("file", 1, &root), "");
	assert_string_equal(try("file", 0, &joe), "");
	assert_string_equal(try("none", 0, &joe), strerror(ENOENT));
	take_away(pid, fd);
}

/*
 * An opener that can neither close it nor be killed: its answer is there all
 * the same, others open on, and it is reaped when the file system goes.
 */
static void
closed_never(void **state)
{
	struct open_msg m = { root_file, OPEN_READ, 0, &joe };
	time_t began = time(NULL);
	int fd, i;
	pid_t pid;

	mute = 1;
	pid = put_there(JOE, 0, &fd);
	for (i = 0; i < 3; i++)
		assert_string_equal(try("file", 0, &joe),
		    "is on a file system of a user");
	assert_string_equal(try_path(root_file, 0, &joe), "");
	assert_true(time(NULL) - began < HELPER_TIMEOUT);
	if (getenv("CHECK_LONG") != NULL) {
		for (i = 3; i < HELPER_MAX_STUCK; i++)
			try("file", 0, &joe);
		sleep(7);
		errno = 0;
		assert_null(open_start(&parent, &m, done, NULL));
		assert_int_equal(errno, EBUSY);
		/* Only his. */
		assert_string_equal(try_path(root_file, 0, &jim), "");
	}
	take_away(pid, fd);
	mute = 0;
	event_base_dispatch(parent.base);
	assert_string_equal(try_path(root_file, 0, &joe), "");
}

static int
tell_kernel(const char *file, const char *line)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t n = (ssize_t)strlen(line);

	return fd != -1 && write(fd, line, (size_t)n) == n ? 0 : -1;
}

/* Mounted in a namespace of his own, which /proc leads into. */
static void
elsewhere(void **state)
{
	char path[128];
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (setresgid(JOE, JOE, JOE) == -1 ||
		    setresuid(JOE, JOE, JOE) == -1 ||
		    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1 ||
		    unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ||
		    tell_kernel("/proc/self/setgroups", "deny") == -1 ||
		    tell_kernel("/proc/self/uid_map", "0 12345 1") == -1 ||
		    tell_kernel("/proc/self/gid_map", "0 12345 1") == -1 ||
		    mount("test", dir, "tmpfs", 0, NULL) == -1 ||
		    chdir(dir) == -1 || creat("file", 0666) == -1 ||
		    write(ready[1], "", 1) == -1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/root%s/file", (int)pid,
		    dir);
		assert_string_equal(try_path(path, 0, &joe),
		    "is on a file system of a user");
	} else
		print_message("# no namespaces for users here\n");
	close(ready[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A call that never returns: it takes the ten seconds. */
static void
silent(void **state)
{
	int fd;
	pid_t pid;

	if (getenv("CHECK_LONG") == NULL)
		skip();
	pid = put_there(JOE, 1, &fd);
	assert_string_equal(try("file", 0, &joe), "open timed out");
	take_away(pid, fd);
}

static int
setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_sink(on_log, NULL);
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
	event_base_free(parent.base);
	close(args.exe);
	return rmdir(dir);
}

/* Mounts of our own, which end with us. */
static int
can_mount(void)
{
	return getuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0 &&
	    unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int
main(int argc, char **argv)
{
	const struct proc_args a = { .role = "opener" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_user),
		cmocka_unit_test(of_root),
		cmocka_unit_test(closed_never),
		cmocka_unit_test(elsewhere),
		cmocka_unit_test(silent),
	};

	if (argc == 3 && strcmp(argv[1], "-P") == 0)
		return opener_main(&a);
	if (!can_mount()) {
		printf("1..0 # SKIP needs root and /dev/fuse\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
