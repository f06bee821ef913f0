/*
 * Starting processes: what the new one gets and what it does not get, hooks
 * and programs that fail, and that nothing stays behind then.
 *
 * This program is started by itself, under the name CHILD, to look at what
 * it was given.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc/spawn.h"
#include "regress/unit/imsg_test.h"

#define CHILD	 "spawn-child"
#define CHANNEL	 3
#define PATIENCE 10000 /* ms */

/* What a child reports on its channel. */
struct report {
	int argc;
	int nenv;
	pid_t pid;
	unsigned int fds; /* a bit for each that is open */
	uint64_t blocked; /* signals */
	uint64_t ignored;
	int null[3];   /* are 0-2 /dev/null? */
	char extra[2]; /* what could be read from 4 and 5 */
};

extern char **environ;

/* --- the child --------------------------------------------------------- */

static uint64_t
proc_status(const char *name)
{
	unsigned long long v = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			v = strtoull(line + strlen(name), NULL, 16);
	fclose(f);
	return v;
}

static unsigned int
open_set(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int set = 0;
	struct dirent *e;
	int fd;

	while ((e = readdir(d)) != NULL) {
		fd = atoi(e->d_name);
		if (e->d_name[0] != '.' && fd != dirfd(d))
			set |= 1U << (fd < 31 ? fd : 31);
	}
	closedir(d);
	return set;
}

static int
child(int argc, char *argv[])
{
	struct report r = { .argc = argc, .pid = getpid() };
	struct stat null, st;
	int i;

	if (argc > 1 && strcmp(argv[1], "wait") == 0)
		return read(CHANNEL, &i, 1) == 0 ? 3 : 4;
	r.fds = open_set();
	r.blocked = proc_status("SigBlk:");
	r.ignored = proc_status("SigIgn:");
	/* Room for setproctitle(3) is all there may be. */
	for (i = 0; environ[i] != NULL; i++)
		r.nenv += strncmp(environ[i], "VMD_TITLE=", 10) != 0;
	if (stat("/dev/null", &null) == -1)
		return 1;
	for (i = 0; i < 3; i++)
		r.null[i] = fstat(i, &st) == 0 && st.st_rdev == null.st_rdev;
	for (i = 0; i < 2; i++)
		if (read(CHANNEL + 1 + i, &r.extra[i], 1) != 1)
			r.extra[i] = '-';
	if (write(CHANNEL, &r, sizeof(r)) != sizeof(r))
		return 1;
	return 7;
}

/* --- set-up ------------------------------------------------------------ */

static int sv[2];
static int exe;
static size_t fds_before;
static const char *const plain_argv[] = { CHILD, "one", "two", NULL };
static const char *const wait_argv[] = { CHILD, "wait", NULL };

static int
setup(void **state)
{
	fds_before = count_fds();
	exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv);
}

/* No descriptor and no process is left. */
static int
teardown(void **state)
{
	close(exe);
	close(sv[0]);
	close(sv[1]);
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return -1;
	return count_fds() == fds_before ? 0 : -1;
}

static int
reap(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int status = -1;

	assert_int_equal(poll(&pfd, 1, PATIENCE), 1);
	assert_int_equal(spawn_reap(pidfd, &status), 1);
	close(pidfd);
	return status;
}

static struct report
run(const struct spawn *s)
{
	struct report r;
	int pidfd, status;
	pid_t pid;

	pid = spawn(s, &pidfd);
	assert_true(pid > 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	status = reap(pidfd);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(read(sv[0], &r, sizeof(r)), sizeof(r));
	if (!(s->flags & CLONE_NEWPID))
		assert_int_equal(r.pid, pid);
	return r;
}

/* --- what it gets ------------------------------------------------------ */

static void
clean(void **state)
{
	struct spawn s = { .exe = exe, .argv = plain_argv, .channel = sv[1] };
	struct report r;
	sigset_t some, old;
	int stray;

	/* None of this goes over. */
	stray = dup(0);
	sigfillset(&some);
	sigprocmask(SIG_BLOCK, &some, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	r = run(&s);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(r.argc, 3);
	assert_int_equal(r.nenv, 0);
	assert_int_equal(r.fds, 0x0f);
	assert_int_equal(r.blocked, 0);
	assert_int_equal(r.ignored, 0);
	assert_true(r.null[0] && r.null[1] && r.null[2]);
	close(stray);
}

/* Our own signals are as they were. */
static void
mask_restored(void **state)
{
	struct spawn s = { .exe = exe, .argv = plain_argv, .channel = sv[1] };
	uint64_t before = proc_status("SigBlk:");

	run(&s);
	assert_int_equal(proc_status("SigBlk:"), before);
}

static void
files(void **state)
{
	struct spawn s = { .exe = exe, .argv = plain_argv, .channel = sv[1] };
	int a[2], b[2], fds[2];
	struct report r;

	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	assert_int_equal(write(a[1], "a", 1), 1);
	assert_int_equal(write(b[1], "b", 1), 1);
	fds[0] = b[0];
	fds[1] = a[0];
	s.fds = fds;
	s.nfds = 2;
	r = run(&s);
	assert_int_equal(r.fds, 0x3f);
	assert_int_equal(r.extra[0], 'b');
	assert_int_equal(r.extra[1], 'a');
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}

/* A pipe out of the way of low numbers. */
static void
high_pipe(int *p)
{
	int low[2], i;

	assert_int_equal(pipe2(low, O_CLOEXEC), 0);
	for (i = 0; i < 2; i++) {
		p[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 20);
		close(low[i]);
	}
}

/* The sources lie where others are to go: 4 and 5 change places. */
static void
files_crossed(void **state)
{
	struct spawn s = { .exe = exe, .argv = plain_argv, .channel = sv[1] };
	int p[2][2], fds[2] = { 5, 4 }, saved[2], low = sv[0], i;
	struct report r;

	s.exe = fcntl(exe, F_DUPFD_CLOEXEC, 20);
	s.channel = fcntl(sv[1], F_DUPFD_CLOEXEC, 20);
	sv[0] = fcntl(low, F_DUPFD_CLOEXEC, 20);
	for (i = 0; i < 2; i++) {
		high_pipe(p[i]);
		assert_int_equal(write(p[i][1], i ? "b" : "a", 1), 1);
		/* What is there now comes back afterwards. */
		saved[i] = fcntl(4 + i, F_DUPFD_CLOEXEC, 20);
	}
	for (i = 0; i < 2; i++)
		assert_int_equal(dup3(p[i][0], 4 + i, O_CLOEXEC), 4 + i);
	s.fds = fds;
	s.nfds = 2;
	r = run(&s);
	assert_int_equal(r.extra[0], 'b');
	assert_int_equal(r.extra[1], 'a');
	for (i = 0; i < 2; i++)
		dup3(saved[i], 4 + i, O_CLOEXEC);
	sv[0] = low;
	for (i = 20; i < 40; i++)
		close(i);
}

static void
stdio_kept(void **state)
{
	struct spawn s = { .exe = exe,
		.argv = plain_argv,
		.channel = sv[1],
		.keep_stdio = 1 };
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 3), p[2];
	struct report r;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(dup2(p[0], 0), 0);
	r = run(&s);
	dup2(saved, 0);
	assert_false(r.null[0]);
	assert_int_equal(r.fds, 0x0f);
	close(saved);
	close(p[0]);
	close(p[1]);
}

/* Standard input is closed here: it is not in the new one. */
static void
stdio_closed(void **state)
{
	struct spawn s = { .exe = exe, .argv = plain_argv, .channel = sv[1] };
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 3);
	struct report r;

	close(0);
	r = run(&s);
	dup2(saved, 0);
	close(saved);
	assert_int_equal(r.fds, 0x0f);
	assert_true(r.null[0] && r.null[1] && r.null[2]);
}

static void
pid_namespace(void **state)
{
	struct spawn s = { .exe = exe,
		.argv = plain_argv,
		.channel = sv[1],
		.flags = CLONE_NEWPID };

	if (getuid() != 0)
		skip();
	assert_int_equal(run(&s).pid, 1);
}

/* --- how it ends ------------------------------------------------------- */

static void
reaping(void **state)
{
	struct spawn s = { .exe = exe, .argv = wait_argv, .channel = sv[1] };
	int pidfd, status = -1;
	pid_t pid;

	assert_true((pid = spawn(&s, &pidfd)) > 0);
	assert_int_equal(spawn_reap(pidfd, &status), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	status = reap(pidfd);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	/* Its channel ends when both our copies are closed. */
	assert_true((pid = spawn(&s, &pidfd)) > 0);
	shutdown(sv[0], SHUT_WR);
	status = reap(pidfd);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
}

/* --- what fails -------------------------------------------------------- */

static void
fails(const struct spawn *s, int err)
{
	int pidfd = 0;

	errno = 0;
	assert_int_equal(spawn(s, &pidfd), -1);
	assert_int_equal(errno, err);
	assert_int_equal(pidfd, -1);
	/* And neither descriptor nor process is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_fds(), fds_before + 3);
}

static int
hook_fails(void *arg)
{
	errno = *(int *)arg;
	return -1;
}

static int
started_fails(pid_t pid, void *arg)
{
	return hook_fails(arg);
}

static int
started_kills(pid_t pid, void *arg)
{
	return kill(pid, SIGKILL);
}

static void
no_program(void **state)
{
	struct spawn s = { .exe = -1, .argv = plain_argv, .channel = sv[1] };
	char text[] = "/tmp/proc_spawn_test.XXXXXX";
	int fd;

	fails(&s, EBADF);
	s.exe = exe;
	s.channel = -1;
	fails(&s, EBADF);
	s.channel = sv[1];
	assert_true((fd = mkstemp(text)) != -1);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(dup3(fd, exe, O_CLOEXEC), exe);
	assert_int_equal(write(fd, "\177ELFnonsense", 12), 12);
	close(fd);
	fails(&s, EACCES);
}

static void
bad_hooks(void **state)
{
	int err = EXDEV;
	struct spawn s = { .exe = exe,
		.argv = plain_argv,
		.channel = sv[1],
		.arg = &err };

	s.child = hook_fails;
	fails(&s, EXDEV);
	s.started = started_fails;
	err = ENOTTY;
	fails(&s, ENOTTY);
}

/* It dies before it is the new program: no error, but a status. */
static void
killed_early(void **state)
{
	struct spawn s = { .exe = exe,
		.argv = plain_argv,
		.channel = sv[1],
		.started = started_kills };
	int pidfd, status;

	assert_true(spawn(&s, &pidfd) > 0);
	status = reap(pidfd);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
bad_files(void **state)
{
	static int fds[100];
	struct spawn s = { .exe = exe,
		.argv = plain_argv,
		.channel = sv[1],
		.fds = fds,
		.nfds = 100 };

	fails(&s, EINVAL);
	s.nfds = 2;
	fds[1] = -1;
	fails(&s, EBADF);
}

int
main(int argc, char *argv[])
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(clean),
		T(mask_restored),
		T(files),
		T(files_crossed),
		T(stdio_kept),
		T(stdio_closed),
		T(pid_namespace),
		T(reaping),
		T(no_program),
		T(bad_hooks),
		T(killed_early),
		T(bad_files),
	};

	if (strcmp(argv[0], CHILD) == 0)
		return child(argc, argv);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
