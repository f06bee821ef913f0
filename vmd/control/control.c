/*
 * control: the socket, its clients and their waiting requests.
 *
 * Runs as _vmd.  Clients are hostile; the parent decides what they may do,
 * by the duplicate of each connection that it is given.  A request is passed
 * on unread with a number of our own, and its answers find their way back by
 * that number.  Clients send no descriptors.  Nobody waits for a client: each has a queue with a limit and
 * a deadline for reading it, and is not read while it has too much open, or
 * while the parent has too much of it all to read.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/event.h>

#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/control/control.h"

#define READ_TIMEOUT  10	   /* s, for one message */
#define WRITE_TIMEOUT 10	   /* s */
#define QUEUE_MAX     (4U << 20)   /* bytes to a client, at most ... */
#define QUEUE_HIGH    (64U << 10)  /* ... and while we still listen to it */
#define PARENT_HIGH   (256U << 10) /* bytes to the parent, the same */
#define ACCEPT_PAUSE  1		   /* s, out of descriptors */

struct request {
	RB_ENTRY(request) entry;
	TAILQ_ENTRY(request) of_conn;
	uint64_t id;	/* ours */
	uint64_t reqid; /* the client's */
	struct conn *conn;
	int console; /* the client's end, or -1 */
};
RB_HEAD(requests, request);
TAILQ_HEAD(request_list, request);

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct control *control;
	struct peer *peer;
	uint64_t nr;
	uid_t uid; /* for the limit only */
	struct request_list requests;
	unsigned int nrequests;
	unsigned int nconsoles; /* ever */
};

struct control {
	struct event_base *base;
	struct peer *up;
	int fd; /* listening, or -1 */
	struct event *accept_ev;
	struct event *retry_ev;
	TAILQ_HEAD(, conn) conns;
	unsigned int nconns;
	uint64_t next_conn;
	uint64_t next_request;
	struct requests requests;
	int choked; /* no client is read until the parent has caught up */
};

static int
request_cmp(const struct request *a, const struct request *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_PROTOTYPE(requests, request, entry, request_cmp)
RB_GENERATE(requests, request, entry, request_cmp)

/* Read this client now, or not? */
static void
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

static void
parent_drained(struct peer *up)
{
	choke(peer_arg(up), 0);
}

static void
conn_drained(struct peer *p)
{
	conn_flow(peer_arg(p));
}

/* Queue something for the parent; all is taken in every case. */
static int
send_up(struct control *c, uint32_t type, struct msg_hdr h, struct ibuf *b,
    int *fds, size_t nfds)
{
	int rc;

	rc = peer_send(c->up, type, h, b, fds, nfds);
	if (peer_queued(c->up) > PARENT_HIGH)
		choke(c, 1);
	return rc;
}

static void
request_free(struct control *c, struct request *r)
{
	RB_REMOVE(requests, &c->requests, r);
	TAILQ_REMOVE(&r->conn->requests, r, of_conn);
	r->conn->nrequests--;
	conn_flow(r->conn);
	fd_close(&r->console);
	free(r);
}

static void
conn_free(struct conn *cn)
{
	struct control *c = cn->control;
	const struct msg_hdr h = { .conn = cn->nr };
	struct request *r;

	while ((r = TAILQ_FIRST(&cn->requests)) != NULL)
		request_free(c, r);
	send_up(c, IMSG_CTL_CONN_CLOSE, h, NULL, NULL, 0);
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

static struct request *
request_new(struct conn *cn, uint64_t reqid)
{
	struct control *c = cn->control;
	struct request *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->id = c->next_request++;
	r->reqid = reqid;
	r->conn = cn;
	r->console = -1;
	RB_INSERT(requests, &c->requests, r);
	TAILQ_INSERT_TAIL(&cn->requests, r, of_conn);
	cn->nrequests++;
	conn_flow(cn);
	return r;
}

/* Copy what is left of a body; it is read by nobody here. */
static struct ibuf *
take_body(struct msg *m)
{
	struct ibuf *b;
	size_t len = ibuf_size(&m->body);

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return NULL;
	if (ibuf_add_ibuf(b, &m->body) == -1) {
		ibuf_free(b);
		return NULL;
	}
	ibuf_skip(&m->body, len);
	return b;
}

/* One end for the client, kept until it is granted; `*fd' goes down. */
static int
console_pair(struct request *r, int *fd)
{
	int sv[2];

	/* A client that does not take them leaves them in the kernel. */
	if (r->conn->nconsoles++ >= CONTROL_MAXCONSOLES)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("console");
		return -1;
	}
	r->console = sv[0];
	*fd = sv[1];
	return 0;
}

/* Who filled the queue comes last when clients are read again. */
static void
conn_last(struct conn *cn)
{
	struct control *c = cn->control;

	if (!c->choked)
		return;
	TAILQ_REMOVE(&c->conns, cn, entry);
	TAILQ_INSERT_TAIL(&c->conns, cn, entry);
}

/* Pass a request of a client on. */
static int
control_request(struct peer *p, struct msg *m)
{
	struct conn *cn = peer_arg(p);
	struct msg_hdr h = { .conn = cn->nr };
	struct request *r;
	struct ibuf *b;
	int console = -1;

	if ((r = request_new(cn, m->hdr.reqid)) == NULL)
		return -1;
	if (m->type == IMSG_CTL_CONSOLE_REQUEST &&
	    console_pair(r, &console) == -1)
		goto fail;
	if ((b = take_body(m)) == NULL)
		goto fail;
	h.reqid = r->id;
	if (send_up(cn->control, m->type, h, b, &console, console != -1) == -1)
		goto gone;
	conn_last(cn);
	return 0;
fail:
	fd_close(&console);
gone:
	request_free(cn->control, r);
	return -1;
}

/* clang-format off */
static const struct msg_handler client_msgs[] = {
	{ IMSG_CTL_VERBOSE,		ROLE_CLIENT, control_request },
	{ IMSG_CTL_RESET,		ROLE_CLIENT, control_request },
	{ IMSG_CTL_CONSOLE_REQUEST,	ROLE_CLIENT, control_request },
	{ IMSG_CTL_BREAK,		ROLE_CLIENT, control_request },
	{ IMSG_CTL_HOST_REQUEST,	ROLE_CLIENT, control_request },
	{ IMSG_CTL_AUDIT_REQUEST,	ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_START_VM_REQUEST,	ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_TERMINATE_VM_REQUEST, ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_WAIT_VM_REQUEST,	ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_PAUSE_VM,		ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_UNPAUSE_VM,	ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_ENABLE_VM,		ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_DISABLE_VM,	ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_GET_INFO_VM_REQUEST, ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_LOAD,		ROLE_CLIENT, control_request },
	{ IMSG_VMDOP_RELOAD,		ROLE_CLIENT, control_request },
};
/* clang-format on */

/* The client's end of a console goes with the answer that grants it. */
static int
console_granted(const struct msg *m)
{
	struct vmop_result r;
	struct ibuf view;
	int ok;

	ibuf_from_ibuf(&view, &m->body);
	if (vmop_result_get(&view, &r) == -1)
		return 0;
	ok = r.err == VMERR_OK;
	vmop_result_fini(&r);
	return ok;
}

/* Pass an answer of the parent back; late ones are for nobody. */
static int
control_answer(struct peer *p, struct msg *m)
{
	struct control *c = peer_arg(p);
	struct request key = { .id = m->hdr.reqid }, *r;
	struct msg_hdr h = { 0 };
	struct ibuf *b;
	size_t nfds = 0;

	if ((r = RB_FIND(requests, &c->requests, &key)) == NULL) {
		ibuf_skip(&m->body, ibuf_size(&m->body));
		return 0;
	}
	h.reqid = r->reqid;
	if (m->type == IMSG_CTL_CONSOLE_RESPONSE && console_granted(m))
		nfds = r->console != -1;
	if ((b = take_body(m)) == NULL)
		fatal("no memory for an answer");
	/* A client that is no more is noticed by its own channel. */
	peer_send(r->conn->peer, m->type, h, b, &r->console, nfds);
	if (m->type != IMSG_VMDOP_GET_INFO_VM_DATA &&
	    m->type != IMSG_CTL_AUDIT_DATA)
		request_free(c, r); /* and looks at its queue */
	return 0;
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
		.msgs = client_msgs,
		.nmsgs = sizeof(client_msgs) / sizeof(client_msgs[0]),
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
	send_up(c, IMSG_CTL_CONN_OPEN, h, NULL, &copy, 1);
}

static void
control_accept(int lfd, short ev, void *arg)
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

static void
control_retry(int fd, short ev, void *arg)
{
	accept_flow(arg);
}

/* The listening socket. */
static int
control_socket(struct peer *p, struct msg *m)
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
	    control_accept, c);
	if (c->accept_ev == NULL)
		return -1;
	accept_flow(c);
	return 0;
}

static int
control_verbose(struct peer *p, struct msg *m)
{
	struct vmop_id v;

	if (vmop_id_get(&m->body, &v) == -1)
		return -1;
	log_set_verbose((int)v.arg);
	vmop_id_fini(&v);
	return 0;
}

static int
control_shutdown(struct peer *p, struct msg *m)
{
	struct control *c = peer_arg(p);
	struct conn *cn;

	TAILQ_FOREACH(cn, &c->conns, entry)
		peer_flush(cn->peer, 0);
	exit(0);
}

/* clang-format off */
const struct msg_handler control_msgs[] = {
	{ IMSG_CTL_SOCKET,		ROLE_PARENT, control_socket },
	{ IMSG_CTL_VERBOSE,		ROLE_PARENT, control_verbose },
	{ IMSG_CTL_SHUTDOWN,		ROLE_PARENT, control_shutdown },
	{ IMSG_CTL_OK,			ROLE_PARENT, control_answer },
	{ IMSG_CTL_FAIL,		ROLE_PARENT, control_answer },
	{ IMSG_CTL_CONSOLE_RESPONSE,	ROLE_PARENT, control_answer },
	{ IMSG_CTL_BREAK_RESPONSE,	ROLE_PARENT, control_answer },
	{ IMSG_CTL_HOST_RESPONSE,	ROLE_PARENT, control_answer },
	{ IMSG_CTL_AUDIT_DATA,		ROLE_PARENT, control_answer },
	{ IMSG_CTL_AUDIT_END,		ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_START_VM_RESPONSE,	ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_TERMINATE_VM_RESPONSE, ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_TERMINATE_VM_EVENT, ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_PAUSE_VM_RESPONSE,	ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_UNPAUSE_VM_RESPONSE, ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_GET_INFO_VM_DATA,	ROLE_PARENT, control_answer },
	{ IMSG_VMDOP_GET_INFO_VM_END_DATA, ROLE_PARENT, control_answer },
};
/* clang-format on */
const size_t control_nmsgs = sizeof(control_msgs) / sizeof(control_msgs[0]);

struct control *
control_new(struct event_base *base)
{
	struct control *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->base = base;
	c->fd = -1;
	c->next_conn = c->next_request = 1;
	TAILQ_INIT(&c->conns);
	RB_INIT(&c->requests);
	c->retry_ev = event_new(base, -1, 0, control_retry, c);
	if (c->retry_ev == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
control_set_parent(struct control *c, struct peer *up)
{
	c->up = up;
	peer_on_drained(up, parent_drained);
}

void
control_free(struct control *c)
{
	struct conn *cn;

	if (c == NULL)
		return;
	while ((cn = TAILQ_FIRST(&c->conns)) != NULL)
		conn_free(cn);
	if (c->accept_ev != NULL)
		event_free(c->accept_ev);
	event_free(c->retry_ev);
	fd_close(&c->fd);
	free(c);
}
