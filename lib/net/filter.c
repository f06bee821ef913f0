/*
 * The source filter of an interface with `locked lladdr', in the process of
 * that interface.  Frames are the guest's and hostile; what cannot be read
 * within the first bytes does not pass.  RFC 791, 826, 5227.
 */

#include <string.h>

#include "lib/net/filter_int.h"
#include "lib/net/pkt.h"

#define ARP_LEN	    28
#define IP4_OFFSET  0x1fff
#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define TCP_CSUM    16
#define UDP_CSUM    6
#define ICMP6_CSUM  2

/* Only the field that the protocol has for it. */
int
filter_csum(uint8_t proto, size_t at, size_t csum)
{
	switch (proto) {
	case PKT_TCP_PROTO:
		return csum == at + TCP_CSUM;
	case PKT_UDP_PROTO:
		return csum == at + UDP_CSUM;
	case PKT_ICMP6:
		return csum == at + ICMP6_CSUM;
	default:
		return 0;
	}
}

static int
from_client(const uint8_t *u, size_t room)
{
	return room >= PKT_UDP && pkt_get16(u) == DHCP_CLIENT &&
	    pkt_get16(u + 2) == DHCP_SERVER;
}

static int
ip4(const struct net_conf *n, const uint8_t *head, size_t len, size_t csum)
{
	const uint8_t *ip = head + PKT_ETH;
	size_t hlen, room = len - PKT_ETH;
	uint32_t src;
	int first;

	if (room < PKT_IP4 || ip[0] >> 4 != 4)
		return 0;
	hlen = (size_t)(ip[0] & 15) * 4;
	if (hlen < PKT_IP4 || hlen > room)
		return 0;
	first = (pkt_get16(ip + 6) & IP4_OFFSET) == 0;
	if (csum != 0 && (!first || !filter_csum(ip[9], PKT_ETH + hlen, csum)))
		return 0;
	src = pkt_get32(ip + 12);
	if (src == 0)
		return first && ip[9] == PKT_UDP_PROTO &&
		    from_client(ip + hlen, room - hlen);
	return src == n->guest4;
}

/* Its own addresses; the sender of a probe has none yet. */
static int
arp(const struct net_conf *n, const uint8_t *head, size_t len, size_t csum)
{
	static const uint8_t like[6] = { 0, 1, 8, 0, 6, 4 };
	const uint8_t *a = head + PKT_ETH;
	uint32_t ip;

	if (len < PKT_ETH + ARP_LEN || csum != 0 || memcmp(a, like, 6) != 0)
		return 0;
	ip = pkt_get32(a + 14);
	return memcmp(a + 8, n->mac, 6) == 0 && (ip == 0 || ip == n->guest4);
}

int
net_filter(const struct net_conf *n, const uint8_t *head, size_t len,
    size_t csum)
{
	if ((n->flags & NETF_LOCKED) == 0)
		return 1;
	if (len < PKT_ETH || memcmp(head + 6, n->mac, 6) != 0 ||
	    (csum != 0 && csum < PKT_ETH))
		return 0;
	if ((n->flags & NETF_LOCAL) == 0)
		return 1;
	switch (pkt_get16(head + 12)) {
	case PKT_TYPE_ARP:
		return arp(n, head, len, csum);
	case PKT_TYPE_IP4:
		return ip4(n, head, len, csum);
	case PKT_TYPE_IP6:
		return filter_ip6(n, head, len, csum);
	default:
		return 0;
	}
}

int
net_filter_in(const struct net_conf *n, const uint8_t *head, size_t len)
{
	if ((n->flags & NETF_LOCKED) == 0)
		return 1;
	return len >= 6 && ((head[0] & 1) != 0 || memcmp(head, n->mac, 6) == 0);
}
