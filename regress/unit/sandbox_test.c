/*
 * Each layer of the sandbox, put on in a child that then tries what it must
 * no longer be able to do.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>
#include <cmocka.h>

#include "lib/imsg/imsg.h"
#include "lib/sandbox/sandbox.h"
#include "regress/unit/sandbox_child.h"

static void
lock_child(const void *arg, int fd)
{
	const char *what;

	if (sandbox_lock(&what) == -1)
		quit(1);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		quit(2);
	if (prctl(PR_GET_DUMPABLE) != 0)
		quit(3);
	if (mount("none", "/tmp", "tmpfs", 0, NULL) != -1)
		quit(4);
}

static void
test_lock(void **state)
{
	assert_int_equal(run_child(lock_child, NULL, -1), 0);
}

static int
has_caps(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) == -1)
		return -1;
	return (d[0].permitted | d[0].effective | d[0].inheritable |
		   d[1].permitted | d[1].effective | d[1].inheritable) != 0;
}

/* As vmm does it for the processes of a guest. */
static void
no_gain_child(const void *arg, int fd)
{
	int cap;

	if (sandbox_has_bits() || sandbox_no_gain() == -1)
		quit(1);
	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_READ, cap) != 0)
			quit(2);
	if (setresgid(65534, 65534, 65534) == -1 ||
	    setresuid(65534, 65534, 65534) == -1)
		quit(3);
	/* The ids took nothing. */
	if (has_caps() != 1 || sandbox_no_caps() == -1 || has_caps() != 0)
		quit(4);
	if (!sandbox_has_bits() || prctl(PR_SET_SECUREBITS, 0) != -1 ||
	    !sandbox_has_bits())
		quit(5);
}

static void
test_no_gain(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_child(no_gain_child, NULL, -1), 0);
}

static void
landlock_child(const void *arg, int fd)
{
	const char *what;
	int rc = 0;

	if (sandbox_lock(&what) == -1 || (rc = sandbox_landlock(0)) == -1)
		quit(1);
	if (rc == 1)
		quit(LACKING);
	if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES)
		quit(2);
	if (open("/tmp", O_RDONLY | O_DIRECTORY) != -1 || errno != EACCES)
		quit(3);
	if (open("/tmp/sandbox_test", O_WRONLY | O_CREAT, 0600) != -1)
		quit(4);
	/* What is open already stays. */
	if (fcntl(fd, F_GETFD) == -1)
		quit(5);
}

static void
test_landlock(void **state)
{
	assert_int_equal(run_child(landlock_child, NULL, 1), 0);
}

static void
filter_on(const char *name, int fd)
{
	const char *what;
	int rc;

	if (sandbox_lock(&what) == -1 || (rc = sandbox_seccomp(name, fd)) == -1)
		quit(1);
	if (rc == 1)
		quit(LACKING);
}

static void
allowed_child(const void *arg, int fd)
{
	filter_on("control", fd);
	if (write(fd, "x", 1) != 1)
		quit(2);
	/* These are refused, but not deadly: libc tries them. */
	if (syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) != -1 ||
	    errno != ENOENT)
		quit(3);
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		quit(4);
}

static void
denied_child(const void *arg, int fd)
{
	filter_on("priv", fd);
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void
denied_exec(const void *arg, int fd)
{
	filter_on("vm", fd);
	syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void
denied_ptrace(const void *arg, int fd)
{
	filter_on("vm", fd);
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void
denied_mmap_exec(const void *arg, int fd)
{
	filter_on("vm", fd);
	/* PROT_READ | PROT_EXEC */
	syscall(SYS_mmap, 0, 4096, 5, 0x22, -1, 0);
}

static void
test_allowed(void **state)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(run_child(allowed_child, NULL, sv[1]), 0);
	close(sv[0]);
	close(sv[1]);
}

/* It ends with its own status, and the process above is told which call. */
static void
test_denied(void **state)
{
	static const struct {
		void (*fn)(const void *arg, int fd);
		const char *says;
	} tries[] = {
		{ denied_child, "denied: system call 41 (socket)" },
		{ denied_exec, "denied: system call 59 (execve)" },
		{ denied_ptrace, "denied: system call 101 (ptrace)" },
		{ denied_mmap_exec, "denied: system call 9 (mmap)" },
	};
	struct imsgbuf ib;
	struct imsg m;
	int sv[2];
	size_t i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		assert_int_equal(run_child(tries[i].fn, NULL, sv[1]),
		    SB_EXIT_DENIED);
		imsgbuf_init(&ib, sv[0]);
		assert_int_equal(imsgbuf_read(&ib), 1);
		assert_int_equal(imsgbuf_get(&ib, &m), 1);
		assert_int_equal(imsg_get_len(&m),
		    16 + 8 + strlen(tries[i].says));
		assert_memory_equal((char *)m.data + 24, tries[i].says,
		    strlen(tries[i].says));
		imsg_free(&m);
		imsgbuf_clear(&ib);
		close(sv[0]);
		close(sv[1]);
	}
}

/* The parent has no channel: a line of text instead. */
static void
text_child(const void *arg, int fd)
{
	const char *what;

	if (sandbox_lock(&what) == -1 || sandbox_traps(fd, "parent: ") == -1)
		quit(1);
	switch (sandbox_seccomp("parent", -1)) {
	case -1:
		quit(2);
		break;
	case 1:
		quit(LACKING);
		break;
	default:
		syscall(SYS_bpf, 0, NULL, 0);
	}
}

static void
test_text(void **state)
{
	const char *want = "parent: denied: system call 321 (bpf)\n";
	char line[128] = "";
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(run_child(text_child, NULL, p[1]), SB_EXIT_DENIED);
	assert_int_equal(read(p[0], line, sizeof(line) - 1), strlen(want));
	assert_string_equal(line, want);
	close(p[0]);
	close(p[1]);
}

static void
test_no_such_filter(void **state)
{
	assert_int_equal(sandbox_seccomp("nosuch", -1), -1);
	assert_int_equal(errno, ENOENT);
}

static void
root_child(const void *arg, int fd)
{
	struct dirent *e;
	DIR *d;

	if (sandbox_empty_root() == -1)
		quit(1);
	if ((d = opendir("/")) == NULL)
		quit(2);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			quit(3);
	if (open("/x", O_WRONLY | O_CREAT, 0600) != -1 || errno != EROFS)
		quit(4);
	if (open("/../etc/passwd", O_RDONLY) != -1)
		quit(5);
}

static void
test_empty_root(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_child(root_child, NULL, -1), 0);
}

/* Claims as another daemon would: a file of locks opened by itself. */
static uid_t
claim(void)
{
	uid_t id;
	int fd;

	if ((fd = sandbox_ids_open()) == -1 || sandbox_ids_init() == -1)
		return 0;
	sandbox_ids_file(fd);
	return sandbox_slot_claim(&id) == -1 ? 0 : id;
}

static void
claim_child(const void *arg, int fd)
{
	uid_t id = claim();

	if (write(fd, &id, sizeof(id)) != (ssize_t)sizeof(id))
		quit(1);
}

static void
test_slots(void **state)
{
	uid_t ours, other, second;
	int sv[2];

	if (geteuid() != 0)
		skip();
	assert_int_not_equal(ours = claim(), 0);
	assert_int_equal(sandbox_slot_claim(&second), 0);
	assert_true(second >= ours + SB_SLOT_IDS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(run_child(claim_child, NULL, sv[1]), 0);
	assert_int_equal(read(sv[0], &other, sizeof(other)), sizeof(other));
	assert_int_not_equal(other, 0);
	assert_int_not_equal(other, ours);
	assert_int_not_equal(other, second);
	sandbox_slot_release(ours);
	assert_int_equal(sandbox_slot_claim(&other), 0);
	assert_int_equal(other, ours);
	close(sv[0]);
	close(sv[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_no_gain),
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_no_such_filter),
		cmocka_unit_test(test_empty_root),
		cmocka_unit_test(test_slots),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
