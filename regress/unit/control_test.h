#ifndef CONTROL_TEST_H
#define CONTROL_TEST_H

/*
 * The real control process between clients and a parent that a test plays.
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
#include "regress/unit/until.h"
#include "vmd/control/control.h"

#define NOBODY 65534
#define NREC   4096
#define NSLOW  100

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

static struct control *control;
static struct peer *up;	  /* control's channel */
static struct end parent; /* at the other end */
static struct end clients[3];
static struct sockaddr_un addr;
static socklen_t addrlen;
static int up_ended;
static size_t fds_before;

static inline ino_t
inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* --- the ends ---------------------------------------------------------- */

static inline struct ibuf *
body(size_t len)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	assert_non_null(b);
	assert_int_equal(ibuf_add_zero(b, len), 0);
	return b;
}

static inline void
say(struct end *e, uint32_t type, uint64_t reqid, uint64_t conn, size_t len)
{
	const struct msg_hdr h = { reqid, conn };

	assert_int_equal(peer_send(e->peer, type, h, body(len), NULL, 0), 0);
}

static inline void
say_fds(struct end *e, uint32_t type, uint64_t reqid, int *fds, size_t nfds)
{
	const struct msg_hdr h = { .reqid = reqid };

	assert_int_equal(peer_send(e->peer, type, h, body(4), fds, nfds), 0);
}

static inline void
say_result(uint32_t type, struct msg_hdr h, enum vmerr e)
{
	const struct vmop_result r = { .err = e };

	assert_int_equal(peer_result(parent.peer, type, h, &r), 0);
}

static inline int
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

static inline void
end_closed(struct peer *p, const char *why)
{
	struct end *e = peer_arg(p);

	e->closed = 1;
}

static inline void
up_closed(struct peer *p, const char *why)
{
	up_ended = 1;
}

static inline void
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

static inline void
end_close(struct end *e)
{
	peer_free(e->peer);
	e->peer = NULL;
	fd_close(&e->fd);
}

/* The last message of that type, or NULL. */
static inline const struct rec *
last(const struct end *e, uint32_t type)
{
	unsigned int i;

	for (i = e->got; i > 0 && e->got - i < NREC; i--)
		if (e->recs[(i - 1) % NREC].type == type)
			return &e->recs[(i - 1) % NREC];
	return NULL;
}

static inline unsigned int
count(const struct end *e, uint32_t type)
{
	unsigned int i, n = 0;

	assert_true(e->got <= NREC);
	for (i = 0; i < e->got; i++)
		n += e->recs[i].type == type;
	return n;
}

static inline int
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
static inline uint64_t
client_open(struct end *e)
{
	unsigned int n = parent.got;

	end_open(e, ROLE_CONTROL, dial());
	until(parent.got > n && last(&parent, IMSG_CTL_CONN_OPEN) != NULL);
	return last(&parent, IMSG_CTL_CONN_OPEN)->hdr.conn;
}

/* The parent has looked who it is: nobody else holds the connection. */
static inline void
client_known(void)
{
	fd_close(&parent.fd);
}

static inline int
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

static inline int
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

#endif
