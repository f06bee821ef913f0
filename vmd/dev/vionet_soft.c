/*
 * Checksums and segments in software, for drivers that take neither: in
 * device processes.  A tap's offloads are set once, when it is opened, so
 * that no ioctl(2) is needed when a driver comes up with fewer of them than
 * the one before; firmware and old systems are the ones that do.
 *
 * A frame to be segmented has its payload cut into pieces, each behind a
 * copy of all headers in which lengths, sequence numbers, flags and
 * identifications are set right.  RFC 791, 8200, 9293, 768.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <netinet/in.h>
#include <linux/virtio_net.h>

#include "vmd/dev/vionet_soft.h"

#define F(bit)	   (1ULL << (bit))
#define HDR	   sizeof(struct virtio_net_hdr_v1)
#define ETH	   14
#define USO	   5 /* VIRTIO_NET_HDR_GSO_UDP_L4 */
#define GUEST_USO4 54
#define GUEST_USO6 55

#define TCP_FIN	   0x01
#define TCP_PSH	   0x08
#define TCP_CWR	   0x80

struct layout {
	size_t l3, l4, payload; /* offsets in the frame */
	int v6, tcp;
	unsigned int size; /* of a segment's payload */
};

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint64_t
sum(const uint8_t *p, size_t len, uint64_t s)
{
	uint32_t w;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&w, p, sizeof(w));
		s += w;
	}
	for (w = 0; len > 0; len--)
		((uint8_t *)&w)[len - 1] = p[len - 1];
	return s + w;
}

static uint16_t
fold(uint64_t s)
{
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return be16toh((uint16_t)s);
}

/* --- what is to be done ------------------------------------------------------ */

static uint64_t
gso_features(unsigned int type)
{
	switch (type & ~(unsigned int)VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return 0;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return F(VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return F(VIRTIO_NET_F_GUEST_TSO6);
	case USO:
		return F(GUEST_USO4) | F(GUEST_USO6);
	default:
		return ~0ULL; /* nobody has that */
	}
}

static uint64_t
needs(const struct virtio_net_hdr_v1 *h)
{
	uint64_t f = gso_features(h->gso_type);

	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		f |= F(VIRTIO_NET_F_GUEST_CSUM);
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		f |= F(VIRTIO_NET_F_GUEST_ECN);
	return f;
}

int
net_soft_needed(const uint8_t *p, uint64_t features)
{
	struct virtio_net_hdr_v1 h;

	memcpy(&h, p, sizeof(h));
	return (needs(&h) & ~features) != 0;
}

/* --- checksums ----------------------------------------------------------------- */

/* As NEEDS_CSUM says: over all from csum_start on. */
static int
checksum(uint8_t *p, size_t len, const struct virtio_net_hdr_v1 *h)
{
	size_t start = le16toh(h->csum_start);
	size_t at = start + le16toh(h->csum_offset);
	unsigned int c;

	if (start > len || at + 2 > len) {
		errno = EPROTO;
		return -1;
	}
	c = ~(unsigned int)fold(sum(p + start, len - start, 0)) & 0xffff;
	put16(p + at, c == 0 ? 0xffff : c);
	return 0;
}

/* Of a transport header and its data, with the addresses and the length. */
static void
transport_checksum(uint8_t *p, size_t len, const struct layout *l)
{
	size_t n = len - l->l4, at = l->l4 + (l->tcp ? 16 : 6);
	const uint8_t *a = p + l->l3 + (l->v6 ? 8 : 12);
	uint8_t pseudo[8] = { 0 };
	unsigned int c;
	uint64_t s;

	put32(pseudo, (uint32_t)n);
	pseudo[7] = l->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	put16(p + at, 0);
	s = sum(pseudo, sizeof(pseudo), 0);
	s = sum(a, l->v6 ? 32 : 8, s);
	c = ~(unsigned int)fold(sum(p + l->l4, n, s)) & 0xffff;
	put16(p + at, c == 0 ? 0xffff : c);
}

/* --- segments -------------------------------------------------------------------- */

static int
bad(void)
{
	errno = EPROTO;
	return -1;
}

/* Where the headers are.  csum_start says where the transport's is. */
static int
look(const uint8_t *p, size_t len, const struct virtio_net_hdr_v1 *h,
    struct layout *l)
{
	unsigned int type,
	    tags = 0, gso = h->gso_type & ~(unsigned int)VIRTIO_NET_HDR_GSO_ECN;

	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || len < ETH)
		return bad();
	l->l3 = ETH;
	while ((type = get16(p + l->l3 - 2)) == 0x8100 || type == 0x88a8) {
		if (++tags > 2 || len < l->l3 + 4)
			return bad();
		l->l3 += 4;
	}
	l->v6 = type == 0x86dd;
	l->tcp = gso != USO;
	l->l4 = le16toh(h->csum_start);
	l->size = le16toh(h->gso_size);
	if ((!l->v6 && type != 0x0800) || l->size == 0 ||
	    l->l4 < l->l3 + (l->v6 ? 40 : 20) ||
	    len < l->l4 + (l->tcp ? 20 : 8))
		return bad();
	l->payload = l->l4 + (l->tcp ? (p[l->l4 + 12] >> 4) * 4U : 8);
	if (l->payload < l->l4 + (l->tcp ? 20 : 8) || l->payload >= len)
		return bad();
	return 0;
}

/* Lengths and checksum of the network header; the nth segment. */
static void
network_header(uint8_t *p, size_t len, const struct layout *l, unsigned int nth)
{
	uint8_t *ip = p + l->l3;
	unsigned int c;

	if (l->v6) {
		put16(ip + 4, (unsigned int)(len - l->l3 - 40));
		return;
	}
	put16(ip + 2, (unsigned int)(len - l->l3));
	put16(ip + 4, get16(ip + 4) + nth);
	put16(ip + 10, 0);
	c = ~(unsigned int)fold(sum(ip, l->l4 - l->l3, 0)) & 0xffff;
	put16(ip + 10, c);
}

static void
transport_header(uint8_t *p, size_t len, const struct layout *l,
    unsigned int nth, int last)
{
	uint8_t *t = p + l->l4;

	if (!l->tcp) {
		put16(t + 4, (unsigned int)(len - l->l4));
		return;
	}
	put32(t + 4, get32(t + 4) + nth * l->size);
	if (!last)
		t[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (nth > 0)
		t[13] &= (uint8_t)~TCP_CWR;
}

static int
segment(const uint8_t *p, size_t len, const struct virtio_net_hdr_v1 *h,
    uint8_t *seg, int (*emit)(void *arg, const uint8_t *p, size_t len),
    void *arg)
{
	uint8_t *q = seg + HDR;
	struct layout l;
	unsigned int nth;
	size_t off, n;

	if (look(p, len, h, &l) == -1)
		return -1;
	for (off = l.payload, nth = 0; off < len; off += n, nth++) {
		n = len - off < l.size ? len - off : l.size;
		memset(seg, 0, HDR);
		memcpy(q, p, l.payload);
		memcpy(q + l.payload, p + off, n);
		network_header(q, l.payload + n, &l, nth);
		transport_header(q, l.payload + n, &l, nth, off + n == len);
		transport_checksum(q, l.payload + n, &l);
		if (emit(arg, seg, HDR + l.payload + n) != 0)
			break;
	}
	return 0;
}

int
net_soft(uint8_t *p, size_t len, uint64_t features, uint8_t *seg,
    int (*emit)(void *arg, const uint8_t *p, size_t len), void *arg)
{
	struct virtio_net_hdr_v1 h;

	if (len < HDR + ETH)
		return bad();
	memcpy(&h, p, sizeof(h));
	if ((gso_features(h.gso_type) & ~features) != 0)
		return segment(p + HDR, len - HDR, &h, seg, emit, arg);
	if (checksum(p + HDR, len - HDR, &h) == -1)
		return -1;
	memset(p, 0, HDR);
	emit(arg, p, len);
	return 0;
}
