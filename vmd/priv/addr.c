/*
 * Addresses, routes and rules, in priv: those of local interfaces, and
 * whether somebody else has them already.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "vmd/priv/priv_int.h"

#define VRF_RULE_PRIORITY 1000 /* of the one that the kernel makes */

/* --- adding -------------------------------------------------------------- */

static int
addr_add(int index, int family, const void *addr, size_t len, uint8_t bits)
{
	struct ifaddrmsg *ifa;
	struct nl_req r;

	ifa = nl_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE,
	    sizeof(*ifa));
	ifa->ifa_family = (uint8_t)family;
	ifa->ifa_prefixlen = bits;
	ifa->ifa_index = (uint32_t)index;
	mnl_attr_put(&r.nh, IFA_LOCAL, len, addr);
	mnl_attr_put(&r.nh, IFA_ADDRESS, len, addr);
	if (family == AF_INET6) /* there is nobody yet who could have it */
		mnl_attr_put_u32(&r.nh, IFA_FLAGS, IFA_F_NODAD);
	return nl_talk(&r, NULL, NULL);
}

int
addr_add4(int index, uint32_t addr, uint8_t bits)
{
	const uint32_t a = htonl(addr);

	return addr_add(index, AF_INET, &a, sizeof(a), bits);
}

int
addr_add6(int index, const uint8_t *addr, uint8_t bits)
{
	return addr_add(index, AF_INET6, addr, 16, bits);
}

int
addr_route6(int index, const uint8_t *dst, uint32_t table)
{
	struct rtmsg *rt;
	struct nl_req r;

	rt = nl_begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
	    sizeof(*rt));
	rt->rtm_family = AF_INET6;
	rt->rtm_dst_len = 128;
	rt->rtm_protocol = RTPROT_STATIC;
	rt->rtm_scope = RT_SCOPE_LINK;
	rt->rtm_type = RTN_UNICAST;
	mnl_attr_put(&r.nh, RTA_DST, 16, dst);
	mnl_attr_put_u32(&r.nh, RTA_OIF, (uint32_t)index);
	mnl_attr_put_u32(&r.nh, RTA_TABLE, table == 0 ? RT_TABLE_MAIN : table);
	return nl_talk(&r, NULL, NULL);
}

/* --- in use by somebody else? -------------------------------------------- */

struct search {
	int family;
	const uint8_t *addr;
	uint8_t bits;
	uint32_t table;
	const struct link *links;
	size_t nlinks;
	const struct link *on; /* found there: */
	uint8_t what[16];
	uint8_t what_bits;
};

static int
overlap(const uint8_t *a, uint8_t abits, const uint8_t *b, uint8_t bbits)
{
	unsigned int bits = abits < bbits ? abits : bbits;
	unsigned int bytes = bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));

	if (memcmp(a, b, bytes) != 0)
		return 0;
	return bits % 8 == 0 || ((a[bytes] ^ b[bytes]) & mask) == 0;
}

static const struct link *
find_link(const struct search *s, uint32_t index)
{
	size_t i;

	for (i = 0; i < s->nlinks; i++)
		if ((uint32_t)s->links[i].index == index)
			return &s->links[i];
	return NULL;
}

static void
look_at(struct search *s, uint32_t index, const uint8_t *addr, uint8_t bits)
{
	const struct link *l = find_link(s, index);

	/* One that has just come or gone is nobody's. */
	if (s->on != NULL || l == NULL || link_is_ours(l) || bits == 0 ||
	    bits > (s->family == AF_INET ? 32 : 128) ||
	    !overlap(s->addr, s->bits, addr, bits))
		return;
	s->on = l;
	memcpy(s->what, addr, s->family == AF_INET ? 4 : 16);
	s->what_bits = bits;
}

static size_t
addr_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

/*
 * Connected routes, and the addresses themselves, which are in the table of
 * local routes or, of a VRF, in its own.
 */
int
route_parse(const struct nlmsghdr *nh, struct addr_entry *e)
{
	const struct nlattr *tb[RTA_TABLE + 1];
	struct rtmsg rt;

	memset(e, 0, sizeof(*e));
	if (nh->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(nh) < sizeof(rt))
		return -1;
	memcpy(&rt, mnl_nlmsg_get_payload(nh), sizeof(rt));
	nl_attrs(nh, sizeof(rt), tb, RTA_TABLE);
	if (tb[RTA_GATEWAY] != NULL || tb[RTA_MULTIPATH] != NULL ||
	    (rt.rtm_flags & RTM_F_CLONED) ||
	    (rt.rtm_type != RTN_UNICAST && rt.rtm_type != RTN_LOCAL) ||
	    !nl_bytes(tb[RTA_DST], e->addr, addr_len(rt.rtm_family)))
		return -1;
	e->family = rt.rtm_family;
	e->bits = rt.rtm_dst_len;
	e->table = nl_u32(tb[RTA_TABLE], rt.rtm_table);
	e->index = nl_u32(tb[RTA_OIF], 0);
	return 0;
}

static int
look_route(const struct nlmsghdr *nh, void *arg)
{
	struct search *s = arg;
	struct addr_entry e;

	if (nh == NULL) {
		s->on = NULL;
		return 0;
	}
	if (route_parse(nh, &e) == -1 || e.family != s->family)
		return 0;
	if (s->table == 0 ?
		e.table == RT_TABLE_MAIN || e.table == RT_TABLE_LOCAL :
		e.table == s->table)
		look_at(s, e.index, e.addr, e.bits);
	return 0;
}

/* The table that a link's routes are in; 0: that of the host. */
static uint32_t
table_of(const struct search *s, uint32_t index)
{
	const struct link *l = find_link(s, index), *m;

	if (l == NULL)
		return 0;
	m = find_link(s, l->master);
	return m == NULL ? 0 : m->table;
}

int
addr_parse(const struct nlmsghdr *nh, struct addr_entry *e)
{
	const struct nlattr *tb[IFA_LOCAL + 1];
	struct ifaddrmsg ifa;
	size_t len;

	memset(e, 0, sizeof(*e));
	if (nh->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(nh) < sizeof(ifa))
		return -1;
	memcpy(&ifa, mnl_nlmsg_get_payload(nh), sizeof(ifa));
	nl_attrs(nh, sizeof(ifa), tb, IFA_LOCAL);
	len = addr_len(ifa.ifa_family);
	e->family = ifa.ifa_family;
	e->bits = ifa.ifa_prefixlen;
	e->index = ifa.ifa_index;
	if (!nl_bytes(tb[IFA_ADDRESS], e->addr, len))
		return -1;
	/* With a peer that is its address, not ours. */
	if (!nl_bytes(tb[IFA_LOCAL], e->local, len))
		memcpy(e->local, e->addr, len);
	return 0;
}

/* Also of links that are down and so have no routes. */
static int
look_addr(const struct nlmsghdr *nh, void *arg)
{
	struct search *s = arg;
	struct addr_entry e;

	if (nh == NULL) {
		s->on = NULL;
		return 0;
	}
	if (addr_parse(nh, &e) == -1 || e.family != s->family ||
	    table_of(s, e.index) != s->table)
		return 0;
	look_at(s, e.index, e.addr, e.bits);
	look_at(s, e.index, e.local, (uint8_t)(addr_len(e.family) * 8));
	return 0;
}

static int
search(struct search *s)
{
	struct ifaddrmsg *ifa;
	struct rtmsg *rt;
	struct nl_req r;

	ifa = nl_begin(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	ifa->ifa_family = (uint8_t)s->family;
	if (nl_talk(&r, look_addr, s) == -1)
		return -1;
	if (s->on != NULL)
		return 0;
	rt = nl_begin(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rt));
	rt->rtm_family = (uint8_t)s->family;
	return nl_talk(&r, look_route, s);
}

int
addr_unused(int family, const void *addr, uint8_t bits, uint32_t table)
{
	struct search s = { .family = family,
		.addr = addr,
		.bits = bits,
		.table = table };
	char ours[INET6_ADDRSTRLEN], its[INET6_ADDRSTRLEN];
	struct link *links;
	int rc = -1;

	if (link_all(&links, &s.nlinks) == -1)
		return priv_fail("interfaces of the host");
	s.links = links;
	if (search(&s) == -1)
		priv_fail("addresses of the host");
	else if (s.on == NULL)
		rc = 0;
	else
		priv_failx(VMERR_EXISTS,
		    "%s/%u: the host has %s/%u on %s already",
		    inet_ntop(family, addr, ours, sizeof(ours)), bits,
		    inet_ntop(family, s.what, its, sizeof(its)), s.what_bits,
		    s.on->name);
	free(links);
	return rc;
}

/* --- the rule of VRFs ---------------------------------------------------- */

int
rule_is_vrf(const struct nlmsghdr *nh)
{
	const struct nlattr *tb[FRA_L3MDEV + 1];

	if (nh->nlmsg_type != RTM_NEWRULE)
		return 0;
	nl_attrs(nh, sizeof(struct fib_rule_hdr), tb, FRA_L3MDEV);
	return nl_u8(tb[FRA_L3MDEV], 0) == 1;
}

static int
look_rule(const struct nlmsghdr *nh, void *arg)
{
	int *found = arg;

	*found = nh != NULL && (*found || rule_is_vrf(nh));
	return 0;
}

int
addr_has_vrf_rule(int family)
{
	struct fib_rule_hdr *h;
	struct nl_req r;
	int found = 0;

	h = nl_begin(&r, RTM_GETRULE, NLM_F_DUMP, sizeof(*h));
	h->family = (uint8_t)family;
	return nl_talk(&r, look_rule, &found) == -1 ? -1 : found;
}

/* As the kernel makes it itself, for the first VRF there ever was. */
int
addr_vrf_rule(int family, int add)
{
	struct fib_rule_hdr *h;
	struct nl_req r;

	h = nl_begin(&r, add ? RTM_NEWRULE : RTM_DELRULE,
	    add ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof(*h));
	h->family = (uint8_t)family;
	h->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(&r.nh, FRA_PRIORITY, VRF_RULE_PRIORITY);
	mnl_attr_put_u8(&r.nh, FRA_L3MDEV, 1);
	mnl_attr_put_u8(&r.nh, FRA_PROTOCOL, RTPROT_KERNEL);
	return nl_talk(&r, NULL, NULL);
}
