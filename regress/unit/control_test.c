/*
 * The real control, with a parent and clients played by the test: where
 * requests and answers go, and that no client, slow, greedy or broken, costs
 * anybody else anything.
 */

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "regress/unit/imsg_test.h"
#include "vmd/control/control.h"

#define PATIENCE 10 /* s */
#define NOBODY	 65534
#define NREC	 4096
#define NSLOW	 100

/* A message that the parent or a client got. */
struct rec {
	uint32_t type;
	struct msg_hdr hdr;
	size_t len;
	size_t nfds;
	ino_t ino; /* of the first descriptor */
};

struct end {
	struct peer *peer;
	unsigned int got;
	struct rec recs[NREC];
	int fd; /* the last one that came */
	int closed;
	int echo; /* answer status requests at once */
};

static struct event_base *base;
static struct control *control;
static struct peer *up;	  /* control's channel */
static struct end parent; /* at the other end */
static struct end clients[3];
static struct sockaddr_un addr;
static socklen_t addrlen;
static int late;
static int up_ended;
static size_t fds_before;

static ino_t
inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void
too_late(int fd, short ev, void *arg)
{
	late = 1;
}

/* Run the loop until something is true; the test fails if it never is. */
#define until(cond)                                                            \
	do {                                                                   \
		const struct timeval tv_ = { .tv_sec = PATIENCE };             \
		struct event *ev_ = evtimer_new(base, too_late, NULL);         \
                                                                               \
		late = 0;                                                      \
		event_add(ev_, &tv_);                                          \
		while (!(cond) && !late)                                       \
			event_base_loop(base, EVLOOP_ONCE);                    \
		event_free(ev_);                                               \
		assert_false(late);                                            \
	} while (0)

/* Let everything that can happen now happen. */
static void
settle(void)
{
	int i;

	for (i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* --- the ends ---------------------------------------------------------- */

static struct ibuf *
body(size_t len)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	assert_non_null(b);
	assert_int_equal(ibuf_add_zero(b, len), 0);
	return b;
}

static void
say(struct end *e, uint32_t type, uint64_t reqid, uint64_t conn, size_t len)
{
	const struct msg_hdr h = { reqid, conn };

	assert_int_equal(peer_send(e->peer, type, h, body(len), NULL, 0), 0);
}

static void
say_fds(struct end *e, uint32_t type, uint64_t reqid, int *fds, size_t nfds)
{
	const struct msg_hdr h = { .reqid = reqid };

	assert_int_equal(peer_send(e->peer, type, h, body(4), fds, nfds), 0);
}

static void
say_result(uint32_t type, struct msg_hdr h, enum vmerr e)
{
	const struct vmop_result r = { .err = e };

	assert_int_equal(peer_result(parent.peer, type, h, &r), 0);
}

static int
record(struct peer *p, struct msg *m)
{
	struct end *e = peer_arg(p);
	struct rec *r = &e->recs[e->got++ % NREC];

	r->type = m->type;
	r->hdr = m->hdr;
	r->nfds = m->nfds;
	r->len = ibuf_size(&m->body);
	if (m->nfds > 0) {
		r->ino = inode(m->fds[0]);
		fd_close(&e->fd);
		e->fd = m->fds[0];
		m->fds[0] = -1;
	}
	ibuf_skip(&m->body, ibuf_size(&m->body));
	if (e->echo && m->type == IMSG_VMDOP_GET_INFO_VM_REQUEST)
		say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, m->hdr, VMERR_OK);
	return 0;
}

static void
end_closed(struct peer *p, const char *why)
{
	struct end *e = peer_arg(p);

	e->closed = 1;
}

static void
up_closed(struct peer *p, const char *why)
{
	up_ended = 1;
}

static void
end_open(struct end *e, enum role other, int fd)
{
	static struct msg_handler msgs[IMSG_TYPE_MAX - 1];
	struct peer_conf pc = {
		.role = other,
		.name = "test",
		.msgs = msgs,
		.nmsgs = IMSG_TYPE_MAX - 1,
		.closed = end_closed,
		.arg = e,
		.max_queue = 1U << 30,
	};
	uint32_t t;

	for (t = 1; t < IMSG_TYPE_MAX; t++)
		msgs[t - 1] = (struct msg_handler){ t, 0xff, record };
	memset(e, 0, sizeof(*e));
	e->fd = -1;
	assert_non_null(e->peer = peer_new(base, fd, &pc));
}

static void
end_close(struct end *e)
{
	peer_free(e->peer);
	e->peer = NULL;
	fd_close(&e->fd);
}

/* The last message of that type, or NULL. */
static const struct rec *
last(const struct end *e, uint32_t type)
{
	unsigned int i;

	for (i = e->got; i > 0 && e->got - i < NREC; i--)
		if (e->recs[(i - 1) % NREC].type == type)
			return &e->recs[(i - 1) % NREC];
	return NULL;
}

static unsigned int
count(const struct end *e, uint32_t type)
{
	unsigned int i, n = 0;

	assert_true(e->got <= NREC);
	for (i = 0; i < e->got; i++)
		n += e->recs[i].type == type;
	return n;
}

static int
dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	assert_true(fd != -1);
	while (
	    (rc = connect(fd, (const struct sockaddr *)&addr, addrlen)) == -1 &&
	    errno == EAGAIN)
		settle();
	assert_int_equal(rc, 0);
	return fd;
}

/* A client, and the number that control gave it. */
static uint64_t
client_open(struct end *e)
{
	unsigned int n = parent.got;

	end_open(e, ROLE_CONTROL, dial());
	until(parent.got > n && last(&parent, IMSG_CTL_CONN_OPEN) != NULL);
	return last(&parent, IMSG_CTL_CONN_OPEN)->hdr.conn;
}

/* The parent has looked who it is: nobody else holds the connection. */
static void
client_known(void)
{
	fd_close(&parent.fd);
}

static int
setup(void **state)
{
	struct peer_conf pc = {
		.role = ROLE_PARENT,
		.name = "parent",
		.msgs = control_msgs,
		.nmsgs = control_nmsgs,
		.closed = up_closed,
	};
	const struct msg_hdr none = { 0 };
	int sv[2], lfd;
	size_t i;

	for (i = 0; i < 3; i++)
		clients[i].fd = -1;
	fds_before = count_fds();
	up_ended = 0;
	base = event_base_new();
	pc.arg = control = control_new(base);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
		return -1;
	up = peer_new(base, sv[0], &pc);
	control_set_parent(control, up);
	end_open(&parent, ROLE_CONTROL, sv[1]);
	lfd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	addr.sun_family = AF_UNIX;
	if (bind(lfd, (const struct sockaddr *)&addr, sizeof(sa_family_t)) ==
		-1 ||
	    listen(lfd, 1024) == -1)
		return -1;
	addrlen = sizeof(addr);
	if (getsockname(lfd, (struct sockaddr *)&addr, &addrlen) == -1)
		return -1;
	return peer_send(parent.peer, IMSG_CTL_SOCKET, none, NULL, &lfd, 1);
}

static int
teardown(void **state)
{
	size_t i;

	for (i = 0; i < 3; i++)
		end_close(&clients[i]);
	control_free(control);
	peer_free(up);
	end_close(&parent);
	event_base_free(base);
	return count_fds() == fds_before ? 0 : -1;
}

/* --- where messages go ------------------------------------------------- */

static void
opened(void **state)
{
	uint64_t a, b;

	a = client_open(&clients[0]);
	/* The parent holds the connection itself. */
	assert_int_equal(last(&parent, IMSG_CTL_CONN_OPEN)->nfds, 1);
	assert_int_equal(send(parent.fd, "", 0, MSG_NOSIGNAL), 0);
	b = client_open(&clients[1]);
	assert_true(a != 0 && b != 0 && a != b);
	end_close(&clients[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	assert_int_equal(last(&parent, IMSG_CTL_CONN_CLOSE)->hdr.conn, a);
	/* A number is never used again. */
	assert_true(client_open(&clients[0]) > b);
}

/* Several parts, then the end; two clients use the same number. */
static void
status(void **state)
{
	uint64_t conn[2];
	struct rec req[2];
	int i;

	for (i = 0; i < 2; i++) {
		conn[i] = client_open(&clients[i]);
		say(&clients[i], IMSG_VMDOP_GET_INFO_VM_REQUEST, 77, 12345, 9);
		until(count(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) ==
		    (unsigned int)i + 1);
		req[i] = *last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST);
		/* What the client says it is does not count. */
		assert_int_equal(req[i].hdr.conn, conn[i]);
		assert_int_equal(req[i].len, 9);
	}
	assert_true(req[0].hdr.reqid != req[1].hdr.reqid);
	for (i = 0; i < 3; i++)
		say(&parent, IMSG_VMDOP_GET_INFO_VM_DATA, req[1].hdr.reqid, 0,
		    100);
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req[1].hdr, VMERR_OK);
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req[0].hdr, VMERR_OK);
	until(clients[1].got == 4 && clients[0].got == 1);
	assert_int_equal(count(&clients[1], IMSG_VMDOP_GET_INFO_VM_DATA), 3);
	assert_int_equal(clients[1].recs[0].hdr.reqid, 77);
	assert_int_equal(clients[1].recs[3].type,
	    IMSG_VMDOP_GET_INFO_VM_END_DATA);
	assert_int_equal(clients[0].recs[0].hdr.reqid, 77);
	/* It was the last: nothing more comes after it. */
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req[0].hdr, VMERR_OK);
	settle();
	assert_int_equal(clients[0].got, 1);
	assert_false(up_ended);
}

/* Every request that a client may make is passed on, nothing else. */
static void
allowed(void **state)
{
	/* clang-format off */
	static const uint32_t yes[] = {
		IMSG_CTL_VERBOSE, IMSG_CTL_RESET, IMSG_CTL_CONSOLE_REQUEST,
		IMSG_CTL_BREAK, IMSG_CTL_HOST_REQUEST,
		IMSG_CTL_AUDIT_REQUEST, IMSG_VMDOP_START_VM_REQUEST,
		IMSG_VMDOP_TERMINATE_VM_REQUEST, IMSG_VMDOP_WAIT_VM_REQUEST,
		IMSG_VMDOP_PAUSE_VM, IMSG_VMDOP_UNPAUSE_VM,
		IMSG_VMDOP_GET_INFO_VM_REQUEST, IMSG_VMDOP_LOAD,
		IMSG_VMDOP_RELOAD,
	};
	/* clang-format on */
	uint32_t t;
	size_t i;
	int ok;

	for (t = 1; t <= IMSG_TYPE_MAX + 1; t++) {
		for (ok = 0, i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
			ok |= yes[i] == t;
		client_open(&clients[0]);
		parent.got = 0;
		say(&clients[0], t, 1, 0, 8);
		until(parent.got == 1);
		if (ok)
			assert_int_equal(parent.recs[0].type, t);
		else
			assert_int_equal(parent.recs[0].type,
			    IMSG_CTL_CONN_CLOSE);
		end_close(&clients[0]);
		until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	}
	assert_false(up_ended);
}

/* The end of a VM answers those who wait for it and `stop -w'. */
static void
waiting(void **state)
{
	client_open(&clients[0]);
	say(&clients[0], IMSG_VMDOP_WAIT_VM_REQUEST, 1, 0, 8);
	say(&clients[0], IMSG_VMDOP_TERMINATE_VM_REQUEST, 2, 0, 8);
	until(last(&parent, IMSG_VMDOP_TERMINATE_VM_REQUEST) != NULL);
	say_result(IMSG_VMDOP_TERMINATE_VM_EVENT,
	    last(&parent, IMSG_VMDOP_TERMINATE_VM_REQUEST)->hdr, VMERR_OK);
	say_result(IMSG_VMDOP_TERMINATE_VM_EVENT,
	    last(&parent, IMSG_VMDOP_WAIT_VM_REQUEST)->hdr, VMERR_OK);
	until(clients[0].got == 2);
	assert_int_equal(clients[0].recs[0].hdr.reqid, 2);
	assert_int_equal(clients[0].recs[1].hdr.reqid, 1);
	assert_int_equal(clients[0].recs[1].type,
	    IMSG_VMDOP_TERMINATE_VM_EVENT);
}

static void
console(void **state)
{
	char c;

	client_open(&clients[0]);
	say(&clients[0], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
	until(last(&parent, IMSG_CTL_CONSOLE_REQUEST) != NULL);
	assert_int_equal(last(&parent, IMSG_CTL_CONSOLE_REQUEST)->nfds, 1);
	say_result(IMSG_CTL_CONSOLE_RESPONSE,
	    last(&parent, IMSG_CTL_CONSOLE_REQUEST)->hdr, VMERR_OK);
	until(clients[0].got == 1);
	/* Two ends of the same. */
	assert_int_equal(clients[0].recs[0].nfds, 1);
	assert_int_equal(write(parent.fd, "x", 1), 1);
	assert_int_equal(read(clients[0].fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	/* Nobody else holds one. */
	fd_close(&parent.fd);
	assert_int_equal(read(clients[0].fd, &c, 1), 0);
}

static void
console_refused(void **state)
{
	client_open(&clients[0]);
	say(&clients[0], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
	until(last(&parent, IMSG_CTL_CONSOLE_REQUEST) != NULL);
	say_result(IMSG_CTL_CONSOLE_RESPONSE,
	    last(&parent, IMSG_CTL_CONSOLE_REQUEST)->hdr, VMERR_PERM);
	until(clients[0].got == 1);
	assert_int_equal(clients[0].recs[0].nfds, 0);
}

/* A client may not hoard them. */
static void
console_misused(void **state)
{
	int i;

	client_open(&clients[1]);
	for (i = 0; i < CONTROL_MAXCONSOLES; i++) {
		say(&clients[1], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
		until(count(&parent, IMSG_CTL_CONSOLE_REQUEST) ==
		    (unsigned int)i + 1);
		say_result(IMSG_CTL_CONSOLE_RESPONSE,
		    last(&parent, IMSG_CTL_CONSOLE_REQUEST)->hdr, VMERR_OK);
	}
	until(clients[1].got == CONTROL_MAXCONSOLES);
	client_known();
	say(&clients[1], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
	until(clients[1].closed);
	assert_false(up_ended);
}

/* --- bad clients ------------------------------------------------------- */

static void
garbage(void **state)
{
	static const uint8_t noise[] = "GET / HTTP/1.1\r\nHost: vmd\r\n\r\n";
	const uint32_t no_header[] = { IMSG_VMDOP_LOAD, 24, 0, 0, 1, 2 };
	int fd;

	fd = dial();
	assert_int_equal(raw_send(fd, noise, sizeof(noise), 0), sizeof(noise));
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	close(fd);
	fd = dial();
	assert_int_equal(raw_send(fd, no_header, sizeof(no_header), 3),
	    sizeof(no_header));
	until(count(&parent, IMSG_CTL_CONN_CLOSE) == 2);
	close(fd);
	assert_int_equal(count(&parent, IMSG_VMDOP_LOAD), 0);
	assert_false(up_ended);
}

/* Answers for those who have gone are for nobody. */
static void
late_answer(void **state)
{
	struct rec req;

	client_open(&clients[0]);
	say(&clients[0], IMSG_VMDOP_GET_INFO_VM_REQUEST, 1, 0, 8);
	until(last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) != NULL);
	req = *last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST);
	end_close(&clients[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	client_open(&clients[1]);
	say(&parent, IMSG_VMDOP_GET_INFO_VM_DATA, req.hdr.reqid, 0, 100);
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req.hdr, VMERR_OK);
	settle();
	assert_int_equal(clients[1].got, 0);
	assert_false(up_ended);
}

/* Beyond the limit requests wait, and come when others are answered. */
static void
many_requests(void **state)
{
	unsigned int i;

	client_open(&clients[0]);
	for (i = 0; i < CONTROL_MAXREQUESTS + 4; i++)
		say(&clients[0], IMSG_VMDOP_WAIT_VM_REQUEST, i + 1, 0, 8);
	until(
	    count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST) == CONTROL_MAXREQUESTS);
	settle();
	assert_int_equal(count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST),
	    CONTROL_MAXREQUESTS);
	for (i = 1; i <= 4; i++) {
		say_result(IMSG_VMDOP_TERMINATE_VM_EVENT, parent.recs[i].hdr,
		    VMERR_OK);
		until(count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST) ==
		    CONTROL_MAXREQUESTS + i);
	}
}

/* One that is not read because it waits for too much is missed all the same. */
static void
hangup_while_waiting(void **state)
{
	unsigned int i;

	client_open(&clients[0]);
	for (i = 0; i < CONTROL_MAXREQUESTS + 4; i++)
		say(&clients[0], IMSG_VMDOP_WAIT_VM_REQUEST, i + 1, 0, 8);
	until(
	    count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST) == CONTROL_MAXREQUESTS);
	until(peer_queued(clients[0].peer) == 0);
	end_close(&clients[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Answer every status request of the slow with `len' bytes in parts. */
static void
answer_big(unsigned int from, size_t len)
{
	size_t sent;
	struct rec *r;
	unsigned int i;

	for (i = from; i < parent.got; i++) {
		r = &parent.recs[i % NREC];
		if (r->type != IMSG_VMDOP_GET_INFO_VM_REQUEST)
			continue;
		for (sent = 0; sent < len; sent += 60000)
			say(&parent, IMSG_VMDOP_GET_INFO_VM_DATA, r->hdr.reqid,
			    r->hdr.conn, 60000);
	}
}

static void
status_in_time(struct end *c)
{
	int64_t start = now_ms();
	unsigned int n = c->got;

	parent.echo = 1;
	say(c, IMSG_VMDOP_GET_INFO_VM_REQUEST, 4711, 0, 8);
	until(c->got == n + 1);
	assert_int_equal(c->recs[n].hdr.reqid, 4711);
	assert_true(now_ms() - start < 1000);
	parent.echo = 0;
}

static void
ask_status(int fd, uint64_t reqid)
{
	const struct imsg_hdr h = { .type = IMSG_VMDOP_GET_INFO_VM_REQUEST,
		.len = IMSG_HEADER_SIZE + MSG_HDR_LEN };
	uint8_t buf[IMSG_HEADER_SIZE + MSG_HDR_LEN] = { 0 };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &reqid, sizeof(reqid));
	assert_int_equal(raw_send(fd, buf, sizeof(buf), 0), sizeof(buf));
}

/* A hundred who ask for much and read nothing cost another nothing. */
static void
never_read(void **state)
{
	int slow[NSLOW], i;

	client_open(&clients[0]);
	for (i = 0; i < NSLOW; i++) {
		slow[i] = dial();
		ask_status(slow[i], 1);
	}
	until(count(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) == NSLOW);
	answer_big(0, 500000);
	status_in_time(&clients[0]);
	/* And with all of it waiting in control. */
	settle();
	status_in_time(&clients[0]);
	for (i = 0; i < NSLOW; i++)
		close(slow[i]);
	until(count(&parent, IMSG_CTL_CONN_CLOSE) == NSLOW);
	assert_false(up_ended);
}

/* Beyond a limit it is dropped, at once. */
static void
too_much_unread(void **state)
{
	int slow;

	client_open(&clients[0]);
	slow = dial();
	ask_status(slow, 1);
	until(last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) != NULL);
	answer_big(0, 6 << 20);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	close(slow);
	status_in_time(&clients[0]);
	assert_false(up_ended);
}

/* Below it, after ten seconds in which it read nothing. */
static void
deadline(void **state)
{
	int64_t start = now_ms();
	int slow, i;

	if (getenv("CHECK_LONG") == NULL)
		skip();
	slow = dial();
	ask_status(slow, 1);
	until(last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) != NULL);
	answer_big(0, 1 << 20);
	for (i = 0; i < 2 && last(&parent, IMSG_CTL_CONN_CLOSE) == NULL; i++)
		event_base_loop(base, EVLOOP_ONCE);
	while (last(&parent, IMSG_CTL_CONN_CLOSE) == NULL &&
	    now_ms() - start < 30000)
		event_base_loop(base, EVLOOP_ONCE);
	assert_true(now_ms() - start >= 9000);
	assert_non_null(last(&parent, IMSG_CTL_CONN_CLOSE));
	close(slow);
}

/* --- a parent that is busy --------------------------------------------- */

/*
 * Clients write more than the parent reads: control holds little of it,
 * lives on, and passes on everything in the end, each client in its turn.
 */
static void
busy_parent(void **state)
{
	struct end *flood = &clients[0];
	unsigned int i;

	client_open(flood);
	client_open(&clients[1]);
	settle();
	parent.got = 0;
	peer_pause(parent.peer, 1);
	for (i = 0; i < CONTROL_MAXREQUESTS; i++)
		say(flood, IMSG_VMDOP_LOAD, i, 0, 200000);
	say(&clients[1], IMSG_VMDOP_LOAD, 1, 0, 100000);
	settle();
	assert_true(peer_queued(up) < 1 << 20);
	assert_true(peer_queued(flood->peer) > 1 << 20);
	assert_false(up_ended);
	peer_pause(parent.peer, 0);
	until(parent.got == CONTROL_MAXREQUESTS + 1);
	assert_int_equal(peer_queued(flood->peer), 0);
	assert_false(flood->closed);
	/* New ones are taken again as well. */
	client_open(&clients[2]);
	status_in_time(&clients[2]);
}

/* The first bytes of a message and a descriptor, as no library sends them. */
static void
smuggle(int to, int fd)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} c = { .hdr = { .cmsg_len = CMSG_LEN(sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS } };
	char part[4] = { 0 };
	struct iovec iov = { part, sizeof(part) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &c,
		.msg_controllen = sizeof(c) };

	memcpy(CMSG_DATA(&c.hdr), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &m, 0), sizeof(part));
}

/*
 * Closing what somebody sends may take for ever: descriptors, many, few, or
 * hidden, end a connection, with no message that clients may send, and with
 * no other, and nobody here has had them.
 */
static void
no_descriptors(void **state)
{
	int fds[VM_MAXFDS], p[2], how;
	size_t i, n;
	uint32_t t;
	char c;

	client_open(&clients[1]);
	for (t = 1; t < IMSG_TYPE_MAX * 3; t++) {
		how = (int)(t % 3);
		client_open(&clients[0]);
		client_known();
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		n = how == 1 ? VM_MAXFDS : 1;
		for (i = 0; i < n; i++)
			assert_true((fds[i] = dup(p[1])) != -1);
		close(p[1]);
		parent.got = 0;
		if (how == 2) {
			smuggle(peer_fd(clients[0].peer), fds[0]);
			close(fds[0]);
		} else
			say_fds(&clients[0], t / 3, 5, fds, n);
		until(clients[0].closed);
		until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
		assert_int_equal(parent.got, 1);
		end_close(&clients[0]);
		/* No one has the other end of the pipe. */
		assert_int_equal(read(p[0], &c, 1), 0);
		close(p[0]);
	}
	status_in_time(&clients[1]);
	assert_false(up_ended);
}

/* --- how many ---------------------------------------------------------- */

/* Connect as somebody else: the kernel notes who connects. */
static int
dial_as(uid_t uid)
{
	int fd;

	assert_int_equal(seteuid(uid), 0);
	fd = dial();
	assert_int_equal(seteuid(0), 0);
	return fd;
}

static int
is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void
too_many(void **state)
{
	static int fds[CONTROL_MAXUSER + 1];
	int i;

	if (getuid() != 0)
		skip();
	for (i = 0; i <= CONTROL_MAXUSER; i++)
		fds[i] = dial_as(NOBODY);
	until(is_closed(fds[CONTROL_MAXUSER]));
	settle();
	assert_int_equal(count(&parent, IMSG_CTL_CONN_OPEN), CONTROL_MAXUSER);
	assert_false(is_closed(fds[0]));
	/* Others are served. */
	client_open(&clients[0]);
	status_in_time(&clients[0]);
	/* One goes, another may come. */
	close(fds[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	close(fds[CONTROL_MAXUSER]);
	fds[0] = dial_as(NOBODY);
	until(count(&parent, IMSG_CTL_CONN_OPEN) == CONTROL_MAXUSER + 2);
	for (i = 0; i < CONTROL_MAXUSER; i++)
		close(fds[i]);
}

/* All are taken by ordinary users together: root still gets in. */
static void
too_many_together(void **state)
{
	static int fds[CONTROL_MAXCONNS + 1];
	int i;

	if (getuid() != 0)
		skip();
	for (i = 0; i <= CONTROL_MAXCONNS; i++)
		fds[i] = dial_as((uid_t)(NOBODY - i / CONTROL_MAXUSER));
	until(is_closed(fds[CONTROL_MAXCONNS]));
	client_open(&clients[0]);
	status_in_time(&clients[0]);
	for (i = 0; i <= CONTROL_MAXCONNS; i++)
		close(fds[i]);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(opened),
		T(status),
		T(allowed),
		T(no_descriptors),
		T(waiting),
		T(console),
		T(console_refused),
		T(console_misused),
		T(garbage),
		T(late_answer),
		T(many_requests),
		T(hangup_while_waiting),
		T(never_read),
		T(too_much_unread),
		T(deadline),
		T(busy_parent),
		T(too_many),
		T(too_many_together),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
