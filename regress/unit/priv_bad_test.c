/*
 * priv with a parent that asks for what makes no sense: names, flags, values
 * out of range, families and interfaces that are not there, requests in the
 * wrong order.  Each is one error, changes nothing, and the next request is
 * served; what is no request at all ends priv, and nothing else.
 */

#include <stdio.h>
#include <string.h>

#include "lib/proto/msg.h"
#include "regress/unit/priv_rig.h"

/* Nothing has changed, and it still works. */
static void
assert_fine(void)
{
	struct priv_nic n = rig_local(9, PRIVF_NAT);

	assert_as_before();
	assert_int_equal(rig_nic(&n), VMERR_OK);
	assert_int_equal(rig.nfds, 1);
	rig_close_taps();
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	rig_shutdown();
	assert_as_before();
}

static void
not_begun(void **state)
{
	struct priv_nic n = rig_local(1, 0);

	rig_start();
	assert_int_equal(rig_nic(&n), VMERR_INVALID);
	assert_string_equal(rig.r.text, "priv has no tag yet");
	assert_int_equal(rig_switch("bridge0", 0, 0), VMERR_INVALID);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_INVALID);
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "br0"), VMERR_INVALID);
	assert_int_equal(rig_ask(IMSG_PRIV_SWEEP, NULL), VMERR_INVALID);
	assert_int_equal(rig_ask(IMSG_PRIV_CHECK, NULL), VMERR_INVALID);
	assert_int_equal(rig_init("", 0), VMERR_INVALID);
	assert_int_equal(rig_init("x y", 0), VMERR_INVALID);
	assert_int_equal(rig_init("x}", 0), VMERR_INVALID);
	assert_int_equal(rig_init("0123456789abcdef", 0), VMERR_OK);
	/* Once more, for another prefix; but it is one daemon's. */
	assert_int_equal(rig_init("0123456789abcdef", 0), VMERR_OK);
	assert_int_equal(rig_init("0123456789abcdee", 0), VMERR_EXISTS);
	assert_fine();
}

static void
bad_prefix(void **state)
{
	static const struct {
		uint32_t prefix, mask;
	} bad[] = { { 0, 0 }, { 0x64400000, 0 }, { 0x64400001, 0xffc00000 },
		{ 0x64400000, 0xff00ff00 }, { 0x64400000, 1 } };
	char tag[] = RIG_TAG;
	struct priv_init i = { .tag = tag };
	struct ibuf *b;
	size_t n;

	rig_start();
	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		i.prefix = bad[n].prefix;
		i.mask = bad[n].mask;
		assert_non_null(b = ibuf_dynamic(0, 4096));
		assert_int_equal(priv_init_put(b, &i), 0);
		assert_int_equal(rig_ask(IMSG_PRIV_INIT, b), VMERR_INVALID);
		assert_string_equal(rig.r.text, "not a prefix");
	}
	assert_int_equal(rig_init(RIG_TAG, 0), VMERR_OK);
	assert_fine();
}

/* Each field of an interface, wrong. */
static void
bad_nic(void **state)
{
	static const char *const names[] = { "tap", "tap1x", "eth0", "lo",
		"tap%d", "../x", "tap99999999999", "tap 1", "t\"ap0", "", "." };
	static const char *const groups[] = { "web1", "", "a b", "x\"", "x}",
		"x;", "-/", "\n" };
	struct priv_nic n;
	char text[64];
	size_t i;

#define BAD(change)                                                            \
	do {                                                                   \
		n = rig_local(1, PRIVF_NAT | PRIVF_INET6);                     \
		change;                                                        \
		assert_int_equal(rig_nic(&n), VMERR_INVALID);                  \
		assert_int_equal(rig.nfds, 0);                                 \
	} while (0)

	rig_begin();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "%s", names[i]);
		BAD(n.ifname = text);
	}
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		snprintf(text, sizeof(text), "%s", groups[i]);
		BAD(n.group = text);
		BAD(n.swgroup = text);
	}
	snprintf(text, sizeof(text), "x\ny");
	BAD(n.alias = text);
	snprintf(text, sizeof(text), "br/0");
	BAD(n.flags = PRIVF_UP; n.bridge = text);
	snprintf(text, sizeof(text), "bridge0");
	BAD(n.bridge = text); /* and local */
	BAD(n.flags |= PRIVF_ADOPT);
	BAD(n.flags = PRIVF_NAT);
	BAD(n.flags = PRIVF_INET6);
	BAD(n.flags = PRIVF_UP; n.nforwards = 1;
	    n.forwards[0] = ((struct net_forward){ 6, 80, 80 }));
	BAD(n.host4++);
	BAD(n.guest4++);
	BAD(n.host4 = 0x0a000002; n.guest4 = 0x0a000003);
	BAD(n.host4 = 0x64800002; n.guest4 = 0x64800003);
	BAD(n.host6[0] = 0xfe);
	BAD(n.guest6[7]++);
	BAD(memset(n.guest6 + 8, 0, 8));
	BAD(n.mac[0] |= 1);
	BAD(memset(n.mac, 0, 6));
	BAD(n.mtu = 1000); /* for IPv6 */
	BAD(n.flags |= PRIVF_RDOMAIN; n.rdomain = 254);
	BAD(n.flags |= PRIVF_RDOMAIN; n.rdomain = UINT32_MAX);
	assert_fine();
}

static void
bad_switch(void **state)
{
	static const char *const names[] = { "", ".", "a/b", "br 0", "br%d",
		"br;0" };
	size_t i;

	rig_begin();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(rig_switch(names[i], 0, 0), VMERR_INVALID);
		assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, names[i]),
		    VMERR_INVALID);
		assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, names[i]),
		    VMERR_INVALID);
	}
	assert_int_equal(rig_switch("bridge0", PRIVF_NAT, 0), VMERR_INVALID);
	assert_int_equal(rig_switch("bridge0", PRIVF_LOCAL, 0), VMERR_INVALID);
	assert_int_equal(rig_switch("bridge0", PRIVF_RDOMAIN, 255),
	    VMERR_INVALID);
	assert_hasnt(sh("ip -br link"), "bridge0");
	/* Never heard of; ours is not what only looks so. */
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap3"), VMERR_NOTFOUND);
	assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "lo"), VMERR_INVALID);
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "bridge3"), VMERR_OK);
	sh("ip link add bridge3 type bridge");
	assert_int_equal(rig_name(IMSG_PRIV_SWITCH_DEL, "bridge3"), VMERR_OK);
	assert_has(sh("ip -br link"), "bridge3");
	sh("ip link del bridge3");
	assert_fine();
}

/* A request again and again, and much at a time: one answer each. */
static void
many(void **state)
{
	struct priv_nic n;
	uint32_t i;

	rig_begin();
	for (i = 0; i < 100; i++) {
		n = rig_local(1 + i % 250, PRIVF_NAT | PRIVF_INET6);
		n.pairs = NET_MAX_PAIRS;
		assert_int_equal(rig_nic(&n), VMERR_OK);
		assert_int_equal(rig.nfds, NET_MAX_PAIRS);
		rig_close_taps();
		assert_int_equal(rig_name(IMSG_PRIV_NIC_DEL, "tap0"), VMERR_OK);
	}
	assert_fine();
}

/* --- no request at all --------------------------------------------------- */

static struct ibuf *
bytes(const void *p, size_t len)
{
	struct ibuf *b = ibuf_dynamic(0, 65536);

	assert_non_null(b);
	assert_int_equal(ibuf_add(b, p, len), 0);
	return b;
}

static void
bad_body(void **state)
{
	static const uint32_t types[] = { IMSG_PRIV_INIT, IMSG_PRIV_NIC,
		IMSG_PRIV_NIC_DEL, IMSG_PRIV_SWITCH, IMSG_PRIV_SWITCH_DEL };
	uint8_t junk[512];
	struct priv_nic n;
	struct ibuf *b;
	size_t i;

	memset(junk, 0xff, sizeof(junk));
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		rig_begin();
		assert_int_equal(rig_ends(types[i], bytes(junk, sizeof(junk))),
		    1);
		rig_begin();
		assert_int_equal(rig_ends(types[i], NULL), 1);
	}
	/* More than belongs to it; what was asked for is undone. */
	rig_begin();
	n = rig_local(1, PRIVF_NAT);
	assert_non_null(b = ibuf_dynamic(0, 65536));
	assert_int_equal(priv_nic_put(b, &n), 0);
	assert_int_equal(ibuf_add(b, "x", 1), 0);
	assert_int_equal(rig_ends(IMSG_PRIV_NIC, b), 1);
	assert_as_before();
	rig_begin();
	assert_int_equal(rig_ends(IMSG_PRIV_SWEEP, bytes("x", 1)), 1);
	/* Another's message, and our own answer. */
	rig_begin();
	assert_int_equal(rig_ends(IMSG_VMDOP_VM_EXIT, NULL), 1);
	rig_begin();
	assert_int_equal(rig_ends(IMSG_PRIV_RESULT, NULL), 1);
	assert_as_before();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(not_begun),
		RIG_TEST(bad_prefix),
		RIG_TEST(bad_nic),
		RIG_TEST(bad_switch),
		RIG_TEST(many),
		RIG_TEST(bad_body),
	};

	if (rig_main(argc, argv) == -1)
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
