/*
 * The header before a guest's packet, in the process of the network device:
 * hostile.  What is wrong in it would at best cost the system call that tun
 * refuses, and at worst reach a driver of the host.  Virtio 1.2, 5.1.6.
 */

#include <endian.h>
#include <errno.h>

#include "lib/net/pkt.h"
#include "lib/net/vnet.h"

#define F(bit)	   (UINT64_C(1) << (bit))
#define F_HOST_USO 56
#define GSO_UDP_L4 5
#define TCP_CSUM   16
#define UDP_CSUM   6
#define TCP_LEN	   20
#define OVER_IP4   (PKT_ETH + PKT_IP4)
#define OVER_IP6   (PKT_ETH + PKT_IP6)
#define UDP_MOST   128 /* Linux; 64 before 6.9, which then says so itself */

/* What segments are called, needs which feature, and has which headers. */
static const struct gso {
	uint8_t type;
	uint8_t feature;
	uint8_t csum;  /* where, in the header */
	uint8_t hlen;  /* of TCP or UDP */
	uint8_t start; /* where that header begins at the earliest */
	uint8_t ecn;   /* may be said to have it */
	uint8_t most;  /* segments, 0: any number */
} kinds[] = {
	{ VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4, TCP_CSUM, TCP_LEN,
	    OVER_IP4, 1, 0 },
	{ VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6, TCP_CSUM, TCP_LEN,
	    OVER_IP6, 1, 0 },
	{ VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_F_HOST_UFO, UDP_CSUM, PKT_UDP,
	    OVER_IP4, 0, 0 },
	{ GSO_UDP_L4, F_HOST_USO, UDP_CSUM, PKT_UDP, OVER_IP4, 0, UDP_MOST },
};

static int
csum_ok(const struct virtio_net_hdr_v1 *h, uint64_t features, size_t len)
{
	size_t start = le16toh(h->csum_start);

	return (features & F(VIRTIO_NET_F_CSUM)) != 0 && start >= OVER_IP4 &&
	    start + le16toh(h->csum_offset) + 2 <= len;
}

/* Segments are summed anew each: the sum must be asked for. */
static int
fits(const struct virtio_net_hdr_v1 *h, const struct gso *k, size_t len)
{
	size_t start = le16toh(h->csum_start), size = le16toh(h->gso_size);

	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 ||
	    le16toh(h->csum_offset) != k->csum || start < k->start ||
	    start + k->hlen > len)
		return 0;
	if (k->most != 0 && len - start - k->hlen > size * k->most)
		return 0;
	return size != 0 && le16toh(h->hdr_len) <= len;
}

static int
gso_ok(const struct virtio_net_hdr_v1 *h, uint64_t features, size_t len)
{
	uint8_t ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	const struct gso *k;
	size_t i;

	if (ecn != 0 && (features & F(VIRTIO_NET_F_HOST_ECN)) == 0)
		return 0;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		k = &kinds[i];
		if ((h->gso_type ^ ecn) == k->type)
			return (features & F(k->feature)) != 0 &&
			    (ecn == 0 || k->ecn) && fits(h, k, len);
	}
	return 0;
}

static int
refuse(void)
{
	errno = EPROTO;
	return -1;
}

int
net_vnet_clean(struct virtio_net_hdr_v1 *h, uint64_t features, size_t len)
{
	if (len < PKT_ETH)
		return refuse();
	h->num_buffers = 0;
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (h->flags == 0)
		h->csum_start = h->csum_offset = 0;
	else if (!csum_ok(h, features, len))
		return refuse();
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		h->gso_size = h->hdr_len = 0;
		return 0;
	}
	return gso_ok(h, features, len) ? 0 : refuse();
}

size_t
net_vnet_csum(const struct virtio_net_hdr_v1 *h)
{
	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0)
		return 0;
	return (size_t)le16toh(h->csum_start) + le16toh(h->csum_offset);
}
