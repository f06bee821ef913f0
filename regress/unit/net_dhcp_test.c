/*
 * DHCP and BOOTP: what real clients sent is answered as they need it, all
 * else is left alone; see net_test.h for the frames.
 */

#include "lib/net/dhcp.h"
#include "regress/unit/net_talk.h"

#define NOW    1000
#define XID    (MSG + 4)
#define FLAGS  (MSG + 10)
#define CIADDR (MSG + 12)
#define YIADDR (MSG + 16)
#define SIADDR (MSG + 20)
#define GIADDR (MSG + 24)
#define CHADDR (MSG + 28)
#define SNAME  (MSG + 44)
#define BOOTF  (MSG + 108)
#define COOKIE (MSG + 236)
#define OPTS   (MSG + 240)

enum {
	DISCOVER = 1,
	OFFER,
	REQUEST,
	DECLINE,
	ACK,
	NAK,
	RELEASE,
	INFORM
};

/* The option in a frame, NULL if it is not there; the area must be whole. */
static uint8_t *
option(uint8_t *p, size_t len, uint8_t code, size_t *olen)
{
	size_t i = OPTS, at = 0;

	assert_int_equal(be32(p + COOKIE), 0x63825363);
	for (; i < len && p[i] != 255; i += 2 + (size_t)p[i + 1]) {
		if (p[i] == 0) {
			i--;
			continue;
		}
		assert_true(i + 1 < len && i + 2 + p[i + 1] <= len);
		if (p[i] == code)
			at = i;
	}
	assert_true(i < len);
	if (at == 0)
		return NULL;
	if (olen != NULL)
		*olen = p[at + 1];
	return p + at + 2;
}

static uint8_t *
asked(uint8_t code)
{
	return option(t.f.p, t.f.len, code, NULL);
}

static uint8_t *
got(uint8_t code, size_t len)
{
	size_t n;
	uint8_t *p = option(t.r, (size_t)t.len, code, &n);

	if (p != NULL)
		assert_int_equal(n, len);
	return p;
}

static void
is32(uint8_t code, uint32_t v)
{
	uint8_t *p = got(code, 4);

	assert_non_null(p);
	assert_int_equal(be32(p), v);
}

static void
is_text(uint8_t code, const char *v)
{
	uint8_t *p = got(code, strlen(v));

	assert_non_null(p);
	assert_memory_equal(p, v, strlen(v));
}

static int
run(void)
{
	return answer(NOW);
}

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* A reply is well-formed and of that type, to that address. */
static void
replied(uint8_t type, uint32_t dst)
{
	assert_true(t.len >= MSG + 300 && t.len <= NET_REPLY_MAX);
	assert_true(frame_good4(t.r, (size_t)t.len));
	assert_memory_equal(t.r, dst == UINT32_MAX ? all : t.n.mac, 6);
	assert_memory_equal(t.r + 6, t.n.host_mac, 6);
	assert_int_equal(be32(t.r + IP4 + 12), HOST4);
	assert_int_equal(be32(t.r + IP4 + 16), dst);
	assert_int_equal(be16(t.r + UDP4), 67);
	assert_int_equal(be16(t.r + UDP4 + 2), 68);
	assert_memory_equal(t.r + MSG, "\x02\x01\x06\0", 4);
	assert_memory_equal(t.r + XID, t.f.p + XID, 4);
	assert_memory_equal(t.r + FLAGS, t.f.p + FLAGS, 2);
	assert_int_equal(be32(t.r + GIADDR), 0);
	assert_memory_equal(t.r + CHADDR, t.n.mac, 6);
	if (type != 0) {
		assert_non_null(got(53, 1));
		assert_int_equal(*got(53, 1), type);
		is32(54, HOST4);
	} else
		assert_null(got(53, 1));
}

static void
leased(void)
{
	is32(51, 3600);
	is32(58, 1800);
	is32(59, 3150);
}

static void
configured(void)
{
	uint8_t *dns = got(6, 8);

	is32(1, 0xfffffffe);
	is32(3, HOST4);
	assert_non_null(dns);
	assert_int_equal(be32(dns), HOST4);
	assert_int_equal(be32(dns + 4), 0x09090909);
	assert_int_equal(be32(t.r + SIADDR), HOST4);
}

static void
lease_is(uint64_t until, uint64_t grants, uint64_t refused)
{
	assert_int_equal(t.l.until, until);
	assert_int_equal(t.l.grants, grants);
	assert_int_equal(t.l.refused, refused);
}

static void
discover(void **state)
{
	static const char *const who[] = { "udhcpc-discover",
		"dhclient-discover", "dhcpcd-discover" };
	size_t i;

	for (i = 0; i < 3; i++) {
		load(who[i]);
		assert_true(run() > 0);
		replied(OFFER, GUEST4);
		configured();
		leased();
		assert_int_equal(be32(t.r + YIADDR), GUEST4);
		assert_int_equal(t.r[BOOTF], 0);
	}
	lease_is(0, 0, 0);
}

static void
select_it(void **state)
{
	static const char *const who[] = { "udhcpc-select", "dhclient-select",
		"dhcpcd-select" };
	size_t i;

	for (i = 0; i < 3; i++) {
		load(who[i]);
		assert_true(run() > 0);
		replied(ACK, GUEST4);
		configured();
		leased();
		assert_int_equal(be32(t.r + YIADDR), GUEST4);
		lease_is(NOW + 3600, i + 1, 0);
	}
	is_text(12, "web");
	is_text(15, "example.org");
	is32(42, HOST4);
	is32(28, UINT32_MAX);
	assert_int_equal(be16(got(26, 2)), 1400);
}

/* Renewal by unicast, with a partial checksum, and rebinding. */
static void
renew(void **state)
{
	load("udhcpc-renew");
	assert_int_equal(t.f.how, NET_PARTIAL);
	assert_memory_equal(t.f.p, t.n.host_mac, 6);
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	leased();
	assert_int_equal(be32(t.r + CIADDR), GUEST4);
	assert_int_equal(be32(t.r + YIADDR), GUEST4);
	lease_is(NOW + 3600, 1, 0);
	load("udhcpc-rebind");
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	load("dhcpcd-rebind");
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	load("dhclient-reboot");
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	lease_is(NOW + 3600, 4, 0);
}

/* Who cannot take a unicast yet says so. */
static void
broadcast(void **state)
{
	load("udhcpc-discover-broadcast");
	assert_true(run() > 0);
	replied(OFFER, UINT32_MAX);
	load("udhcpc-select-broadcast");
	assert_true(run() > 0);
	replied(ACK, UINT32_MAX);
	assert_int_equal(be32(t.r + YIADDR), GUEST4);
}

static void
refused(uint64_t n)
{
	assert_true(run() > 0);
	replied(NAK, UINT32_MAX);
	assert_int_equal(be32(t.r + YIADDR), 0);
	assert_int_equal(be32(t.r + CIADDR), 0);
	assert_int_equal(be32(t.r + SIADDR), 0);
	assert_null(got(51, 4));
	assert_null(got(1, 4));
	lease_is(0, 0, n);
}

static void
wrong_address(void **state)
{
	load("dhclient-reboot");
	set32(asked(50), GUEST4 + 2);
	frame_fix4(&t.f);
	refused(1);
	load("udhcpc-rebind");
	set32(t.f.p + CIADDR, 0x0a000001);
	set32(t.f.p + IP4 + 12, 0x0a000001);
	frame_fix4(&t.f);
	refused(2);
	assert_memory_equal(got(61, 7), asked(61), 7);
}

/* The offer is ours even if the client wishes something else. */
static void
wish(void **state)
{
	load("udhcpc-discover-broadcast");
	assert_int_equal(be32(asked(50)), 0x0a000009);
	assert_true(run() > 0);
	assert_int_equal(be32(t.r + YIADDR), GUEST4);
}

static void
other_server(void **state)
{
	static const char *const who[] = { "dhclient-select",
		"udhcpc-release" };
	size_t i;

	for (i = 0; i < 2; i++) {
		load(who[i]);
		set32(asked(54), HOST4 + 9);
		frame_fix4(&t.f);
		assert_int_equal(run(), 0);
		lease_is(0, 0, 0);
	}
}

static void
inform(void **state)
{
	load("dhcpcd-inform");
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	configured();
	assert_int_equal(be32(t.r + YIADDR), 0);
	assert_int_equal(be32(t.r + CIADDR), GUEST4);
	assert_null(got(51, 4));
	assert_null(got(58, 4));
	assert_null(got(59, 4));
	lease_is(0, 0, 0);
}

static void
give_back(void **state)
{
	static const char *const who[] = { "udhcpc-release",
		"dhclient-release" };
	size_t i;

	for (i = 0; i < 2; i++) {
		t.l.until = NOW + 1;
		load(who[i]);
		assert_int_equal(run(), NET_EATEN);
		lease_is(0, 0, 0);
	}
	t.l.until = NOW + 1;
	load("dhclient-select");
	*asked(53) = DECLINE;
	frame_fix4(&t.f);
	assert_int_equal(run(), NET_EATEN);
	lease_is(0, 0, 0);
	assert_int_equal(t.l.declined, 1);
}

static void
no_such_type(void **state)
{
	static const uint8_t types[] = { OFFER, ACK, NAK, 0, 9, 13, 255 };
	size_t i;

	for (i = 0; i < sizeof(types); i++) {
		load("dhclient-discover");
		*asked(53) = types[i];
		frame_fix4(&t.f);
		if (types[i] == 0)
			assert_true(run() > 0); /* that is BOOTP */
		else
			assert_int_equal(run(), NET_EATEN);
	}
}

static void
bootp(void **state)
{
	load("udhcpc-discover");
	memset(t.f.p + COOKIE, 0, t.f.len - COOKIE);
	frame_fix4(&t.f);
	assert_true(run() > 0);
	assert_int_equal(t.len, MSG + 300);
	replied(0, GUEST4);
	configured();
	assert_int_equal(be32(t.r + YIADDR), GUEST4);
	assert_null(got(51, 4));
	lease_is(NET_LEASE_FOREVER, 1, 0);
	/* Without the vendor's area, and for another file or address. */
	frame_resize(&t.f, COOKIE);
	frame_fix4(&t.f);
	assert_true(run() > 0);
	frame_resize(&t.f, COOKIE - 1);
	frame_fix4(&t.f);
	assert_int_equal(run(), 0);
	frame_resize(&t.f, COOKIE);
	t.f.p[BOOTF] = 'x';
	frame_fix4(&t.f);
	assert_int_equal(run(), 0);
	t.f.p[BOOTF] = 0;
	set32(t.f.p + CIADDR, GUEST4 + 1);
	frame_fix4(&t.f);
	assert_int_equal(run(), 0);
}

static void
net_boot(void **state)
{
	static const char *const who[] = { "dhclient-discover",
		"dhclient-select" };
	size_t i;

	t.n.flags |= NETF_BOOT;
	for (i = 0; i < 2; i++) {
		load(who[i]);
		assert_true(run() > 0);
		assert_string_equal((char *)t.r + BOOTF, "auto_install");
		is_text(12, "web");
	}
}

/* Only what was asked for, if anything was. */
static void
wanted(void **state)
{
	size_t n;
	uint8_t *p;

	load("dhclient-select");
	p = option(t.f.p, t.f.len, 55, &n);
	memset(p, 1, n);
	frame_fix4(&t.f);
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	configured();
	leased();
	assert_null(got(12, 0));
	assert_null(got(15, 0));
	assert_null(got(26, 0));
	assert_null(got(28, 0));
	assert_null(got(42, 0));
	p[-2] = 254; /* no list: everything */
	frame_fix4(&t.f);
	assert_true(run() > 0);
	is_text(12, "web");
	is_text(15, "example.org");
	is32(42, HOST4);
	assert_int_equal(be16(got(26, 2)), 1400);
}

static void
nothing_to_say(void **state)
{
	t.n.host[0] = t.n.domain[0] = '\0';
	t.n.mtu = t.n.nntp4 = t.n.ndns4 = 0;
	t.n.lease = 0;
	load("udhcpc-select");
	assert_true(run() > 0);
	assert_null(got(12, 0));
	assert_null(got(15, 0));
	assert_null(got(26, 0));
	assert_null(got(42, 0));
	/* Who is not told a resolver of IPv4 has others. */
	assert_null(got(6, 0));
	is32(51, UINT32_MAX);
	assert_null(got(58, 0));
	assert_null(got(59, 0));
	lease_is(NET_LEASE_FOREVER, 1, 0);
}

/* 576 bytes unless the client takes more; the last options go first. */
static void
sizes(void **state)
{
	size_t i;

	memset(t.n.domain, 'd', 253);
	memset(t.n.host, 'h', 63);
	load("dhclient-discover"); /* does not say */
	assert_true(run() > 0 && t.len <= ETH + 576);
	replied(OFFER, GUEST4);
	is_text(12, t.n.host);
	assert_null(got(15, 0));
	is32(42, HOST4);
	load("dhcpcd-discover"); /* 1472 */
	assert_int_equal(be16(asked(57)), 1472);
	assert_true(run() > ETH + 576);
	replied(OFFER, GUEST4);
	is_text(15, t.n.domain);
	t.n.mtu = 576;
	assert_true(run() > 0 && t.len <= ETH + 576);
	assert_null(got(15, 0));
	t.n.mtu = 16384;
	set16(asked(57), 65535);
	frame_fix4(&t.f);
	assert_true(run() > ETH + 576);
	set16(asked(57), 1); /* too little to be meant */
	frame_fix4(&t.f);
	assert_true(run() > 0 && t.len <= ETH + 576);
	replied(OFFER, GUEST4);
	for (i = 0; i < ETH + 576; i++)
		assert_int_equal(net_dhcp(&t.n, t.f.p, t.f.len, 0, NOW, &t.l,
				     t.r, i),
		    NET_EATEN);
}

/* A file and a server name that are more options. */
static void
overload(void **state)
{
	static const uint8_t more[] = { 50, 4, 10, 0, 0, 1, 255 };
	static const uint8_t opts[] = { 52, 1, 3, 53, 1, 3, 255 };

	load("dhclient-discover");
	memset(t.f.p + OPTS, 0, t.f.len - OPTS);
	memcpy(t.f.p + OPTS, opts, sizeof(opts));
	memcpy(t.f.p + BOOTF, more, sizeof(more));
	frame_fix4(&t.f);
	refused(1);
	memset(t.f.p + BOOTF, 0, sizeof(more));
	memcpy(t.f.p + SNAME, more, sizeof(more));
	frame_fix4(&t.f);
	refused(2);
	t.f.p[OPTS + 2] = 1; /* not the server name */
	frame_fix4(&t.f);
	assert_true(run() > 0);
	replied(ACK, GUEST4);
	t.f.p[BOOTF] = 53; /* cut off by the end of the field */
	memset(t.f.p + BOOTF + 1, 255, 127);
	frame_fix4(&t.f);
	assert_true(run() > 0);
	replied(ACK, GUEST4);
}

/* A change of `v' at `at' makes it none of ours. */
static void
not_ours(size_t at, uint8_t v, int fix)
{
	t.f.p[at] ^= v;
	if (fix)
		frame_fix4(&t.f);
	assert_int_equal(run(), 0);
	t.f.p[at] ^= v;
	frame_fix4(&t.f);
	assert_true(run() > 0);
}

static void
not_for_us(void **state)
{
	load("udhcpc-discover");
	not_ours(0, 1, 0);	    /* destination */
	not_ours(6, 1, 0);	    /* source */
	not_ours(12, 1, 0);	    /* type of frame */
	not_ours(IP4, 0x20, 1);	    /* version */
	not_ours(IP4 + 6, 0x20, 1); /* a fragment follows */
	not_ours(IP4 + 7, 1, 1);    /* a fragment */
	not_ours(IP4 + 9, 1, 1);    /* protocol */
	not_ours(IP4 + 10, 1, 0);   /* checksum */
	not_ours(IP4 + 19, 1, 1);   /* destination */
	not_ours(UDP4 + 1, 1, 1);   /* port */
	not_ours(UDP4 + 3, 1, 1);   /* port */
	not_ours(UDP4 + 6, 1, 0);   /* checksum */
	not_ours(MSG, 3, 1);	    /* reply */
	not_ours(MSG + 1, 1, 1);    /* hardware */
	not_ours(MSG + 2, 1, 1);    /* length of its address */
	not_ours(MSG + 3, 1, 1);    /* hops */
	not_ours(GIADDR, 1, 1);	    /* relay */
	not_ours(CHADDR + 5, 1, 1); /* other client */
	not_ours(BOOTF, 1, 1);	    /* boot file */
	t.n.flags = NETF_INET6 | NETF_LOCKED;
	assert_int_equal(run(), 0);
	t.n.flags = NETF_LOCAL;
	assert_true(run() > 0);
	t.n.guest4 = 0;
	assert_int_equal(run(), 0);
}

/* Lengths that lie, in both headers, and frames cut off anywhere. */
static void
lengths(void **state)
{
	struct frame whole;
	size_t i;

	load("udhcpc-discover");
	set16(t.f.p + IP4 + 2, (uint32_t)t.f.len - ETH + 1);
	assert_int_equal(run(), 0);
	frame_fix4(&t.f);
	set16(t.f.p + UDP4 + 4, (uint32_t)(t.f.len - UDP4) + 1);
	set16(t.f.p + UDP4 + 6, 0);
	assert_int_equal(run(), 0);
	set16(t.f.p + UDP4 + 4, 7);
	assert_int_equal(run(), 0);
	set16(t.f.p + UDP4 + 4, (uint32_t)(t.f.len - UDP4));
	assert_true(run() > 0); /* no checksum is allowed */
	load("udhcpc-discover");
	whole = t.f;
	for (i = 0; i < whole.len; i++) {
		frame_new(&t.f, whole.p, i);
		assert_int_equal(run(), 0);
		frame_free(&t.f);
	}
	t.f = whole;
	/* Padding of the frame is no part of it, and too much is too much. */
	frame_resize(&t.f, NET_FRAME_MAX);
	assert_true(run() > 0);
	frame_resize(&t.f, NET_FRAME_MAX + 1);
	assert_int_equal(run(), 0);
}

/* Every cut through the options: never read beyond, never the wrong type. */
static void
cut_options(void **state)
{
	size_t i, whole;

	load("dhcpcd-select");
	whole = t.f.len;
	for (i = whole; i >= COOKIE; i--) {
		frame_resize(&t.f, i);
		frame_fix4(&t.f);
		assert_true(run() > 0);
		assert_true(frame_good4(t.r, (size_t)t.len));
	}
}

static void
ip_options(void **state)
{
	size_t i;

	for (i = 1; i <= 10; i++) {
		load("udhcpc-discover");
		frame_resize(&t.f, t.f.len + 4 * i);
		memmove(t.f.p + UDP4 + 4 * i, t.f.p + UDP4,
		    t.f.len - UDP4 - 4 * i);
		memset(t.f.p + UDP4, 1, 4 * i);
		t.f.p[IP4] = (uint8_t)(0x45 + i);
		frame_fix4(&t.f);
		assert_int_equal(net_wants(&t.n, t.f.p, NET_HEAD), 1);
		assert_true(run() > 0);
		memmove(t.f.p + MSG, t.f.p + MSG + 4 * i,
		    t.f.len - MSG - 4 * i);
		replied(OFFER, GUEST4);
	}
	t.f.p[IP4] = 0x44;
	assert_int_equal(run(), 0);
}

/* Our own answers, as somebody else hears them. */
static void
seen(void **state)
{
	uint32_t a = 1, s = 1;
	uint8_t mac[6];
	size_t i;

	load("udhcpc-select");
	assert_int_equal(net_dhcp_seen(t.n.mac, t.f.p, t.f.len, &a, &s), 0);
	assert_true(run() > 0);
	assert_int_equal(net_dhcp_seen(t.n.mac, t.r, (size_t)t.len, &a, &s), 1);
	assert_int_equal(a, GUEST4);
	assert_int_equal(s, 3600);
	/* Each cut, and any byte that is wrong. */
	for (i = 0; i < (size_t)t.len; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, t.r, i);
		assert_int_equal(net_dhcp_seen(t.n.mac, cut, i, &a, &s), 0);
		free(cut);
		if (i < 12 /* the type */)
			continue;
		t.r[i] ^= 0x10;
		assert_int_equal(net_dhcp_seen(t.n.mac, t.r, (size_t)t.len, &a,
				     &s),
		    0);
		t.r[i] ^= 0x10;
	}
	memcpy(mac, t.n.mac, 6);
	mac[5] ^= 1;
	assert_int_equal(net_dhcp_seen(mac, t.r, (size_t)t.len, &a, &s), 0);
	load("udhcpc-discover");
	assert_true(run() > 0);
	assert_int_equal(net_dhcp_seen(t.n.mac, t.r, (size_t)t.len, &a, &s),
	    0); /* only an offer */
	load("dhclient-reboot");
	t.n.guest4 ^= 2;
	assert_true(run() > 0);
	replied(NAK, UINT32_MAX);
	assert_int_equal(net_dhcp_seen(t.n.mac, t.r, (size_t)t.len, &a, &s), 1);
	assert_int_equal(a, 0);
	assert_int_equal(s, 0);
	t.n.guest4 ^= 2;
}

/* With a partial checksum what stands there means nothing. */
static void
partial(void **state)
{
	load("udhcpc-discover");
	t.f.p[UDP4 + 6] ^= 0x55;
	assert_int_equal(run(), 0);
	t.f.how = NET_PARTIAL;
	assert_true(run() > 0);
	replied(OFFER, GUEST4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(discover, setup, teardown),
		cmocka_unit_test_setup_teardown(select_it, setup, teardown),
		cmocka_unit_test_setup_teardown(renew, setup, teardown),
		cmocka_unit_test_setup_teardown(broadcast, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_address, setup, teardown),
		cmocka_unit_test_setup_teardown(wish, setup, teardown),
		cmocka_unit_test_setup_teardown(other_server, setup, teardown),
		cmocka_unit_test_setup_teardown(inform, setup, teardown),
		cmocka_unit_test_setup_teardown(give_back, setup, teardown),
		cmocka_unit_test_setup_teardown(no_such_type, setup, teardown),
		cmocka_unit_test_setup_teardown(bootp, setup, teardown),
		cmocka_unit_test_setup_teardown(net_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_say, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(overload, setup, teardown),
		cmocka_unit_test_setup_teardown(not_for_us, setup, teardown),
		cmocka_unit_test_setup_teardown(lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_options, setup, teardown),
		cmocka_unit_test_setup_teardown(ip_options, setup, teardown),
		cmocka_unit_test_setup_teardown(seen, setup, teardown),
		cmocka_unit_test_setup_teardown(partial, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
