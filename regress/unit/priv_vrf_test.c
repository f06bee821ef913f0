/*
 * Routing domains as priv makes them: VRFs.  Where the kernel has none, that
 * they are refused in one sentence.
 */

#include <string.h>
#include <unistd.h>

#include "lib/proto/msg.h"
#include "regress/unit/priv_world.h"

static struct priv_nic
in_rdomain(uint32_t id, uint32_t table)
{
	struct priv_nic n = rig_local(id, PRIVF_RDOMAIN | PRIVF_INET6);

	n.rdomain = table;
	return n;
}

static void
without(void **state)
{
	struct priv_nic n = in_rdomain(1, 7);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_has(rig.r.text, "rdomain 7: vmd-rd7: ");
	assert_int_equal(rig_switch("bridge0", PRIVF_RDOMAIN, 7), VMERR_FAILED);
	assert_has(rig.r.text, "rdomain 7: vmd-rd7: ");
	assert_as_before();
	end_as_before();
}

/* Made for the first, gone with the last, the rule with it. */
static void
made(void **state)
{
	struct priv_nic n = in_rdomain(1, 7), m = in_rdomain(2, 7);
	const char *s;
	int fd;

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = dup(rig.fds[0]);
	s = sh("ip -d link show vmd-rd7");
	assert_has(s, "vrf table 7");
	assert_has(s, ",UP");
	assert_has(s, "alias vmd " RIG_TAG " rdomain7");
	assert_has(sh("ip link show tap0"), "master vmd-rd7");
	assert_has(sh("ip rule"), "1000: from all lookup [l3mdev-table]");
	assert_has(sh("ip -6 rule"), "1000: from all lookup [l3mdev-table]");
	assert_has(sh("ip route show table 7"), "100.64.1.2/31 dev tap0");
	assert_has(sh("ip -6 route show table 7"),
	    "fd12:3456:789a:bcde:fc00::1 dev tap0");
	assert_hasnt(sh("ip route"), "tap0");
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_string_equal(rig.r.ifname, "tap1");
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap1"), VMERR_OK);
	assert_has(sh("ip -br link"), "vmd-rd7");
	close(fd);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_as_before();
	/* The kernel makes the rule no second time. */
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_has(sh("ip rule"), "1000: from all lookup [l3mdev-table]");
	assert_has(sh("ip -6 rule"), "1000: from all lookup [l3mdev-table]");
	end_as_before();
}

static void
others(void **state)
{
	struct priv_nic n = in_rdomain(1, 8);

	rig_begin();
	sh("ip link add red type vrf table 8; ip link set red up;"
	   "ip rule add l3mdev pref 1000; ip -6 rule add l3mdev pref 1000");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_has(sh("ip link show tap0"), "master red");
	assert_hasnt(sh("ip -br link"), "vmd-rd");
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_has(sh("ip -br link"), "red");
	/* Ours come and go; the rule was there before. */
	n = in_rdomain(1, 9);
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	sh("ip link del red");
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_hasnt(sh("ip -br link"), "vmd-rd");
	assert_has(sh("ip rule"), "l3mdev");
	assert_has(sh("ip -6 rule"), "l3mdev");
	/* It was, says the parent, to one that comes after a crash. */
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.forwarding & PRIVFWD_RULE, PRIVFWD_RULE);
	rig_kill();
	rig_close_taps();
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, PRIVFWD_RULE), VMERR_OK);
	assert_int_equal(rig.r.forwarding, PRIVFWD_RULE);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_hasnt(sh("ip -br link"), "vmd-rd");
	assert_has(sh("ip rule"), "l3mdev");
	/* Known before anything is made. */
	rig_kill();
	rig_begin();
	assert_int_equal(rig.r.forwarding, PRIVFWD_RULE);
	sh("ip rule del l3mdev pref 1000; ip -6 rule del l3mdev pref 1000;"
	   "ip mrule del pref 1000; ip -6 mrule del pref 1000");
	end_as_before();
}

/* An address may be in use in another routing domain. */
static void
taken(void **state)
{
	struct priv_nic n = in_rdomain(1, 7), m = n;
	char bridge0[] = "bridge0";

	rig_begin();
	sh("ip link add world type bridge; ip link set world up;"
	   "ip addr add 100.64.1.9/24 dev world");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig_switch("bridge0", PRIVF_UP | PRIVF_RDOMAIN, 7),
	    VMERR_OK);
	assert_has(sh("ip link show bridge0"), "master vmd-rd7");
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	m.flags = PRIVF_UP | PRIVF_RDOMAIN;
	m.bridge = bridge0;
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_has(sh("ip link show tap0"), "master bridge0");
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	sh("ip link set world master vmd-rd7");
	assert_int_equal(rig_nic(&n), VMERR_EXISTS);
	assert_has(rig.r.text, "on world already");
	n.flags &= ~(uint32_t)PRIVF_RDOMAIN;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	sh("ip link del world");
	/* Moved, and back to the host. */
	assert_int_equal(rig_switch("bridge0", PRIVF_UP | PRIVF_RDOMAIN, 8),
	    VMERR_OK);
	assert_has(sh("ip link show bridge0"), "master vmd-rd8");
	assert_hasnt(sh("ip -br link"), "vmd-rd7");
	assert_int_equal(rig_switch("bridge0", PRIVF_UP, 0), VMERR_OK);
	assert_hasnt(sh("ip link show bridge0"), "master");
	assert_hasnt(sh("ip -br link"), "vmd-rd");
	end_as_before();
}

/* What holds for other guests holds for those in a routing domain. */
static void
spoofed(void **state)
{
	struct priv_nic n = in_rdomain(1, 7), m = in_rdomain(2, 7);

	n.flags |= PRIVF_NAT;
	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	world_make("master vmd-rd7");
	world_send_udp4(n.guest4);
	assert_int_equal(world_left(), 1);
	world_send_udp4(0xcb007163);
	assert_int_equal(world_left(), 1);
	world_send_udp6(n.guest6);
	assert_int_equal(world_left(), 2);
	n.guest6[15] ^= 2;
	world_send_udp6(n.guest6);
	assert_int_equal(world_left(), 2);
	rig_close_taps();
	/* Who has no NAT is not forwarded with those who have. */
	assert_int_equal(rig_nic(&m), VMERR_OK);
	world_send_udp4(m.guest4);
	assert_int_equal(world_left(), 2);
	world_end();
	rig_close_taps();
	end_as_before();
}

static void
killed(void **state)
{
	struct priv_nic n = in_rdomain(1, 7);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_kill();
	rig_close_taps();
	assert_has(sh("ip -br link"), "vmd-rd7");
	rig_begin();
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_as_before();
	end_as_before();
}

/* Killed while it made one, or removed it, at each point. */
static void
half_made(void **state)
{
	struct priv_nic n = in_rdomain(1, 7);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	rig_kill();
	/* The rule is there, the alias is not. */
	sh("ip link set vmd-rd7 down; ip link set vmd-rd7 name vmd" RIG_TAG
	   "; ip link set vmd" RIG_TAG " alias ''");
	rig_begin();
	assert_int_equal(rig.r.forwarding, 0);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_as_before();
	/* Or it is needed again. */
	sh("ip link add vmd" RIG_TAG " type vrf table 7");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_has(sh("ip link show vmd-rd7"), ",UP");
	assert_hasnt(sh("ip -br link"), "vmd" RIG_TAG);
	rig_close_taps();
	rig_kill();
	/* It is down, and the rule has gone before it. */
	sh("ip link set vmd-rd7 down; ip rule del pref 1000;"
	   "ip -6 rule del pref 1000; ip mrule del pref 1000;"
	   "ip -6 mrule del pref 1000");
	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_has(sh("ip link show vmd-rd7"), ",UP");
	assert_has(sh("ip rule"), "l3mdev");
	assert_has(sh("ip -6 rule"), "l3mdev");
	end_as_before();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest with[] = {
		RIG_TEST(made),
		RIG_TEST(others),
		RIG_TEST(taken),
		RIG_TEST(spoofed),
		RIG_TEST(killed),
		RIG_TEST(half_made),
	}, none[] = {
		RIG_TEST(without),
	};

	if (rig_main(argc, argv) == -1)
		return 0;
	if (sh("ip link add x type vrf table 1 2>&1 && ip link del x &&"
	       "ip rule del pref 1000 && ip -6 rule del pref 1000;"
	       "ip mrule del pref 1000; ip -6 mrule del pref 1000")[0] != '\0')
		return cmocka_run_group_tests(none, NULL, NULL);
	return cmocka_run_group_tests(with, NULL, NULL);
}
