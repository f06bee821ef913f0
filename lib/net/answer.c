/*
 * Which frames of a guest are answered by its network device process, and
 * by whom; every frame of a local interface passes here.
 */

#include <string.h>

#include "lib/net/answer.h"
#include "lib/net/dhcp.h"
#include "lib/net/dhcp6.h"
#include "lib/net/pkt.h"
#include "lib/net/ra.h"

#define DHCP_PORT  67
#define DHCP6_PORT 547
#define RS	   133

/* Is this UDP to `port', as far as can be seen? */
static int
to_port(const uint8_t *u, size_t len, uint16_t port)
{
	return len >= PKT_UDP && pkt_get16(u + 2) == port;
}

static int
wants4(const uint8_t *ip, size_t len)
{
	size_t hlen;

	if (len < PKT_IP4 || ip[9] != PKT_UDP_PROTO)
		return 0;
	hlen = (size_t)(ip[0] & 15) * 4;
	return hlen <= len && to_port(ip + hlen, len - hlen, DHCP_PORT);
}

static int
wants6(const uint8_t *ip, size_t len)
{
	if (len <= PKT_IP6)
		return 0;
	if (ip[6] == PKT_ICMP6)
		return ip[PKT_IP6] == RS;
	return ip[6] == PKT_UDP_PROTO &&
	    to_port(ip + PKT_IP6, len - PKT_IP6, DHCP6_PORT);
}

int
net_wants(const struct net_conf *n, const uint8_t *head, size_t len)
{
	if ((n->flags & NETF_LOCAL) == 0 || len < PKT_ETH)
		return 0;
	if (pkt_get16(head + 12) == PKT_TYPE_IP4)
		return wants4(head + PKT_ETH, len - PKT_ETH);
	if (pkt_get16(head + 12) == PKT_TYPE_IP6 &&
	    (n->flags & NETF_INET6) != 0)
		return wants6(head + PKT_ETH, len - PKT_ETH);
	return 0;
}

int
net_answer(const struct net_conf *n, const uint8_t *frame, size_t len, int how,
    uint64_t now, struct net_lease *l, uint8_t *reply, size_t size)
{
	if (len > NET_FRAME_MAX || !net_wants(n, frame, len))
		return 0;
	if (pkt_get16(frame + 12) == PKT_TYPE_IP4)
		return net_dhcp(n, frame, len, how, now, l, reply, size);
	if (frame[PKT_ETH + 6] == PKT_ICMP6)
		return net_ra(n, frame, len, how, reply, size);
	return net_dhcp6(n, frame, len, how, reply, size);
}
