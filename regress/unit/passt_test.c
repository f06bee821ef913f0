/*
 * passt(1) as the parent runs it: a program that fails in every way we know
 * of (this one, started again), and the real one in a network namespace with
 * an uplink of its own.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
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
#include <unistd.h>
#include <cmocka.h>

#include "regress/unit/passt_test.h"

/* What the fake one does is told by the first port it forwards. */
enum mode {
	M_COMPLAINS = 1,
	M_SILENT,
	M_KILLED,
	M_WORKS,
	M_ENDS_LATER,
	M_TALKS,
	M_STUBBORN,
	M_STUBBORN_START,
	M_TELLS,
};

struct told {
	uid_t uid[3];
	gid_t gid[3];
	int ngroups;
	int nnp;
	int bounding; /* capabilities left there */
	uint64_t caps;
	int nfds;
	int stdio; /* 0 and 1 are /dev/null */
	int nenv;
};

/* --- the fake one ------------------------------------------------------ */

static void
fake_tell(void)
{
	struct told t = { 0 };
	struct stat null, st;
	const struct dirent *e;
	char line[256];
	FILE *f;
	DIR *d;
	int i;

	getresuid(&t.uid[0], &t.uid[1], &t.uid[2]);
	getresgid(&t.gid[0], &t.gid[1], &t.gid[2]);
	t.ngroups = getgroups(0, NULL);
	t.nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	for (i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
		t.bounding += prctl(PR_CAPBSET_READ, i);
	f = fopen("/proc/self/status", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "CapPrm:", 7) == 0)
			t.caps = strtoull(line + 7, NULL, 16);
	fclose(f);
	d = opendir("/proc/self/fd");
	while (d != NULL && (e = readdir(d)) != NULL)
		t.nfds += e->d_name[0] != '.';
	closedir(d);
	t.nfds--; /* the directory */
	stat("/dev/null", &null);
	for (i = 0; i < 2; i++)
		t.stdio += fstat(i, &st) == 0 && st.st_rdev == null.st_rdev;
	if (write(3, &t, sizeof(t)) != (ssize_t)sizeof(t))
		_exit(9);
}

static void
fake_ready(void)
{
	int fd = open("/proc/self/fd/2", O_CREAT | O_TRUNC | O_WRONLY, 0600);

	dprintf(fd, "%d\n", (int)getpid());
	close(fd);
}

static int
fake_end_of_socket(void)
{
	char buf[256];
	ssize_t n;

	while ((n = read(3, buf, sizeof(buf))) > 0)
		if (write(3, buf, (size_t)n) != n)
			return 1;
	return 0;
}

static void __attribute__((noreturn)) fake_stubborn(int tell)
{
	signal(SIGTERM, SIG_IGN);
	if (tell)
		fake_ready();
	for (;;)
		pause();
}

static int
fake(int argc, char **argv)
{
	char line[1024];
	int i, mode = 0;

	for (i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "-t") == 0)
			mode = (int)strtol(argv[i + 1], NULL, 10);
	switch (mode) {
	case M_COMPLAINS:
		dprintf(2, "Something is wrong\nNot \033[0m usable");
		return 1;
	case M_SILENT:
		return 3;
	case M_KILLED:
		raise(SIGKILL);
		return 0;
	case M_STUBBORN_START:
	case M_STUBBORN:
		fake_stubborn(mode == M_STUBBORN);
	case M_TELLS:
		fake_ready();
		fake_tell();
		return fake_end_of_socket();
	case M_ENDS_LATER:
		dprintf(2, "a warning\n");
		fake_ready();
		i = (int)read(3, line, 1);
		dprintf(2, "boom\n");
		return i == 1 ? 7 : 8;
	case M_TALKS:
		fake_ready();
		memset(line, 'x', sizeof(line));
		line[sizeof(line) - 1] = '\n';
		fcntl(2, F_SETFL, 0);
		for (i = 0; i < 100; i++)
			if (write(2, line, sizeof(line)) == -1)
				break;
		return 0;
	default:
		fake_ready();
		return fake_end_of_socket();
	}
}

/* --- tests ------------------------------------------------------------- */

static void
test_args(void **state)
{
	static const char *const want[] = { "passt", "-f", "-q", "-F", "3",
		"-P", "/proc/self/fd/2", "--no-map-gw", "-m", "9000", "-M",
		"fe:e1:ba:00:01:02", "-t", "65535:1,2222:22", "-u", "53:5353",
		"-D", "192.0.2.53", "-D", "2001:db8::35", "-S", "example.org" };
	struct nic_spec n = { .nforwards = 3,
		.forwards = { { IPPROTO_TCP, 65535, 1 },
		    { IPPROTO_UDP, 53, 5353 }, { IPPROTO_TCP, 2222, 22 } },
		.net = { .mtu = 9000,
		    .host_mac = { 0xfe, 0xe1, 0xba, 0, 1, 2 },
		    .ndns4 = 1,
		    .dns4 = { 0xc0000235 },
		    .ndns6 = 1,
		    .dns6 = { { 0x20, 1, 0xd, 0xb8, [15] = 0x35 } },
		    .domain = "example.org" } };
	char **v;
	size_t i;

	assert_non_null(v = passt_args(&n));
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(v[i], want[i]);
	assert_null(v[i]);
	passt_args_free(v);
}

/* As much as there may be of everything. */
static void
test_args_most(void **state)
{
	struct nic_spec n = { .nforwards = NET_MAX_FORWARDS };
	char **v;
	size_t i;

	memset(n.net.host_mac, 0xff, 6);
	memset(n.net.domain, 'x', sizeof(n.net.domain) - 1);
	n.net.ndns4 = n.net.ndns6 = NET_MAX_SERVERS;
	memset(n.net.dns6, 0xee, sizeof(n.net.dns6));
	memset(n.net.dns4, 0xee, sizeof(n.net.dns4));
	for (i = 0; i < NET_MAX_FORWARDS; i++)
		n.forwards[i] = (struct net_forward){ IPPROTO_TCP, 65535,
			65535 };
	assert_non_null(v = passt_args(&n));
	for (i = 0; strcmp(v[i], "-t") != 0; i++)
		;
	assert_int_equal(strlen(v[i + 1]), NET_MAX_FORWARDS * 12 - 1);
	passt_args_free(v);
	memset(&n, 0, sizeof(n));
	assert_non_null(v = passt_args(&n));
	for (i = 0; strcmp(v[i], "-t") != 0; i++)
		;
	assert_string_equal(v[i + 1], "none");
	passt_args_free(v);
}

static void
test_early_end(void **state)
{
	assert_string_equal(run(0, M_COMPLAINS), "passt: Not ?[0m usable");
	assert_string_equal(run(0, M_SILENT), "passt: exited with status 3");
	assert_string_equal(run(0, M_KILLED), "passt: killed by signal 9");
	nothing_left();
	args.passt = "/nonexistent/passt";
	assert_string_equal(run(0, M_WORKS),
	    "passt: /nonexistent/passt: No such file or directory");
	args.passt = "/dev/null";
	assert_string_equal(run(0, M_WORKS),
	    "passt: /dev/null: Permission denied");
	nothing_left();
}

/* Nobody, with nothing; and no two are the same. */
static void
test_identity(void **state)
{
	struct told t[NVMS];
	unsigned int i, j;
	int fd;

	for (i = 0; i < NVMS; i++) {
		assert_null(run(i, M_TELLS));
		fd = fdlist_get(&vms[i].fds, FD_TAP, 0, 0);
		assert_int_equal(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1,
				     10000),
		    1);
		assert_int_equal(read(fd, &t[i], sizeof(t[i])), sizeof(t[i]));
		assert_true(t[i].uid[0] >= 1000);
		for (j = 0; j < 3; j++) {
			assert_int_equal(t[i].uid[j], t[i].uid[0]);
			assert_int_equal(t[i].gid[j], t[i].uid[0]);
		}
		assert_int_equal(t[i].ngroups, 0);
		assert_int_equal(t[i].nnp, 1);
		assert_int_equal(t[i].bounding, 0);
		assert_int_equal(t[i].caps, 0);
		assert_int_equal(t[i].nfds, 4);
		assert_int_equal(t[i].stdio, 2);
		for (j = 0; j < i; j++)
			assert_true(t[i].uid[0] != t[j].uid[0]);
	}
	for (i = 0; i < NVMS; i++)
		stop(i);
	nothing_left();
}

static void
test_works(void **state)
{
	char byte = 'x';
	int fd, pidfd;

	assert_null(run(0, M_WORKS));
	fd = fdlist_get(&vms[0].fds, FD_TAP, 0, 0);
	assert_int_equal(write(fd, &byte, 1), 1);
	assert_int_equal(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 10000), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	/* Nobody tells it to: it ends with its socket. */
	pidfd = (int)syscall(SYS_pidfd_open, last_pid, 0);
	fd = fdlist_take(&vms[0].fds, FD_TAP, 0, 0);
	close(fd);
	assert_int_equal(poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, 10000),
	    1);
	close(pidfd);
	until(&nprocs, 0);
	assert_non_null(
	    strstr(lines, "vm/web1/passt0: exited with status 0; no link"));
	nothing_left();
}

static void
test_later_end(void **state)
{
	char byte = 'x';
	int fd;

	assert_null(run(0, M_ENDS_LATER));
	fd = fdlist_get(&vms[0].fds, FD_TAP, 0, 0);
	assert_int_equal(write(fd, &byte, 1), 1);
	until(&nprocs, 0);
	assert_int_equal(results[0].n, 1);
	assert_false(passt_runs(&vms[0], 0));
	assert_non_null(strstr(lines, "boom; no link until the next start"));
	/* Its end is the end of the stream. */
	assert_int_equal(read(fd, &byte, 1), 0);
	passt_stop(&vms[0]);
	nothing_left();
}

/* It is heard for a while and then not any more. */
static void
test_talks(void **state)
{
	assert_null(run(0, M_TALKS));
	until(&nprocs, 0);
	nothing_left();
	assert_in_range(nlines, 60, 70);
}

/* The next one of the same guest has to wait; others have not. */
static void
test_stubborn(void **state)
{
	pid_t first;

	assert_null(run(0, M_STUBBORN));
	first = last_pid;
	stop(0);
	start(0, M_WORKS);
	assert_int_equal(last_pid, first);
	assert_null(run(1, M_WORKS));
	assert_int_equal(results[0].n, 0);
	until(&results[0].n, 1);
	assert_true(results[0].ok);
	assert_int_equal(nprocs, 2);
	stop(0);
	stop(1);
	/* One that is not ready yet, and one that waits for it. */
	start(0, M_STUBBORN_START);
	passt_stop(&vms[0]);
	start(0, M_WORKS);
	passt_stop(&vms[0]);
	nothing_left();
	assert_int_equal(results[0].n, 0);
}

/* It ends with the daemon, whatever it does and whoever has its socket. */
static void
test_daemon_dies(void **state)
{
	int p[2], pidfd;
	pid_t child, pid = 0;

	assert_int_equal(pipe(p), 0);
	if ((child = fork()) == 0) {
		event_reinit(parent.base);
		start(0, M_STUBBORN);
		until(&results[0].n, 1);
		if (write(p[1], &last_pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		pause();
	}
	assert_int_equal(read(p[0], &pid, sizeof(pid)), sizeof(pid));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_int_not_equal(pidfd, -1);
	assert_int_equal(poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, 0), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, 10000),
	    1);
	close(pidfd);
	close(p[0]);
	close(p[1]);
}

int
main(int argc, char **argv)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_args_most),
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_early_end),
		T(test_identity),
		T(test_works),
		T(test_later_end),
		T(test_talks),
		T(test_stubborn),
		T(test_daemon_dies),
	};
	/* clang-format on */

	if (argc > 0 && strcmp(argv[0], "passt") == 0)
		return fake(argc, argv);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
