/* The guest of a tap that priv made, and a world beyond; see priv_world.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "lib/net/pkt.h"
#include "regress/unit/priv_world.h"

void
world_make(const char *where)
{
	sh("ip link add world address 02:00:00:00:00:01 type bridge &&"
	   "ip link set world %s up",
	    where);
	sh("ip addr add 203.0.113.1/24 dev world;"
	   "ip neigh add 203.0.113.5 lladdr 02:00:00:00:00:05 dev world;"
	   "ip -6 addr add 2001:db8::1/64 dev world nodad;"
	   "ip -6 neigh add 2001:db8::5 lladdr 02:00:00:00:00:05 dev world;"
	   "nft 'add table netdev count; add chain netdev count out "
	   "{ type filter hook egress device world priority 0; };"
	   "add rule netdev count out ip daddr 203.0.113.5 counter;"
	   "add rule netdev count out ip6 daddr 2001:db8::5 counter'");
}

int
world_left(void)
{
	const char *s = sh("nft list table netdev count");
	int n = 0;

	while ((s = strstr(s, "counter packets ")) != NULL) {
		s += strlen("counter packets ");
		n += atoi(s);
	}
	return n;
}

void
world_send_udp4_to(uint32_t src, uint32_t dst)
{
	static const uint8_t mac[6] = { 0xfe, 0xe1, 0xbb, 0, 0, 1 };
	uint8_t buf[VNET + 64] = { 0 };
	struct pkt_to t = { .smac = mac,
		.dmac = rig.r.mac,
		.src4 = src,
		.dst4 = dst,
		.sport = 1000,
		.dport = 2000,
		.len = 8 };
	size_t len = VNET + pkt_put_udp4(buf + VNET, &t);

	assert_int_equal(write(rig.fds[0], buf, len), len);
}

void
world_send_udp4(uint32_t src)
{
	world_send_udp4_to(src, WORLD);
}

/* A port of it: it stays, as a bridge that has lost its last one is down. */
static int uplink = -1;

void
world_enter_udp4(uint32_t dst)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 5 };
	static const uint8_t host[6] = { 2, 0, 0, 0, 0, 1 };
	struct ifreq ifr = { .ifr_name = "uplink",
		.ifr_flags = IFF_TAP | IFF_NO_PI };
	uint8_t buf[64] = { 0 };
	struct pkt_to t = { .smac = mac,
		.dmac = host,
		.src4 = WORLD,
		.dst4 = dst,
		.sport = 2000,
		.dport = 2000,
		.len = 8 };
	size_t len;

	uplink = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(uplink, TUNSETIFF, &ifr), 0);
	sh("ip link set uplink master world up");
	len = pkt_put_udp4(buf, &t);
	assert_int_equal(write(uplink, buf, len), len);
}

void
world_send_udp6(const uint8_t src[16])
{
	static const uint8_t mac[6] = { 0xfe, 0xe1, 0xbb, 0, 0, 1 };
	uint8_t buf[VNET + 128] = { 0 }, dst[16];
	struct pkt_to t = { .smac = mac,
		.dmac = rig.r.mac,
		.src = src,
		.dst = dst,
		.sport = 1000,
		.dport = 2000,
		.len = 8 };
	size_t len;

	assert_int_equal(inet_pton(AF_INET6, "2001:db8::5", dst), 1);
	len = VNET + pkt_put_udp6(buf + VNET, &t);
	assert_int_equal(write(rig.fds[0], buf, len), len);
}

void
world_end(void)
{
	sh("nft delete table netdev count; ip link del world");
	if (uplink != -1)
		close(uplink);
	uplink = -1;
}
