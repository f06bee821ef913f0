/*
 * Router advertisements and DHCPv6: what real clients sent is answered, what
 * RFC 4861 and RFC 8415 call invalid is not; see net_test.h for the frames.
 */

#include "lib/net/addr.h"
#include "lib/net/dhcp6.h"
#include "lib/net/ra.h"
#include "regress/unit/net_talk.h"

#define SRC  (IP6 + 8)
#define DST  (IP6 + 24)
#define MSG6 (NEXT6 + 8) /* after UDP */
#define BODY (MSG6 + 4)

enum {
	SOLICIT = 1,
	ADVERTISE,
	REQUEST,
	CONFIRM,
	RENEW,
	REBIND,
	REPLY,
	RELEASE,
	DECLINE,
	RECONFIGURE,
	INFORMATION,
	FORWARD
};

static const uint8_t nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

static int
run(void)
{
	answer(1);
	if (t.len > 0)
		assert_true(frame_good6(t.r, (size_t)t.len));
	return t.len;
}

static int
fixed(void)
{
	frame_fix6(&t.f);
	return run();
}

static void
from_router(const uint8_t *mac, const uint8_t *dst)
{
	assert_memory_equal(t.r, mac, 6);
	assert_memory_equal(t.r + 6, t.n.host_mac, 6);
	assert_memory_equal(t.r + SRC, net_router6, 16);
	assert_memory_equal(t.r + DST, dst, 16);
}

/* --- router advertisements ---------------------------------------------- */

/* An option of the advertisement, or NULL; all of them must be whole. */
static const uint8_t *
nd_option(uint8_t code, size_t len)
{
	const uint8_t *found = NULL;
	size_t i = NEXT6 + 16, n;

	for (; i < (size_t)t.len; i += n) {
		n = (size_t)t.r[i + 1] * 8;
		assert_true(n > 0 && i + n <= (size_t)t.len);
		if (t.r[i] != code)
			continue;
		assert_null(found);
		assert_int_equal(n, len);
		found = t.r + i;
	}
	return found;
}

static void
advertised(const uint8_t *mac, const uint8_t *dst)
{
	const uint8_t *m = t.r + NEXT6, *o;

	from_router(mac, dst);
	assert_int_equal(t.r[IP6 + 7], 255);
	assert_int_equal(m[0], 134);
	assert_int_equal(m[1], 0);
	assert_int_equal(m[5], 0x40); /* only other configuration */
	assert_int_equal(be16(m + 6), NET_RA_LIFETIME);
	assert_non_null(o = nd_option(1, 8));
	assert_memory_equal(o + 2, t.n.host_mac, 6);
	assert_non_null(o = nd_option(3, 32));
	assert_int_equal(o[2], 64);
	assert_int_equal(o[3], 0x40); /* autonomous, not on-link */
	assert_true(be32(o + 4) >= be32(o + 8) && be32(o + 8) > 0);
	assert_memory_equal(o + 16, t.n.host6, 8);
	assert_memory_equal(o + 24, "\0\0\0\0\0\0\0\0", 8);
}

static void
solicited(void **state)
{
	const uint8_t *o;

	load("linux-solicit-router");
	assert_true(run() > 0);
	advertised(t.n.mac, t.f.p + SRC);
	assert_non_null(o = nd_option(5, 8));
	assert_int_equal(be32(o + 4), 1400);
	assert_non_null(o = nd_option(25, 24));
	assert_int_equal(be32(o + 4), 3 * NET_RA_INTERVAL);
	assert_memory_equal(o + 8, t.n.dns6[0], 16);
	assert_non_null(o = nd_option(31, 24));
	assert_memory_equal(o + 8, "\7example\3org\0\0\0", 16);
}

static void
unspecified(void **state)
{
	load("linux-solicit-router");
	memset(t.f.p + SRC, 0, 16);
	assert_int_equal(fixed(), NET_EATEN); /* names a MAC nonetheless */
	frame_resize(&t.f, NEXT6 + 8);
	assert_true(fixed() > 0);
	advertised(nodes_mac, all_nodes);
}

static void
unsolicited(void **state)
{
	size_t i;

	memset(t.n.domain, 'x', NET_DOMAIN_MAX - 1);
	for (i = 63; i < NET_DOMAIN_MAX - 1; i += 64)
		t.n.domain[i] = '.';
	t.n.ndns6 = NET_MAX_SERVERS;
	t.len = net_ra_make(&t.n, t.r, sizeof(t.r));
	assert_true(t.len > 0 && frame_good6(t.r, (size_t)t.len));
	advertised(nodes_mac, all_nodes);
	assert_non_null(nd_option(25, 8 + 16 * NET_MAX_SERVERS));
	assert_non_null(nd_option(31, 264));
	for (i = 0; i < (size_t)t.len; i++)
		assert_int_equal(net_ra_make(&t.n, t.r, i), 0);
}

static void
little_to_say(void **state)
{
	static const char *const bad[] = { "", ".", "a..b", ".org",
		"a23456789012345678901234567890123456789012345678901234567890"
		"1234.org" };
	size_t i;

	t.n.ndns6 = t.n.mtu = 0;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(t.n.domain, bad[i]);
		t.len = net_ra_make(&t.n, t.r, sizeof(t.r));
		assert_int_equal(t.len, NEXT6 + 16 + 8 + 32);
		advertised(nodes_mac, all_nodes);
	}
	t.n.mtu = NET_MIN_MTU6 - 1;
	assert_int_equal(net_ra_make(&t.n, t.r, sizeof(t.r)), 0);
	t.n.mtu = NET_MIN_MTU6;
	assert_true(net_ra_make(&t.n, t.r, sizeof(t.r)) > 0);
	t.n.flags = NETF_LOCAL;
	assert_int_equal(net_ra_make(&t.n, t.r, sizeof(t.r)), 0);
	t.n.flags = NETF_INET6;
	assert_int_equal(net_ra_make(&t.n, t.r, sizeof(t.r)), 0);
}

static void
changed(size_t at, uint8_t v, int fix, int result)
{
	t.f.p[at] ^= v;
	assert_int_equal(fix ? fixed() : run(), result);
	t.f.p[at] ^= v;
	assert_true(fixed() > 0);
}

static void
bad_solicitations(void **state)
{
	size_t i;

	load("linux-solicit-router");
	changed(6, 1, 0, 0);		     /* source MAC */
	changed(IP6, 0x20, 0, 0);	     /* version */
	changed(IP6 + 5, 1, 0, 0);	     /* length: 17 of 16 bytes */
	changed(IP6 + 7, 1, 0, 0);	     /* hop limit */
	changed(DST + 15, 1, 1, 0);	     /* not to routers */
	changed(NEXT6, 1, 1, 0);	     /* type */
	changed(NEXT6 + 1, 1, 1, NET_EATEN); /* code */
	changed(NEXT6 + 2, 1, 0, 0);	     /* checksum */
	changed(NEXT6 + 9, 1, 1, NET_EATEN); /* option of no length */
	changed(NEXT6 + 9, 3, 1, NET_EATEN); /* of too much */
	changed(SRC, 1, 1, NET_EATEN);	     /* from a group: ff80:: */
	t.f.how = NET_PARTIAL;
	t.f.p[NEXT6 + 2] ^= 1;
	assert_true(run() > 0);
	for (i = NEXT6 + 15; i > NEXT6 + 8; i--) {
		frame_resize(&t.f, i);
		assert_int_equal(fixed(), NET_EATEN);
	}
	frame_resize(&t.f, NEXT6 + 8);
	assert_true(fixed() > 0);
	for (i = NEXT6 + 7; i-- > 0;) {
		frame_resize(&t.f, i);
		assert_true(run() <= 0);
	}
}

/* --- DHCPv6 --------------------------------------------------------------- */

static uint8_t *
find(uint8_t *p, size_t from, size_t to, uint16_t code, size_t *len)
{
	size_t i;

	for (i = from; i < to; i += 4 + be16(p + i + 2)) {
		assert_true(i + 4 <= to && i + 4 + be16(p + i + 2) <= to);
		if (be16(p + i) == code) {
			*len = be16(p + i + 2);
			return p + i + 4;
		}
	}
	return NULL;
}

static uint8_t *
asked(uint16_t code, size_t *len)
{
	return find(t.f.p, BODY, t.f.len, code, len);
}

static uint8_t *
got(uint16_t code, size_t *len)
{
	return find(t.r, BODY, (size_t)t.len, code, len);
}

static void
answered(uint8_t type)
{
	uint8_t *p, *id;
	size_t n, k;

	from_router(t.n.mac, t.f.p + SRC);
	assert_int_equal(be16(t.r + NEXT6), 547);
	assert_int_equal(be16(t.r + NEXT6 + 2), 546);
	assert_int_equal(t.r[MSG6], type);
	assert_memory_equal(t.r + MSG6 + 1, t.f.p + MSG6 + 1, 3);
	assert_non_null(p = got(2, &n));
	assert_int_equal(n, 10);
	assert_memory_equal(p, "\0\3\0\1\xfe\xe1\xba\xd1\2\3", 10);
	id = asked(1, &k);
	p = got(1, &n);
	if (id == NULL) {
		assert_null(p);
	} else {
		assert_non_null(p);
		assert_int_equal(n, k);
		assert_memory_equal(p, id, n);
	}
}

static void
configured(void)
{
	uint8_t *p;
	size_t n;

	assert_non_null(p = got(23, &n));
	assert_int_equal(n, 16);
	assert_memory_equal(p, t.n.dns6[0], 16);
	assert_non_null(p = got(24, &n));
	assert_int_equal(n, 13);
	assert_memory_equal(p, "\7example\3org\0", 13);
}

static void
information(void **state)
{
	uint8_t *p;
	size_t n;

	load("dhcpcd-information");
	assert_true(run() > 0);
	answered(REPLY);
	configured();
	load("dhclient-information");
	assert_true(run() > 0);
	answered(REPLY);
	configured();
	/* Only what is wanted, and nothing that is not there. */
	assert_non_null(p = asked(6, &n));
	set16(p, 23);
	set16(p + 2, 7);
	assert_true(fixed() > 0);
	assert_non_null(got(23, &n));
	assert_null(got(24, &n));
	t.n.ndns6 = 0;
	assert_true(run() > 0);
	assert_null(got(23, &n));
	/* A client may be nameless. */
	frame_resize(&t.f, BODY);
	assert_true(fixed() > 0);
	answered(REPLY);
	assert_null(got(1, &n));
}

/* The association comes back without addresses and says why. */
static void
empty(uint16_t code, size_t head, uint16_t status)
{
	uint8_t *p, *id;
	size_t n, k;

	assert_non_null(id = asked(code, &k));
	assert_non_null(p = got(code, &n));
	assert_int_equal(n, head + 6);
	assert_memory_equal(p, id, 4);
	assert_int_equal(be16(p + head), 13);
	assert_int_equal(be16(p + head + 2), 2);
	assert_int_equal(be16(p + head + 4), status);
}

static void
solicit(void **state)
{
	uint8_t *p;
	size_t n;

	load("dhclient-solicit");
	assert_true(run() > 0);
	answered(ADVERTISE);
	empty(3, 12, 2);
	assert_non_null(p = asked(3, &n));
	set16(p - 4, 25); /* a prefix instead */
	assert_true(fixed() > 0);
	empty(25, 12, 6);
	set16(p - 4, 4); /* temporary addresses */
	assert_true(fixed() > 0);
	empty(4, 4, 2);
}

/* Put our identifier into a message. */
static void
to_server(uint8_t type)
{
	static const uint8_t id[14] = { 0, 2, 0, 10, 0, 3, 0, 1, 0xfe, 0xe1,
		0xba, 0xd1, 2, 3 };

	load("dhclient-solicit");
	frame_resize(&t.f, t.f.len + sizeof(id));
	memcpy(t.f.p + t.f.len - sizeof(id), id, sizeof(id));
	t.f.p[MSG6] = type;
	frame_fix6(&t.f);
}

static void
others(void **state)
{
	static const struct {
		uint8_t type, status;
	} kinds[] = { { REQUEST, 2 }, { RENEW, 3 }, { RELEASE, 3 },
		{ DECLINE, 3 } };
	uint8_t *p;
	size_t i, n;

	for (i = 0; i < 4; i++) {
		to_server(kinds[i].type);
		assert_true(run() > 0);
		answered(REPLY);
		empty(3, 12, kinds[i].status);
		if (kinds[i].type >= RELEASE) {
			assert_non_null(p = got(13, &n));
			assert_int_equal(be16(p), 0);
		}
		t.f.p[t.f.len - 1] ^= 1; /* to another server */
		assert_int_equal(fixed(), NET_EATEN);
		load("dhclient-solicit");
		t.f.p[MSG6] = kinds[i].type; /* to none */
		assert_int_equal(fixed(), NET_EATEN);
	}
	load("dhclient-solicit");
	t.f.p[MSG6] = REBIND;
	assert_true(fixed() > 0);
	empty(3, 12, 3);
	to_server(SOLICIT);
	assert_int_equal(run(), NET_EATEN);
	to_server(INFORMATION); /* with an association */
	assert_int_equal(run(), NET_EATEN);
}

static void
bad_messages(void **state)
{
	static const uint8_t types[] = { 0, ADVERTISE, CONFIRM, REPLY,
		RECONFIGURE, FORWARD, 13, 255 };
	struct frame whole;
	size_t i, n;
	uint8_t *p;

	load("dhclient-solicit");
	for (i = 0; i < sizeof(types); i++) {
		t.f.p[MSG6] = types[i];
		assert_int_equal(fixed(), NET_EATEN);
	}
	load("dhclient-solicit");
	changed(6, 1, 0, 0);
	changed(SRC, 1, 1, 0);	      /* not link-local */
	changed(SRC + 1, 0x40, 1, 0); /* site-local */
	changed(DST + 15, 1, 1, 0);   /* not to servers */
	changed(NEXT6 + 3, 1, 1, 0);  /* port */
	changed(NEXT6 + 6, 1, 0, 0);  /* checksum */
	changed(BODY + 2, 1, 1, NET_EATEN);
	assert_non_null(p = asked(3, &n));
	p[-1] = 11; /* too short for what it is */
	assert_int_equal(fixed(), NET_EATEN);
	load("dhclient-solicit");
	set16(t.f.p + NEXT6 + 6, 0); /* none, which IPv6 does not allow */
	t.f.how = 0;
	assert_int_equal(run(), 0);
	load("dhclient-solicit");
	whole = t.f;
	for (i = 0; i < whole.len; i++) {
		frame_new(&t.f, whole.p, i);
		if (i >= NEXT6 + 8)
			frame_fix6(&t.f);
		assert_true(run() != 0 || i < NEXT6 + 8);
		frame_free(&t.f);
	}
	t.f = whole;
}

/* More than there is room for, in the reply and in what is remembered. */
static void
crowded(void **state)
{
	static const uint8_t id[16] = { 0, 3, 0, 12, 9 };
	size_t i, n = 70;

	load("dhclient-solicit");
	i = t.f.len;
	frame_resize(&t.f, i + n * sizeof(id));
	for (; n-- > 0; i += sizeof(id))
		memcpy(t.f.p + i, id, sizeof(id));
	assert_true(fixed() > 0);
	answered(ADVERTISE);
	for (i = 0; i < 300; i++)
		assert_true(
		    net_dhcp6(&t.n, t.f.p, t.f.len, 0, t.r, i) <= (int)i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(solicited, setup, teardown),
		cmocka_unit_test_setup_teardown(unspecified, setup, teardown),
		cmocka_unit_test_setup_teardown(unsolicited, setup, teardown),
		cmocka_unit_test_setup_teardown(little_to_say, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_solicitations, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(information, setup, teardown),
		cmocka_unit_test_setup_teardown(solicit, setup, teardown),
		cmocka_unit_test_setup_teardown(others, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(crowded, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
