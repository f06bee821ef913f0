/*
 * Router advertisements for the guest of a local interface, in the process
 * of that interface.  Solicitations are frames of the guest and hostile.
 * RFC 4861, 6.1.1 and 6.2.3; RFC 4862; RFC 8106.
 */

#include <string.h>

#include "lib/net/addr.h"
#include "lib/net/pkt.h"
#include "lib/net/ra.h"

#define AT	       (PKT_ETH + PKT_IP6)
#define RS	       133
#define RA	       134
#define RS_LEN	       8
#define RA_LEN	       16
#define HOP_LIMIT      64
#define FLAG_OTHER     0x40 /* DHCPv6 has more */
#define PREFIX_AUTO    0x40 /* for autoconfiguration, not on-link */
#define VALID	       86400
#define PREFERRED      14400
#define DNS_LIFETIME   (3 * NET_RA_INTERVAL)
#define OPT_SOURCE     1
#define OPT_PREFIX     3
#define OPT_MTU	       5
#define OPT_RDNSS      25
#define OPT_DNSSL      31
#define DOMAIN_OPT_MAX (8 + 256)
#define RA_MAX	       (RA_LEN + 8 + 32 + 8 + 8 + 16 * NET_MAX_SERVERS + DOMAIN_OPT_MAX)

static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
static const uint8_t all_routers[16] = { 0xff, 0x02, [15] = 2 };
static const uint8_t nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };

static int
serves(const struct net_conf *n)
{
	const uint32_t both = NETF_LOCAL | NETF_INET6;

	return (n->flags & both) == both &&
	    (n->mtu == 0 || n->mtu >= NET_MIN_MTU6);
}

static size_t
put_prefix(uint8_t *o, const struct net_conf *n)
{
	memset(o, 0, 32);
	o[0] = OPT_PREFIX;
	o[1] = 4;
	o[2] = 64;
	o[3] = PREFIX_AUTO;
	pkt_put32(o + 4, VALID);
	pkt_put32(o + 8, PREFERRED);
	memcpy(o + 16, n->host6, 8);
	return 32;
}

static size_t
put_mtu(uint8_t *o, const struct net_conf *n)
{
	if (n->mtu == 0)
		return 0;
	memset(o, 0, 8);
	o[0] = OPT_MTU;
	o[1] = 1;
	pkt_put32(o + 4, n->mtu);
	return 8;
}

static size_t
put_dns(uint8_t *o, const struct net_conf *n)
{
	size_t k = n->ndns6;

	if (k == 0 || k > NET_MAX_SERVERS)
		return 0;
	memset(o, 0, 8);
	o[0] = OPT_RDNSS;
	o[1] = (uint8_t)(1 + 2 * k);
	pkt_put32(o + 4, DNS_LIFETIME);
	memcpy(o + 8, n->dns6, 16 * k);
	return 8 + 16 * k;
}

static size_t
put_domain(uint8_t *o, const struct net_conf *n)
{
	size_t len;

	memset(o, 0, DOMAIN_OPT_MAX);
	if ((len = pkt_domain(n->domain, o + 8, DOMAIN_OPT_MAX - 8)) == 0)
		return 0;
	len = (8 + len + 7) / 8;
	o[0] = OPT_DNSSL;
	o[1] = (uint8_t)len;
	pkt_put32(o + 4, DNS_LIFETIME);
	return len * 8;
}

static size_t
make(const struct net_conf *n, const uint8_t *dmac, const uint8_t *dst,
    uint8_t *frame, size_t size)
{
	struct pkt_to t = { .smac = n->host_mac,
		.dmac = dmac,
		.src = net_router6,
		.dst = dst };
	uint8_t *m;

	if (size < AT + RA_MAX)
		return 0;
	m = frame + AT;
	memset(m, 0, RA_LEN);
	m[0] = RA;
	m[4] = HOP_LIMIT;
	m[5] = FLAG_OTHER;
	pkt_put16(m + 6, NET_RA_LIFETIME);
	t.len = RA_LEN;
	m[t.len] = OPT_SOURCE;
	m[t.len + 1] = 1;
	memcpy(m + t.len + 2, n->host_mac, 6);
	t.len += 8;
	t.len += put_mtu(m + t.len, n);
	t.len += put_prefix(m + t.len, n);
	t.len += put_dns(m + t.len, n);
	t.len += put_domain(m + t.len, n);
	return pkt_put_icmp6(frame, &t);
}

/* RFC 4861, 6.1.1: options have lengths, and an address can be answered. */
static int
valid(const struct pkt *p, int unspecified)
{
	size_t i = RS_LEN;

	if (p->len < RS_LEN || p->data[1] != 0)
		return 0;
	while (i < p->len) {
		if (p->len - i < 2 || p->data[i + 1] == 0 ||
		    (size_t)p->data[i + 1] * 8 > p->len - i)
			return 0;
		if (p->data[i] == OPT_SOURCE && unspecified)
			return 0;
		i += (size_t)p->data[i + 1] * 8;
	}
	return 1;
}

int
net_ra(const struct net_conf *n, const uint8_t *frame, size_t len, int how,
    uint8_t *reply, size_t size)
{
	static const uint8_t none[16];
	struct pkt p;
	int unspecified;
	size_t k;

	if (!serves(n) || pkt_icmp6(frame, len, how, &p) == -1 ||
	    p.data[0] != RS || memcmp(frame + 6, n->mac, 6) != 0 ||
	    (memcmp(p.dst, all_routers, 16) != 0 &&
		memcmp(p.dst, net_router6, 16) != 0))
		return 0;
	unspecified = memcmp(p.src, none, 16) == 0;
	if (!valid(&p, unspecified) || p.src[0] == 0xff)
		return NET_EATEN;
	if (unspecified)
		k = make(n, nodes_mac, all_nodes, reply, size);
	else
		k = make(n, n->mac, p.src, reply, size);
	return k == 0 ? NET_EATEN : (int)k;
}

int
net_ra_make(const struct net_conf *n, uint8_t *frame, size_t size)
{
	if (!serves(n))
		return 0;
	return (int)make(n, nodes_mac, all_nodes, frame, size);
}
