/*
 * What of this host may keep a guest offline, in priv: one sentence each for
 * the administrator.  Nothing is changed.
 *
 * Rules of others are seen as far as they are nftables', which those of
 * iptables are too where it is built on that; those of older ones are not.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "lib/util/fdlist.h"
#include "vmd/priv/priv_int.h"

static void note(struct priv_result *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
note(struct priv_result *r, const char *fmt, ...)
{
	char *text;
	va_list ap;

	if (r->nnotes == PRIV_MAX_NOTES)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) != -1) {
		if (strlen(text) > PRIV_NOTE_MAX)
			text[PRIV_NOTE_MAX] = '\0';
		r->notes[r->nnotes++] = text;
	}
	va_end(ap);
}

/* --- chains of the packet filter ----------------------------------------- */

static uint32_t
be32(const struct nlattr *a, uint32_t none)
{
	uint32_t v;

	return nl_bytes(a, &v, sizeof(v)) ? ntohl(v) : none;
}

int
chain_parse(const struct nlmsghdr *nh, struct chain *c)
{
	const struct nlattr *tb[NFTA_CHAIN_TYPE + 1];
	const struct nlattr *hook[NFTA_HOOK_PRIORITY + 1];
	struct nfgenmsg g;

	memset(c, 0, sizeof(*c));
	if (nh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) ||
	    mnl_nlmsg_get_payload_len(nh) < sizeof(g))
		return -1;
	memcpy(&g, mnl_nlmsg_get_payload(nh), sizeof(g));
	nl_attrs(nh, sizeof(g), tb, NFTA_CHAIN_TYPE);
	nl_nested(tb[NFTA_CHAIN_HOOK], hook, NFTA_HOOK_PRIORITY);
	c->family = g.nfgen_family;
	nl_str(tb[NFTA_CHAIN_TABLE], c->table, sizeof(c->table));
	nl_str(tb[NFTA_CHAIN_NAME], c->name, sizeof(c->name));
	c->forward = be32(hook[NFTA_HOOK_HOOKNUM], NF_INET_NUMHOOKS) ==
	    NF_INET_FORWARD;
	c->drop = be32(tb[NFTA_CHAIN_POLICY], NF_ACCEPT) == NF_DROP;
	return 0;
}

struct look {
	struct priv_result *r;
	uint32_t first; /* notes that were there before */
	int firewalld, docker;
};

static const char *
family_name(int family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_BRIDGE:
		return "bridge";
	default:
		return NULL;
	}
}

/* Names are others': only what can be one is repeated. */
static const char *
printable(const char *name)
{
	return name_is_text(name, CHAIN_NAME_LEN) ? name : "?";
}

static int
look_chain(const struct nlmsghdr *nh, void *arg)
{
	struct look *l = arg;
	struct chain c;
	char ours[32];

	if (nh == NULL) {
		while (l->r->nnotes > l->first)
			free(l->r->notes[--l->r->nnotes]);
		return 0;
	}
	snprintf(ours, sizeof(ours), "vmd-%s", priv.tag);
	if (chain_parse(nh, &c) == -1 || family_name(c.family) == NULL ||
	    strcmp(c.table, ours) == 0)
		return 0;
	if (strcmp(c.table, "firewalld") == 0)
		l->firewalld = 1;
	if (strcmp(c.name, "DOCKER-USER") == 0)
		l->docker = 1;
	if (c.forward && c.drop)
		note(l->r,
		    "the packet filter drops what is forwarded: chain %s of "
		    "table %s %s has policy drop, so guests need an accept "
		    "rule in it",
		    printable(c.name), family_name(c.family),
		    printable(c.table));
	return 0;
}

static void
check_filter(struct priv_result *r)
{
	struct look l = { .r = r, .first = r->nnotes };
	struct nfgenmsg *g;
	struct nl_req q;

	g = nl_begin(&q, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN,
	    NLM_F_DUMP, sizeof(*g));
	g->nfgen_family = NFPROTO_UNSPEC;
	g->version = NFNETLINK_V0;
	if (nl_talk_nft(&q, look_chain, &l) == -1) {
		note(r, "the packet filter (nftables) cannot be asked: %s",
		    strerror(errno));
		return;
	}
	if (l.firewalld)
		note(r,
		    "firewalld is active: what is forwarded for guests "
		    "needs their interfaces in one of its zones");
	if (l.docker)
		note(r,
		    "Docker is active: what is forwarded for guests may "
		    "need an accept rule in its chain DOCKER-USER");
}

/* --- the rest ------------------------------------------------------------ */

/* Are there guests that need it, of those that have all of `flags'? */
static int
is_wanted(uint32_t flags)
{
	const struct nic *n;

	TAILQ_FOREACH(n, &priv.nics, entry)
		if ((n->conf.flags & flags) == flags &&
		    (n->conf.flags & PRIVF_NAT || n->conf.nforwards > 0))
			return 1;
	return 0;
}

static void
check_forwarding(struct priv_result *r)
{
	if (sysctl_get("ipv4/ip_forward") != 0)
		return;
	if (is_wanted(0))
		note(r,
		    "net.ipv4.ip_forward is 0: somebody turned it off, "
		    "but guests with nat or forward need it");
	else
		note(r,
		    "net.ipv4.ip_forward was 0 at the start: guests on local "
		    "interfaces reach this host only, unless they have nat");
}

static int
has_inet6(void)
{
	static const uint8_t none[sizeof(priv.prefix6)];

	return memcmp(priv.prefix6, none, sizeof(none)) != 0;
}

static void
check_forwarding6(struct priv_result *r)
{
	if (!has_inet6() || sysctl_get("ipv6/conf/all/forwarding") != 0)
		return;
	if (is_wanted(PRIVF_INET6))
		note(r,
		    "net.ipv6.conf.all.forwarding is 0: somebody turned it "
		    "off, but guests with nat or forward need it");
	else
		note(r,
		    "net.ipv6.conf.all.forwarding was 0 at the start: guests "
		    "on local interfaces reach this host only, unless they "
		    "have nat");
}

/* Also IPv6 of guests that we give no such addresses. */
static void
check_bridge(struct priv_result *r)
{
	static const char *const names[] = {
		"bridge-nf-call-iptables",
		"bridge-nf-call-ip6tables",
	};
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "bridge/%s", names[i]);
		if (sysctl_get(path) == 1)
			note(r,
			    "net.bridge.%s is 1: what goes over switches "
			    "passes the host's packet filter too",
			    names[i]);
	}
}

static void
check_tun(struct priv_result *r)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd == -1)
		note(r, "there can be no taps: /dev/net/tun: %s",
		    strerror(errno));
	fd_close(&fd);
}

/* The prefix of local interfaces; each is looked at again when it is made. */
static void
check_prefix(struct priv_result *r, int family, const void *addr, int bits)
{
	if (addr_unused(family, addr, (uint8_t)bits, 0) == -1)
		note(r,
		    "local prefix %s: guests with addresses of that "
		    "cannot start",
		    priv_why());
	priv_why_clear();
}

void
check_host(struct priv_result *r)
{
	const uint32_t a = htonl(priv.prefix);

	check_tun(r);
	check_forwarding(r);
	check_forwarding6(r);
	check_bridge(r);
	check_prefix(r, AF_INET, &a, __builtin_popcount(priv.mask));
	if (has_inet6())
		check_prefix(r, AF_INET6, priv.prefix6, 64);
	check_filter(r);
}
