/*
 * What the parent orders of priv, and what an interface of a guest is, on
 * the wire: everything arrives, nothing out of range does.
 */

#include "regress/unit/proto_test.h"

#include <netinet/in.h>

#include "lib/proto/privmsg.h"
#include "lib/proto/vmerr.h"
#include "lib/proto/wire.h"

/* These have nothing to be freed. */
#define net_conf_fini(n)    ((void)(n))
#define net_forward_fini(n) ((void)(n))

/*
 * For each body: a decoder, what its reader says of an encoded one (0 or
 * errno), and the two ways through the wire.
 */
#define BODY(type)                                                             \
	static int type##_decode(struct ibuf *b)                               \
	{                                                                      \
		struct type x;                                                 \
		int rc = type##_get(b, &x), saved_errno = errno;               \
                                                                               \
		if (rc == 0)                                                   \
			type##_fini(&x);                                       \
		errno = saved_errno;                                           \
		return rc;                                                     \
	}                                                                      \
	static struct ibuf *type##_encode(const struct type *x)                \
	{                                                                      \
		struct ibuf *b = ibuf_dynamic(0, BODY_MAX);                    \
                                                                               \
		assert_non_null(b);                                            \
		assert_int_equal(type##_put(b, x), 0);                         \
		return b;                                                      \
	}                                                                      \
	static int type##_through(const struct type *x)                        \
	{                                                                      \
		struct ibuf *b = type##_encode(x);                             \
		int rc = decode_part(b, ibuf_size(b), type##_decode);          \
                                                                               \
		rc = rc == 0 ? 0 : errno;                                      \
		ibuf_free(b);                                                  \
		return rc;                                                     \
	}                                                                      \
	static void type##_same(const struct type *x, struct type *got)        \
	{                                                                      \
		struct ibuf *b = type##_encode(x);                             \
                                                                               \
		check_truncation(b, type##_decode);                            \
		memset(got, 0xa5, sizeof(*got));                               \
		assert_int_equal(type##_get(b, got), 0);                       \
		assert_int_equal(wire_end(b), 0);                              \
		ibuf_free(b);                                                  \
	}

BODY(net_conf)
BODY(net_forward)
BODY(priv_init)
BODY(priv_nic)
BODY(priv_switch)
BODY(priv_name)
BODY(priv_result)

static char tag[] = "0123456789abcdef", alias[] = "vm1-if0-web1",
	    tap[] = "tap123456789012", bridge[] = "bridge0", group[] = "guests",
	    swgroup[] = "all", text[] = "no such bridge", note[] = "a drop",
	    empty[] = "";

/* --- of an interface ------------------------------------------------------ */

static struct net_conf
sample(void)
{
	struct net_conf n = { .flags = NETF_ALL,
		.mtu = 1500,
		.pairs = NET_MAX_PAIRS,
		.lease = NET_LEASE,
		.mac = { 0xfe, 0xe1, 0xbb, 1, 2, 3 },
		.host_mac = { 0xfe, 0xe1, 0xba, 4, 5, 6 },
		.host4 = 0x64400102,
		.guest4 = 0x64400103,
		.host6 = { 0xfd, 1 },
		.guest6 = { 0xfd, 2 },
		.ndns4 = 1,
		.ndns6 = 2,
		.nntp4 = 3,
		.dns4 = { 0x08080808 },
		.ntp4 = { 1, 2, 3 },
		.dns6 = { { 0x20 }, { 0x21 } } };

	strcpy(n.ifname, "tap0");
	strcpy(n.host, "web1");
	strcpy(n.domain, "example.org");
	return n;
}

static void
confs(void **state)
{
	struct net_conf n = sample(), got, none = { .pairs = 1 };

	net_conf_same(&n, &got);
	assert_memory_equal(&n, &got, sizeof(n));
	net_conf_same(&none, &got);
	assert_memory_equal(&none, &got, sizeof(none));
	memset(n.ifname, 'i', sizeof(n.ifname) - 1);
	memset(n.host, 'h', sizeof(n.host) - 1);
	memset(n.domain, 'd', sizeof(n.domain) - 1);
	net_conf_same(&n, &got);
	assert_memory_equal(&n, &got, sizeof(n));
}

/* What a struct of ours cannot say: written over an encoded one. */
static int
patched(size_t at, uint32_t value)
{
	struct net_conf n = sample();
	struct ibuf *b = net_conf_encode(&n);
	int rc;

	assert_int_equal(ibuf_set(b, at, &value, sizeof(value)), 0);
	rc = decode_part(b, ibuf_size(b), net_conf_decode);
	rc = rc == 0 ? 0 : errno;
	ibuf_free(b);
	return rc;
}

static void
bad_confs(void **state)
{
	const size_t counts = 16 + 12 + 8 + 32,
		     names = counts + 12 + 4 + 32 + 12;
	struct net_conf n = sample();

	n.flags = NETF_ALL + 1;
	assert_int_equal(net_conf_through(&n), EBADMSG);
	n = sample();
	n.pairs = NET_MAX_PAIRS + 1;
	assert_int_equal(net_conf_through(&n), EBADMSG);
	n = sample();
	n.mtu = NET_MIN_MTU - 1;
	assert_int_equal(net_conf_through(&n), EBADMSG);
	n.mtu = NET_MAX_MTU + 1;
	assert_int_equal(net_conf_through(&n), EBADMSG);
	assert_int_equal(patched(counts, NET_MAX_SERVERS + 1), EBADMSG);
	assert_int_equal(patched(counts + 4, NET_MAX_SERVERS + 1), EBADMSG);
	assert_int_equal(patched(counts + 8, NET_MAX_SERVERS + 1), EBADMSG);
	assert_int_equal(patched(counts, UINT32_MAX), EBADMSG);
	assert_int_equal(patched(names, UINT32_MAX), EBADMSG); /* no name */
	assert_int_equal(patched(names, NET_IFNAME_MAX), EMSGSIZE);
}

static void
forwards(void **state)
{
	struct net_forward got, f = { IPPROTO_UDP, 1, UINT16_MAX };

	net_forward_same(&f, &got);
	assert_int_equal(got.proto, IPPROTO_UDP);
	assert_int_equal(got.port, 1);
	assert_int_equal(got.to, UINT16_MAX);
	f.port = 0;
	assert_int_equal(net_forward_through(&f), EBADMSG);
	f.port = 1;
	f.to = 0;
	assert_int_equal(net_forward_through(&f), EBADMSG);
	f.to = 1;
	f.proto = IPPROTO_ICMP;
	assert_int_equal(net_forward_through(&f), EBADMSG);
}

/* --- orders --------------------------------------------------------------- */

static void
inits(void **state)
{
	static char kept[] = "4eth0 6eth0";
	struct priv_init got,
	    i = { tag, 0x64400000, 0xffc00000, { 0xfd }, PRIVFWD_6, kept };

	priv_init_same(&i, &got);
	assert_string_equal(got.tag, tag);
	assert_int_equal(got.prefix, 0x64400000);
	assert_int_equal(got.mask, 0xffc00000);
	assert_memory_equal(got.prefix6, i.prefix6, 16);
	assert_int_equal(got.forwarding, PRIVFWD_6);
	assert_string_equal(got.kept, kept);
	priv_init_fini(&got);
	priv_init_fini(&got);
	assert_null(got.tag);
	i.kept = repeat('4', PRIV_KEPT_MAX + 1);
	assert_int_equal(priv_init_through(&i), EMSGSIZE);
	free(i.kept);
	i.kept = NULL;
	i.forwarding = PRIVFWD_ALL + 1;
	assert_int_equal(priv_init_through(&i), EBADMSG);
	i.forwarding = 0;
	i.tag = NULL;
	assert_int_equal(priv_init_through(&i), EBADMSG);
	i.tag = repeat('t', PRIV_TAG_MAX + 1);
	assert_int_equal(priv_init_through(&i), EMSGSIZE);
	free(i.tag);
}

static struct priv_nic
nic(void)
{
	return (struct priv_nic){ .ifname = tap,
		.alias = alias,
		.bridge = bridge,
		.group = group,
		.swgroup = swgroup,
		.flags = PRIVF_ALL,
		.rdomain = 7,
		.mtu = NET_MIN_MTU,
		.pairs = NET_MAX_PAIRS,
		.mac = { 2, 1 },
		.host4 = 3,
		.guest4 = 4,
		.host6 = { 5 },
		.guest6 = { 6 },
		.nforwards = 2,
		.forwards = { { IPPROTO_TCP, 80, 81 },
		    { IPPROTO_UDP, 8, 9 } } };
}

static void
nics(void **state)
{
	struct priv_nic n = nic(), got;

	priv_nic_same(&n, &got);
	assert_string_equal(got.ifname, tap);
	assert_string_equal(got.alias, alias);
	assert_string_equal(got.bridge, bridge);
	assert_string_equal(got.group, group);
	assert_string_equal(got.swgroup, swgroup);
	assert_int_equal(got.flags, PRIVF_ALL);
	assert_int_equal(got.rdomain, 7);
	assert_int_equal(got.mtu, NET_MIN_MTU);
	assert_int_equal(got.pairs, NET_MAX_PAIRS);
	assert_memory_equal(got.mac, n.mac, 6);
	assert_int_equal(got.host4, 3);
	assert_int_equal(got.guest4, 4);
	assert_memory_equal(got.host6, n.host6, 16);
	assert_memory_equal(got.guest6, n.guest6, 16);
	assert_int_equal(got.nforwards, 2);
	assert_int_equal(got.forwards[0].port, 80);
	assert_int_equal(got.forwards[1].to, 9);
	priv_nic_fini(&got);
	priv_nic_fini(&got);
	n = (struct priv_nic){ .alias = empty, .pairs = 1 };
	priv_nic_same(&n, &got);
	assert_null(got.ifname);
	assert_string_equal(got.alias, "");
	priv_nic_fini(&got);
}

static void
bad_nics(void **state)
{
	char *longer = repeat('a', PRIV_ALIAS_MAX + 1);
	struct priv_nic n = nic();

#define REFUSED(field, value, err)                                             \
	do {                                                                   \
		n = nic();                                                     \
		n.field = value;                                               \
		assert_int_equal(priv_nic_through(&n), err);                   \
	} while (0)
	REFUSED(ifname, longer, EMSGSIZE);
	REFUSED(alias, longer, EMSGSIZE);
	REFUSED(alias, NULL, EBADMSG);
	REFUSED(bridge, longer, EMSGSIZE);
	REFUSED(group, longer, EMSGSIZE);
	REFUSED(swgroup, longer, EMSGSIZE);
	REFUSED(flags, PRIVF_ALL + 1, EBADMSG);
	REFUSED(mtu, NET_MIN_MTU - 1, EBADMSG);
	REFUSED(mtu, NET_MAX_MTU + 1, EBADMSG);
	REFUSED(mtu, 0, 0);
	REFUSED(pairs, 0, EBADMSG);
	REFUSED(pairs, NET_MAX_PAIRS + 1, EBADMSG);
	REFUSED(forwards[1].proto, 0, EBADMSG);
#undef REFUSED
	free(longer);
}

static void
switches(void **state)
{
	struct priv_switch got, s = { bridge, alias, PRIVF_UP, 9 };
	char *longer = repeat('b', NET_IFNAME_MAX);

	priv_switch_same(&s, &got);
	assert_string_equal(got.ifname, bridge);
	assert_string_equal(got.alias, alias);
	assert_int_equal(got.flags, PRIVF_UP);
	assert_int_equal(got.rdomain, 9);
	priv_switch_fini(&got);
	priv_switch_fini(&got);
	s.flags = PRIVF_RAISED;
	priv_switch_same(&s, &got);
	priv_switch_fini(&got);
	s.flags = PRIVF_RAISED << 1;
	assert_int_equal(priv_switch_through(&s), EBADMSG);
	s = (struct priv_switch){ .ifname = NULL, .alias = alias };
	assert_int_equal(priv_switch_through(&s), EBADMSG);
	s = (struct priv_switch){ .ifname = bridge, .alias = NULL };
	assert_int_equal(priv_switch_through(&s), EBADMSG);
	s = (struct priv_switch){ .ifname = longer, .alias = alias };
	assert_int_equal(priv_switch_through(&s), EMSGSIZE);
	free(longer);
}

static void
names(void **state)
{
	struct priv_name got, n = { tap };
	char *longer = repeat('b', NET_IFNAME_MAX);

	priv_name_same(&n, &got);
	assert_string_equal(got.ifname, tap);
	priv_name_fini(&got);
	priv_name_fini(&got);
	n.ifname = NULL;
	assert_int_equal(priv_name_through(&n), EBADMSG);
	n.ifname = longer;
	assert_int_equal(priv_name_through(&n), EMSGSIZE);
	free(longer);
}

/* --- answers -------------------------------------------------------------- */

static void
results(void **state)
{
	struct priv_result got,
	    r = { .err = VMERR_MAX - 1,
		    .text = text,
		    .ifname = tap,
		    .mac = { 0xfe },
		    .mtu = 1500,
		    .created = 1,
		    .forwarding = PRIVFWD_ALL,
		    .kept = text,
		    .nnotes = PRIV_MAX_NOTES };
	int i;

	for (i = 0; i < PRIV_MAX_NOTES; i++)
		r.notes[i] = note;
	priv_result_same(&r, &got);
	assert_int_equal(got.err, VMERR_MAX - 1);
	assert_string_equal(got.text, text);
	assert_string_equal(got.ifname, tap);
	assert_memory_equal(got.mac, r.mac, 6);
	assert_int_equal(got.mtu, 1500);
	assert_int_equal(got.created, 1);
	assert_int_equal(got.forwarding, PRIVFWD_ALL);
	assert_string_equal(got.kept, text);
	assert_int_equal(got.nnotes, PRIV_MAX_NOTES);
	assert_string_equal(got.notes[PRIV_MAX_NOTES - 1], note);
	priv_result_fini(&got);
	priv_result_fini(&got);
	r.nnotes = 0;
	assert_int_equal(priv_result_through(&r), 0);
	r.forwarding = PRIVFWD_ALL + 1;
	assert_int_equal(priv_result_through(&r), EBADMSG);
	r.forwarding = 0;
	r.err = VMERR_MAX;
	assert_int_equal(priv_result_through(&r), EBADMSG);
}

static void
bad_notes(void **state)
{
	struct priv_result r = { .nnotes = 2, .notes = { note } };
	char *longer = repeat('n', PRIV_NOTE_MAX + 1);
	const uint32_t lie = PRIV_MAX_NOTES + 1;
	struct ibuf *b;

	assert_int_equal(priv_result_through(&r), EBADMSG); /* one is absent */
	r.notes[1] = longer;
	assert_int_equal(priv_result_through(&r), EMSGSIZE);
	longer[PRIV_NOTE_MAX] = '\0';
	assert_int_equal(priv_result_through(&r), 0);
	r.nnotes = 0;
	b = priv_result_encode(&r);
	assert_int_equal(ibuf_set(b, ibuf_size(b) - 4, &lie, 4), 0);
	assert_int_equal(decode_part(b, ibuf_size(b), priv_result_decode), -1);
	assert_int_equal(errno, EBADMSG);
	ibuf_free(b);
	free(longer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confs),
		cmocka_unit_test(bad_confs),
		cmocka_unit_test(forwards),
		cmocka_unit_test(inits),
		cmocka_unit_test(nics),
		cmocka_unit_test(bad_nics),
		cmocka_unit_test(switches),
		cmocka_unit_test(names),
		cmocka_unit_test(results),
		cmocka_unit_test(bad_notes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
