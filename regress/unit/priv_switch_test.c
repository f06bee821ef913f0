/*
 * Switches as priv makes and uses them, in a network namespace of our own:
 * bridges of ours, those of somebody else, and what is left half made.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/msg.h"
#include "regress/unit/priv_rig.h"

static struct priv_nic
port_of(const char *bridge, uint32_t flags)
{
	static char name[16];
	struct priv_nic n = rig_local(1, 0);

	n.flags = PRIVF_UP | flags;
	n.bridge = name;
	snprintf(name, sizeof(name), "%s", bridge);
	return n;
}

static void
switches(void **state)
{
	struct priv_nic n = port_of("bridge7", PRIVF_ISOLATED | PRIVF_LOCKED);
	const char *s;
	int fd;

	rig_begin();
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, 1);
	s = sh("ip -d link show bridge7");
	assert_has(s, "alias vmd " RIG_TAG " switch1-test");
	assert_has(s, "stp_state 0");
	assert_has(s, ",UP");
	assert_has(s, "link/ether fe:");
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/disable_ipv6"), 1);
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/accept_ra"), 0);
	/* The same again. */
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, 1);
	n.flags |= PRIVF_RDOMAIN;
	n.rdomain = 5;
	assert_int_equal(rig_nic(&n), VMERR_INVALID);
	assert_string_equal(rig.r.text, "rdomain 5: bridge7 is not in it");
	n.rdomain = 0;
	n.pairs = 2;
	n.mtu = 9000;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.mtu, 9000);
	fd = dup(rig.fds[0]);
	s = sh("ip -d link show tap0");
	assert_has(s, "master bridge7");
	assert_has(s, "mtu 9000");
	assert_has(s, "learning off");
	assert_has(s, "isolated on");
	assert_has(s, "locked on");
	assert_has(sh("bridge fdb show dev tap0"),
	    "fe:e1:bb:d1:22:01 master bridge7 static");
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "bridge7"), VMERR_BUSY);
	assert_string_equal(rig.r.text, "bridge7: still has members");
	close(fd);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "bridge7"), VMERR_OK);
	assert_as_before();
	/* One that is there at the end goes as well. */
	assert_int_equal(rig_switch("veb1", 0, 0), VMERR_OK);
	assert_has(sh("ip -br link show veb1"), "DOWN");
	end_as_before();
}

static void
others_switch(void **state)
{
	struct priv_nic n = port_of("br0", 0);
	char was[4096];

	rig_begin();
	sh("ip link add br0 mtu 1400 type bridge stp_state 1;"
	   "ip link set br0 alias mine");
	assert_int_equal(rig_switch("br0", 0, 0), VMERR_OK);
	assert_int_equal(rig.r.created, 0);
	assert_hasnt(sh("ip link show br0"), ",UP");
	snprintf(was, sizeof(was), "%s", sh("ip link show br0"));
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.mtu, 1400);
	assert_has(sh("ip -d link show tap0"), "learning on");
	assert_has(sh("ip -d link show tap0"), "isolated off");
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_string_equal(sh("ip link show br0"), was);
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, PRIVSW_RAISED);
	assert_has(sh("ip link show br0"), ",UP");
	assert_has(sh("ip -d link show br0"), "stp_state 1");
	assert_int_equal(rig_switch("br0", PRIVF_RDOMAIN, 9), VMERR_INVALID);
	assert_string_equal(rig.r.text,
	    "br0: not in rdomain 9, and not vmd's to move");
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "br0"), VMERR_OK);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	rig_close_taps();
	rig_shutdown();
	assert_has(sh("ip link show br0"), "alias mine");
	sh("ip link del br0");
	assert_as_before();
}

static void
no_switch(void **state)
{
	struct priv_nic n = port_of("nosuch", 0);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_string_equal(rig.r.text, "nosuch: No such device");
	assert_int_equal(rig_switch("nosuch", 0, 0), VMERR_FAILED);
	assert_string_equal(rig.r.text, "nosuch: No such device");
	n = port_of("lo", 0);
	assert_int_equal(rig_nic(&n), VMERR_INVALID);
	assert_string_equal(rig.r.text, "lo: not a bridge");
	assert_int_equal(rig_switch("lo", 0, 0), VMERR_INVALID);
	assert_string_equal(rig.r.text, "lo: not a bridge");
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "lo"), VMERR_OK);
	assert_as_before();
	end_as_before();
}

/* --- leftovers ----------------------------------------------------------- */

/* One that was down is so again: it was ours to bring up. */
static void
raised(void **state)
{
	rig_begin();
	sh("ip link add br0 type bridge; ip link add br1 type bridge;"
	   "ip link set br1 up");
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, PRIVSW_RAISED);
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, PRIVSW_RAISED);
	assert_int_equal(rig_switch("br0", 0, 0), VMERR_OK);
	assert_int_equal(rig.r.created, 0);
	assert_hasnt(sh("ip link show br0"), ",UP");
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "br0"), VMERR_OK);
	assert_hasnt(sh("ip link show br0"), ",UP");
	/* One that was up stays so. */
	assert_int_equal(rig_switch("br1", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, 0);
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "br1"), VMERR_OK);
	assert_has(sh("ip link show br1"), ",UP");
	assert_int_equal(rig_switch("br1", PRIVF_UP, 0), VMERR_OK);
	/* By a priv that was killed, and at the end. */
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	rig_kill();
	rig_begin();
	assert_int_equal(rig_switch("br0", PRIVF_UP | PRIVF_RAISED, 0),
	    VMERR_OK);
	assert_int_equal(rig.r.created, PRIVSW_RAISED);
	assert_int_equal(rig_switch("br1", PRIVF_UP, 0), VMERR_OK);
	rig_shutdown();
	assert_hasnt(sh("ip link show br0"), ",UP");
	assert_has(sh("ip link show br1"), ",UP");
	sh("ip link del br0; ip link del br1");
	assert_as_before();
}

/* A bridge without members has a MAC and an MTU of its own. */
static void
lent(void **state)
{
	struct priv_nic n = port_of("br0", 0), m = n;
	char was[4096];
	const char *s;
	int fd;

	rig_begin();
	sh("ip link add br0 mtu 1400 type bridge; ip link set br0 up");
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	snprintf(was, sizeof(was), "%s", sh("ip -o link show br0"));
	n.mtu = 9000;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = dup(rig.fds[0]);
	m.mac[5] = 9;
	assert_int_equal(rig_nic(&m), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap1"), VMERR_OK);
	close(fd);
	assert_has(sh("ip link show br0"), "00:00:00:00:00:00");
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	s = sh("ip -o link show br0");
	assert_has(s, " mtu 1400 ");
	assert_string_equal(strstr(s, " link/ether"), strstr(was, " link/"));
	/* With a member of somebody else's it is as that wants it. */
	sh("ip link del br0; ip link add br0 type bridge;"
	   "ip tuntap add world mode tap; ip link set world master br0 mtu "
	   "1300 address 02:00:00:00:00:01");
	assert_int_equal(rig_switch("br0", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_has(sh("ip link show br0"), "mtu 1300");
	assert_has(sh("ip link show br0"), "02:00:00:00:00:01");
	sh("ip link del br0; ip link del world");
	end_as_before();
}

/* Somebody removes one of ours: the next interface has it again. */
static void
removed(void **state)
{
	struct priv_nic n = port_of("bridge7", PRIVF_ISOLATED), m = n;
	const char *s;
	int fd;

	rig_begin();
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = dup(rig.fds[0]);
	sh("ip link del bridge7");
	m.mac[5] = 9;
	assert_int_equal(rig_nic(&m), VMERR_OK);
	s = sh("ip -d link show bridge7");
	assert_has(s, "alias vmd " RIG_TAG " switch1-test");
	assert_has(s, ",UP");
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/accept_ra"), 0);
	assert_has(sh("ip link show tap1"), "master bridge7");
	assert_has(sh("ip -d link show tap0"), "master bridge7");
	assert_has(sh("ip -d link show tap0"), "isolated on");
	close(fd);
	rig_close_taps();
	/* Somebody else's is not ours to make, nor one that was given up. */
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap1"), VMERR_OK);
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "bridge7"), VMERR_OK);
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_string_equal(rig.r.text, "bridge7: No such device");
	sh("ip link add bridge7 type bridge");
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	sh("ip link del bridge7");
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	end_as_before();
}

/* Killed while it made a bridge, at each point. */
static void
half_made(void **state)
{
	rig_begin();
	rig_kill();
	/* Before it has its alias. */
	sh("ip link add vmd" RIG_TAG " type bridge;"
	   "ip link add vmd" RIG_TAG "0 type bridge");
	rig_begin();
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_hasnt(sh("ip -br link"), "vmd" RIG_TAG " ");
	/* Another daemon's, and what is no bridge, is not ours. */
	assert_has(sh("ip -br link"), "vmd" RIG_TAG "0 ");
	sh("ip link del vmd" RIG_TAG "0; ip tuntap add vmd" RIG_TAG
	   " mode tap");
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_has(sh("ip -br link"), "vmd" RIG_TAG " ");
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_FAILED);
	assert_string_equal(rig.r.text, "bridge7: File exists");
	sh("ip link del vmd" RIG_TAG);
	/* It is in nobody's way. */
	sh("ip link add vmd" RIG_TAG " type bridge");
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_hasnt(sh("ip -br link"), "vmd" RIG_TAG);
	rig_kill();
	sh("ip link del bridge7");
	/* Before it hears nothing any more. */
	sh("ip link add bridge7 type bridge; ip link set bridge7 alias "
	   "'vmd " RIG_TAG " switch1-test'");
	rig_begin();
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig.r.created, PRIVSW_OURS);
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/accept_ra"), 0);
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/addr_gen_mode"), 1);
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/disable_ipv6"), 1);
	/* But what the host's administrator has set meanwhile stays. */
	sh("echo 0 >/proc/sys/net/ipv6/conf/bridge7/disable_ipv6");
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_sysctl("ipv6/conf/bridge7/disable_ipv6"), 0);
	end_as_before();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(switches),
		RIG_TEST(others_switch),
		RIG_TEST(no_switch),
		RIG_TEST(raised),
		RIG_TEST(lent),
		RIG_TEST(removed),
		RIG_TEST(half_made),
	};

	if (rig_main(argc, argv) == -1)
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
