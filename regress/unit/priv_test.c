/*
 * The processes priv and control: what they have given up by the time they
 * say that they are ready, that they obey their parent, and end with it.
 *
 * Each is run twice: its code in a child of this program, where the filter
 * of system calls is left out (the sanitizers need more), and as build/vmd.
 */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bsd/unistd.h>
#include <cmocka.h>

#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"
#include "regress/unit/role_child.h"
#include "vmd/roles.h"

#define PATIENCE 10000 /* ms */

struct role_case {
	const char *name;
	const char *user;
	int (*main)(const struct proc_args *a);
	uint64_t caps;
};

static const struct role_case roles[] = {
	{ "priv", VMD_PRIV_USER, priv_main, 1ULL << 12 },
	{ "control", VMD_USER, control_main, 0 },
};

static struct {
	const struct role_case *role;
	int real; /* build/vmd */
	pid_t pid;
	int pidfd;
	int fd; /* the parent's end of its channel */
	struct imsgbuf ib;
} child;

/* --- the parent, played ------------------------------------------------ */

static void
start(void)
{
	int sv[2];

	if (getuid() != 0 || getpwnam(child.role->user) == NULL ||
	    (child.real && access(ROLE_PROGRAM, X_OK) == -1))
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	child.pid = child.real ?
	    role_start_program(child.role->name, sv[1], &child.pidfd) :
	    role_start(child.role->name, child.role->main, sv[1], &child.pidfd);
	close(sv[1]);
	child.fd = sv[0];
	imsgbuf_init(&child.ib, child.fd);
	imsgbuf_allow_fdpass(&child.ib);
}

static void
say(uint32_t type, const void *body, size_t len, int fd)
{
	const struct msg_hdr h = { 0 };
	struct ibuf *b = imsg_create(&child.ib, type, 0, 0, 0);

	assert_int_equal(imsg_add(b, &h, sizeof(h)), sizeof(h));
	assert_int_equal(imsg_add(b, body, len), (int)len);
	if (fd != -1)
		assert_int_equal(imsg_set_fds(b, &fd, 1), 0);
	imsg_close(&child.ib, b);
	assert_int_equal(imsgbuf_flush(&child.ib), 0);
}

/* Its next message but for lines of its log; what they say is kept. */
static struct imsg
hear(uint32_t type, char *log, size_t len)
{
	struct pollfd pfd = { .fd = child.fd, .events = POLLIN };
	struct log_line l;
	struct imsg m;

	for (;;) {
		while (imsg_get(&child.ib, &m) == 0) {
			assert_int_equal(poll(&pfd, 1, PATIENCE), 1);
			assert_int_equal(imsgbuf_read(&child.ib), 1);
		}
		if (imsg_get_type(&m) == type)
			return m;
		assert_int_equal(imsg_get_type(&m), IMSG_CTL_LOG);
		assert_int_equal(ibuf_skip(m.buf, MSG_HDR_LEN), 0);
		assert_int_equal(log_line_get(m.buf, &l), 0);
		if (log != NULL)
			snprintf(log, len, "%s", l.text);
		log_line_fini(&l);
		imsg_free(&m);
	}
}

static void
until_ready(void)
{
	struct imsg m = hear(IMSG_CTL_READY, NULL, 0);
	struct log_line l;

	assert_int_equal(ibuf_skip(m.buf, MSG_HDR_LEN), 0);
	assert_int_equal(log_line_get(m.buf, &l), 0);
	assert_ptr_equal(strstr(l.text, "ready"), l.text);
	log_line_fini(&l);
	imsg_free(&m);
}

/* Its exit status, or -1 if a signal ended it. */
static int
until_ended(void)
{
	struct pollfd pfd = { .fd = child.pidfd, .events = POLLIN };
	int status;

	assert_int_equal(poll(&pfd, 1, PATIENCE), 1);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	child.pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
teardown(void **state)
{
	if (child.pid > 0) {
		kill(child.pid, SIGKILL);
		waitpid(child.pid, NULL, 0);
	}
	if (child.fd > 0) {
		imsgbuf_clear(&child.ib);
		close(child.fd);
		close(child.pidfd);
	}
	memset(&child, 0, sizeof(child));
	return 0;
}

#define SETUP(name, n, r)                                                      \
	static int name(void **state)                                          \
	{                                                                      \
		child.role = &roles[n];                                        \
		child.real = r;                                                \
		return 0;                                                      \
	}

SETUP(priv_here, 0, 0)
SETUP(priv_program, 0, 1)
SETUP(control_here, 1, 0)
SETUP(control_program, 1, 1)

/* --- what is left of its rights ---------------------------------------- */

/* A line of /proc/PID/status, without its name. */
static const char *
status_line(const char *name)
{
	static char line[256];
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)child.pid);
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			break;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return line + strlen(name);
}

static void
check_ids(void)
{
	const struct passwd *pw = getpwnam(child.role->user);
	char want[128];

	snprintf(want, sizeof(want), "\t%u\t%u\t%u\t%u", pw->pw_uid, pw->pw_uid,
	    pw->pw_uid, pw->pw_uid);
	assert_string_equal(status_line("Uid:"), want);
	snprintf(want, sizeof(want), "\t%u\t%u\t%u\t%u", pw->pw_gid, pw->pw_gid,
	    pw->pw_gid, pw->pw_gid);
	assert_string_equal(status_line("Gid:"), want);
	assert_int_equal(strspn(status_line("Groups:"), "\t "),
	    strlen(status_line("Groups:")));
}

static void
check_caps(void)
{
	static const char *const sets[] = { "CapPrm:", "CapEff:", "CapBnd:" };
	size_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(strtoull(status_line(sets[i]), NULL, 16),
		    child.role->caps);
	assert_int_equal(strtoull(status_line("CapInh:"), NULL, 16), 0);
	assert_int_equal(strtoull(status_line("CapAmb:"), NULL, 16), 0);
	assert_int_equal(atoi(status_line("NoNewPrivs:")), 1);
	assert_int_equal(atoi(status_line("Seccomp:")), child.real ? 2 : 0);
}

/*
 * Its root is empty, but for a tap's device, and cannot be written; nobody
 * may look into it.
 */
static void
check_root(void)
{
	struct statvfs vfs;
	struct stat st;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/root/", (int)child.pid);
	assert_non_null(d = opendir(path));
	while ((e = readdir(d)) != NULL)
		assert_true(e->d_name[0] == '.' ||
		    (child.role->caps != 0 && strcmp(e->d_name, "dev") == 0));
	closedir(d);
	assert_int_equal(statvfs(path, &vfs), 0);
	assert_true(vfs.f_flag & ST_RDONLY);
	/* Not dumpable: what is in /proc belongs to root. */
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)child.pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

static void
dropped(void **state)
{
	start();
	until_ready();
	check_ids();
	check_caps();
	check_root();
}

/* --- obeys, and ends --------------------------------------------------- */

static void
obeys(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 256);
	const struct vmop_id v = { .arg = 2 };

	start();
	until_ready();
	assert_int_equal(vmop_id_put(b, &v), 0);
	say(IMSG_CTL_VERBOSE, ibuf_data(b), ibuf_size(b), -1);
	ibuf_free(b);
	/* Signals are for the parent; it has to be told. */
	kill(child.pid, SIGTERM);
	kill(child.pid, SIGINT);
	kill(child.pid, SIGHUP);
	say(IMSG_CTL_SHUTDOWN, NULL, 0, -1);
	assert_int_equal(until_ended(), 0);
}

static void
ends_with_parent(void **state)
{
	start();
	until_ready();
	shutdown(child.fd, SHUT_RDWR);
	assert_int_equal(until_ended(), 0);
}

static void
bad_parent(void **state)
{
	start();
	until_ready();
	say(IMSG_VMDOP_VM_EXIT, NULL, 0, -1);
	assert_int_equal(until_ended(), 1);
}

/* The real filter allows what a client and a console need. */
static void
serves(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);
	const uint32_t req[] = { IMSG_CTL_CONSOLE_REQUEST, 16 + 16 + 4, 0, 0, 1,
		0, 0, 0, 9 };
	int lfd, fd, *fds;
	struct imsg m;

	start();
	until_ready();
	assert_true((lfd = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	assert_int_equal(bind(lfd, (struct sockaddr *)&addr,
			     sizeof(sa_family_t)),
	    0);
	assert_int_equal(listen(lfd, 5), 0);
	assert_int_equal(getsockname(lfd, (struct sockaddr *)&addr, &len), 0);
	say(IMSG_CTL_SOCKET, NULL, 0, lfd);
	assert_true((fd = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	m = hear(IMSG_CTL_CONN_OPEN, NULL, 0);
	assert_int_equal(imsg_get_fds(&m, &fds), 1);
	imsg_free(&m);
	assert_int_equal(write(fd, req, sizeof(req)), sizeof(req));
	m = hear(IMSG_CTL_CONSOLE_REQUEST, NULL, 0);
	assert_int_equal(imsg_get_fds(&m, &fds), 1);
	imsg_free(&m);
	close(fd);
	m = hear(IMSG_CTL_CONN_CLOSE, NULL, 0);
	imsg_free(&m);
	say(IMSG_CTL_SHUTDOWN, NULL, 0, -1);
	assert_int_equal(until_ended(), 0);
}

int
main(int argc, char *argv[])
{
#define T(f, who)                                                              \
	{                                                                      \
#who ": " #f, f, who, teardown, NULL                           \
	}
	const struct CMUnitTest tests[] = {
		T(dropped, priv_here),
		T(obeys, priv_here),
		T(ends_with_parent, priv_here),
		T(bad_parent, priv_here),
		T(dropped, control_here),
		T(obeys, control_here),
		T(ends_with_parent, control_here),
		T(bad_parent, control_here),
		T(serves, control_here),
		T(dropped, priv_program),
		T(obeys, priv_program),
		T(ends_with_parent, priv_program),
		T(bad_parent, priv_program),
		T(dropped, control_program),
		T(obeys, control_program),
		T(ends_with_parent, control_program),
		T(bad_parent, control_program),
		T(serves, control_program),
	};

	setproctitle_init(argc, argv, environ);
	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
