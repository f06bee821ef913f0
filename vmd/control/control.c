/*
 * control: what clients ask for, and the answers.
 *
 * Runs as _vmd.  A request is passed on unread with a number of our own, and
 * its answers find their way back by that number.  conn.c has the clients.
 */

#include <stdlib.h>
#include <sys/socket.h>
#include <event2/event.h>

#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/control/control_int.h"

static int
request_cmp(const struct request *a, const struct request *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_PROTOTYPE(requests, request, entry, request_cmp)
RB_GENERATE(requests, request, entry, request_cmp)

void
control_request_free(struct control *c, struct request *r)
{
	RB_REMOVE(requests, &c->requests, r);
	TAILQ_REMOVE(&r->conn->requests, r, of_conn);
	r->conn->nrequests--;
	conn_flow(r->conn);
	fd_close(&r->console);
	free(r);
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
	if (conn_send_up(cn->control, m->type, h, b, &console, console != -1) ==
	    -1)
		goto gone;
	conn_last(cn);
	return 0;
fail:
	fd_close(&console);
gone:
	control_request_free(cn->control, r);
	return -1;
}

/* clang-format off */
const struct msg_handler control_client_msgs[] = {
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
const size_t control_nclient_msgs = sizeof(control_client_msgs) /
    sizeof(control_client_msgs[0]);

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
		control_request_free(c, r); /* and looks at its queue */
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
	{ IMSG_CTL_SOCKET,		ROLE_PARENT, conn_socket },
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
	c->retry_ev = event_new(base, -1, 0, conn_retry, c);
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
	peer_on_drained(up, conn_parent_drained);
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
