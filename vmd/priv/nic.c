/*
 * One interface of a guest on the host, in priv: all of it or nothing.
 *
 * The tap is not persistent, so that closing its descriptors undoes what was
 * done to it, also when this process is killed; the rest is undone here.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bsd/string.h>
#include <linux/rtnetlink.h>

#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

#define TAP_MAC_FIRST 0xfe /* above all others: a bridge takes the lowest */

static const uint8_t router6[16] = { 0xfe, 0x80, [15] = 1 };

const struct nic *
nic_by_name(const char *name)
{
	const struct nic *n;

	TAILQ_FOREACH(n, &priv.nics, entry)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

static void
nic_free(struct nic *n)
{
	priv_nic_fini(&n->conf);
	free(n);
}

/* --- what was asked for -------------------------------------------------- */

static int
is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len > 0 && b[len - 1] == 0)
		len--;
	return len == 0;
}

static int
check_names(const struct priv_nic *c)
{
	if (c->ifname != NULL && !name_is_numbered(c->ifname, "tap"))
		return priv_failx(VMERR_INVALID, "not the name of a tap");
	if (c->ifname == NULL && (c->flags & PRIVF_ADOPT))
		return priv_failx(VMERR_INVALID, "a tap without a name");
	if (c->alias == NULL || !name_is_text(c->alias, PRIV_ALIAS_MAX))
		return priv_failx(VMERR_INVALID, "bad alias of an interface");
	if (c->bridge != NULL && !name_is_ifname(c->bridge))
		return priv_failx(VMERR_INVALID, "bad name of a bridge");
	if ((c->group != NULL && !name_is_group(c->group)) ||
	    (c->swgroup != NULL && !name_is_group(c->swgroup)))
		return priv_failx(VMERR_INVALID,
		    "bad name of a group: it has at most %d letters, digits, "
		    "'.', '_' or '-', the last one no digit",
		    PRIV_GROUP_MAX);
	return 0;
}

/* Inside the prefix of local interfaces, and a pair. */
static int
check_addrs(const struct priv_nic *c)
{
	if ((c->flags & PRIVF_LOCAL) == 0) {
		if (c->flags & (PRIVF_NAT | PRIVF_INET6) || c->nforwards > 0)
			return priv_failx(VMERR_INVALID,
			    "nat, inet6 and forward need a local interface");
		return 0;
	}
	/* One in use may be of a prefix that was there before. */
	if (c->flags & PRIVF_ADOPT)
		return 0;
	if ((c->host4 & 1) != 0 || c->guest4 != c->host4 + 1 ||
	    (c->host4 & priv.mask) != priv.prefix)
		return priv_failx(VMERR_INVALID,
		    "addresses outside the local prefix");
	if ((c->flags & PRIVF_INET6) &&
	    (memcmp(c->host6, priv.prefix6, 8) != 0 ||
		memcmp(c->guest6, priv.prefix6, 8) != 0 ||
		is_zero(c->host6 + 8, 8) || is_zero(c->guest6 + 8, 8)))
		return priv_failx(VMERR_INVALID,
		    "addresses outside the local IPv6 prefix");
	return 0;
}

static int
check(const struct priv_nic *c)
{
	uint32_t i;

	if (c->flags & ~(uint32_t)PRIVF_ALL || c->pairs == 0 ||
	    c->pairs > NET_MAX_PAIRS || c->nforwards > NET_MAX_FORWARDS)
		return priv_failx(VMERR_INVALID, "bad interface");
	if (c->mtu != 0 && (c->mtu < NET_MIN_MTU || c->mtu > NET_MAX_MTU))
		return priv_failx(VMERR_INVALID, "mtu out of range");
	if ((c->flags & PRIVF_INET6) && c->mtu != 0 && c->mtu < NET_MIN_MTU6)
		return priv_failx(VMERR_INVALID, "mtu too small for IPv6");
	if ((c->mac[0] & 1) || is_zero(c->mac, sizeof(c->mac)))
		return priv_failx(VMERR_INVALID, "not a MAC of an interface");
	if ((c->flags & PRIVF_LOCAL) && c->bridge != NULL)
		return priv_failx(VMERR_INVALID, "local, and on a switch");
	for (i = 0; i < c->nforwards; i++)
		if (c->forwards[i].port == 0 || c->forwards[i].to == 0)
			return priv_failx(VMERR_INVALID, "bad port");
	if (check_names(c) == -1)
		return -1;
	return check_addrs(c);
}

/* Table of its routes, 0: those of the host. */
static uint32_t
table_of(const struct priv_nic *c)
{
	return c->flags & PRIVF_RDOMAIN ? c->rdomain : 0;
}

/* Nobody else on the host may have its addresses. */
static int
check_unused(const struct priv_nic *c)
{
	const uint8_t a[4] = { (uint8_t)(c->host4 >> 24),
		(uint8_t)(c->host4 >> 16), (uint8_t)(c->host4 >> 8),
		(uint8_t)c->host4 };
	uint32_t table = table_of(c);

	if ((c->flags & PRIVF_LOCAL) == 0)
		return 0;
	if (addr_unused(AF_INET, a, 31, table) == -1)
		return -1;
	if ((c->flags & PRIVF_INET6) == 0)
		return 0;
	if (addr_unused(AF_INET6, c->host6, 96, table) == -1)
		return -1;
	return addr_unused(AF_INET6, c->guest6, 128, table);
}

/* --- the tap ------------------------------------------------------------- */

static int
adopt(struct nic *n, struct link *l)
{
	if (link_by_name(n->name, l) == -1)
		return priv_fail("%s", n->name);
	if (strcmp(l->kind, "tun") != 0 || !link_is_ours(l))
		return priv_failx(VMERR_PERM, "%s: not ours", n->name);
	return 0;
}

/* A member of a bridge is where that is. */
static int
bridge_of(const struct priv_nic *c, struct link *br)
{
	struct link vrf = { .table = 0 };

	memset(br, 0, sizeof(*br));
	if (c->bridge == NULL)
		return 0;
	if (link_by_name(c->bridge, br) == -1)
		return priv_fail("%s", c->bridge);
	if (strcmp(br->kind, "bridge") != 0)
		return priv_failx(VMERR_INVALID, "%s: not a bridge", c->bridge);
	if (br->master != 0 && link_by_index((int)br->master, &vrf) == -1)
		return priv_fail("%s", c->bridge);
	if ((c->flags & PRIVF_RDOMAIN) && vrf.table != c->rdomain)
		return priv_failx(VMERR_INVALID, "rdomain %u: %s is not in it",
		    c->rdomain, c->bridge);
	return 0;
}

/* What can be said of it while it is down. */
static int
dress(struct nic *n, struct link *l, const struct link *br)
{
	const struct priv_nic *c = &n->conf;
	struct link_set s = LINK_SET_INIT;

	s.alias = c->alias;
	s.group = group_number(c->group);
	if (s.group == -1)
		s.group = group_number(c->swgroup);
	s.mtu = c->mtu != 0 ? c->mtu : NET_DEFAULT_MTU;
	if (c->mtu == 0 && br->mtu >= NET_MIN_MTU && br->mtu <= NET_MAX_MTU)
		s.mtu = br->mtu;
	if ((c->flags & PRIVF_ADOPT) == 0) {
		l->mac[0] = TAP_MAC_FIRST; /* the rest is random */
		s.mac = l->mac;
	}
	if (link_set(l->index, &s) == -1)
		return priv_fail("%s", n->name);
	l->mtu = (uint32_t)s.mtu;
	memcpy(n->tapmac, l->mac, sizeof(n->tapmac));
	if (sysctl_quiet(n->name, (c->flags & PRIVF_INET6) != 0) == -1)
		return priv_fail("%s: /proc/sys/net/ipv6/conf", n->name);
	return 0;
}

/* Below a bridge or a VRF. */
static int
join(struct nic *n, const struct link *l, const struct link *br)
{
	const struct priv_nic *c = &n->conf;
	struct link_set s = LINK_SET_INIT;
	int vrf;

	if (br->index != 0) {
		s.master = br->index;
		if (l->master != (uint32_t)br->index)
			switch_lend(br);
		if (l->master != (uint32_t)br->index &&
		    link_set(l->index, &s) == -1)
			return priv_fail("%s: %s", c->bridge, n->name);
		if (link_port(l->index, (c->flags & PRIVF_ISOLATED) != 0,
			(c->flags & PRIVF_LOCKED) != 0) == -1 ||
		    ((c->flags & PRIVF_LOCKED) &&
			link_fdb(l->index, c->mac) == -1))
			return priv_fail("%s: port %s", c->bridge, n->name);
	} else if (table_of(c) != 0) {
		if ((vrf = vrf_get(c->rdomain)) == -1)
			return -1;
		s.master = vrf;
		if (l->master != (uint32_t)vrf && link_set(l->index, &s) == -1)
			return priv_fail("rdomain %u: %s", c->rdomain, n->name);
	}
	return 0;
}

/* Up, and its addresses: an IPv6 route needs an interface that is up. */
static int
address(struct nic *n, const struct link *l)
{
	const struct priv_nic *c = &n->conf;
	struct link_set s = LINK_SET_INIT;

	s.up = (c->flags & PRIVF_UP) != 0;
	if (link_set(l->index, &s) == -1)
		return priv_fail("%s: %s", n->name, s.up ? "up" : "down");
	if ((c->flags & PRIVF_LOCAL) == 0)
		return 0;
	if (addr_add4(l->index, c->host4, 31) == -1)
		return priv_fail("%s: address", n->name);
	if ((c->flags & PRIVF_INET6) == 0)
		return 0;
	if (addr_add6(l->index, router6, 64) == -1 ||
	    addr_add6(l->index, c->host6, 96) == -1)
		return priv_fail("%s: IPv6 address", n->name);
	if (s.up && addr_route6(l->index, c->guest6, table_of(c)) == -1)
		return priv_fail("%s: IPv6 route", n->name);
	return 0;
}

/* Somebody has removed one of ours: who was on it is so again. */
static void
make_again(const char *bridge)
{
	struct link br, l;
	struct nic *n;

	if (bridge == NULL || link_by_name(bridge, &br) == 0 ||
	    errno != ENODEV || switch_again(bridge, &br) == -1)
		return;
	TAILQ_FOREACH(n, &priv.nics, entry)
		if (n->conf.bridge != NULL &&
		    strcmp(n->conf.bridge, bridge) == 0 &&
		    link_by_index(n->index, &l) == 0 && join(n, &l, &br) == -1)
			log_warnx("%s: %s", n->name, priv_why());
}

static int
set_up(struct nic *n, int *fds, struct link *l)
{
	struct link br;

	if (n->conf.flags & PRIVF_ADOPT) {
		/* Who came to have its addresses meanwhile came later. */
		if (adopt(n, l) == -1)
			return -1;
	} else if (check_unused(&n->conf) == -1 ||
	    tap_open(n->name, fds, n->conf.pairs) == -1) {
		return -1;
	} else if (link_by_name(n->name, l) == -1) {
		return priv_fail("%s", n->name);
	}
	n->index = l->index;
	memcpy(n->tapmac, l->mac, sizeof(n->tapmac));
	make_again(n->conf.bridge);
	if (bridge_of(&n->conf, &br) == -1 || dress(n, l, &br) == -1 ||
	    join(n, l, &br) == -1)
		return -1;
	return address(n, l);
}

int
nic_want_forwarding(void)
{
	const struct nic *n;
	uint32_t want = 0;

	TAILQ_FOREACH(n, &priv.nics, entry) {
		if ((n->conf.flags & PRIVF_NAT) == 0 && n->conf.nforwards == 0)
			continue;
		want |= PRIVFWD_4;
		if (n->conf.flags & PRIVF_INET6)
			want |= PRIVFWD_6;
	}
	return sysctl_forward(want);
}

/* What is not the tap's own, after one came or went. */
static int
settle(void)
{
	int rc = nft_apply();

	if (nic_want_forwarding() == -1)
		rc = -1;
	return rc;
}

/*
 * A guest has it already: whatever is wrong with it is told, but it is known
 * then, and nobody takes it for a leftover.
 */
static int
is_in_use(const struct nic *n)
{
	return (n->conf.flags & PRIVF_ADOPT) && n->index != 0;
}

int
nic_add(struct priv_nic *conf, int *fds, struct link *l)
{
	struct nic *n;
	uint32_t i;
	int rc;

	for (i = 0; i < NET_MAX_PAIRS; i++)
		fds[i] = -1;
	if (check(conf) == -1)
		return -1;
	if (conf->ifname != NULL && nic_by_name(conf->ifname) != NULL)
		return priv_failx(VMERR_EXISTS, "%s: in use already",
		    conf->ifname);
	if ((n = calloc(1, sizeof(*n))) == NULL)
		return priv_fail("interface");
	n->conf = *conf;
	memset(conf, 0, sizeof(*conf));
	if (n->conf.ifname != NULL)
		strlcpy(n->name, n->conf.ifname, sizeof(n->name));
	rc = set_up(n, fds, l);
	if (rc == 0 || is_in_use(n)) {
		TAILQ_INSERT_TAIL(&priv.nics, n, entry);
		if (settle() == 0 && rc == 0)
			return 0;
		if (is_in_use(n))
			return -1;
		TAILQ_REMOVE(&priv.nics, n, entry);
	}
	for (i = 0; i < NET_MAX_PAIRS; i++)
		fd_close(&fds[i]);
	nic_free(n);
	settle();
	switches_give_back();
	vrf_tidy(0);
	return -1;
}

/* --- the end ------------------------------------------------------------- */

/*
 * What a process that had the tap may have done to it: all that it could by
 * ioctl(2), which its filter should not have let through.
 */
static void
inspect(const struct nic *n, const struct link *l)
{
	if (l->persist)
		log_warnx("%s: made to stay by whoever had it: removed",
		    n->name);
	if (memcmp(l->mac, n->tapmac, sizeof(l->mac)) != 0)
		log_warnx("%s: its MAC was changed by whoever had it", n->name);
}

int
nic_del(const char *name)
{
	struct nic *n;
	struct link l;
	int known = 0, there;

	if (!name_is_numbered(name, "tap"))
		return priv_failx(VMERR_INVALID, "not the name of a tap");
	/* Not persistent, it is gone with its last descriptor. */
	there = link_by_name(name, &l) == 0 && strcmp(l.kind, "tun") == 0 &&
	    link_is_ours(&l);
	TAILQ_FOREACH(n, &priv.nics, entry)
		if (strcmp(n->name, name) == 0)
			break;
	if (n != NULL) {
		known = 1;
		if (there && l.index == n->index)
			inspect(n, &l);
		TAILQ_REMOVE(&priv.nics, n, entry);
		nic_free(n);
	}
	if (!known && !there)
		return priv_failx(VMERR_NOTFOUND, "%s: not ours", name);
	if (there && link_del(l.index) == -1 && errno != ENODEV)
		priv_fail("%s", name);
	settle();
	switches_give_back();
	vrf_tidy(0);
	return priv_failed() ? -1 : 0;
}
