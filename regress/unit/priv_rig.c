/*
 * The process priv in a network namespace of the test's own, and a parent
 * that asks.  See priv_rig.h.
 */

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bsd/string.h>
#include <bsd/unistd.h>

#include "lib/proto/msg.h"
#include "lib/proto/vminfo.h"
#include "regress/unit/priv_rig.h"
#include "regress/unit/role_child.h"
#include "vmd/roles.h"

#define PATIENCE 20000 /* ms */

int rig_real;
struct rig_answer rig;
char rig_log[4096];
char rig_before[65536];
char rig_kept[256];

static struct {
	pid_t pid;
	int pidfd;
	int fd; /* the parent's end of its channel */
	struct imsgbuf ib;
	uint64_t reqid;
} child;

/* --- the namespace ------------------------------------------------------- */

int
rig_main(int argc, char *argv[])
{
	setproctitle_init(argc, argv, environ);
	signal(SIGPIPE, SIG_IGN);
	alarm(getenv("RIG") != NULL ? 900 : 300);
	if (getuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) == -1) {
		printf("1..0 # SKIP no network namespace\n");
		return -1;
	}
	/* It has taken after the machine's, which may forward for others. */
	sh("ip link set lo up; echo 0 >/proc/sys/net/ipv4/ip_forward;"
	   "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return 0;
}

const char *
sh(const char *fmt, ...)
{
	static char out[4][65536];
	static int turn;
	char cmd[512], *o = out[turn = (turn + 1) % 4];
	size_t n = 0;
	va_list ap;
	int c;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	assert_non_null(f = popen(cmd, "re"));
	while ((c = fgetc(f)) != EOF && n < sizeof(out[0]) - 1)
		if (!isspace(c))
			o[n++] = (char)c;
		else if (n > 0 && o[n - 1] != ' ')
			o[n++] = ' ';
	pclose(f);
	o[n] = '\0';
	return o;
}

const char *
rig_host(void)
{
	return sh("ip -br link; ip -br addr; ip rule; ip -6 rule; ip mrule; "
		  "ip route show table all; ip -6 route show table all;"
		  "nft list ruleset; cat /proc/sys/net/ipv4/ip_forward "
		  "/proc/sys/net/ipv6/conf/all/forwarding "
		  "/proc/sys/net/ipv4/conf/all/accept_redirects");
}

int
rig_sysctl(const char *path)
{
	return atoi(sh("cat /proc/sys/net/%s", path));
}

/* --- the process --------------------------------------------------------- */

/* Its next message but for lines of its log, or of type 0 at the end. */
static struct imsg
hear(void)
{
	struct pollfd pfd = { .fd = child.fd, .events = POLLIN };
	struct log_line l;
	struct imsg m;

	for (;;) {
		while (imsg_get(&child.ib, &m) == 0) {
			assert_int_equal(poll(&pfd, 1, PATIENCE), 1);
			if (imsgbuf_read(&child.ib) != 1) {
				memset(&m, 0, sizeof(m));
				return m;
			}
		}
		if (imsg_get_type(&m) != IMSG_CTL_LOG)
			return m;
		assert_int_equal(ibuf_skip(m.buf, MSG_HDR_LEN), 0);
		assert_int_equal(log_line_get(m.buf, &l), 0);
		printf("# priv: %s\n", l.text);
		strlcat(rig_log, l.text, sizeof(rig_log));
		strlcat(rig_log, "\n", sizeof(rig_log));
		log_line_fini(&l);
		imsg_free(&m);
	}
}

void
rig_start(void)
{
	struct imsg m;
	int sv[2];

	if (getpwnam(VMD_PRIV_USER) == NULL ||
	    (rig_real && access(ROLE_PROGRAM, X_OK) == -1))
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
	    0);
	child.pid = rig_real ?
	    role_start_program("priv", sv[1], &child.pidfd) :
	    role_start("priv", priv_main, sv[1], &child.pidfd);
	close(sv[1]);
	child.fd = sv[0];
	imsgbuf_init(&child.ib, child.fd);
	imsgbuf_allow_fdpass(&child.ib);
	m = hear();
	assert_int_equal(imsg_get_type(&m), IMSG_CTL_READY);
	imsg_free(&m);
}

void
rig_begin(void)
{
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, 0), VMERR_OK);
}

/* Its exit status, or -1 if a signal ended it. */
static int
ended(void)
{
	struct pollfd pfd = { .fd = child.pidfd, .events = POLLIN };
	int status;

	assert_int_equal(poll(&pfd, 1, PATIENCE), 1);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	child.pid = 0;
	close(child.pidfd);
	imsgbuf_clear(&child.ib);
	close(child.fd);
	child.fd = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
send_it(uint32_t type, struct ibuf *body)
{
	const struct msg_hdr h = { .reqid = ++child.reqid, .conn = 77 };
	struct ibuf *b = imsg_create(&child.ib, type, 0, 0, 0);

	assert_int_equal(imsg_add(b, &h, sizeof(h)), sizeof(h));
	if (body != NULL)
		assert_int_equal(imsg_add(b, ibuf_data(body), ibuf_size(body)),
		    (int)ibuf_size(body));
	ibuf_free(body);
	imsg_close(&child.ib, b);
	assert_int_equal(imsgbuf_flush(&child.ib), 0);
}

void
rig_shutdown(void)
{
	struct imsg m;

	send_it(IMSG_CTL_SHUTDOWN, NULL);
	m = hear();
	assert_int_equal(m.buf == NULL, 1);
	assert_int_equal(ended(), 0);
}

void
rig_hangup(void)
{
	shutdown(child.fd, SHUT_WR);
	assert_int_equal(ended(), 0);
}

void
rig_kill(void)
{
	kill(child.pid, SIGKILL);
	assert_int_equal(ended(), -1);
}

int
rig_ends(uint32_t type, struct ibuf *body)
{
	send_it(type, body);
	return ended();
}

void
rig_close_taps(void)
{
	size_t i;

	for (i = 0; i < rig.nfds; i++)
		close(rig.fds[i]);
	rig.nfds = 0;
}

void
end_as_before(void)
{
	rig_close_taps();
	rig_shutdown();
	assert_as_before();
}

static int
setup(int real)
{
	rig_real = real;
	rig_kept[0] = '\0';
	snprintf(rig_before, sizeof(rig_before), "%s", rig_host());
	return 0;
}

int
rig_here(void **state)
{
	return setup(0);
}

int
rig_program(void **state)
{
	return setup(1);
}

int
rig_teardown(void **state)
{
	if (child.pid > 0) {
		kill(child.pid, SIGKILL);
		ended();
	}
	rig_close_taps();
	priv_result_fini(&rig.r);
	memset(&child, 0, sizeof(child));
	return 0;
}

/* --- asking -------------------------------------------------------------- */

enum vmerr
rig_ask(uint32_t type, struct ibuf *body)
{
	struct msg_hdr h;
	struct imsg m;
	int *fds;
	size_t i;

	rig_close_taps();
	priv_result_fini(&rig.r);
	send_it(type, body);
	m = hear();
	assert_int_equal(imsg_get_type(&m), IMSG_PRIV_RESULT);
	assert_int_equal(ibuf_get(m.buf, &h, sizeof(h)), 0);
	assert_int_equal(h.reqid, child.reqid);
	assert_int_equal(h.conn, 77);
	assert_int_equal(priv_result_get(m.buf, &rig.r), 0);
	assert_int_equal(ibuf_size(m.buf), 0);
	rig.nfds = imsg_get_fds(&m, &fds);
	for (i = 0; i < rig.nfds; i++) {
		rig.fds[i] = fds[i];
		fds[i] = -1;
	}
	imsg_free(&m);
	assert_true((rig.r.text != NULL) == (rig.r.err != VMERR_OK));
	if (rig.r.text != NULL)
		printf("# says: %s\n", rig.r.text);
	return rig.r.err;
}

static struct ibuf *
body(void)
{
	return ibuf_dynamic(0, 65536);
}

static char *
unconst(const char *s)
{
	char *p;

	memcpy(&p, &s, sizeof(p));
	return p;
}

enum vmerr
rig_init(const char *tag, uint32_t forwarding)
{
	const struct priv_init i = { .tag = unconst(tag),
		.kept = rig_kept[0] != '\0' ? rig_kept : NULL,
		.prefix = 0x64400000,
		.mask = 0xffc00000,
		.prefix6 = { 0xfd, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde },
		.forwarding = forwarding };
	struct ibuf *b = body();

	assert_int_equal(priv_init_put(b, &i), 0);
	return rig_ask(IMSG_PRIV_INIT, b);
}

enum vmerr
rig_nic(const struct priv_nic *n)
{
	struct ibuf *b = body();

	assert_int_equal(priv_nic_put(b, n), 0);
	return rig_ask(IMSG_PRIV_NIC, b);
}

enum vmerr
rig_switch(const char *name, uint32_t flags, uint32_t rdomain)
{
	char alias[] = "switch1-test";
	const struct priv_switch s = { .ifname = unconst(name),
		.alias = alias,
		.flags = flags,
		.rdomain = rdomain };
	struct ibuf *b = body();

	assert_int_equal(priv_switch_put(b, &s), 0);
	return rig_ask(IMSG_PRIV_SWITCH, b);
}

enum vmerr
rig_name(uint32_t type, const char *name)
{
	const struct priv_name n = { .ifname = unconst(name) };
	struct ibuf *b = body();

	assert_int_equal(priv_name_put(b, &n), 0);
	return rig_ask(type, b);
}

struct priv_nic
rig_local(uint32_t id, uint32_t flags)
{
	static char alias[] = "vm1-if0-web";
	struct priv_nic n = { .alias = alias,
		.pairs = 1,
		.flags = PRIVF_UP | PRIVF_LOCAL | flags,
		.mac = { 0xfe, 0xe1, 0xbb, 0xd1, 0x22, (uint8_t)id } };
	uint8_t prefix6[8] = { 0xfd, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde };

	n.host4 = 0x64400000 | id << 8 | 2;
	n.guest4 = n.host4 + 1;
	memcpy(n.host6, prefix6, 8);
	memcpy(n.guest6, prefix6, 8);
	n.host6[8] = 0x64;
	n.host6[9] = 0x40;
	n.host6[10] = (uint8_t)id;
	n.host6[11] = 3;
	n.host6[15] = 1;
	n.guest6[8] = 0xfc;
	n.guest6[15] = (uint8_t)id;
	return n;
}
