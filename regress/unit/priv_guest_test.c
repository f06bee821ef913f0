/*
 * What a guest can do to others through a tap that priv made, in a network
 * namespace of our own: we are the guest, and write frames.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "lib/net/pkt.h"
#include "lib/proto/msg.h"
#include "regress/unit/priv_world.h"

static void
end(void)
{
	rig_close_taps();
	rig_shutdown();
	world_end();
}

/* Nobody out there is told that somebody else has sent what a guest did. */
static void
spoofed(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT | PRIVF_INET6);
	uint8_t other[16];

	rig_begin();
	world_make("");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	world_send_udp4(n.guest4);
	assert_int_equal(world_left(), 1);
	world_send_udp4(0xcb007163); /* a neighbour of theirs */
	world_send_udp4(n.guest4 + 256);
	assert_int_equal(world_left(), 1);
	world_send_udp6(n.guest6);
	assert_int_equal(world_left(), 2);
	memcpy(other, n.guest6, sizeof(other));
	other[15] ^= 2;
	world_send_udp6(other);
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::9", other), 1);
	world_send_udp6(other);
	assert_int_equal(world_left(), 2);
	end();
}

/*
 * Who was not told to have NAT reaches nobody but the host, unless that
 * forwards for everybody.
 */
static void
without_nat(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT), m = rig_local(2, 0);

	rig_begin();
	world_make("");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_nic(&m), VMERR_OK);
	world_send_udp4(m.guest4);
	assert_int_equal(world_left(), 0);
	rig_close_taps();
	rig_shutdown();
	sh("echo 1 >/proc/sys/net/ipv4/ip_forward");
	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_nic(&m), VMERR_OK);
	world_send_udp4(m.guest4);
	assert_int_equal(world_left(), 1);
	end();
	sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
}

/*
 * Who only has ports of the host answers those who come there, and is nobody
 * who goes out with the address of a guest, unless that is what they all do.
 */
static void
only_forward(void **state)
{
	/* What was connected to the last one is still known to the host. */
	struct priv_nic n = rig_local(rig_real ? 3 : 4, PRIVF_INET6);
	struct priv_nic m = rig_local(5, 0);

	n.nforwards = 1;
	n.forwards[0] = (struct net_forward){ 17, 2000, 1000 };
	rig_begin();
	world_make("");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	world_send_udp4(n.guest4);
	world_send_udp6(n.guest6);
	assert_int_equal(world_left(), 0);
	world_enter_udp4(n.host4);
	world_send_udp4(n.guest4);
	assert_int_equal(world_left(), 1);
	/* That says nothing of others. */
	world_send_udp6(n.guest6);
	world_send_udp4(m.guest4);
	assert_int_equal(world_left(), 1);
	rig_close_taps();
	rig_shutdown();
	sh("echo 1 >/proc/sys/net/ipv4/ip_forward");
	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	world_send_udp6(n.guest6);
	assert_int_equal(world_left(), 1);
	sh("ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:05 dev world;"
	   "nft add rule netdev count out ip daddr 203.0.113.9 counter");
	world_send_udp4_to(n.guest4, WORLD + 4);
	assert_int_equal(world_left(), 2);
	end();
	sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
}

/* Is somebody looked for at that tap? */
static int
asked(int fd)
{
	uint8_t buf[2048];
	int found = 0;

	while (read(fd, buf, sizeof(buf)) > VNET + PKT_ETH)
		found |= pkt_get16(buf + VNET + 12) == PKT_TYPE_ARP;
	return found;
}

/* What one guest offers at a port of the host is there for the others. */
static void
forwarded(void **state)
{
	struct priv_nic n = rig_local(1, 0), m = rig_local(2, 0);
	int fd;

	n.nforwards = 1;
	n.forwards[0] = (struct net_forward){ 17, 2000, 53 };
	rig_begin();
	world_make("");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = rig.fds[0];
	rig.nfds = 0;
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_false(asked(fd));
	world_send_udp4_to(m.guest4, n.guest4);
	assert_false(asked(fd));
	world_send_udp4_to(m.guest4, m.host4);
	assert_true(asked(fd));
	/* Also for those that have a port themselves. */
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, rig.r.ifname), VMERR_OK);
	m.nforwards = 1;
	m.forwards[0] = (struct net_forward){ 17, 2001, 53 };
	assert_int_equal(rig_nic(&m), VMERR_OK);
	sh("ip neigh flush dev tap0");
	world_send_udp4_to(m.guest4, n.guest4);
	assert_false(asked(fd));
	world_send_udp4_to(m.guest4, m.host4);
	assert_true(asked(fd));
	close(fd);
	end();
}

/* Nor does anybody else who is only near a host that forwards because of us. */
static void
beside_nat(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT), m = rig_local(2, 0);
	char bridge[] = "bridge7";

	m.flags = PRIVF_UP;
	rig_begin();
	world_make("");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_nic(&m), VMERR_OK);
	world_send_udp4(WORLD + 1);
	assert_int_equal(world_left(), 0);
	rig_close_taps();
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	m.bridge = bridge;
	m.mac[5]++;
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_int_equal(
	    sscanf(sh("ip -o link show bridge7 | sed 's/.*ether //'"),
		"%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &rig.r.mac[0], &rig.r.mac[1],
		&rig.r.mac[2], &rig.r.mac[3], &rig.r.mac[4], &rig.r.mac[5]),
	    6);
	world_send_udp4(WORLD + 1);
	assert_int_equal(world_left(), 0);
	end();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(spoofed),
		RIG_TEST(without_nat),
		RIG_TEST(only_forward),
		RIG_TEST(beside_nat),
		RIG_TEST(forwarded),
	};

	if (rig_main(argc, argv) == -1)
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
