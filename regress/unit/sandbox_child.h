#ifndef SANDBOX_CHILD_H
#define SANDBOX_CHILD_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Children that put layers of the sandbox on.  They leave by the bare call:
 * before a call that does not return AddressSanitizer asks for the alternate
 * signal stack, and at exit it looks for leaks with a tracer thread, ptrace
 * and /proc, all of which these layers deny; in the handler of SIGSYS the
 * first of these was an endless loop.  A failed assertion would go on with
 * the parent's tests.  Who waits has a deadline and kills the child that
 * misses it.
 */

#define CHILD_DEADLINE_MS 20000
#define LACKING		  77 /* exit status: this kernel has no such layer */

const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* Neither marked nor recognisable as what it is: see above. */
static inline void
quit(int status)
{
	syscall(SYS_exit_group, status);
}

/* Its exit status, 128 + signal, or -1: it was late and was killed. */
static inline int
child_status(pid_t pid)
{
	struct pollfd pfd = { .events = POLLIN };
	int status, late;

	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	late = pfd.fd == -1 || poll(&pfd, 1, CHILD_DEADLINE_MS) != 1;
	if (late)
		kill(pid, SIGKILL);
	if (pfd.fd != -1)
		close(pfd.fd);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	if (late)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

/* Run `fn' in a child; as above. */
static inline int
in_child(void (*fn)(const void *arg, int fd), const void *arg, int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		fn(arg, fd);
		quit(0);
	}
	return pid == -1 ? -1 : child_status(pid);
}

/* As above, in a test: skipped where the kernel has no such layer. */
#define run_child(fn, arg, fd)                                                 \
	({                                                                     \
		int run_status = in_child((fn), (arg), fd);                    \
		if (run_status == LACKING)                                     \
			skip();                                                \
		run_status;                                                    \
	})

#endif
