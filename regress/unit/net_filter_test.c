/*
 * The source filter: a guest speaks with its own addresses only, whatever
 * headers it hides the others behind.
 */

#include "lib/net/filter.h"
#include "regress/unit/net_test.h"

#define SRC4 (IP4 + 12)
#define SRC6 (IP6 + 8)
#define DST6 (IP6 + 24)

enum {
	HOPOPTS = 0,
	TCP = 6,
	UDP = 17,
	ROUTING = 43,
	FRAGMENT = 44,
	ESP = 50,
	AUTH = 51,
	ICMP6 = 58,
	NONEXT = 59,
	DSTOPTS = 60
};

struct t {
	struct net_conf n;
	uint8_t f[NET_HEAD];
	size_t len;
};

static struct t t;
static const uint8_t router[16] = { 0xfe, 0x80, [15] = 1 };
static const uint8_t local[16] = { 0xfe, 0x80, [8] = 0x12, [15] = 0x34 };

static int
setup(void **state)
{
	memset(&t, 0, sizeof(t));
	net_test_conf(&t.n);
	t.len = sizeof(t.f);
	memcpy(t.f, t.n.host_mac, 6);
	memcpy(t.f + 6, t.n.mac, 6);
	return 0;
}

/* On the heap and no longer than it says. */
static int
passes_csum(size_t len, size_t csum)
{
	struct frame f;
	int r;

	frame_new(&f, t.f, len);
	r = net_filter(&t.n, f.p, len, csum);
	frame_free(&f);
	return r;
}

static int
passes(void)
{
	return passes_csum(t.len, 0);
}

/* Whatever is cut off, there is an answer, and no yes below `need'. */
static void
needs(size_t need)
{
	size_t i;

	for (i = 0; i <= t.len; i++)
		assert_int_equal(passes_csum(i, 0), i >= need);
}

static void
make4(uint8_t proto)
{
	memset(t.f + ETH, 0, sizeof(t.f) - ETH);
	set16(t.f + 12, 0x0800);
	t.f[IP4] = 0x45;
	set16(t.f + IP4 + 2, 60);
	t.f[IP4 + 9] = proto;
	set32(t.f + SRC4, GUEST4);
}

static void
make6(uint8_t next, const uint8_t *src)
{
	memset(t.f + ETH, 0, sizeof(t.f) - ETH);
	set16(t.f + 12, 0x86dd);
	t.f[IP6] = 0x60;
	set16(t.f + IP6 + 4, 32);
	t.f[IP6 + 6] = next;
	t.f[IP6 + 7] = 255;
	memcpy(t.f + SRC6, src, 16);
}

static void
macs(void **state)
{
	size_t i;

	make4(TCP);
	assert_int_equal(passes(), 1);
	for (i = 6; i < 12; i++) {
		t.f[i] ^= 1;
		assert_int_equal(passes(), 0);
		t.n.flags &= ~(uint32_t)NETF_LOCAL;
		assert_int_equal(passes(), 0);
		t.n.flags &= ~(uint32_t)NETF_LOCKED;
		assert_int_equal(passes(), 1);
		t.n.flags |= NETF_LOCAL;
		assert_int_equal(passes(), 1);
		t.n.flags |= NETF_LOCKED;
		t.f[i] ^= 1;
	}
	/* On a switch only the MAC counts, and what changes it. */
	t.n.flags = NETF_LOCKED;
	set32(t.f + SRC4, 1);
	assert_int_equal(passes(), 1);
	set16(t.f + 12, 0x8100);
	needs(ETH);
	assert_int_equal(passes_csum(t.len, 13), 0);
	assert_int_equal(passes_csum(t.len, 14), 1);
	t.n.flags = 0;
	needs(0);
}

static void
types(void **state)
{
	static const uint16_t other[] = { 0, 0x26, 0x8100, 0x88a8, 0x9100,
		0x8863, 0x8864, 0x88cc, 0x86dc, 0x0801, 0x0842, 0xffff };
	size_t i;

	make4(TCP);
	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		set16(t.f + 12, other[i]);
		assert_int_equal(passes(), 0);
	}
}

static void
ip4(void **state)
{
	static const uint32_t bad[] = { GUEST4 + 1, HOST4, 0x7f000001, 1,
		UINT32_MAX, 0xe0000001, 0x0a000001, 0 };
	size_t i;

	make4(TCP);
	needs(ETH + 20);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set32(t.f + SRC4, bad[i]);
		assert_int_equal(passes(), 0);
	}
	make4(TCP);
	t.f[IP4] = 0x65;
	assert_int_equal(passes(), 0);
	t.f[IP4] = 0x44;
	assert_int_equal(passes(), 0);
	t.f[IP4] = 0x4f;
	needs(ETH + 60);
	t.n.guest4 = 0;
	set32(t.f + SRC4, 0);
	assert_int_equal(passes(), 0);
}

/* Without an address one may only ask for one. */
static void
ip4_nameless(void **state)
{
	make4(UDP);
	set32(t.f + SRC4, 0);
	set16(t.f + UDP4, 68);
	set16(t.f + UDP4 + 2, 67);
	needs(UDP4 + 8);
	set16(t.f + UDP4, 67);
	assert_int_equal(passes(), 0);
	set16(t.f + UDP4, 68);
	set16(t.f + UDP4 + 2, 68);
	assert_int_equal(passes(), 0);
	set16(t.f + UDP4 + 2, 67);
	t.f[IP4 + 9] = TCP;
	assert_int_equal(passes(), 0);
	t.f[IP4 + 9] = UDP;
	t.f[IP4 + 7] = 1; /* a later fragment, and no ports */
	assert_int_equal(passes(), 0);
	set32(t.f + SRC4, GUEST4);
	assert_int_equal(passes(), 1);
}

static void
arp(void **state)
{
	static const uint8_t like[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	size_t i;

	memset(t.f + ETH, 0, sizeof(t.f) - ETH);
	set16(t.f + 12, 0x0806);
	memcpy(t.f + ETH, like, 8);
	memcpy(t.f + ETH + 8, t.n.mac, 6);
	set32(t.f + ETH + 14, GUEST4);
	needs(ETH + 28);
	set32(t.f + ETH + 14, 0); /* a probe */
	assert_int_equal(passes(), 1);
	set32(t.f + ETH + 14, HOST4);
	assert_int_equal(passes(), 0);
	set32(t.f + ETH + 14, GUEST4);
	t.f[ETH + 7] = 2;
	assert_int_equal(passes(), 1);
	for (i = 0; i < 14; i++) {
		if (i == 6 || i == 7)
			continue;
		t.f[ETH + i] ^= 1;
		assert_int_equal(passes(), 0);
		t.f[ETH + i] ^= 1;
	}
	assert_int_equal(passes(), 1);
	assert_int_equal(passes_csum(t.len, ETH + 14), 0);
}

static void
ip6(void **state)
{
	uint8_t a[16];

	make6(TCP, t.n.guest6);
	needs(NEXT6);
	make6(TCP, local);
	assert_int_equal(passes(), 1);
	make6(TCP, router);
	assert_int_equal(passes(), 0);
	make6(TCP, t.n.host6);
	assert_int_equal(passes(), 0);
	memcpy(a, t.n.guest6, 16);
	a[15] ^= 1;
	make6(TCP, a);
	assert_int_equal(passes(), 0);
	memset(a, 0, 16);
	make6(TCP, a);
	assert_int_equal(passes(), 0);
	a[0] = 0xfe;
	a[1] = 0x80;
	a[7] = 1; /* not in fe80::/64 */
	make6(TCP, a);
	assert_int_equal(passes(), 0);
	make6(TCP, t.n.guest6);
	t.f[IP6] = 0x40;
	assert_int_equal(passes(), 0);
	t.f[IP6] = 0x60;
	t.n.flags &= ~(uint32_t)NETF_INET6;
	assert_int_equal(passes(), 0);
}

static void
icmp6(void **state)
{
	static const uint8_t none[16];
	uint32_t type;

	for (type = 0; type < 256; type++) {
		make6(ICMP6, local);
		t.f[NEXT6] = (uint8_t)type;
		memcpy(t.f + NEXT6 + 8, local, 16); /* of neighbours */
		set16(t.f + IP6 + 4, type == 133 ? 8 : 24);
		assert_int_equal(passes(), type != 134 && type != 137);
		memcpy(t.f + SRC6, none, 16);
		assert_int_equal(passes(),
		    (type >= 131 && type <= 135 && type != 134) || type == 143);
	}
	make6(ICMP6, local);
	t.f[NEXT6] = 128;
	needs(NEXT6 + 4);
}

static void
neighbours(void **state)
{
	make6(ICMP6, local);
	t.f[NEXT6] = 136;
	memcpy(t.f + NEXT6 + 8, t.n.guest6, 16);
	t.f[NEXT6 + 24] = 2;
	t.f[NEXT6 + 25] = 1;
	memcpy(t.f + NEXT6 + 26, t.n.mac, 6);
	needs(NEXT6 + 32);
	memcpy(t.f + NEXT6 + 8, t.n.host6, 16); /* target */
	assert_int_equal(passes(), 0);
	memcpy(t.f + NEXT6 + 8, router, 16);
	assert_int_equal(passes(), 0);
	t.f[NEXT6] = 135; /* to ask for it is fine */
	assert_int_equal(passes(), 1);
	t.f[NEXT6 + 24] = 1;
	assert_int_equal(passes(), 1);
	t.f[NEXT6 + 31] ^= 1; /* somebody else's MAC */
	assert_int_equal(passes(), 0);
	t.f[NEXT6 + 31] ^= 1;
	t.f[NEXT6 + 25] = 0;
	assert_int_equal(passes(), 0);
	t.f[NEXT6 + 25] = 2;
	assert_int_equal(passes(), 0);
	t.f[NEXT6 + 24] = 14; /* a nonce, but longer than the packet */
	assert_int_equal(passes(), 0);
	t.f[NEXT6 + 25] = 1;
	assert_int_equal(passes(), 1);
	set16(t.f + IP6 + 4, 40);
	assert_int_equal(passes(), 0); /* the next has no length */
	set16(t.f + IP6 + 4, 1000);
	assert_int_equal(passes(), 0); /* not all to be seen */
	set16(t.f + IP6 + 4, 23);
	assert_int_equal(passes(), 0);
	set16(t.f + IP6 + 4, 24);
	assert_int_equal(passes(), 1);
	/* A solicitation of routers has no target. */
	t.f[NEXT6] = 133;
	set16(t.f + IP6 + 4, 16);
	memset(t.f + NEXT6 + 8, 0, 8);
	assert_int_equal(passes(), 0);
	t.f[NEXT6 + 8] = 1;
	t.f[NEXT6 + 9] = 1;
	memcpy(t.f + NEXT6 + 10, t.n.mac, 6);
	assert_int_equal(passes(), 1);
}

/* An advertisement behind each kind of header, and behind all. */
static void
hidden(void **state)
{
	static const uint8_t kinds[] = { HOPOPTS, ROUTING, FRAGMENT, AUTH,
		DSTOPTS, 135 };
	size_t i;

	for (i = 0; i < sizeof(kinds); i++) {
		make6(kinds[i], local);
		t.f[NEXT6] = ICMP6;
		t.f[NEXT6 + 8] = 134;
		assert_int_equal(passes(), 0);
		t.f[NEXT6 + 8] = 137;
		assert_int_equal(passes(), 0);
		t.f[NEXT6 + 8] = 128;
		needs(NEXT6 + 12);
		make6(kinds[i], local);
		t.f[NEXT6] = TCP;
		needs(NEXT6 + 8);
		if (kinds[i] == FRAGMENT)
			continue;
		t.f[NEXT6 + 1] = 255; /* to the end and beyond */
		assert_int_equal(passes(), 0);
	}
	make6(HOPOPTS, local);
	for (i = 0; i < 5; i++)
		t.f[NEXT6 + 8 * i] = DSTOPTS;
	t.f[NEXT6 + 40] = ICMP6;
	t.f[NEXT6 + 48] = 128;
	assert_int_equal(passes(), 1);
	t.f[NEXT6 + 48] = 134;
	assert_int_equal(passes(), 0);
	for (i = 0; i < 10; i++) /* a chain without end */
		t.f[NEXT6 + 8 * i] = DSTOPTS;
	assert_int_equal(passes(), 0);
	make6(ESP, local);
	needs(NEXT6);
	make6(NONEXT, local);
	needs(NEXT6);
}

static void
fragments(void **state)
{
	/* The first has to have it all, neighbour discovery is in none. */
	make6(FRAGMENT, local);
	t.f[NEXT6] = ICMP6;
	t.f[NEXT6 + 3] = 1; /* more follow */
	t.f[NEXT6 + 8] = 135;
	assert_int_equal(passes(), 0);
	t.f[NEXT6 + 8] = 128;
	assert_int_equal(passes(), 1);
	t.f[NEXT6] = DSTOPTS;
	t.f[NEXT6 + 8] = ICMP6;
	t.f[NEXT6 + 9] = 20;
	assert_int_equal(passes(), 0);
	/* What is in later ones nobody can say; the first decides. */
	set16(t.f + NEXT6 + 2, 8 | 1);
	assert_int_equal(passes(), 1);
	t.f[NEXT6] = ICMP6;
	t.f[NEXT6 + 8] = 134;
	assert_int_equal(passes(), 1);
	/* But not without an address. */
	memset(t.f + SRC6, 0, 16);
	assert_int_equal(passes(), 0);
}

/* A checksum is stored where checksums are, and nowhere else. */
static void
only_csum_at(size_t at)
{
	size_t i;

	for (i = 1; i < 300; i++)
		assert_int_equal(passes_csum(t.len, i), i == at);
}

static void
checksums(void **state)
{
	static const struct {
		uint8_t proto;
		size_t at;
	} kinds[] = { { TCP, 16 }, { UDP, 6 }, { ICMP6, 2 }, { 1, NONE } };
	size_t i, at;

	for (i = 0; i < 4; i++) {
		at = kinds[i].at;
		make4(kinds[i].proto);
		only_csum_at(at == NONE ? 0 : UDP4 + at);
		t.f[IP4] = 0x46;
		only_csum_at(at == NONE ? 0 : UDP4 + 4 + at);
		t.f[IP4 + 7] = 1;
		only_csum_at(0);
		make6(kinds[i].proto, local);
		t.f[NEXT6] = 128;
		only_csum_at(at == NONE ? 0 : NEXT6 + at);
		make6(DSTOPTS, local);
		t.f[NEXT6] = kinds[i].proto;
		only_csum_at(at == NONE ? 0 : NEXT6 + 8 + at);
		make6(FRAGMENT, local);
		t.f[NEXT6] = kinds[i].proto;
		t.f[NEXT6 + 2] = 1;
		only_csum_at(0);
	}
}

static void
inward(void **state)
{
	assert_int_equal(net_filter_in(&t.n, t.f, t.len), 0);
	memcpy(t.f, t.n.mac, 6);
	assert_int_equal(net_filter_in(&t.n, t.f, t.len), 1);
	assert_int_equal(net_filter_in(&t.n, t.f, 6), 1);
	assert_int_equal(net_filter_in(&t.n, t.f, 5), 0);
	t.f[0] = 0x33;
	assert_int_equal(net_filter_in(&t.n, t.f, t.len), 1);
	t.f[0] = 0xfc;
	assert_int_equal(net_filter_in(&t.n, t.f, t.len), 0);
	t.n.flags = NETF_LOCAL;
	assert_int_equal(net_filter_in(&t.n, t.f, t.len), 1);
}

/* What clients really send on their way to an address. */
static void
clients(void **state)
{
	static const char *const who[] = { "udhcpc-discover", "udhcpc-renew",
		"udhcpc-release", "dhclient-solicit", "dhcpcd-information",
		"linux-solicit-router" };
	struct frame f;
	size_t i;

	for (i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		frame_load(&f, who[i]);
		if (f.len > NET_HEAD)
			frame_resize(&f, NET_HEAD);
		assert_int_equal(net_filter(&t.n, f.p, f.len, 0), 1);
		assert_int_equal(net_wants(&t.n, f.p, f.len), 1);
		frame_free(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(macs, setup),
		cmocka_unit_test_setup(types, setup),
		cmocka_unit_test_setup(ip4, setup),
		cmocka_unit_test_setup(ip4_nameless, setup),
		cmocka_unit_test_setup(arp, setup),
		cmocka_unit_test_setup(ip6, setup),
		cmocka_unit_test_setup(icmp6, setup),
		cmocka_unit_test_setup(neighbours, setup),
		cmocka_unit_test_setup(hidden, setup),
		cmocka_unit_test_setup(fragments, setup),
		cmocka_unit_test_setup(checksums, setup),
		cmocka_unit_test_setup(inward, setup),
		cmocka_unit_test_setup(clients, setup),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
