/*
 * The part of the source filter that reads IPv6: the chain of headers to its
 * end, then what of ICMPv6 could make the host believe something.  What
 * hides behind headers that do not end within the first bytes, or in later
 * fragments, does not pass.  RFC 4861, 6980, 7112, 7113, 8200.
 */

#include <string.h>

#include "lib/net/addr.h"
#include "lib/net/filter_int.h"
#include "lib/net/pkt.h"

enum {
	HOPOPTS = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	ESP = 50,
	AUTH = 51,
	NONEXT = 59,
	DSTOPTS = 60,
	MOBILITY = 135,
};

enum {
	MLD_REPORT = 131,
	MLD_DONE = 132,
	RS = 133,
	RA = 134,
	NS = 135,
	NA = 136,
	REDIRECT = 137,
	MLD2_REPORT = 143,
};

#define ND_LEN	   24 /* of neighbour messages, before options */
#define OPT_SOURCE 1
#define OPT_TARGET 2

/* The end of the chain: a protocol, and where it begins in the frame. */
struct upper {
	uint8_t proto;
	int later; /* a fragment that is not the first: nothing is there */
	int fragment;
	size_t at;
};

static int
extension(uint8_t next)
{
	return next == HOPOPTS || next == ROUTING || next == FRAGMENT ||
	    next == AUTH || next == DSTOPTS || next == MOBILITY;
}

/* 0, or -1 if it does not end within `len'. */
static int
walk(const uint8_t *head, size_t len, struct upper *u)
{
	const uint8_t *h;
	size_t size;

	u->proto = head[PKT_ETH + 6];
	u->at = PKT_ETH + PKT_IP6;
	u->later = u->fragment = 0;
	while (!u->later && extension(u->proto)) {
		if (len - u->at < 8)
			return -1;
		h = head + u->at;
		size = ((size_t)h[1] + 1) * 8;
		if (u->proto == AUTH)
			size = ((size_t)h[1] + 2) * 4;
		else if (u->proto == FRAGMENT) {
			size = 8;
			u->fragment = 1;
			u->later = (pkt_get16(h + 2) & 0xfff8) != 0;
		}
		u->proto = h[0];
		if (size > len - u->at)
			return -1;
		u->at += size;
	}
	return 0;
}

/* Is it one of the guest's, for itself? */
static int
ours(const struct net_conf *n, const uint8_t *a)
{
	static const uint8_t local[8] = { 0xfe, 0x80 };

	if (memcmp(a, local, 8) == 0)
		return memcmp(a, net_router6, 16) != 0;
	return (n->flags & NETF_INET6) != 0 && memcmp(a, n->guest6, 16) == 0;
}

/* The link-layer addresses in options of neighbour discovery. */
static int
options(const struct net_conf *n, const uint8_t *p, size_t len)
{
	size_t size;

	for (; len > 0; p += size, len -= size) {
		if (len < 8 || p[1] == 0 || (size = (size_t)p[1] * 8) > len)
			return 0;
		if ((p[0] == OPT_SOURCE || p[0] == OPT_TARGET) &&
		    (size != 8 || memcmp(p + 2, n->mac, 6) != 0))
			return 0;
	}
	return 1;
}

/*
 * Neighbour discovery of a guest that speaks for itself.  It is never so
 * long that its end is not in `len' bytes, but may be followed by padding.
 */
static int
neighbour(const struct net_conf *n, const uint8_t *head, size_t len,
    const struct upper *u)
{
	const uint8_t *p = head + u->at;
	size_t end = PKT_ETH + PKT_IP6 + pkt_get16(head + PKT_ETH + 4);
	size_t fixed = p[0] == RS ? 8 : ND_LEN;

	if (u->fragment || end > len || end < u->at + fixed)
		return 0;
	if (p[0] == NA && !ours(n, p + 8))
		return 0;
	return options(n, p + fixed, end - u->at - fixed);
}

static int
icmp6(const struct net_conf *n, const uint8_t *head, size_t len,
    const struct upper *u)
{
	if (len - u->at < 4)
		return 0;
	switch (head[u->at]) {
	case RA:
	case REDIRECT:
		return 0;
	case RS:
	case NS:
	case NA:
		return neighbour(n, head, len, u);
	default:
		return 1;
	}
}

/* What a host without an address has to say: RFC 4861, 4862, 3590, 3810. */
static int
nameless(const uint8_t *head, size_t len, const struct upper *u)
{
	uint8_t type;

	if (u->later || u->proto != PKT_ICMP6 || len - u->at < 4)
		return 0;
	type = head[u->at];
	return type == RS || type == NS || type == MLD_REPORT ||
	    type == MLD_DONE || type == MLD2_REPORT;
}

int
filter_ip6(const struct net_conf *n, const uint8_t *head, size_t len,
    size_t csum)
{
	static const uint8_t none[16];
	const uint8_t *ip = head + PKT_ETH;
	struct upper u;

	if (len < PKT_ETH + PKT_IP6 || ip[0] >> 4 != 6 ||
	    walk(head, len, &u) == -1)
		return 0;
	if (csum != 0 && (u.later || !filter_csum(u.proto, u.at, csum)))
		return 0;
	if (memcmp(ip + 8, none, 16) == 0) {
		if (!nameless(head, len, &u))
			return 0;
	} else if (!ours(n, ip + 8))
		return 0;
	if (u.later)
		return 1;
	return u.proto != PKT_ICMP6 || icmp6(n, head, len, &u);
}
