/*
 * Orders of the parent to priv: one at a time, each with a deadline.
 *
 * A priv that does not answer, or answers what was not asked, is killed; the
 * next one is told everything again.  So an order has exactly one end, and
 * nothing that priv says or does not say can hold up the parent.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/net_int.h"

#define ORDER_TIMEOUT 10 /* seconds */

static void
order_free(struct order *o)
{
	ibuf_free(o->body);
	free(o);
}

static void
late(int fd, short ev, void *arg)
{
	struct parent *p = arg;

	log_warnx("priv: no answer in %d s, killed", ORDER_TIMEOUT);
	p->net->late = 1;
	child_kill(&p->children[CHILD_PRIV]);
}

/* Begin with the first one. */
static void
send_next(struct parent *p)
{
	const struct timeval tv = { .tv_sec = ORDER_TIMEOUT };
	struct peer *priv = p->children[CHILD_PRIV].peer;
	struct order *o = TAILQ_FIRST(&p->net->orders);
	struct msg_hdr hdr = { 0 };
	struct ibuf *b;

	if (o == NULL || priv == NULL)
		return;
	if (o->forwarding != 0)
		net_forwarding_before(p, o->forwarding);
	hdr.reqid = o->id;
	b = o->body;
	o->body = NULL;
	if (p->net->deadline == NULL)
		p->net->deadline = evtimer_new(p->base, late, p);
	if (p->net->deadline == NULL || event_add(p->net->deadline, &tv) == -1)
		log_warn("priv: no deadline");
	/* If it fails the channel has ended, and so will the order. */
	if (peer_send(priv, o->type, hdr, b, NULL, 0) == -1)
		child_kill(&p->children[CHILD_PRIV]);
}

static struct order *
order_put(struct parent *p, uint32_t type, struct ibuf *body, size_t nfds,
    uint32_t forwarding, order_fn *done, void *arg)
{
	struct order *o;

	if (p->children[CHILD_PRIV].peer == NULL ||
	    (o = calloc(1, sizeof(*o))) == NULL) {
		if (p->children[CHILD_PRIV].peer == NULL)
			errno = EPIPE;
		ibuf_free(body);
		return NULL;
	}
	o->id = ++p->next_id;
	o->type = type;
	o->body = body;
	o->nfds = nfds;
	o->forwarding = forwarding;
	o->done = done;
	o->arg = arg;
	TAILQ_INSERT_TAIL(&p->net->orders, o, entry);
	if (TAILQ_FIRST(&p->net->orders) == o)
		send_next(p);
	return o;
}

struct order *
order_new(struct parent *p, uint32_t type, struct ibuf *body, size_t nfds,
    order_fn *done, void *arg)
{
	return order_put(p, type, body, nfds, 0, done, arg);
}

struct order *
order_new_nic(struct parent *p, const struct priv_nic *n, order_fn *done,
    void *arg)
{
	uint32_t forwarding = 0;
	struct ibuf *b;

	if (n->flags & PRIVF_NAT || n->nforwards != 0)
		forwarding = n->flags & PRIVF_INET6 ? PRIVFWD_4 | PRIVFWD_6 :
						      PRIVFWD_4;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return NULL;
	if (priv_nic_put(b, n) == -1) {
		ibuf_free(b);
		return NULL;
	}
	return order_put(p, IMSG_PRIV_NIC, b,
	    n->flags & PRIVF_ADOPT ? 0 : n->pairs, forwarding, done, arg);
}

void
order_redirect(struct order *o, order_fn *done, void *arg)
{
	o->done = done;
	o->arg = arg;
}

void
orders_fail(struct parent *p)
{
	char died[] = "priv died", mute[] = "priv did not answer in time";
	const struct priv_result r = {
		.err = p->net->late ? VMERR_TIMEOUT : VMERR_GONE,
		.text = p->net->late ? mute : died,
	};
	struct order *o;

	p->net->late = 0;
	if (p->net->deadline != NULL)
		event_del(p->net->deadline);
	while ((o = TAILQ_FIRST(&p->net->orders)) != NULL) {
		TAILQ_REMOVE(&p->net->orders, o, entry);
		o->done(o->arg, &r, NULL, 0);
		order_free(o);
	}
}

void
orders_free(struct parent *p)
{
	struct order *o;

	if (p->net->deadline != NULL)
		event_free(p->net->deadline);
	while ((o = TAILQ_FIRST(&p->net->orders)) != NULL) {
		TAILQ_REMOVE(&p->net->orders, o, entry);
		order_free(o);
	}
}

/* Is this an answer to `o'? */
static int
fits(const struct order *o, const struct msg *m, const struct priv_result *r)
{
	if (r->err >= VMERR_MAX || m->nfds != (r->err == 0 ? o->nfds : 0))
		return 0;
	if (r->err != VMERR_OK)
		return r->text != NULL;
	if (o->type != IMSG_PRIV_NIC)
		return 1;
	return r->ifname != NULL && r->ifname[0] != '\0' &&
	    r->mtu >= NET_MIN_MTU && r->mtu <= NET_MAX_MTU;
}

int
parent_priv_result(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct order *o = TAILQ_FIRST(&p->net->orders);
	struct priv_result r;
	int rc = -1;

	if (priv_result_get(&m->body, &r) == -1)
		return -1;
	if (wire_end(&m->body) == 0 && o != NULL && o->id == m->hdr.reqid &&
	    fits(o, m, &r)) {
		rc = 0;
		if (p->net->deadline != NULL)
			event_del(p->net->deadline);
		TAILQ_REMOVE(&p->net->orders, o, entry);
		net_forwarding(p, r.forwarding, r.kept);
		send_next(p);
		o->done(o->arg, &r, m->fds, m->nfds);
		order_free(o);
		shutdown_check(p);
	}
	priv_result_fini(&r);
	return rc;
}

struct ibuf *
order_name(const char *ifname)
{
	struct priv_name n = { 0 };
	struct ibuf *b;
	int rc;

	if ((n.ifname = strdup(ifname)) == NULL)
		return NULL;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL) {
		free(n.ifname);
		return NULL;
	}
	rc = priv_name_put(b, &n);
	free(n.ifname);
	if (rc == 0)
		return b;
	ibuf_free(b);
	return NULL;
}
