/*
 * Requests: who asked, what is still to be answered, and the answers.
 *
 * Control forwards what clients ask; each request carries the number of the
 * connection and gets exactly one answer.  Those that vmm works on are kept
 * here under a number of ours, so that they can be answered when vmm dies.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

#define MAX_CONNS 4096
#define TEXT_MAX  2048 /* of vm_info and vmop_result */

/* clang-format off */
static const struct {
	uint32_t	request;
	uint32_t	answer;
} answers[] = {
	{ IMSG_CTL_CONSOLE_REQUEST,	IMSG_CTL_CONSOLE_RESPONSE },
	{ IMSG_CTL_BREAK,		IMSG_CTL_BREAK_RESPONSE },
	{ IMSG_CTL_AUDIT_REQUEST,	IMSG_CTL_AUDIT_END },
	{ IMSG_VMDOP_START_VM_REQUEST,	IMSG_VMDOP_START_VM_RESPONSE },
	{ IMSG_VMDOP_TERMINATE_VM_REQUEST,
					IMSG_VMDOP_TERMINATE_VM_RESPONSE },
	{ IMSG_VMDOP_WAIT_VM_REQUEST,	IMSG_VMDOP_TERMINATE_VM_RESPONSE },
	{ IMSG_VMDOP_PAUSE_VM,		IMSG_VMDOP_PAUSE_VM_RESPONSE },
	{ IMSG_VMDOP_UNPAUSE_VM,	IMSG_VMDOP_UNPAUSE_VM_RESPONSE },
	{ IMSG_VMDOP_GET_INFO_VM_REQUEST,
					IMSG_VMDOP_GET_INFO_VM_END_DATA },
};
/* clang-format on */

uint32_t
answer_type(uint32_t type)
{
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].request == type)
			return answers[i].answer;
	return IMSG_CTL_FAIL;
}

void
answer(struct parent *p, const struct msg_hdr *hdr, uint32_t type,
    const struct vmop_result *res)
{
	struct peer *control = p->children[CHILD_CONTROL].peer;

	if (hdr == NULL || hdr->reqid == 0 || control == NULL)
		return;
	if (peer_result(control, type, *hdr, res) == -1)
		log_warn("answer to connection %llu",
		    (unsigned long long)hdr->conn);
}

char *
text_of(const char *fmt, va_list ap)
{
	const size_t half = TEXT_MAX / 2 - 2;
	char *s, *tail;

	if (vasprintf(&s, fmt, ap) == -1)
		return NULL;
	if (strlen(s) <= TEXT_MAX)
		return s;
	/* Paths are long, and what is said of them stands at the end. */
	tail = s + strlen(s) - half;
	memcpy(s + half, "...", 3);
	memmove(s + half + 3, tail, half + 1);
	return s;
}

void
answer_fail(struct parent *p, const struct msg_hdr *hdr, uint32_t type,
    enum vmerr e, const char *fmt, ...)
{
	struct vmop_result r = { .err = e };
	va_list ap;

	va_start(ap, fmt);
	r.text = text_of(fmt, ap);
	va_end(ap);
	answer(p, hdr, type, &r);
	free(r.text);
}

struct request *
request_new(struct parent *p, const struct msg_hdr *hdr, uint32_t type,
    const struct vm *v)
{
	struct request *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->id = ++p->next_id;
	if (hdr != NULL)
		r->hdr = *hdr;
	r->answer = type;
	if (v != NULL) {
		r->vm = v->spec->id;
		r->generation = v->generation;
	}
	TAILQ_INSERT_TAIL(&p->requests, r, entry);
	return r;
}

struct request *
request_wait(struct parent *p, const struct msg_hdr *hdr, uint32_t type,
    const struct vm *v)
{
	struct request *r;

	if (p->nwaits >= PARENT_MAXWAITS) {
		errno = EDQUOT;
		return NULL;
	}
	if ((r = request_new(p, hdr, type, v)) == NULL)
		return NULL;
	r->waits = 1;
	p->nwaits++;
	return r;
}

void
answer_cannot_wait(struct parent *p, const struct msg_hdr *hdr, uint32_t type)
{
	if (errno == EDQUOT)
		answer_fail(p, hdr, type, VMERR_LIMIT,
		    "%d requests wait already, no more can", PARENT_MAXWAITS);
	else
		answer_fail(p, hdr, type, VMERR_FAILED, "no memory");
}

struct request *
request_find(struct parent *p, uint64_t id)
{
	struct request *r;

	TAILQ_FOREACH(r, &p->requests, entry)
		if (r->id == id)
			return r;
	return NULL;
}

void
request_free(struct parent *p, struct request *r)
{
	TAILQ_REMOVE(&p->requests, r, entry);
	if (r->waits)
		p->nwaits--;
	free(r);
}

void
request_done(struct parent *p, struct request *r, const struct vmop_result *res)
{
	struct msg_hdr hdr = r->hdr;
	uint32_t type = r->answer;

	request_free(p, r);
	answer(p, &hdr, type, res);
}

void
request_fail(struct parent *p, struct request *r, enum vmerr e,
    const char *text)
{
	struct msg_hdr hdr = r->hdr;
	uint32_t type = r->answer;

	if (type == IMSG_VMDOP_TERMINATE_VM_EVENT)
		type = IMSG_VMDOP_TERMINATE_VM_RESPONSE;
	else if (type == IMSG_CTL_OK || type == IMSG_CTL_HOST_RESPONSE)
		type = IMSG_CTL_FAIL;
	request_free(p, r);
	answer_fail(p, &hdr, type, e, "%s", text);
}

void
requests_drop(struct parent *p, uint64_t conn)
{
	struct request *r, *next;

	listings_drop(p, conn);
	TAILQ_FOREACH_SAFE(r, &p->requests, entry, next) {
		if (conn != 0 && r->hdr.conn != conn)
			continue;
		/* What goes on without them stays, unanswered. */
		r->hdr.reqid = 0;
		if (!r->at_vmm && r->answer != IMSG_VMDOP_START_VM_RESPONSE)
			request_free(p, r);
	}
}

static struct conn *
conn_find(struct parent *p, uint64_t nr)
{
	struct conn *c;

	TAILQ_FOREACH(c, &p->conns, entry)
		if (c->nr == nr)
			return c;
	return NULL;
}

static void
conn_free(struct parent *p, struct conn *c)
{
	TAILQ_REMOVE(&p->conns, c, entry);
	p->nconns--;
	cred_free(c->cred);
	free(c);
}

void
conns_clear(struct parent *p)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&p->conns)) != NULL)
		conn_free(p, c);
}

const struct cred *
conn_cred(struct parent *p, uint64_t nr)
{
	struct conn *c = conn_find(p, nr);

	return c == NULL ? NULL : c->cred;
}

int
parent_conn_open(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct conn *c;

	if (wire_end(&m->body) == -1 || m->nfds != 1 || m->hdr.conn == 0 ||
	    conn_find(p, m->hdr.conn) != NULL)
		return -1;
	if (p->nconns >= MAX_CONNS) {
		log_warnx("too many connections");
		return 0; /* unknown: it may do nothing */
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		log_warn("connection");
		return 0;
	}
	c->nr = m->hdr.conn;
	/* Without credentials the connection may do nothing. */
	if ((c->cred = cred_of_socket(m->fds[0])) == NULL)
		log_warn("credentials of connection %llu",
		    (unsigned long long)c->nr);
	TAILQ_INSERT_TAIL(&p->conns, c, entry);
	p->nconns++;
	return 0;
}

int
parent_conn_close(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct conn *c;

	if (wire_end(&m->body) == -1 || m->hdr.conn == 0)
		return -1;
	requests_drop(p, m->hdr.conn);
	if ((c = conn_find(p, m->hdr.conn)) != NULL)
		conn_free(p, c);
	return 0;
}

int
client_may_log(struct parent *p)
{
	int64_t second = now_ms() / 1000;

	if (second != p->log_second) {
		if (p->log_dropped > 0)
			log_warnx("%u lines about requests left out",
			    p->log_dropped);
		p->log_second = second;
		p->log_lines = p->log_dropped = 0;
	}
	if (p->log_lines++ < CLIENT_LOG_RATE)
		return 1;
	p->log_dropped++;
	return 0;
}

void
request_refuse(struct parent *p, struct msg *m, enum vmerr e)
{
	/* The rest of a client's words is not control's fault. */
	ibuf_skip(&m->body, ibuf_size(&m->body));
	answer_fail(p, &m->hdr, answer_type(m->type), e, "%s", vmerr_text(e));
}

const struct cred *
request_cred(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	const struct cred *c = conn_cred(p, m->hdr.conn);

	if (perm_may_request(c, m->type) == VMERR_OK)
		return c;
	if (c != NULL && client_may_log(p))
		log_info("%s refused for user %u", msg_name(m->type), c->uid);
	request_refuse(p, m, VMERR_PERM);
	return NULL;
}

struct vm *
request_vm(struct peer *peer, struct msg *m, struct vmop_id *op)
{
	struct parent *p = parent_of(peer);
	const struct cred *c;
	struct vm *v;
	enum vmerr e;

	memset(op, 0, sizeof(*op));
	if ((c = request_cred(peer, m)) == NULL)
		return NULL;
	if (vmop_id_get(&m->body, op) == -1 || wire_end(&m->body) == -1)
		e = VMERR_BADMSG;
	else if ((v = vm_find(p, op->name)) == NULL || !vm_may_see(v, c))
		e = VMERR_NOTFOUND;
	else if ((e = vm_may_operate(v, c)) == VMERR_OK)
		return v;
	request_refuse(p, m, e);
	vmop_id_fini(op);
	return NULL;
}

enum vmerr
request_forward(struct vm *v, const struct msg *m, uint32_t flags, int *fd)
{
	struct parent *p = v->parent;
	struct vmop_id op = {
		.name = v->spec->name,
		.flags = flags,
		.id = v->spec->id,
		.generation = v->generation,
	};
	struct msg_hdr h = { 0 };
	struct request *r;

	if ((r = request_new(p, &m->hdr, answer_type(m->type), v)) == NULL)
		return VMERR_FAILED;
	r->at_vmm = 1;
	h.reqid = r->id;
	if (child_send_id(&p->children[CHILD_VMM], m->type, h, &op, fd) == 0)
		return VMERR_OK;
	request_free(p, r);
	return VMERR_GONE;
}

/* Answers of vmm that are passed on as they are. */
int
parent_result(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_result res;
	struct request *r;
	struct vm *v;

	if (vmop_result_get(&m->body, &res) == -1)
		return -1;
	if (wire_end(&m->body) == -1 || res.err >= VMERR_MAX) {
		vmop_result_fini(&res);
		return -1;
	}
	r = request_find(p, m->hdr.reqid);
	if (r == NULL || r->answer != m->type) {
		log_debug("late %s from %s", msg_name(m->type),
		    peer_name(peer));
	} else {
		/* Which VM it is about is known here; vmm need not say. */
		v = vm_by_id(p, r->vm);
		res.id = r->vm;
		free(res.name);
		res.name = v == NULL ? NULL : strdup(v->spec->name);
		request_done(p, r, &res);
	}
	vmop_result_fini(&res);
	return 0;
}
