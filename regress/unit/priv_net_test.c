/*
 * What priv does to a host, in a network namespace of our own: interfaces
 * with all that belongs to them, switches, the packet filter, leftovers; and
 * that nothing is left of it.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bsd/unistd.h>

#include "lib/proto/msg.h"
#include "regress/unit/priv_rig.h"

static char before[65536];

static int
setup(void **state)
{
	rig_real = *(const int *)*state;
	snprintf(before, sizeof(before), "%s", rig_host());
	return 0;
}

static void
assert_as_before(void)
{
	assert_string_equal(rig_host(), before);
}

static void
local(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_INET6);
	const char *s;

	rig_begin();
	n.pairs = 3;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_string_equal(rig.r.ifname, "tap0");
	assert_int_equal(rig.r.mtu, 1500);
	assert_int_equal(rig.r.mac[0], 0xfe);
	assert_int_equal(rig.nfds, 3);
	s = sh("ip -d link show tap0");
	assert_has(s, "alias vmd " RIG_TAG " vm1-if0-web");
	assert_has(s, "type tap pi off vnet_hdr on multi_queue");
	assert_has(s, "persist off");
	assert_has(s, "addrgenmode none");
	s = sh("ip addr show tap0");
	assert_has(s, "inet 100.64.1.2/31");
	assert_has(s, "inet6 fd12:3456:789a:bcde:6440:103:0:1/96");
	assert_has(s, "inet6 fe80::1/64");
	assert_hasnt(s, "tentative");
	assert_has(sh("ip -6 route"), "fd12:3456:789a:bcde:fc00::1 dev tap0");
	assert_int_equal(rig_sysctl("ipv6/conf/tap0/accept_ra"), 0);
	assert_int_equal(rig_sysctl("ipv6/conf/tap0/disable_ipv6"), 0);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_as_before();
	rig_shutdown();
	assert_as_before();
}

int
main(int argc, char *argv[])
{
	static int here = 0, program = 1;
#define T(f)                                                                   \
	{ "here: " #f, f, setup, rig_teardown, &here },                        \
	{                                                                      \
		"program: " #f, f, setup, rig_teardown, &program               \
	}
	const struct CMUnitTest tests[] = {
		T(local),
	};

	setproctitle_init(argc, argv, environ);
	signal(SIGPIPE, SIG_IGN);
	if (rig_namespace() == -1) {
		printf("1..0 # SKIP no network namespace\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
