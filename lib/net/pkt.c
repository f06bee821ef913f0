/*
 * Frames taken apart and put together, for the answers of local interfaces;
 * in the process of a network device.  What is taken apart comes from a
 * guest and is hostile: no length is believed before it is checked.
 * RFC 791, 768, 8200, 4443.
 */

#include <string.h>

#include "lib/net/answer.h"
#include "lib/net/pkt.h"

#define IP4_FRAGMENT 0x3fff /* more to come, or not the first */
#define UDP6_OFF     (PKT_ETH + PKT_IP6)
#define TTL	     64
#define HOPS_ND	     255 /* of neighbour discovery: no router was passed */

/* The ones' complement sum so far; only the last piece may be odd. */
static uint32_t
sum(const uint8_t *p, size_t len, uint32_t s)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		s += pkt_get16(p + i);
	if (i < len)
		s += (uint32_t)p[i] << 8;
	return s;
}

static uint16_t
fold(uint32_t s)
{
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* The sum of a payload with its pseudo header; 0 if it was right. */
static uint16_t
pseudo(const uint8_t *src, const uint8_t *dst, size_t alen, uint8_t proto,
    const uint8_t *p, size_t len)
{
	uint32_t s = (uint32_t)(proto + len);

	return fold(sum(p, len, sum(dst, alen, sum(src, alen, s))));
}

/* UDP at `u', of which `room' bytes are there. */
static int
udp(const uint8_t *u, size_t room, size_t alen, int how, struct pkt *p)
{
	size_t len;
	uint16_t c;

	if (room < PKT_UDP)
		return -1;
	len = pkt_get16(u + 4);
	c = pkt_get16(u + 6);
	if (len < PKT_UDP || len > room)
		return -1;
	if (c == 0 && alen == 16)
		return -1;
	if ((how & NET_PARTIAL) == 0 && c != 0 &&
	    pseudo(p->src, p->dst, alen, PKT_UDP_PROTO, u, len) != 0)
		return -1;
	p->sport = pkt_get16(u);
	p->dport = pkt_get16(u + 2);
	p->data = u + PKT_UDP;
	p->len = len - PKT_UDP;
	return 0;
}

int
pkt_udp4(const uint8_t *frame, size_t len, int how, struct pkt *p)
{
	const uint8_t *ip = frame + PKT_ETH;
	size_t hlen, total;

	if (len < PKT_ETH + PKT_IP4 || pkt_get16(frame + 12) != PKT_TYPE_IP4)
		return -1;
	len -= PKT_ETH;
	hlen = (size_t)(ip[0] & 15) * 4;
	total = pkt_get16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < PKT_IP4 || total < hlen || total > len ||
	    ip[9] != PKT_UDP_PROTO || (pkt_get16(ip + 6) & IP4_FRAGMENT) != 0 ||
	    fold(sum(ip, hlen, 0)) != 0)
		return -1;
	p->src = ip + 12;
	p->dst = ip + 16;
	return udp(ip + hlen, total - hlen, 4, how, p);
}

/* The header of IPv6 before a `next'.  Returns the length after it, or 0. */
static size_t
ip6(const uint8_t *frame, size_t len, uint8_t next, struct pkt *p)
{
	const uint8_t *ip = frame + PKT_ETH;
	size_t n;

	if (len < UDP6_OFF || pkt_get16(frame + 12) != PKT_TYPE_IP6)
		return 0;
	n = pkt_get16(ip + 4);
	if (ip[0] >> 4 != 6 || ip[6] != next || n > len - UDP6_OFF)
		return 0;
	p->src = ip + 8;
	p->dst = ip + 24;
	return n;
}

int
pkt_udp6(const uint8_t *frame, size_t len, int how, struct pkt *p)
{
	size_t n;

	if ((n = ip6(frame, len, PKT_UDP_PROTO, p)) == 0)
		return -1;
	return udp(frame + UDP6_OFF, n, 16, how, p);
}

int
pkt_icmp6(const uint8_t *frame, size_t len, int how, struct pkt *p)
{
	if ((p->len = ip6(frame, len, PKT_ICMP6, p)) < 4)
		return -1;
	p->data = frame + UDP6_OFF;
	p->sport = p->dport = 0;
	if (frame[PKT_ETH + 7] != HOPS_ND)
		return -1;
	if ((how & NET_PARTIAL) == 0 &&
	    pseudo(p->src, p->dst, 16, PKT_ICMP6, p->data, p->len) != 0)
		return -1;
	return 0;
}

static void
put_eth(uint8_t *frame, const struct pkt_to *t, uint16_t type)
{
	memcpy(frame, t->dmac, 6);
	memcpy(frame + 6, t->smac, 6);
	pkt_put16(frame + 12, type);
}

/* A sum of zero is sent as its other form: zero means none. */
static void
put_udp(uint8_t *u, const struct pkt_to *t, const uint8_t *src,
    const uint8_t *dst, size_t alen)
{
	size_t len = PKT_UDP + t->len;
	uint16_t c;

	pkt_put16(u, t->sport);
	pkt_put16(u + 2, t->dport);
	pkt_put16(u + 4, (uint16_t)len);
	pkt_put16(u + 6, 0);
	c = pseudo(src, dst, alen, PKT_UDP_PROTO, u, len);
	pkt_put16(u + 6, c == 0 ? 0xffff : c);
}

size_t
pkt_put_udp4(uint8_t *frame, const struct pkt_to *t)
{
	uint8_t *ip = frame + PKT_ETH;
	size_t total = PKT_IP4 + PKT_UDP + t->len;

	put_eth(frame, t, PKT_TYPE_IP4);
	memset(ip, 0, PKT_IP4);
	ip[0] = 0x45;
	pkt_put16(ip + 2, (uint16_t)total);
	ip[8] = TTL;
	ip[9] = PKT_UDP_PROTO;
	pkt_put32(ip + 12, t->src4);
	pkt_put32(ip + 16, t->dst4);
	pkt_put16(ip + 10, fold(sum(ip, PKT_IP4, 0)));
	put_udp(ip + PKT_IP4, t, ip + 12, ip + 16, 4);
	return PKT_ETH + total;
}

static void
put_ip6(uint8_t *frame, const struct pkt_to *t, uint8_t next, size_t len)
{
	uint8_t *ip = frame + PKT_ETH;

	put_eth(frame, t, PKT_TYPE_IP6);
	memset(ip, 0, PKT_IP6);
	ip[0] = 0x60;
	pkt_put16(ip + 4, (uint16_t)len);
	ip[6] = next;
	ip[7] = next == PKT_ICMP6 ? HOPS_ND : TTL;
	memcpy(ip + 8, t->src, 16);
	memcpy(ip + 24, t->dst, 16);
}

size_t
pkt_put_udp6(uint8_t *frame, const struct pkt_to *t)
{
	put_ip6(frame, t, PKT_UDP_PROTO, PKT_UDP + t->len);
	put_udp(frame + UDP6_OFF, t, t->src, t->dst, 16);
	return UDP6_OFF + PKT_UDP + t->len;
}

size_t
pkt_put_icmp6(uint8_t *frame, const struct pkt_to *t)
{
	uint8_t *icmp = frame + UDP6_OFF;

	put_ip6(frame, t, PKT_ICMP6, t->len);
	pkt_put16(icmp + 2, 0);
	pkt_put16(icmp + 2,
	    pseudo(t->src, t->dst, 16, PKT_ICMP6, icmp, t->len));
	return UDP6_OFF + t->len;
}

size_t
pkt_domain(const char *name, uint8_t *to, size_t size)
{
	size_t n = 0, len;

	while (*name != '\0') {
		len = strcspn(name, ".");
		if (len == 0 || len > 63 || n + len + 2 > size)
			return 0;
		to[n++] = (uint8_t)len;
		memcpy(to + n, name, len);
		n += len;
		name += len;
		if (*name == '.')
			name++;
	}
	if (n == 0 || n > 254)
		return 0;
	to[n++] = 0;
	return n;
}
