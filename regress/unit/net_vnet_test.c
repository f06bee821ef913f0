/*
 * Headers of a guest's packets: the good ones stay as they are, the bad ones
 * are refused, and what means nothing is gone.
 */

#include <endian.h>
#include <errno.h>

#include "lib/net/vnet.h"
#include "regress/unit/net_test.h"

#define F(bit) (UINT64_C(1) << (bit))
#define USO    56
#define UDP_L4 5
#define ALL                                                                    \
	(F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_HOST_TSO4) |                    \
	    F(VIRTIO_NET_F_HOST_TSO6) | F(VIRTIO_NET_F_HOST_ECN) |             \
	    F(VIRTIO_NET_F_HOST_UFO) | F(USO))
#define LEN 1514

static struct virtio_net_hdr_v1
csum(uint16_t start, uint16_t offset)
{
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = htole16(start),
		.csum_offset = htole16(offset),
	};

	return h;
}

static struct virtio_net_hdr_v1
gso(uint8_t type)
{
	int udp = type == VIRTIO_NET_HDR_GSO_UDP || type == UDP_L4;
	int six = (type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV6;
	struct virtio_net_hdr_v1 h = csum(six ? 54 : 34, udp ? 6 : 16);

	h.gso_type = type;
	h.gso_size = htole16(1448);
	h.hdr_len = htole16(54);
	return h;
}

static int
clean(struct virtio_net_hdr_v1 h, uint64_t features, size_t len)
{
	int r;

	errno = 0;
	r = net_vnet_clean(&h, features, len);
	assert_int_equal(errno, r == 0 ? 0 : EPROTO);
	return r;
}

static void
plain(void **state)
{
	static const struct virtio_net_hdr_v1 none;
	struct virtio_net_hdr_v1 h;
	size_t i;

	for (i = 0; i < 100; i++)
		assert_int_equal(clean(none, 0, i), i < 14 ? -1 : 0);
	/* All that means nothing, also flags that nobody knows. */
	memset(&h, 0xff, sizeof(h));
	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	h.flags = 0xfe;
	assert_int_equal(net_vnet_clean(&h, 0, 14), 0);
	assert_memory_equal(&h, &none, sizeof(h));
	assert_int_equal(net_vnet_csum(&h), 0);
}

static void
checksums(void **state)
{
	struct virtio_net_hdr_v1 h = csum(34, 16), same = h;

	assert_int_equal(clean(h, 0, LEN), -1);
	assert_int_equal(clean(h, ALL & ~F(VIRTIO_NET_F_CSUM), LEN), -1);
	h.flags = 0xff;
	h.num_buffers = 7;
	assert_int_equal(net_vnet_clean(&h, ALL, LEN), 0);
	assert_memory_equal(&h, &same, sizeof(h));
	assert_int_equal(net_vnet_csum(&h), 50);
	assert_int_equal(clean(csum(34, 16), ALL, 52), 0);
	assert_int_equal(clean(csum(34, 16), ALL, 51), -1);
	assert_int_equal(clean(csum(34, 0), ALL, 36), 0);
	assert_int_equal(clean(csum(33, 16), ALL, LEN), -1);
	assert_int_equal(clean(csum(0, 40), ALL, LEN), -1);
	assert_int_equal(clean(csum(65535, 65535), ALL, 65535), -1);
	assert_int_equal(clean(csum(34, 65535), ALL, 65535), -1);
	assert_int_equal(clean(csum(1512, 0), ALL, LEN), 0);
	assert_int_equal(clean(csum(1513, 0), ALL, LEN), -1);
}

static void
segments(void **state)
{
	static const struct {
		uint8_t type, feature;
	} kinds[] = { { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4 },
		{ VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6 },
		{ VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_F_HOST_UFO },
		{ UDP_L4, USO } };
	struct virtio_net_hdr_v1 h, same;
	size_t i;

	for (i = 0; i < 4; i++) {
		h = same = gso(kinds[i].type);
		assert_int_equal(net_vnet_clean(&h, ALL, 60000), 0);
		assert_memory_equal(&h, &same, sizeof(h));
		assert_int_equal(clean(h, ALL & ~F(kinds[i].feature), 60000),
		    -1);
		assert_int_equal(clean(h, F(kinds[i].feature) | 1, 60000), 0);
		h.gso_size = 0;
		assert_int_equal(clean(h, ALL, 60000), -1);
		h = same;
		h.hdr_len = htole16(60001);
		assert_int_equal(clean(h, ALL, 60000), -1);
		h.hdr_len = htole16(60000);
		assert_int_equal(clean(h, ALL, 60000), 0);
		h.hdr_len = 0;
		assert_int_equal(clean(h, ALL, 60000), 0);
		h = same;
		h.flags = 0;
		assert_int_equal(clean(h, ALL, 60000), -1);
		h = same;
		h.csum_offset = htole16(8);
		assert_int_equal(clean(h, ALL, 60000), -1);
	}
}

/* The header to be repeated is there, and UDP has an end. */
static void
headers(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t start, len;
	} kinds[] = { { VIRTIO_NET_HDR_GSO_TCPV4, 34, 54 },
		{ VIRTIO_NET_HDR_GSO_TCPV6, 54, 74 },
		{ VIRTIO_NET_HDR_GSO_UDP, 34, 42 }, { UDP_L4, 34, 42 } };
	struct virtio_net_hdr_v1 h;
	size_t i;

	for (i = 0; i < 4; i++) {
		h = gso(kinds[i].type);
		h.hdr_len = 0;
		assert_int_equal(le16toh(h.csum_start), kinds[i].start);
		assert_int_equal(clean(h, ALL, kinds[i].len), 0);
		assert_int_equal(clean(h, ALL, kinds[i].len - 1), -1);
		h.csum_start = htole16(kinds[i].start - 1);
		assert_int_equal(clean(h, ALL, 1514), -1);
	}
	h = gso(UDP_L4);
	h.gso_size = htole16(10);
	assert_int_equal(clean(h, ALL, 42 + 1280), 0);
	assert_int_equal(clean(h, ALL, 42 + 1281), -1);
	h.csum_start = htole16(54);
	assert_int_equal(clean(h, ALL, 62 + 1280), 0);
	assert_int_equal(clean(h, ALL, 62 + 1281), -1);
}

static void
congestion(void **state)
{
	struct virtio_net_hdr_v1 h;
	uint32_t type;

	for (type = 0; type < 256; type++) {
		h = gso((uint8_t)type);
		if ((type & 0x7f) == VIRTIO_NET_HDR_GSO_UDP ||
		    (type & 0x7f) == UDP_L4)
			h.csum_offset = htole16(6);
		assert_int_equal(clean(h, ALL, LEN),
		    type == 0 || type == 1 || type == 3 || type == 4 ||
			    type == 5 || type == 0x81 || type == 0x84 ?
			0 :
			-1);
		assert_int_equal(clean(h, ALL & ~F(VIRTIO_NET_F_HOST_ECN), LEN),
		    type == 0 || type == 1 || type == 3 || type == 4 ||
			    type == 5 ?
			0 :
			-1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(checksums),
		cmocka_unit_test(segments),
		cmocka_unit_test(headers),
		cmocka_unit_test(congestion),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
