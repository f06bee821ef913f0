/*
 * See role_child.h.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/sandbox/sandbox.h"
#include "proc/spawn.h"
#include "regress/unit/role_child.h"

/* Leaks are looked for where nobody has dropped the right to look. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

int
sandbox_landlock(int keep_exec)
{
	return 1;
}

void
sandbox_landlock_grant(int fd)
{
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
sandbox_seccomp(const char *name, int channel)
{
	return 1;
}

pid_t
role_start(const char *role, int (*code)(const struct proc_args *a),
    int channel, int *pidfd)
{
	const struct proc_args a = { .role = role, .verbose = 1 };
	pid_t pid = fork();

	if (pid == 0) {
		if (channel != PROC_CHANNEL_FD)
			dup2(channel, PROC_CHANNEL_FD);
		_exit(code(&a));
	}
	assert_true(pid > 0);
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(*pidfd != -1);
	return pid;
}

pid_t
role_start_program(const char *role, int channel, int *pidfd)
{
	const char *const argv[] = { "vmd", "-P", role, "-v", NULL };
	struct spawn s = { .argv = argv, .channel = channel };
	pid_t pid;

	assert_true((s.exe = open(ROLE_PROGRAM, O_RDONLY | O_CLOEXEC)) != -1);
	assert_true((pid = spawn(&s, pidfd)) > 0);
	close(s.exe);
	return pid;
}
