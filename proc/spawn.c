/*
 * Start a process: clone, wait for the parent's blessing, arrange
 * descriptors, exec.  Used by the parent and by vmm.
 *
 * Between clone and exec the child makes async-signal-safe calls only.  Two
 * pipes bind both sides: one byte lets the child go on, and an errno comes
 * back if it does not get as far as the new program.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "lib/util/fdlist.h"
#include "proc/proc.h"
#include "proc/spawn.h"

#define SPAWN_MAXFDS 32

/* What the child needs, all made before the clone. */
struct plan {
	const struct spawn *s;
	char **argv;
	int go;	    /* a byte: go on; end of file: end */
	int report; /* an errno; closed by the exec */
};

static void __attribute__((noreturn)) child_fail(const struct plan *pl)
{
	int e = errno;
	ssize_t n = write(pl->report, &e, sizeof(e));

	_exit(n == (ssize_t)sizeof(e) ? 127 : 126);
}

static void
reset_signals(void)
{
	/* The kernel's own structure, SIG_DFL: libc's keeps us from 32, 33. */
	const unsigned long dfl[4] = { 0 };
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++) /* some may not: fine */
		syscall(SYS_rt_sigaction, sig, dfl, NULL, sizeof(dfl[0]));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Put everything at its place: 0-2, the channel at 3, files from 4 on.  The
 * sources are first copied above all places, so that none is overwritten.
 */
static int
arrange(const struct plan *pl, int *exe)
{
	const struct spawn *s = pl->s;
	int high = PROC_CHANNEL_FD + 1 + SPAWN_MAXFDS;
	int fds[SPAWN_MAXFDS], channel, report, null, err = -1;
	size_t i;

	if ((channel = fcntl(s->channel, F_DUPFD_CLOEXEC, high)) == -1 ||
	    (report = fcntl(pl->report, F_DUPFD_CLOEXEC, high)) == -1 ||
	    (*exe = fcntl(s->exe, F_DUPFD_CLOEXEC, high)) == -1)
		return -1;
	for (i = 0; i < s->nfds; i++)
		if ((fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, high)) == -1)
			return -1;
	if (s->err > 0 && (err = fcntl(s->err, F_DUPFD_CLOEXEC, high)) == -1)
		return -1;
	if (!s->keep_stdio) {
		/* Not close-on-exec: it may be one of the three itself. */
		if ((null = open("/dev/null", O_RDWR)) == -1 ||
		    dup2(null, 0) == -1 || dup2(null, 1) == -1 ||
		    dup2(null, 2) == -1)
			return -1;
		if (null > 2)
			close(null);
	}
	if ((err != -1 && dup2(err, 2) == -1) ||
	    dup2(channel, PROC_CHANNEL_FD) == -1)
		return -1;
	for (i = 0; i < s->nfds; i++)
		if (dup2(fds[i], PROC_CHANNEL_FD + 1 + (int)i) == -1)
			return -1;
	/* The rest goes with the exec, but for what we still need. */
	return (int)syscall(SYS_close_range,
	    PROC_CHANNEL_FD + 1 + (unsigned int)s->nfds, ~0U,
	    CLOSE_RANGE_CLOEXEC);
}

static void __attribute__((noreturn)) child_main(const struct plan *pl)
{
	const struct spawn *s = pl->s;
	/* Nothing of ours, but room for setproctitle(3) to write to. */
	static char room[] = "VMD_TITLE="
			     "                                                "
			     "                                                ";
	static char *env[] = { room, NULL };
	char byte;
	ssize_t n;
	int exe;

	while ((n = read(pl->go, &byte, 1)) == -1 && errno == EINTR)
		;
	if (n != 1)
		_exit(126);
	reset_signals();
	if (s->child != NULL && s->child(s->arg) == -1)
		child_fail(pl);
	if (arrange(pl, &exe) == -1)
		child_fail(pl);
	syscall(SYS_execveat, exe, "", pl->argv, env, AT_EMPTY_PATH);
	child_fail(pl);
}

/*
 * In a process of its own, for who has entered a pid namespace never leaves
 * it again: make the child there, as a child of our parent, and tell its
 * pid, or a negative errno.  Returns in the child only.
 */
static void
clone_inside(int flags, int pidns, int tell)
{
	struct clone_args ca = {
		.flags = (uint64_t)(unsigned int)flags | CLONE_PARENT,
	};
	long pid = -1;

	if (setns(pidns, CLONE_NEWPID) == 0 &&
	    (pid = syscall(SYS_clone3, &ca, sizeof(ca))) == 0)
		return;
	if (pid == -1)
		pid = -errno;
	_exit(write(tell, &pid, sizeof(pid)) == (ssize_t)sizeof(pid) ? 0 : 1);
}

/* As clone_child(), by way of a process that goes at once. */
static pid_t
clone_via(const struct spawn *s, int *pidfd, pid_t *lost)
{
	int tell[2];
	long pid = -ECHILD;
	pid_t via;

	if (pipe2(tell, O_CLOEXEC) == -1)
		return -1;
	if ((via = fork()) == 0) {
		clone_inside(s->flags, s->pidns, tell[1]);
		return 0;
	}
	fd_close(&tell[1]);
	if (via == -1)
		pid = -errno;
	else if (read(tell[0], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
		pid = -ECHILD;
	fd_close(&tell[0]);
	while (via != -1 && waitpid(via, NULL, 0) == -1 && errno == EINTR)
		;
	if (pid < 0) {
		errno = (int)-pid;
		return -1;
	}
	/* Ours and not reaped: the number is still its own. */
	if ((*pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0)) != -1)
		return (pid_t)pid;
	/* It ends when its pipe does, and is reaped then. */
	*lost = (pid_t)pid;
	return -1;
}

/*
 * All signals are blocked in the new process: our handlers, which it has
 * until reset_signals(), would speak to our event loop.
 */
static pid_t
clone_child(const struct spawn *s, int *pidfd, pid_t *lost)
{
	struct clone_args ca = {
		.flags = (uint64_t)(unsigned int)s->flags | CLONE_PIDFD,
		.pidfd = (uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};
	sigset_t all, old;
	int saved_errno;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if (s->pidns > 0)
		pid = clone_via(s, pidfd, lost);
	else
		pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca));
	if (pid == 0)
		return 0;
	saved_errno = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = saved_errno;
	return pid;
}

/* Let the child go on and wait for its exec.  0, or its errno. */
static int
bless(const struct spawn *s, pid_t pid, int go, int report)
{
	ssize_t n;
	int e = 0;

	if (s->started != NULL && s->started(pid, s->arg) == -1)
		return errno ? errno : EINVAL;
	if (write(go, "", 1) != 1)
		return errno;
	while ((n = read(report, &e, sizeof(e))) == -1 && errno == EINTR)
		;
	return n == (ssize_t)sizeof(e) ? e : 0;
}

static char **
copy_argv(const char *const *argv)
{
	char **v;
	size_t n;

	for (n = 0; argv[n] != NULL; n++)
		;
	if ((v = calloc(n + 1, sizeof(*v))) != NULL)
		memcpy(v, argv, n * sizeof(*v));
	return v;
}

pid_t
spawn(const struct spawn *s, int *pidfd)
{
	struct plan pl = { .s = s };
	int go[2] = { -1, -1 }, report[2] = { -1, -1 }, e = 0;
	pid_t pid = -1, lost = -1;

	*pidfd = -1;
	if (s->nfds > SPAWN_MAXFDS) {
		errno = EINVAL;
		return -1;
	}
	if ((pl.argv = copy_argv(s->argv)) == NULL)
		return -1;
	if (pipe2(go, O_CLOEXEC) == -1 || pipe2(report, O_CLOEXEC) == -1)
		goto out;
	pl.go = go[0];
	pl.report = report[1];
	if ((pid = clone_child(s, pidfd, &lost)) == 0) {
		close(go[1]);
		child_main(&pl);
	}
	if (pid == -1)
		goto out;
	fd_close(&report[1]);
	e = bless(s, pid, go[1], report[0]);
	if (e != 0) {
		syscall(SYS_pidfd_send_signal, *pidfd, SIGKILL, NULL, 0);
		while (waitid(P_PIDFD, (id_t)*pidfd, NULL, WEXITED) == -1 &&
		    errno == EINTR)
			;
		fd_close(pidfd);
		pid = -1;
		errno = e;
	}
out:
	fd_close(&go[0]);
	fd_close(&go[1]);
	fd_close(&report[0]);
	fd_close(&report[1]);
	while (lost != -1 && waitpid(lost, NULL, 0) == -1 && errno == EINTR)
		;
	free(pl.argv);
	return pid;
}

int
spawn_reap(int pidfd, int *status)
{
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG) == -1)
		return -1;
	if (si.si_pid == 0)
		return 0;
	if (si.si_code == CLD_EXITED)
		*status = (si.si_status & 0xff) << 8;
	else
		*status = (si.si_status & 0x7f) |
		    (si.si_code == CLD_DUMPED ? 0x80 : 0);
	return 1;
}
