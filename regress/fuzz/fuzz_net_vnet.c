/*
 * The header of a guest's packet: features of the driver, length of the
 * frame, header.  What is let through is what tun(4) takes, and clean.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
clean(const struct virtio_net_hdr_v1 *h, uint64_t features, size_t len)
{
	struct virtio_net_hdr_v1 again = *h;
	size_t hdr_len = le16toh(h->hdr_len), csum = net_vnet_csum(h);

	check(len >= 14 && h->num_buffers == 0);
	check((h->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0);
	check(csum == 0 || (csum >= 34 && csum + 2 <= len));
	check(csum == 0 || (features & 1) != 0);
	check(hdr_len <= len);
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		check(h->gso_size == 0 && hdr_len == 0);
	else
		check(h->gso_size != 0 && csum != 0);
	check(net_vnet_clean(&again, features, len) == 0);
	check(memcmp(h, &again, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct virtio_net_hdr_v1 h;
	uint64_t features;
	uint16_t size;

	if (len < sizeof(h) + sizeof(features) + sizeof(size))
		return 0;
	memcpy(&features, data, sizeof(features));
	memcpy(&size, data + sizeof(features), sizeof(size));
	memcpy(&h, data + sizeof(features) + sizeof(size), sizeof(h));
	features = le64toh(features);
	size = le16toh(size);
	if (net_vnet_clean(&h, features, size) == 0)
		clean(&h, features, size);
	return 0;
}
