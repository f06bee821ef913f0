/*
 * The interfaces of a VM: made by priv before it is launched, one after the
 * other, and undone when its run is over, however it ends.
 *
 *	vm_net_start() -> order -> answered() -> ... -> vm_launch()
 *
 * The taps are kept in v->fds, so a guest that resets finds them again.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/net_int.h"
#include "vmd/parent/passt.h"

static void next(struct vmnet *n);

static void
deleted(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	/* What a priv that died did not do, the next one sweeps. */
	if (r->err != VMERR_OK && r->err != VMERR_GONE)
		log_warnx("interface not removed: %s", r->text);
}

static void
order_del(struct parent *p, const char *ifname)
{
	struct ibuf *b = order_name(ifname);

	if (b == NULL ||
	    (order_new(p, IMSG_PRIV_NIC_DEL, b, 0, deleted, NULL) == NULL &&
		errno != EPIPE))
		log_warn("%s: not removed", ifname);
}

/* Nobody waits for it any more. */
static void
orphaned(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	if (r->err == VMERR_OK)
		order_del(arg, r->ifname);
}

/*
 * A stream of frames cannot be taken up where another guest has left it:
 * passt starts afresh with each.
 */
static void
end_passts(struct vm *v)
{
	uint32_t i;

	passt_stop(v);
	for (i = 0; i < v->run->nnics; i++)
		if (v->run->nics[i].flags & NICF_USER)
			v->net->nics[i].made = 0;
}

void
vm_net_cancel(struct vm *v)
{
	if (v->net == NULL)
		return;
	if (v->run != NULL)
		end_passts(v);
	if (v->net->order == NULL)
		return;
	order_redirect(v->net->order, orphaned, v->parent);
	v->net->order = NULL;
}

static void
close_taps(struct vm *v, uint32_t idx)
{
	unsigned int q;
	int fd;

	for (q = 0; q < NET_MAX_PAIRS; q++) {
		fd = fdlist_take(&v->fds, FD_TAP, idx, q);
		fd_close(&fd);
	}
}

void
vm_net_end(struct vm *v)
{
	struct vmnet *n = v->net;
	struct parent *p = v->parent;
	uint32_t i;

	if (n == NULL)
		return;
	vm_net_cancel(v);
	for (i = 0; i < VM_MAX_NICS; i++) {
		close_taps(v, i);
		if (n->nics[i].made && n->nics[i].conf.ifname != NULL)
			order_del(p, n->nics[i].conf.ifname);
		priv_nic_fini(&n->nics[i].conf);
	}
	for (i = 0; v->run != NULL && i < v->run->nnics; i++)
		memset(&v->run->nics[i].net, 0, sizeof(v->run->nics[i].net));
	v->net = NULL;
	free(n->pending);
	free(n);
	hosts_update(p);
	switches_tidy(p);
}

void
vm_net_failed(struct vm *v, uint32_t idx, enum vmerr e, const char *why)
{
	vm_start_failed(v, e, "interface %u: %s%s", idx, why,
	    v->given & VMGIVEN_NICS ? "" : vm_where(v));
}

void
vm_net_made(struct vm *v, uint32_t idx)
{
	v->net->nics[idx].made = 1;
	next(v->net);
}

/* A name that one of ours has already cannot be a new tap. */
static int
name_known(const struct parent *p, const char *ifname)
{
	const struct vm *v;
	uint32_t i;

	TAILQ_FOREACH(v, &p->vms, entry)
		for (i = 0; v->net != NULL && i < VM_MAX_NICS; i++)
			if (v->net->nics[i].made &&
			    v->net->nics[i].conf.ifname != NULL &&
			    strcmp(v->net->nics[i].conf.ifname, ifname) == 0)
				return 1;
	return 0;
}

/* NULL, or why the tap is of no use; else it is in v->fds. */
static const char *
take_tap(struct vm *v, uint32_t idx, const struct priv_result *r, int *fds,
    size_t nfds)
{
	struct vmnic *nic = &v->net->nics[idx];
	struct net_conf *c = &v->run->nics[idx].net;
	char *ifname;
	size_t i;

	if (name_known(v->parent, r->ifname) ||
	    (nic->conf.ifname != NULL &&
		strcmp(nic->conf.ifname, r->ifname) != 0))
		return "priv made another interface than it was told";
	if ((ifname = strdup(r->ifname)) == NULL)
		return "no memory";
	free(nic->conf.ifname);
	nic->conf.ifname = ifname;
	nic->made = 1;
	for (i = 0; i < nfds; i++)
		if (fdlist_add(&v->fds, FD_TAP, idx, (unsigned int)i,
			&fds[i]) == -1)
			return "too many files";
	strlcpy(c->ifname, ifname, sizeof(c->ifname));
	memcpy(c->host_mac, r->mac, sizeof(c->host_mac));
	c->mtu = r->mtu;
	return NULL;
}

/* The switch may have been refused while the tap was not. */
static const char *
switch_failed(const struct vm *v, uint32_t idx)
{
	const char *bridge = v->net->nics[idx].conf.bridge;
	const struct netswitch *s;

	if (bridge == NULL || (s = switch_find(v->parent, bridge)) == NULL)
		return NULL;
	return s->state == NETSW_FAILED ? s->why : NULL;
}

static void
answered(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	struct vmnet *n = arg;
	struct vm *v = n->vm;
	char text[NET_WHY_LEN];
	const char *why, *sw = switch_failed(v, n->at);
	enum vmerr e = r->err != VMERR_OK ? (enum vmerr)r->err : VMERR_FAILED;

	n->order = NULL;
	why = r->err == VMERR_OK ? take_tap(v, n->at, r, fds, nfds) : r->text;
	if (sw != NULL) {
		snprintf(text, sizeof(text), "switch \"%s\": %s",
		    v->run->nics[n->at].sw, sw);
		why = text;
	}
	if (why != NULL)
		vm_net_failed(v, n->at, e, why);
	else
		vm_net_made(v, n->at);
}

static void
passt_up(struct vm *v, unsigned int idx, const char *why)
{
	if (why != NULL)
		vm_net_failed(v, idx, VMERR_FAILED, why);
	else
		vm_net_made(v, idx);
}

static void
make(struct vmnet *n)
{
	struct vm *v = n->vm;
	struct priv_nic *c = &n->nics[n->at].conf;
	char why[NET_WHY_LEN];

	if (nic_describe(v, n->at, c, why) == -1 ||
	    net_port_taken(v, n->at, why) != NULL) {
		vm_net_failed(v, n->at, VMERR_FAILED, why);
		return;
	}
	if (v->run->nics[n->at].flags & NICF_USER) {
		if (passt_start(v, n->at, passt_up) == -1)
			vm_net_failed(v, n->at, VMERR_FAILED, strerror(errno));
		return;
	}
	child_hasten(&v->parent->children[CHILD_PRIV]);
	if (c->bridge != NULL)
		switch_need(v->parent, c->bridge);
	n->order = order_new_nic(v->parent, c, answered, n);
	if (n->order == NULL && errno == EPIPE)
		vm_net_failed(v, n->at, VMERR_GONE,
		    "priv is being started again");
	else if (n->order == NULL)
		vm_net_failed(v, n->at, VMERR_FAILED, strerror(errno));
}

static void
next(struct vmnet *n)
{
	struct vm *v = n->vm;

	for (n->at = 0; n->at < v->run->nnics; n->at++)
		if (!n->nics[n->at].made) {
			make(n);
			return;
		}
	n->complete = 1;
	hosts_update(v->parent);
	vm_launch(v);
}

/* `interfaces N': those that are not described are plain. */
static void
expand(struct vm_spec *s)
{
	uint32_t i;

	while (s->nnics < s->min_nics && s->nnics < VM_MAX_NICS) {
		i = s->nnics++;
		memset(&s->nics[i], 0, sizeof(s->nics[i]));
		s->nics[i].flags = NICF_UP;
	}
}

size_t
vm_net_queues(const struct vm *v)
{
	uint32_t n = v->run->nnics, i;
	size_t q = 0;

	if (n < v->run->min_nics)
		n = v->run->min_nics;
	for (i = 0; i < n && i < VM_MAX_NICS; i++) {
		if (v->net != NULL && v->net->nics[i].made)
			continue;
		q += v->run->nics[i].flags & NICF_USER ? 1 : nic_pairs(v->run);
	}
	return q;
}

void
vm_net_start(struct vm *v)
{
	expand(v->run);
	if (v->run->nnics == 0) {
		vm_launch(v);
		return;
	}
	if (v->net == NULL) {
		if ((v->net = calloc(1, sizeof(*v->net))) == NULL) {
			vm_start_failed(v, VMERR_FAILED, "no memory");
			return;
		}
		v->net->vm = v;
	}
	next(v->net);
}

int
net_bridge_used(const struct parent *p, const char *ifname)
{
	const struct vm *v;
	const char *b;
	uint32_t i;

	TAILQ_FOREACH(v, &p->vms, entry)
		for (i = 0; v->net != NULL && i < VM_MAX_NICS; i++) {
			b = v->net->nics[i].conf.bridge;
			if (b != NULL && strcmp(b, ifname) == 0)
				return 1;
		}
	return 0;
}

/* --- to a new priv -------------------------------------------------------- */

static void
adopted(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	if (r->err != VMERR_OK && r->err != VMERR_GONE)
		log_warnx("interface of a running guest: %s", r->text);
}

static void
adopt(struct parent *p, const struct vmnic *nic)
{
	struct priv_nic n = nic->conf;

	n.flags |= PRIVF_ADOPT;
	if (order_new_nic(p, &n, adopted, NULL) == NULL)
		log_warn("%s: priv not told", n.ifname);
}

void
net_adopt_all(struct parent *p)
{
	const struct vm *v;
	uint32_t i;

	TAILQ_FOREACH(v, &p->vms, entry)
		for (i = 0; v->net != NULL && i < VM_MAX_NICS; i++)
			if (v->net->nics[i].made &&
			    v->net->nics[i].conf.ifname != NULL)
				adopt(p, &v->net->nics[i]);
}
