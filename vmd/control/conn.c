/*
 * control: the socket and its clients.
 *
 * Runs as _vmd.  Clients are hostile; the parent decides what they may do,
 * by the duplicate of each connection that it is given.  Clients send no
 * descriptors.  Nobody waits for a client: each has a queue with a limit and
 * a deadline for reading it, and is not read while it has too much open, or
 * while the parent has too much of it all to read.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <event2/event.h>

#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/control/control_int.h"

#define READ_TIMEOUT  10	   /* s, for one message */
#define WRITE_TIMEOUT 10	   /* s */
#define QUEUE_MAX     (4U << 20)   /* bytes to a client, at most ... */
#define QUEUE_HIGH    (64U << 10)  /* ... and while we still listen to it */
#define PARENT_HIGH   (256U << 10) /* bytes to the parent, the same */
#define ACCEPT_PAUSE  1		   /* s, out of descriptors */

void
conn_flow(struct conn *cn)
{
	peer_pause(cn->peer,
	    cn->control->choked || cn->nrequests >= CONTROL_MAXREQUESTS ||
		peer_queued(cn->peer) > QUEUE_HIGH);
}

/* Take new ones now, or not? */
static void
accept_flow(struct control *c)
{
	if (c->accept_ev == NULL)
		return;
	if (c->choked || event_pending(c->retry_ev, EV_TIMEOUT, NULL))
		event_del(c->accept_ev);
	else if (event_add(c->accept_ev, NULL) == -1)
		fatalx("no memory to accept");
}

static void
choke(struct control *c, int on)
{
	struct conn *cn;

	if (c->choked == on)
		return;
	c->choked = on;
	accept_flow(c);
	TAILQ_FOREACH(cn, &c->conns, entry)
		conn_flow(cn);
}

void
conn_parent_drained(struct peer *up)
{
	choke(peer_arg(up), 0);
}

static void
conn_drained(struct peer *p)
{
	conn_flow(peer_arg(p));
}

int
conn_send_up(struct control *c, uint32_t type, struct msg_hdr h, struct ibuf *b,
    int *fds, size_t nfds)
{
	int rc;

	rc = peer_send(c->up, type, h, b, fds, nfds);
	if (peer_queued(c->up) > PARENT_HIGH)
		choke(c, 1);
	return rc;
}

void
conn_free(struct conn *cn)
{
	struct control *c = cn->control;
	const struct msg_hdr h = { .conn = cn->nr };
	struct request *r;

	while ((r = TAILQ_FIRST(&cn->requests)) != NULL)
		control_request_free(c, r);
	conn_send_up(c, IMSG_CTL_CONN_CLOSE, h, NULL, NULL, 0);
	TAILQ_REMOVE(&c->conns, cn, entry);
	c->nconns--;
	peer_free(cn->peer);
	free(cn);
}

static void
conn_closed(struct peer *p, const char *why)
{
	struct conn *cn = peer_arg(p);

	if (why != NULL)
		log_debug("connection %llu: %s", (unsigned long long)cn->nr,
		    why);
	conn_free(cn);
}

void
conn_last(struct conn *cn)
{
	struct control *c = cn->control;

	if (!c->choked)
		return;
	TAILQ_REMOVE(&c->conns, cn, entry);
	TAILQ_INSERT_TAIL(&c->conns, cn, entry);
}

static unsigned int
conns_of(const struct control *c, uid_t uid)
{
	struct conn *cn;
	unsigned int n = 0;

	TAILQ_FOREACH(cn, &c->conns, entry)
		n += cn->uid == uid;
	return n;
}

static int
too_many(const struct control *c, uid_t uid)
{
	if (uid == 0)
		return c->nconns >= CONTROL_MAXCONNS + CONTROL_ROOTCONNS;
	return c->nconns >= CONTROL_MAXCONNS ||
	    conns_of(c, uid) >= CONTROL_MAXUSER;
}

/* Takes `fd'. */
static void
conn_new(struct control *c, int fd)
{
	struct peer_conf conf = {
		.role = ROLE_CLIENT,
		.msgs = control_client_msgs,
		.nmsgs = control_nclient_msgs,
		.closed = conn_closed,
		.max_queue = QUEUE_MAX,
		.write_timeout = WRITE_TIMEOUT,
		.read_timeout = READ_TIMEOUT,
		.no_fds = 1,
	};
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	struct msg_hdr h = { 0 };
	struct conn *cn;
	char name[32];
	int copy = -1;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (too_many(c, cred.uid) ||
	    (copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    (cn = calloc(1, sizeof(*cn))) == NULL) {
		log_debug("a connection of uid %u refused", cred.uid);
		fd_close(&copy);
		fd_close(&fd);
		return;
	}
	cn->control = c;
	cn->uid = cred.uid;
	cn->nr = h.conn = c->next_conn++;
	TAILQ_INIT(&cn->requests);
	snprintf(name, sizeof(name), "client %llu", (unsigned long long)cn->nr);
	conf.name = name;
	conf.arg = cn;
	if ((cn->peer = peer_new(c->base, fd, &conf)) == NULL) {
		fd_close(&copy);
		free(cn);
		return;
	}
	peer_on_drained(cn->peer, conn_drained);
	TAILQ_INSERT_TAIL(&c->conns, cn, entry);
	c->nconns++;
	conn_flow(cn);
	conn_send_up(c, IMSG_CTL_CONN_OPEN, h, NULL, &copy, 1);
}

static void
conn_accept(int lfd, short ev, void *arg)
{
	struct timeval tv = { .tv_sec = ACCEPT_PAUSE };
	struct control *c = arg;
	int fd;

	fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1) {
		conn_new(c, fd);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
	    errno == ENOBUFS) {
		log_warn("accept");
		event_add(c->retry_ev, &tv);
		accept_flow(c);
	}
}

void
conn_retry(int fd, short ev, void *arg)
{
	accept_flow(arg);
}

int
conn_socket(struct peer *p, struct msg *m)
{
	struct control *c = peer_arg(p);
	int flags;

	if (m->nfds != 1)
		return -1;
	if (c->accept_ev != NULL)
		event_free(c->accept_ev);
	fd_close(&c->fd);
	c->fd = m->fds[0];
	m->fds[0] = -1;
	if ((flags = fcntl(c->fd, F_GETFL)) == -1 ||
	    fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -1;
	c->accept_ev = event_new(c->base, c->fd, EV_READ | EV_PERSIST,
	    conn_accept, c);
	if (c->accept_ev == NULL)
		return -1;
	accept_flow(c);
	return 0;
}
