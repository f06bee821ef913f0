#ifndef NET_PKT_H
#define NET_PKT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Frames, for the files of lib/net: fields in network order, checksums, and
 * the way to and from the payload of UDP and ICMPv6.
 */

#define PKT_ETH	      14
#define PKT_IP4	      20
#define PKT_IP6	      40
#define PKT_UDP	      8
#define PKT_TYPE_IP4  0x0800
#define PKT_TYPE_ARP  0x0806
#define PKT_TYPE_IP6  0x86dd
#define PKT_TCP_PROTO 6
#define PKT_UDP_PROTO 17
#define PKT_ICMP6     58

static inline uint16_t
pkt_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
pkt_get32(const uint8_t *p)
{
	return (uint32_t)pkt_get16(p) << 16 | pkt_get16(p + 2);
}

static inline void
pkt_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
pkt_put32(uint8_t *p, uint32_t v)
{
	pkt_put16(p, (uint16_t)(v >> 16));
	pkt_put16(p + 2, (uint16_t)v);
}

/* The payload of a datagram, in the frame. */
struct pkt {
	const uint8_t *src, *dst; /* 4 or 16 bytes */
	const uint8_t *data;
	size_t len;
	uint16_t sport, dport; /* UDP only */
};

/*
 * Take a frame apart.  Lengths, header checksum and, unless `how' has
 * NET_PARTIAL, the checksum of the payload are verified; fragments are not
 * taken, options of IPv4 are skipped, extension headers of IPv6 not.
 * Returns 0, or -1 if the frame is not such a datagram.
 */
int pkt_udp4(const uint8_t *frame, size_t len, int how, struct pkt *p);
int pkt_udp6(const uint8_t *frame, size_t len, int how, struct pkt *p);
/* `data' begins with the ICMPv6 type; the hop limit is 255. */
int pkt_icmp6(const uint8_t *frame, size_t len, int how, struct pkt *p);

/* Where a payload of `len' bytes was put: what remains to be said of it. */
struct pkt_to {
	const uint8_t *smac, *dmac;
	const uint8_t *src, *dst; /* IPv6 */
	uint32_t src4, dst4;
	uint16_t sport, dport;
	size_t len;
};

/* Write the headers before a payload that is in place; the frame's length. */
size_t pkt_put_udp4(uint8_t *frame, const struct pkt_to *t);
size_t pkt_put_udp6(uint8_t *frame, const struct pkt_to *t);
size_t pkt_put_icmp6(uint8_t *frame, const struct pkt_to *t);

/*
 * A domain as a sequence of labels (RFC 1035, 3.1).  Returns the length, 0
 * if it is empty, is none or does not fit.
 */
size_t pkt_domain(const char *name, uint8_t *to, size_t size);

#endif
