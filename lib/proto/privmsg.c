/*
 * Orders of the parent to priv, and their answers, on the wire.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/privmsg.h"
#include "lib/proto/vmerr.h"
#include "lib/proto/wire.h"

#define IFNAME_MAX (NET_IFNAME_MAX - 1)

static int
bad(void)
{
	errno = EBADMSG;
	return -1;
}

static int
get_flags(struct ibuf *b, uint32_t *flags, uint32_t all)
{
	if (wire_get_u32(b, flags) == -1)
		return -1;
	return *flags & ~all ? bad() : 0;
}

/* --- init ---------------------------------------------------------------- */

int
priv_init_put(struct ibuf *b, const struct priv_init *i)
{
	if (wire_put_str(b, i->tag) == -1 || wire_put_u32(b, i->prefix) == -1 ||
	    wire_put_u32(b, i->mask) == -1)
		return -1;
	if (ibuf_add(b, i->prefix6, sizeof(i->prefix6)) == -1)
		return -1;
	if (wire_put_u32(b, i->forwarding) == -1)
		return -1;
	return wire_put_str(b, i->kept);
}

int
priv_init_get(struct ibuf *b, struct priv_init *i)
{
	memset(i, 0, sizeof(*i));
	if (wire_get_str(b, &i->tag, PRIV_TAG_MAX) == 0 &&
	    wire_get_u32(b, &i->prefix) == 0 &&
	    wire_get_u32(b, &i->mask) == 0 &&
	    ibuf_get(b, i->prefix6, sizeof(i->prefix6)) == 0 &&
	    wire_get_u32(b, &i->forwarding) == 0 &&
	    wire_get_str(b, &i->kept, PRIV_KEPT_MAX) == 0) {
		if (i->tag != NULL &&
		    (i->forwarding & ~(uint32_t)PRIVFWD_ALL) == 0)
			return 0;
		bad();
	}
	priv_init_fini(i);
	return -1;
}

void
priv_init_fini(struct priv_init *i)
{
	free(i->tag);
	free(i->kept);
	memset(i, 0, sizeof(*i));
}

/* --- interfaces ---------------------------------------------------------- */

int
priv_nic_put(struct ibuf *b, const struct priv_nic *n)
{
	uint32_t i;

	if (wire_put_str(b, n->ifname) == -1 ||
	    wire_put_str(b, n->alias) == -1 ||
	    wire_put_str(b, n->bridge) == -1 ||
	    wire_put_str(b, n->group) == -1 ||
	    wire_put_str(b, n->swgroup) == -1 ||
	    wire_put_u32(b, n->flags) == -1 ||
	    wire_put_u32(b, n->rdomain) == -1 ||
	    wire_put_u32(b, n->mtu) == -1 || wire_put_u32(b, n->pairs) == -1 ||
	    ibuf_add(b, n->mac, sizeof(n->mac)) == -1 ||
	    wire_put_u32(b, n->host4) == -1 ||
	    wire_put_u32(b, n->guest4) == -1 ||
	    ibuf_add(b, n->host6, sizeof(n->host6)) == -1 ||
	    ibuf_add(b, n->guest6, sizeof(n->guest6)) == -1 ||
	    wire_put_u32(b, n->nforwards) == -1)
		return -1;
	for (i = 0; i < n->nforwards; i++)
		if (net_forward_put(b, &n->forwards[i]) == -1)
			return -1;
	return 0;
}

static int
nic_get(struct ibuf *b, struct priv_nic *n)
{
	uint32_t i;

	if (wire_get_str(b, &n->ifname, IFNAME_MAX) == -1 ||
	    wire_get_str(b, &n->alias, PRIV_ALIAS_MAX) == -1 ||
	    wire_get_str(b, &n->bridge, IFNAME_MAX) == -1 ||
	    wire_get_str(b, &n->group, PRIV_GROUP_MAX) == -1 ||
	    wire_get_str(b, &n->swgroup, PRIV_GROUP_MAX) == -1 ||
	    get_flags(b, &n->flags, PRIVF_ALL) == -1 ||
	    wire_get_u32(b, &n->rdomain) == -1 ||
	    wire_get_u32(b, &n->mtu) == -1 ||
	    wire_get_u32(b, &n->pairs) == -1 ||
	    ibuf_get(b, n->mac, sizeof(n->mac)) == -1 ||
	    wire_get_u32(b, &n->host4) == -1 ||
	    wire_get_u32(b, &n->guest4) == -1 ||
	    ibuf_get(b, n->host6, sizeof(n->host6)) == -1 ||
	    ibuf_get(b, n->guest6, sizeof(n->guest6)) == -1 ||
	    wire_get_u32(b, &n->nforwards) == -1)
		return -1;
	if (n->alias == NULL || n->pairs == 0 || n->pairs > NET_MAX_PAIRS ||
	    n->nforwards > NET_MAX_FORWARDS)
		return bad();
	if (n->mtu != 0 && (n->mtu < NET_MIN_MTU || n->mtu > NET_MAX_MTU))
		return bad();
	for (i = 0; i < n->nforwards; i++)
		if (net_forward_get(b, &n->forwards[i]) == -1)
			return -1;
	return 0;
}

int
priv_nic_get(struct ibuf *b, struct priv_nic *n)
{
	memset(n, 0, sizeof(*n));
	if (nic_get(b, n) == 0)
		return 0;
	priv_nic_fini(n);
	return -1;
}

void
priv_nic_fini(struct priv_nic *n)
{
	free(n->ifname);
	free(n->alias);
	free(n->bridge);
	free(n->group);
	free(n->swgroup);
	memset(n, 0, sizeof(*n));
}

/* --- switches ------------------------------------------------------------ */

int
priv_switch_put(struct ibuf *b, const struct priv_switch *s)
{
	if (wire_put_str(b, s->ifname) == -1 ||
	    wire_put_str(b, s->alias) == -1 || wire_put_u32(b, s->flags) == -1)
		return -1;
	return wire_put_u32(b, s->rdomain);
}

int
priv_switch_get(struct ibuf *b, struct priv_switch *s)
{
	memset(s, 0, sizeof(*s));
	if (wire_get_str(b, &s->ifname, IFNAME_MAX) == 0 &&
	    wire_get_str(b, &s->alias, PRIV_ALIAS_MAX) == 0 &&
	    get_flags(b, &s->flags, PRIVF_ALL | PRIVF_RAISED) == 0 &&
	    wire_get_u32(b, &s->rdomain) == 0) {
		if (s->ifname != NULL && s->alias != NULL)
			return 0;
		bad();
	}
	priv_switch_fini(s);
	return -1;
}

void
priv_switch_fini(struct priv_switch *s)
{
	free(s->ifname);
	free(s->alias);
	memset(s, 0, sizeof(*s));
}

int
priv_name_put(struct ibuf *b, const struct priv_name *n)
{
	return wire_put_str(b, n->ifname);
}

int
priv_name_get(struct ibuf *b, struct priv_name *n)
{
	memset(n, 0, sizeof(*n));
	if (wire_get_str(b, &n->ifname, IFNAME_MAX) == -1)
		return -1;
	return n->ifname == NULL ? bad() : 0;
}

void
priv_name_fini(struct priv_name *n)
{
	free(n->ifname);
	n->ifname = NULL;
}

/* --- answers ------------------------------------------------------------- */

int
priv_result_put(struct ibuf *b, const struct priv_result *r)
{
	uint32_t i;

	if (wire_put_u32(b, r->err) == -1 || wire_put_str(b, r->text) == -1 ||
	    wire_put_str(b, r->ifname) == -1 ||
	    ibuf_add(b, r->mac, sizeof(r->mac)) == -1 ||
	    wire_put_u32(b, r->mtu) == -1 ||
	    wire_put_u32(b, r->created) == -1 ||
	    wire_put_u32(b, r->forwarding) == -1 ||
	    wire_put_str(b, r->kept) == -1 || wire_put_u32(b, r->nnotes) == -1)
		return -1;
	for (i = 0; i < r->nnotes; i++)
		if (wire_put_str(b, r->notes[i]) == -1)
			return -1;
	return 0;
}

static int
result_get(struct ibuf *b, struct priv_result *r)
{
	uint32_t i, n;

	if (wire_get_u32(b, &r->err) == -1 ||
	    wire_get_str(b, &r->text, WIRE_STR_MAX) == -1 ||
	    wire_get_str(b, &r->ifname, IFNAME_MAX) == -1 ||
	    ibuf_get(b, r->mac, sizeof(r->mac)) == -1 ||
	    wire_get_u32(b, &r->mtu) == -1 ||
	    wire_get_u32(b, &r->created) == -1 ||
	    wire_get_u32(b, &r->forwarding) == -1 ||
	    wire_get_str(b, &r->kept, PRIV_KEPT_MAX) == -1 ||
	    wire_get_u32(b, &n) == -1)
		return -1;
	if (r->err >= VMERR_MAX || r->forwarding & ~(uint32_t)PRIVFWD_ALL ||
	    n > PRIV_MAX_NOTES)
		return bad();
	for (i = 0; i < n; i++, r->nnotes++) {
		if (wire_get_str(b, &r->notes[i], PRIV_NOTE_MAX) == -1)
			return -1;
		if (r->notes[i] == NULL)
			return bad();
	}
	return 0;
}

int
priv_result_get(struct ibuf *b, struct priv_result *r)
{
	memset(r, 0, sizeof(*r));
	if (result_get(b, r) == 0)
		return 0;
	priv_result_fini(r);
	return -1;
}

void
priv_result_fini(struct priv_result *r)
{
	uint32_t i;

	free(r->text);
	free(r->ifname);
	free(r->kept);
	for (i = 0; i < r->nnotes; i++)
		free(r->notes[i]);
	memset(r, 0, sizeof(*r));
}
