/*
 * The filters, one by one: what each lets through and what it does not, that
 * they hold for every thread, for ever and for what is started later; what
 * is left of capabilities; a Landlock domain that may still start programs.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <cmocka.h>

#include "lib/sandbox/filter.h"
#include "lib/sandbox/sandbox.h"
#include "regress/unit/sandbox_child.h"

#define TEXT_AT 40 /* of a log line: imsg, our header, priority, length */

/* What a call did: its errno, 0, or this. */
#define DENIED (-1)

struct call {
	const char *filter;
	long nr;
	long a, b, c;
	int result;
	const char *says; /* if it is denied */
};

static const char missing[] = "/nonexistent";
#define PATH ((long)(intptr_t)missing)

/* clang-format off */
static const struct call calls[] = {
	/* vm: the machine it has, and no other */
	{ "vm", SYS_ioctl, -1, 0xae80, 0, EBADF, NULL },
	{ "vm", SYS_ioctl, -1, 0xae01, 0, DENIED,
	    "denied: system call 16 (ioctl), request 0xae01" },
	{ "vm", SYS_ioctl, -1, 0xae41, 0, DENIED, "16 (ioctl), request 0xae41" },
	{ "vm", SYS_ioctl, -1, 0x5412, 0, DENIED, "16 (ioctl), request 0x5412" },
	{ "vm", SYS_clone, 0, 0, 0, DENIED, "56 (clone)" },
	{ "vm", SYS_clone3, 0, 0, 0, ENOSYS, NULL },
	{ "vm", SYS_fork, 0, 0, 0, DENIED, "system call 57" },
	{ "vm", SYS_openat, AT_FDCWD, PATH, 0, ENOENT, NULL },
	{ "vm", SYS_memfd_create, PATH, 0, 0, DENIED, "system call 319" },
	{ "vm", SYS_mprotect, 0, 0, PROT_READ, 0, NULL },
	{ "vm", SYS_mprotect, 0, 0, PROT_EXEC, DENIED, "system call 10" },
	{ "vm", SYS_fcntl, -1, F_GETFL, 0, EBADF, NULL },
	{ "vm", SYS_fcntl, -1, F_ADD_SEALS, 0, DENIED, "72 (fcntl), request 0x409" },
	{ "vm", SYS_rt_sigaction, 31, 0, 0, DENIED, "system call 13" },
	{ "vm", SYS_prctl, 0, 0, 0, DENIED, "system call 157" },
	{ "vm", SYS_kill, 0, 0, 0, DENIED, "system call 62" },
	/* control: its socket and pairs */
	{ "control", SYS_accept4, -1, 0, 0, EBADF, NULL },
	{ "control", SYS_socketpair, AF_INET, SOCK_STREAM, 0, DENIED,
	    "system call 53" },
	{ "control", SYS_socket, AF_UNIX, SOCK_STREAM, 0, DENIED, "41" },
	{ "control", SYS_unlink, PATH, 0, 0, DENIED, "system call 87" },
	{ "control", SYS_ioctl, -1, 0xae80, 0, DENIED, "system call 16" },
	/* priv: netlink, and taps; no other device, no other socket */
	{ "priv", SYS_execve, PATH, 0, 0, DENIED, "system call 59" },
	{ "priv", SYS_openat, AT_FDCWD, PATH, 0, ENOENT, NULL },
	{ "priv", SYS_open, PATH, 0, 0, ENOENT, NULL },
	{ "priv", SYS_socket, AF_NETLINK, SOCK_STREAM, 0, ESOCKTNOSUPPORT,
	    NULL },
	{ "priv", SYS_socket, AF_INET, SOCK_DGRAM, 0, DENIED, "41" },
	{ "priv", SYS_ioctl, -1, 0x400454ca, 0, EBADF, NULL },
	{ "priv", SYS_ioctl, -1, 0x400454cc, 0, EBADF, NULL },
	{ "priv", SYS_ioctl, -1, 0x400454cb, 0, DENIED,
	    "16 (ioctl), request 0x400454cb" },
	{ "priv", SYS_mount, 0, PATH, 0, DENIED, "system call 165" },
	{ "priv", SYS_mknodat, AT_FDCWD, PATH, 0, DENIED, "259" },
	{ "priv", SYS_setns, -1, 0, 0, DENIED, "308 (setns)" },
	{ "priv", SYS_unlinkat, AT_FDCWD, PATH, 0, DENIED, "263" },
	{ "priv", SYS_clone, 0, 0, 0, DENIED, "56 (clone)" },
	/* parent: of devices, its child may make /dev/net/tun */
	{ "parent", SYS_mknodat, AT_FDCWD, PATH, 0, DENIED, "259" },
	/* image: reads what it was given */
	{ "image", SYS_pread64, -1, 0, 0, EBADF, NULL },
	{ "image", SYS_lseek, -1, 0, SEEK_END, EBADF, NULL },
	{ "image", SYS_openat, AT_FDCWD, PATH, 0, ENOENT, NULL },
	{ "image", SYS_pwrite64, -1, 0, 0, DENIED, "system call 18" },
	{ "image", SYS_ftruncate, -1, 0, 0, DENIED, "system call 77" },
	{ "image", SYS_fcntl, -1, F_OFD_SETLK, 0, DENIED, "72 (fcntl)" },
	{ "image", SYS_ioctl, -1, 0, 0, DENIED, "system call 16" },
	{ "image", SYS_socket, AF_UNIX, SOCK_STREAM, 0, DENIED, "41" },
	{ "image", SYS_kill, 0, 0, 0, DENIED, "system call 62" },
	{ "image", SYS_execve, PATH, 0, 0, DENIED, "system call 59" },
	/* vioblk: writes its image, reads nothing without its ring */
	{ "vioblk", SYS_pwritev2, -1, 0, 0, EBADF, NULL },
	{ "vioblk", SYS_read, -1, 0, 0, DENIED, "system call 0" },
	{ "vioblk", SYS_pread64, -1, 0, 0, DENIED, "system call 17" },
	/* vionet: sends and receives, asks nothing of its tap */
	{ "vionet", SYS_readv, -1, 0, 0, EBADF, NULL },
	{ "vionet", SYS_writev, -1, 0, 0, EBADF, NULL },
	{ "vionet", SYS_ioctl, -1, TUNSETOFFLOAD, 0, DENIED, "16 (ioctl)" },
	{ "vionet", SYS_ioctl, -1, TUNSETPERSIST, 1, DENIED, "16 (ioctl)" },
	{ "vionet", SYS_mmap, 0, 4096, 0, DENIED, "9 (mmap)" },
	{ "vionet", SYS_read, -1, 0, 0, DENIED, "system call 0" },
	{ "vionet_open", SYS_ioctl, -1, TUNSETOFFLOAD, 0, EBADF, NULL },
	{ "vionet_open", SYS_ioctl, -1, TUNSETVNETHDRSZ, 0, EBADF, NULL },
	{ "vionet_open", SYS_ioctl, -1, TUNSETPERSIST, 1, DENIED, "16 (ioctl)" },
	{ "vionet_open", SYS_ioctl, -1, SIOCSIFHWADDR, 1, DENIED, "16" },
	{ "vioscsi", SYS_pwritev2, -1, 0, 0, DENIED, "system call 328" },
	/* vmm: starts and ends processes, reaches nothing by name */
	{ "vmm", SYS_execveat, -1, PATH, 0, ENOENT, NULL },
	{ "vmm", SYS_execve, PATH, 0, 0, DENIED, "system call 59" },
	{ "vmm", SYS_openat, AT_FDCWD, PATH, 0, ENOENT, NULL },
	{ "vmm", SYS_mount, 0, PATH, 0, DENIED, "system call 165" },
	{ "vmm", SYS_unshare, 0, 0, 0, DENIED, "system call 272" },
	{ "vmm", SYS_setns, -1, 0, 0, DENIED, "308 (setns)" },
	{ "vmm", SYS_ptrace, 0, 0, 0, DENIED, "101 (ptrace)" },
	{ "vmm", SYS_bpf, 0, 0, 0, DENIED, "system call 321" },
	{ "vmm", SYS_socket, AF_UNIX, SOCK_STREAM, 0, DENIED, "41" },
	{ "vmm", SYS_fcntl, -1, F_OFD_SETLK, 0, EBADF, NULL },
	{ "vmm", SYS_setresuid, -1, -1, -1, 0, NULL },
	/* opener: one file by its name */
	{ "opener", SYS_openat, AT_FDCWD, PATH, 0, ENOENT, NULL },
	{ "opener", SYS_setresuid, -1, -1, -1, 0, NULL },
	{ "opener", SYS_socket, AF_UNIX, SOCK_STREAM, 0, DENIED, "41" },
	{ "opener", SYS_unlink, PATH, 0, 0, DENIED, "system call 87" },
	{ "opener", SYS_execve, PATH, 0, 0, DENIED, "system call 59" },
	{ "opener", SYS_clone, 0, 0, 0, DENIED, "56 (clone)" },
	{ "opener", SYS_mount, 0, PATH, 0, DENIED, "system call 165" },
	/* offline: images, by descriptors it has */
	{ "offline", SYS_pread64, -1, 0, 0, EBADF, NULL },
	{ "offline", SYS_pwrite64, -1, 0, 0, EBADF, NULL },
	{ "offline", SYS_openat, AT_FDCWD, PATH, 0, DENIED, "257" },
	{ "offline", SYS_socket, AF_UNIX, SOCK_STREAM, 0, DENIED, "41" },
	{ "offline", SYS_unlink, PATH, 0, 0, DENIED, "system call 87" },
	{ "offline", SYS_execve, PATH, 0, 0, DENIED, "system call 59" },
	{ "offline", SYS_clone, 0, 0, 0, DENIED, "56 (clone)" },
	{ "offline", SYS_linkat, 0, 0, 0, DENIED, "system call 265" },
};
/* clang-format on */

static void
confine(const char *filter, int fd)
{
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    (rc = sandbox_seccomp(filter, fd)) == -1)
		quit(99);
	else if (rc == 1)
		quit(LACKING);
}

static void
make_call(const void *arg, int fd)
{
	const struct call *c = arg;

	confine(c->filter, fd);
	if (syscall(c->nr, c->a, c->b, c->c, 0, 0, 0) == -1)
		quit(errno + 100);
}

static void
try(const struct call *c)
{
	char line[256] = "";
	int sv[2], status;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	status = run_child(make_call, c, sv[1]);
	close(sv[1]);
	assert_int_equal(status,
	    c->result == DENIED ? SB_EXIT_DENIED :
		c->result == 0	? 0 :
				  c->result + 100);
	if (c->result == DENIED) {
		assert_true(read(sv[0], line, sizeof(line) - 1) > TEXT_AT);
		assert_non_null(strstr(line + TEXT_AT, c->says));
	}
	close(sv[0]);
}

static void
test_calls(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		print_message("# %s: system call %ld\n", calls[i].filter,
		    calls[i].nr);
		try(&calls[i]);
	}
}

/* A thread that was there before is bound too, and its death is all's. */
struct thread_fds {
	int ready[2];
	int go[2];
};

static void *
thread(void *arg)
{
	const struct thread_fds *f = arg;
	char byte;

	if (write(f->ready[1], "x", 1) == 1 && read(f->go[0], &byte, 1) == 1)
		syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	return NULL;
}

static void
threaded(const void *arg, int fd)
{
	struct thread_fds f;
	pthread_t t;
	char byte;

	if (pipe(f.ready) == -1 || pipe(f.go) == -1 ||
	    pthread_create(&t, NULL, thread, &f) != 0 ||
	    read(f.ready[0], &byte, 1) != 1)
		quit(98);
	confine("vm", fd);
	if (syscall(SYS_write, f.go[1], "x", 1) != 1)
		quit(97);
	/* Nobody writes any more: until the thread ends us all. */
	for (;;)
		syscall(SYS_read, f.ready[0], &byte, 1);
}

static void
test_threads(void **state)
{
	int sv[2], status;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	status = run_child(threaded, NULL, sv[1]);
	assert_int_equal(status, SB_EXIT_DENIED);
	close(sv[0]);
	close(sv[1]);
}

/* The filter is inherited, the handler is not: the next one dies of it. */
static void
inherited(const void *arg, int fd)
{
	static const char *const argv[] = { "inherit", NULL };
	static const char *const env[] = { NULL };
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	confine("vmm", fd);
	syscall(SYS_execveat, exe, "", argv, env, AT_EMPTY_PATH);
}

static void
test_inherited(void **state)
{
	int status = run_child(inherited, NULL, -1);

	/* libc of a dynamic program opens libraries: there are none. */
	assert_int_not_equal(status, 0);
}

/* A second filter narrows, it never widens. */
static void
twice(const void *arg, int fd)
{
	confine("vm", fd);
	/* Not even that: the rules of SIGSYS are fixed. */
	sandbox_seccomp("control", fd);
	quit(96);
}

static void
test_twice(void **state)
{
	int null = open("/dev/null", O_WRONLY), status;

	status = run_child(twice, NULL, null);
	close(null);
	assert_int_equal(status, SB_EXIT_DENIED);
}

/* A process needs few calls; the tables may not grow by themselves. */
static void
test_sizes(void **state)
{
	static const struct {
		const char *name;
		unsigned int most;
	} limits[] = {
		{ "control", 35 },
		{ "image", 32 },
		{ "offline", 20 },
		{ "opener", 50 },
		{ "parent", 190 },
		{ "priv", 42 },
		{ "vioblk", 12 },
		{ "vioblk_open", 32 },
		{ "vioblk_sync", 22 },
		{ "vionet", 12 },
		{ "vionet_open", 22 },
		{ "vionet_sync", 15 },
		{ "vioscsi", 12 },
		{ "vioscsi_open", 32 },
		{ "vioscsi_sync", 22 },
		{ "vm", 51 },
		{ "vmm", 95 },
	};
	size_t i, j, n = sizeof(limits) / sizeof(limits[0]);

	assert_int_equal(sb_nfilters, n);
	for (i = 0; i < sb_nfilters; i++) {
		for (j = 0; j < n; j++)
			if (strcmp(sb_filters[i].name, limits[j].name) == 0)
				break;
		assert_true(j < n);
		assert_in_range(sb_filters[i].ncalls, 1, limits[j].most);
	}
}

/* What is told of a filter is what it does. */
static void
test_eval(void **state)
{
	const struct sb_filter *f;
	unsigned int can;
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		f = sb_find(calls[i].filter);
		assert_non_null(f);
		can = sb_eval(f->prog, f->len, AUDIT_ARCH_X86_64,
		    (uint32_t)calls[i].nr);
		assert_int_equal(can & SB_UNKNOWN, 0);
		if (calls[i].result == DENIED)
			assert_true(can & SB_TRAP);
		else
			assert_true(can & (SB_ALLOW | SB_ERROR));
	}
	assert_null(sb_find("nosuch"));
}

/* How many calls it allows, and none of another architecture or of x32. */
static void
test_counts(void **state)
{
	const struct sb_filter *f;
	unsigned int n;
	uint32_t nr;
	size_t i;

	for (i = 0; i < sb_nfilters; i++) {
		f = &sb_filters[i];
		for (n = 0, nr = 0; nr < SB_NCALLS; nr++) {
			n += (sb_eval(f->prog, f->len, AUDIT_ARCH_X86_64, nr) &
				 SB_ALLOW) != 0;
			assert_int_equal(sb_eval(f->prog, f->len,
					     AUDIT_ARCH_I386, nr),
			    SB_KILL);
			assert_int_equal(sb_eval(f->prog, f->len,
					     AUDIT_ARCH_X86_64,
					     nr | 0x40000000U) &
				SB_ALLOW,
			    0);
		}
		assert_int_equal(n, f->ncalls);
	}
}

/* A guest's process may do nothing that vmm may not, nor vmm beyond the
 * parent: what is above would deny it. */
static void
test_inclusion(void **state)
{
	static const char *const pairs[][2] = {
		{ "vm", "vmm" },
		{ "vioblk", "vioblk_open" },
		{ "vioblk_sync", "vioblk_open" },
		{ "vioblk_open", "vmm" },
		{ "vionet", "vionet_open" },
		{ "vionet_sync", "vionet_open" },
		{ "vionet_open", "vmm" },
		{ "vioscsi", "vioscsi_open" },
		{ "vioscsi_sync", "vioscsi_open" },
		{ "vioscsi_open", "vmm" },
		{ "image", "parent" },
		{ "vmm", "parent" },
		{ "control", "parent" },
		{ "priv", "parent" },
		{ "opener", "parent" },
	};
	const struct sb_filter *low, *high;
	unsigned int a, b;
	uint32_t nr;
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		low = sb_find(pairs[i][0]);
		high = sb_find(pairs[i][1]);
		for (nr = 0; nr < SB_NCALLS; nr++) {
			a = sb_eval(low->prog, low->len, AUDIT_ARCH_X86_64, nr);
			b = sb_eval(high->prog, high->len, AUDIT_ARCH_X86_64,
			    nr);
			if (a & SB_ALLOW)
				assert_true(b & SB_ALLOW);
		}
	}
}

/* Programs that are not ours: never less than they may do. */
static void
test_eval_strange(void **state)
{
	static const struct sock_filter endless[] = {
		BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)-1),
	};
	static const struct sock_filter strange[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	static const struct sock_filter both[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
	};

	assert_true(sb_eval(endless, 1, AUDIT_ARCH_X86_64, 0) & SB_UNKNOWN);
	assert_true(sb_eval(strange, 2, AUDIT_ARCH_X86_64, 0) & SB_ALLOW);
	assert_int_equal(sb_eval(both, 4, AUDIT_ARCH_X86_64, 0),
	    SB_ALLOW | SB_ERROR);
	assert_true(sb_eval(both, 0, AUDIT_ARCH_X86_64, 0) & SB_UNKNOWN);
}

static void
keep_two(const void *arg, int fd)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	const uint32_t keep = 1U << CAP_KILL | 1U << CAP_SETUID;
	int cap;

	if (sandbox_caps(keep) == -1 || syscall(SYS_capget, &h, d) == -1)
		quit(1);
	if (d[0].permitted != keep || d[0].effective != keep ||
	    d[0].inheritable != 0 || d[1].permitted != 0)
		quit(2);
	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_READ, cap) !=
		    (cap < 32 && (keep & 1U << cap) != 0))
			quit(3);
	/* Kept: to become somebody; lost: to own what one likes. */
	if (setresuid(1234, 0, 0) == -1 || chown("/", 1, 1) != -1)
		quit(4);
}

static void
test_caps(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_child(keep_two, NULL, -1), 0);
}

/* vmm's domain: it may start the program it has a descriptor of. */
static void
may_exec(const void *arg, int fd)
{
	static const char *const argv[] = { "seven", NULL };
	static const char *const env[] = { NULL };
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    (rc = sandbox_landlock(*(const int *)arg)) == -1)
		quit(1);
	else if (rc == 1)
		quit(LACKING);
	if (open("/tmp", O_RDONLY | O_DIRECTORY) != -1 ||
	    open("/dev/null", O_WRONLY) != -1)
		quit(2);
	syscall(SYS_execveat, exe, "", argv, env, AT_EMPTY_PATH);
	quit(errno == EACCES ? 8 : 3);
}

static void
test_landlock_exec(void **state)
{
	int keep = 1, status = run_child(may_exec, &keep, -1);

	assert_int_equal(status, 7);
	keep = 0;
	assert_int_equal(run_child(may_exec, &keep, -1), 8);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_eval),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_inclusion),
		cmocka_unit_test(test_eval_strange),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_landlock_exec),
	};

	if (strcmp(argv[0], "seven") == 0)
		return 7;
	if (strcmp(argv[0], "inherit") == 0)
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
