/*
 * What priv does to a host, in a network namespace of our own: interfaces
 * with all that belongs to them, the packet filter, leftovers; and that
 * nothing is left of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "lib/proto/msg.h"
#include "regress/unit/priv_rig.h"

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

static void
without_inet6(void **state)
{
	struct priv_nic n = rig_local(2, 0);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig_sysctl("ipv6/conf/tap0/disable_ipv6"), 1);
	assert_int_equal(rig_sysctl("ipv6/conf/tap0/accept_ra"), 0);
	assert_hasnt(sh("ip addr show tap0"), "inet6");
	end_as_before();
}

static void
names(void **state)
{
	struct priv_nic n = rig_local(1, 0);
	char tap7[] = "tap7";
	int fd;

	rig_begin();
	n.ifname = tap7;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_string_equal(rig.r.ifname, "tap7");
	fd = dup(rig.fds[0]);
	/* Known to us, and known to the kernel. */
	assert_int_equal(rig_nic(&n), VMERR_EXISTS);
	assert_string_equal(rig.r.text, "tap7: in use already");
	sh("ip tuntap add tap8 mode tap");
	tap7[3] = '8';
	n.host4 += 256;
	n.guest4 += 256;
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_string_equal(rig.r.text, "tap: tap8: Device or resource busy");
	assert_has(sh("ip -br link"), "tap8");
	/* Others' are not touched. */
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap8"), VMERR_NOTFOUND);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_has(sh("ip -br link"), "tap8");
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap7"), VMERR_OK);
	assert_hasnt(sh("ip -br link"), "tap7");
	close(fd);
	sh("ip link del tap8");
	end_as_before();
}

/*
 * The end of an interface whose tap has gone is ordered when its name could
 * have another.
 */
static void
name_stays(void **state)
{
	struct priv_nic n = rig_local(1, 0), m = rig_local(2, 0);
	int fd;

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_string_equal(rig.r.ifname, "tap0");
	rig_close_taps();
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_string_equal(rig.r.ifname, "tap1");
	fd = dup(rig.fds[0]);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_has(sh("ip -br link"), "tap1");
	close(fd);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap1"), VMERR_OK);
	end_as_before();
}

/* As nobody: one more queue of a tap.  0, or errno. */
static int
nobody_attaches(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
		    IFF_MULTI_QUEUE };
	int fd, status;
	pid_t pid;

	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(fd != -1);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if ((pid = fork()) == 0) {
		if (setgroups(0, NULL) == -1 || setgid(65534) == -1 ||
		    setuid(65534) == -1)
			_exit(255);
		_exit(ioctl(fd, TUNSETIFF, &ifr) == -1 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Who may open /dev/net/tun, and that is everybody, has no share in it. */
static void
no_queue_for_others(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_UP);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(nobody_attaches("tap0"), EPERM);
	end_as_before();
}

/* --- addresses of the host ----------------------------------------------- */

static void
taken4(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT);

	rig_begin();
	sh("ip link add world type bridge; ip addr add 100.64.0.7/16 dev world");
	/* It is down, so has no routes. */
	assert_int_equal(rig_nic(&n), VMERR_EXISTS);
	assert_string_equal(rig.r.text,
	    "100.64.1.2/31: the host has 100.64.0.7/16 on world already");
	sh("ip link set world up; ip addr flush dev world;"
	   "ip route add 100.64.1.0/24 dev world");
	assert_int_equal(rig_nic(&n), VMERR_EXISTS);
	assert_string_equal(rig.r.text,
	    "100.64.1.2/31: the host has 100.64.1.0/24 on world already");
	assert_hasnt(sh("ip -br link"), "tap0");
	assert_int_equal(rig.nfds, 0);
	/* A default route, or one through a gateway, is not in the way. */
	sh("ip route flush dev world; ip addr add 10.1.1.1/24 dev world;"
	   "ip route add default via 10.1.1.2;"
	   "ip route add 100.64.0.0/10 via 10.1.1.2");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	sh("ip link del world");
	end_as_before();
}

static void
taken6(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_INET6);

	rig_begin();
	sh("ip link add world type bridge; ip link set world up;"
	   "ip addr add fd12:3456:789a:bcde::1/64 dev world");
	assert_int_equal(rig_nic(&n), VMERR_EXISTS);
	assert_string_equal(rig.r.text,
	    "fd12:3456:789a:bcde:6440:103:0:1/96: the host has "
	    "fd12:3456:789a:bcde::1/64 on world already");
	assert_hasnt(sh("ip -br link"), "tap0");
	sh("ip link del world");
	end_as_before();
}

/* Another daemon is somebody else. */
static void
taken_by_another(void **state)
{
	struct priv_nic n = rig_local(1, 0);

	rig_begin();
	sh("ip tuntap add tap5 mode tap; ip addr add 100.64.1.2/31 dev tap5;"
	   "ip link set tap5 alias 'vmd deadbeef vm1-if0-web'");
	assert_int_equal(rig_nic(&n), VMERR_EXISTS);
	assert_has(rig.r.text, "on tap5 already");
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_has(sh("ip -br link"), "tap5");
	sh("ip link del tap5");
	end_as_before();
}

/* --- the packet filter --------------------------------------------------- */

static void
nat(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT | PRIVF_INET6);
	struct priv_nic m = rig_local(2, PRIVF_NAT);
	const char *s;
	int fd;

	rig_begin();
	n.nforwards = 2;
	n.forwards[0] = (struct net_forward){ 6, 8080, 80 };
	n.forwards[1] = (struct net_forward){ 17, 5353, 53 };
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.forwarding, PRIVFWD_4 | PRIVFWD_6);
	fd = dup(rig.fds[0]);
	assert_int_equal(rig_sysctl("ipv4/ip_forward"), 1);
	assert_int_equal(rig_sysctl("ipv6/conf/all/forwarding"), 1);
	assert_int_equal(rig_nic(&m), VMERR_OK);
	s = sh("nft list ruleset");
	assert_has(s, "table inet vmd-" RIG_TAG);
	assert_has(s, "flags owner");
	assert_has(s, "elements = { 100.64.1.3, 100.64.2.3 }");
	assert_has(s, "elements = { \"tap0\", \"tap1\" }");
	assert_has(s, "elements = { fd12:3456:789a:bcde:fc00::1 }");
	assert_has(s, "ip saddr @nat4 oifname != @local masquerade");
	assert_has(s, "tcp dport 8080 dnat ip to 100.64.1.3:80");
	assert_has(s,
	    "udp dport 5353 dnat ip6 to "
	    "[fd12:3456:789a:bcde:fc00::1]:53");
	/* It is ours alone. */
	assert_has(sh("nft flush ruleset; nft delete table inet vmd-" RIG_TAG
		      " 2>&1"),
	    "Operation not permitted");
	assert_has(sh("nft list ruleset"), "masquerade");
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap1"), VMERR_OK);
	assert_hasnt(sh("nft list ruleset"), "100.64.2.3");
	assert_has(sh("nft list ruleset"), "100.64.1.3");
	close(fd);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_int_equal(rig.r.forwarding, 0);
	assert_as_before();
	end_as_before();
}

/* What forwarding changes beside itself is put back too. */
static void
forwarding(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT | PRIVF_INET6);

	rig_begin();
	sh("ip link add world type bridge; ip link set world up;"
	   "echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects;"
	   "echo 1 >/proc/sys/net/ipv4/conf/world/forwarding");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	/* A host that learns its routes goes on doing so. */
	assert_int_equal(rig_sysctl("ipv6/conf/world/accept_ra"), 2);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_int_equal(rig_sysctl("ipv6/conf/world/accept_ra"), 1);
	assert_int_equal(rig_sysctl("ipv4/ip_forward"), 0);
	assert_int_equal(rig_sysctl("ipv4/conf/world/forwarding"), 1);
	assert_int_equal(rig_sysctl("ipv4/conf/all/accept_redirects"), 0);
	sh("ip link del world;"
	   "echo 1 >/proc/sys/net/ipv4/conf/all/accept_redirects");
	/* Where it is on it stays on. */
	sh("echo 1 >/proc/sys/net/ipv4/ip_forward");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.forwarding, PRIVFWD_6);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_int_equal(rig_sysctl("ipv4/ip_forward"), 1);
	sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
	end_as_before();
}

/* Killed with the interface, and told by the parent what it had done. */
static void
forwarding_inherited(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT);

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.forwarding, PRIVFWD_4);
	rig_kill();
	rig_close_taps();
	assert_int_equal(rig_sysctl("ipv4/ip_forward"), 1);
	assert_string_equal(sh("nft list ruleset"), "");
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, PRIVFWD_4), VMERR_OK);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_int_equal(rig_sysctl("ipv4/ip_forward"), 0);
	/* Who had no redirects has none. */
	rig_shutdown();
	sh("echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects");
	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.r.forwarding, PRIVFWD_4 | PRIVFWD_NO_REDIRECTS);
	rig_kill();
	rig_close_taps();
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, rig.r.forwarding), VMERR_OK);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_int_equal(rig_sysctl("ipv4/conf/all/accept_redirects"), 0);
	rig_shutdown();
	sh("echo 1 >/proc/sys/net/ipv4/conf/all/accept_redirects");
	rig_begin();
	end_as_before();
}

/* And what it had changed of single interfaces. */
static void
kept_inherited(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT | PRIVF_INET6);

	rig_begin();
	sh("ip link add world type bridge; ip link add other type bridge;"
	   "echo 1 >/proc/sys/net/ipv4/conf/world/forwarding;"
	   "echo 0 >/proc/sys/net/ipv6/conf/other/accept_ra");
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_has(rig.r.kept, "4world");
	assert_has(rig.r.kept, "6world");
	assert_hasnt(rig.r.kept, "other");
	rig_kill();
	rig_close_taps();
	assert_int_equal(rig_sysctl("ipv6/conf/world/accept_ra"), 2);
	/* Nobody's interfaces, and none. */
	snprintf(rig_kept, sizeof(rig_kept),
	    "%s 4nosuch 6 5world 6../../x 4world/../other", rig.r.kept);
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, PRIVFWD_4 | PRIVFWD_6), VMERR_OK);
	assert_has(rig.r.kept, "6world");
	assert_hasnt(rig.r.kept, "/");
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_null(rig.r.kept);
	assert_int_equal(rig_sysctl("ipv6/conf/world/accept_ra"), 1);
	assert_int_equal(rig_sysctl("ipv6/conf/other/accept_ra"), 0);
	assert_int_equal(rig_sysctl("ipv4/conf/world/forwarding"), 1);
	assert_int_equal(rig_sysctl("ipv4/conf/other/forwarding"), 0);
	rig_shutdown();
	sh("ip link del world; ip link del other");
	rig_kept[0] = '\0';
	rig_begin();
	end_as_before();
}

/* A rule that the kernel refuses: nothing is left of the interface. */
static void
filter_refused(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT);

	rig_begin();
	sh("nft add table inet vmd-" RIG_TAG);
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_has(rig.r.text, "nftables: ");
	assert_int_equal(rig.nfds, 0);
	assert_hasnt(sh("ip -br link"), "tap0");
	assert_int_equal(rig_sysctl("ipv4/ip_forward"), 0);
	sh("nft delete table inet vmd-" RIG_TAG);
	assert_int_equal(rig_nic(&n), VMERR_OK);
	end_as_before();
}

static void
groups(void **state)
{
	struct priv_nic n = rig_local(1, 0), m = rig_local(2, 0);
	char web[] = "web", dmz[] = "dmz", number[] = "default";
	int fd;

	rig_begin();
	n.group = web;
	n.swgroup = dmz;
	m.group = number;
	m.swgroup = dmz;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = dup(rig.fds[0]);
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_has(sh("nft list set inet vmd-" RIG_TAG " group_web"),
	    "elements = { \"tap0\" }");
	assert_has(sh("nft list set inet vmd-" RIG_TAG " group_dmz"),
	    "elements = { \"tap0\", \"tap1\" }");
	assert_hasnt(sh("nft list ruleset"), "chain");
	close(fd);
	end_as_before();
}

/* What the taps' holder may do to them is undone, and told. */
static void
hostile_holder(void **state)
{
	struct priv_nic n = rig_local(1, 0);
	struct ifreq ifr = { .ifr_name = "tap0" };

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(ioctl(rig.fds[0], TUNSETPERSIST, 1), 0);
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, "\x02\x11\x11\x11\x11\x11", 6);
	assert_int_equal(ioctl(rig.fds[0], SIOCSIFHWADDR, &ifr), 0);
	rig_close_taps();
	assert_has(sh("ip -br link"), "tap0");
	rig_log[0] = '\0';
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_has(rig_log, "tap0: made to stay by whoever had it");
	assert_has(rig_log, "tap0: its MAC was changed by whoever had it");
	assert_as_before();
	end_as_before();
}

/* priv is killed while guests run: the next one is told of them. */
static void
adopted(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT | PRIVF_INET6);
	char tap0[] = "tap0", was[65536];
	int fd;

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = dup(rig.fds[0]);
	snprintf(was, sizeof(was), "%s", sh("nft list ruleset"));
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_switch("bridge8", PRIVF_UP, 0), VMERR_OK);
	assert_has(sh("nft list ruleset"), "{ \"tap0\", \"bridge7\"");
	rig_kill();
	assert_string_equal(sh("nft list ruleset"), "");
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, PRIVFWD_4 | PRIVFWD_6), VMERR_OK);
	n.ifname = tap0;
	n.flags |= PRIVF_ADOPT;
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.nfds, 0);
	assert_string_equal(rig.r.ifname, "tap0");
	assert_string_equal(sh("nft list ruleset"), was);
	assert_int_equal(rig_switch("bridge7", PRIVF_UP | PRIVF_ADOPT, 0),
	    VMERR_OK);
	assert_int_equal(rig.r.created, 1);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_has(sh("ip -br link"), "tap0");
	assert_has(sh("ip -br link"), "bridge7");
	assert_hasnt(sh("ip -br link"), "bridge8");
	/* Not ours, or not there. */
	sh("ip tuntap add tap1 mode tap");
	tap0[3] = '1';
	n.host4 += 256;
	n.guest4 += 256;
	assert_int_equal(rig_nic(&n), VMERR_PERM);
	tap0[3] = '2';
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_string_equal(rig.r.text, "tap2: No such device");
	assert_has(sh("nft list ruleset"), "100.64.1.3");
	sh("ip link del tap1");
	close(fd);
	end_as_before();
}

/* One in use stays, also when not all of it can be had any more. */
static void
adopted_in_part(void **state)
{
	struct priv_nic n = rig_local(1, 0), m = rig_local(2, 0);
	char tap0[] = "tap0", tap1[] = "tap1", bridge[] = "bridge7";
	int fd[2];

	n.flags = PRIVF_UP;
	n.bridge = bridge;
	rig_begin();
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_switch("bridge8", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd[0] = dup(rig.fds[0]);
	assert_int_equal(rig_nic(&m), VMERR_OK);
	fd[1] = dup(rig.fds[0]);
	rig_kill();
	rig_close_taps();
	sh("ip link del bridge7; ip link add world type bridge;"
	   "ip link set world up; ip addr add 100.64.2.99/24 dev world");
	rig_start();
	assert_int_equal(rig_init(RIG_TAG, 0), VMERR_OK);
	n.ifname = tap0;
	n.flags |= PRIVF_ADOPT;
	assert_int_equal(rig_nic(&n), VMERR_FAILED);
	assert_string_equal(rig.r.text, "bridge7: No such device");
	/* Who came later has to give way. */
	m.ifname = tap1;
	m.flags |= PRIVF_ADOPT;
	assert_int_equal(rig_nic(&m), VMERR_OK);
	assert_int_equal(rig_switch("bridge8",
			     PRIVF_UP | PRIVF_ADOPT | PRIVF_RDOMAIN, 253),
	    VMERR_INVALID);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_has(sh("ip -br link"), "tap0");
	assert_has(sh("ip -br link"), "tap1");
	assert_has(sh("ip -br link"), "bridge8");
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	assert_hasnt(sh("ip -br link"), "tap0");
	close(fd[0]);
	close(fd[1]);
	sh("ip link del world");
	end_as_before();
}

static void
swept(void **state)
{
	int i;

	for (i = 0; i < 3; i++) {
		rig_begin();
		assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
		rig_kill();
	}
	sh("ip tuntap add tap3 mode tap;"
	   "ip link set tap3 alias 'vmd " RIG_TAG " vm1-if0-web';"
	   "ip link add bridge9 type bridge;"
	   "ip link set bridge9 alias 'vmd " RIG_TAG "0 other'");
	rig_begin();
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_OK);
	assert_has(sh("ip -br link"), "bridge9");
	sh("ip link del bridge9");
	assert_as_before();
	end_as_before();
}

/* The parent died: what can be undone is. */
static void
hung_up(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT);

	rig_begin();
	assert_int_equal(rig_switch("bridge7", PRIVF_UP, 0), VMERR_OK);
	assert_int_equal(rig_nic(&n), VMERR_OK);
	rig_hangup();
	assert_has(sh("ip -br link"), "tap0");
	rig_close_taps();
	assert_as_before();
}

/* --- the host's own ------------------------------------------------------ */

/* Whether one of the notes of the last answer has that in it. */
static int
noted(const char *what)
{
	uint32_t i;

	for (i = 0; i < rig.r.nnotes; i++)
		if (strstr(rig.r.notes[i], what) != NULL)
			return 1;
	return 0;
}

static void
checked(void **state)
{
	uint32_t i;

	rig_begin();
	sh("echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables;"
	   "echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables");
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_OK);
	assert_int_equal(rig.r.nnotes, 2);
	assert_true(noted("net.ipv4.ip_forward was 0 at the start"));
	assert_true(noted("net.ipv6.conf.all.forwarding was 0 at the start"));
	sh("echo 1 >/proc/sys/net/ipv4/ip_forward;"
	   "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_OK);
	assert_int_equal(rig.r.nnotes, 0);
	sh("echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables;"
	   "echo 1 >/proc/sys/net/bridge/bridge-nf-call-ip6tables;"
	   "nft 'add table ip filter; add chain ip filter FORWARD "
	   "{ type filter hook forward priority 0; policy drop; };"
	   "add chain ip filter INPUT "
	   "{ type filter hook input priority 0; policy drop; };"
	   "add chain ip filter DOCKER-USER;"
	   "add table inet firewalld; add chain inet firewalld x';"
	   "ip link add world type bridge;"
	   "ip addr add 100.127.3.4/24 dev world;"
	   "ip addr add fd12:3456:789a:bcde:1::1/80 dev world nodad");
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_OK);
	for (i = 0; i < rig.r.nnotes; i++)
		printf("# note: %s\n", rig.r.notes[i]);
	assert_int_equal(rig.r.nnotes, 7);
	assert_true(noted("chain FORWARD of table ip filter"));
	assert_true(noted("firewalld is active"));
	assert_true(noted("Docker is active"));
	assert_true(noted("bridge-nf-call-iptables is 1"));
	assert_true(noted("bridge-nf-call-ip6tables is 1"));
	assert_true(noted("fd12:3456:789a:bcde::/64: the host has "
			  "fd12:3456:789a:bcde:1::1/80 on world already"));
	assert_true(noted("100.64.0.0/10: the host has 100.127.3.4/24 on "
			  "world already"));
	/* So many that they are cut off. */
	sh("for i in 1 2 3 4 5 6 7 8 9 a b c d e f; do nft \"add chain ip "
	   "filter F$i { type filter hook forward priority 0; policy drop; }\";"
	   "done");
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_OK);
	assert_int_equal(rig.r.nnotes, PRIV_MAX_NOTES);
	sh("nft flush ruleset; ip link del world;"
	   "echo 0 >/proc/sys/net/ipv4/ip_forward;"
	   "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding;"
	   "echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables;"
	   "echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables");
	end_as_before();
}

/* Guests are there already, and somebody has turned off what they need. */
static void
checked_later(void **state)
{
	struct priv_nic n = rig_local(1, PRIVF_NAT);
	struct priv_nic m = rig_local(2, PRIVF_NAT | PRIVF_INET6);
	int fd;

	rig_begin();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	fd = dup(rig.fds[0]);
	sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_OK);
	assert_true(noted("net.ipv4.ip_forward is 0"));
	assert_true(noted("net.ipv6.conf.all.forwarding was 0"));
	assert_int_equal(rig_nic(&m), VMERR_OK);
	sh("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding");
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_OK);
	assert_true(noted("net.ipv6.conf.all.forwarding is 0"));
	close(fd);
	end_as_before();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(local),
		RIG_TEST(without_inet6),
		RIG_TEST(names),
		RIG_TEST(name_stays),
		RIG_TEST(no_queue_for_others),
		RIG_TEST(taken4),
		RIG_TEST(taken6),
		RIG_TEST(taken_by_another),
		RIG_TEST(nat),
		RIG_TEST(forwarding),
		RIG_TEST(forwarding_inherited),
		RIG_TEST(kept_inherited),
		RIG_TEST(filter_refused),
		RIG_TEST(groups),
		RIG_TEST(hostile_holder),
		RIG_TEST(adopted),
		RIG_TEST(adopted_in_part),
		RIG_TEST(swept),
		RIG_TEST(hung_up),
		RIG_TEST(checked),
		RIG_TEST(checked_later),
	};

	if (rig_main(argc, argv) == -1)
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
