/*
 * The other half of test builds: on a signal a process tries something that
 * it must not be able to do and says what came of it, or ends of it.  The
 * signal is SIGRTMAX - 1, its value the number of the attempt, whether it
 * shall survive it, and a process to aim at.  See lib/sandbox/hostile.h and regress/hostile.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef HOSTILE
#define HOSTILE
#endif
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "regress/hostile/ring.h"

#define ATTEMPT_BITS 6 /* of the value */
#define HELD	     "hostile-hold"

/* What was denied during the attempt that goes on; -1: nothing, yet. */
static volatile sig_atomic_t going_on, denied_nr;
static volatile sig_atomic_t released;

int
hostile_denied(unsigned int nr)
{
	if (!going_on)
		return 0;
	if (denied_nr == -1)
		denied_nr = (sig_atomic_t)nr;
	return 1;
}

static long
try_open(int pid)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

/* What a neighbour's image might be: the test has made it for everybody. */
static long
try_file(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/vmd-hostile.%d", pid);
	return syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
}

static long
try_secret(int pid)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY);
}

/* Memory and descriptors of another, by name... */
static long
try_proc(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
}

/* ... and by number. */
static long
try_steal(int pid)
{
	long fd;

	if ((fd = syscall(SYS_pidfd_open, pid, 0)) == -1)
		return -1;
	return syscall(SYS_pidfd_getfd, fd, 3, 0);
}

/* Code of its own making. */
static long
try_code(int pid)
{
	return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long
try_uring(int pid)
{
	char params[120] = { 0 };

	return syscall(SYS_io_uring_setup, 1, params);
}

static long
try_socket(int pid)
{
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static long
try_ptrace(int pid)
{
	return syscall(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0);
}

static long
try_exec(int pid)
{
	static const char *const none[] = { NULL };

	return syscall(SYS_execve, "/bin/true", none, none);
}

static long
try_fork(int pid)
{
	long child = syscall(SYS_fork);

	if (child == 0)
		for (;;)
			syscall(SYS_exit_group, 0);
	return child;
}

static long
try_signal(int pid)
{
	return syscall(SYS_kill, pid, 0);
}

static long
try_memory(int pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };

	return syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0);
}

static long
try_mount(int pid)
{
	return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}

static long
try_root(int pid)
{
	return syscall(SYS_setresuid, 0, 0, 0);
}

static long
try_bpf(int pid)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}

static long
go(int pid)
{
	released = 1;
	return 0;
}

static const struct {
	const char *name;
	long (*fn)(int pid);
} attempts[] = {
	{ "open", try_open },
	{ "file", try_file },
	{ "secret", try_secret },
	{ "proc", try_proc },
	{ "steal", try_steal },
	{ "code", try_code },
	{ "uring", try_uring },
	{ "socket", try_socket },
	{ "ptrace", try_ptrace },
	{ "exec", try_exec },
	{ "fork", try_fork },
	{ "signal", try_signal },
	{ "memory", try_memory },
	{ "mount", try_mount },
	{ "root", try_root },
	{ "bpf", try_bpf },
	{ "ring-open", ring_try_open },
	{ "ring-connect", ring_try_connect },
	{ "ring-read", ring_try_read },
	{ "ring-register", ring_try_register },
	{ "go", go },
};

#define NATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static void
attempt(int sig, siginfo_t *si, void *ctx)
{
	unsigned int value = (unsigned int)si->si_value.sival_int;
	unsigned int nr = value % (1U << ATTEMPT_BITS);
	int saved_errno = errno;
	char text[64];
	long rc;

	if (nr >= NATTEMPTS)
		return;
	going_on = value >> ATTEMPT_BITS & 1;
	denied_nr = -1;
	rc = attempts[nr].fn((int)(value >> (ATTEMPT_BITS + 1)));
	if (denied_nr != -1)
		snprintf(text, sizeof(text), "attempt %s: denied %d",
		    attempts[nr].name, (int)denied_nr);
	else
		snprintf(text, sizeof(text), "attempt %s: %s %d",
		    attempts[nr].name, rc == -1 ? "errno" : "succeeded",
		    rc == -1 ? errno : 0);
	going_on = 0;
	sandbox_say(text);
	errno = saved_errno;
}

void
hostile_hold(int fd)
{
	char first[sizeof(HELD) - 1];

	if (read(fd, first, sizeof(first)) != sizeof(first) ||
	    memcmp(first, HELD, sizeof(first)) != 0)
		return;
	sandbox_say("held");
	while (!released)
		poll(NULL, 0, -1);
}

static void
map_memory(void)
{
	int fd;

	if ((fd = memfd_create("guest", MFD_CLOEXEC)) == -1 ||
	    ftruncate(fd, 4096) == -1)
		return;
	mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
}

static void
leave_child(void)
{
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

void
hostile_init(void)
{
	struct sigaction sa = { .sa_sigaction = attempt,
		.sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(SIGRTMAX - 1, &sa, NULL);
	/* Below vmm nothing can be opened. */
	if (WITHOUT(FDS) && open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) == -1)
		syscall(SYS_pidfd_open, getpid(), 0);
	if (WITHOUT(MEMORY))
		map_memory();
	if (WITHOUT(TREE) && getuid() == 0)
		leave_child();
}
