/*
 * Addresses of local interfaces: the scheme, its limits, and MACs.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/addr.h"
#include "lib/net/mac.h"

static uint32_t
ip(const char *s)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, s, &a), 1);
	return ntohl(a.s_addr);
}

static void
good(const char *prefix, unsigned int len, uint32_t id, unsigned int idx,
    const char *host, const char *guest)
{
	uint32_t h, g;

	assert_int_equal(net_addr4(ip(prefix), len, id, idx, &h, &g), 0);
	assert_int_equal(h, ip(host));
	assert_int_equal(g, ip(guest));
}

static void
bad(const char *prefix, unsigned int len, uint32_t id, unsigned int idx, int e)
{
	uint32_t h = 1, g = 2;

	errno = 0;
	assert_int_equal(net_addr4(ip(prefix), len, id, idx, &h, &g), -1);
	assert_int_equal(errno, e);
	assert_int_equal(h, 1);
	assert_int_equal(g, 2);
}

static void
default_prefix(void **state)
{
	good("100.64.0.0", 10, 1, 0, "100.64.1.2", "100.64.1.3");
	good("100.64.0.0", 10, 1, 1, "100.64.1.4", "100.64.1.5");
	good("100.64.0.0", 10, 300, 0, "100.65.44.2", "100.65.44.3");
	good("100.64.0.0", 10, 1, 126, "100.64.1.254", "100.64.1.255");
	good("100.64.0.0", 10, 16383, 0, "100.127.255.2", "100.127.255.3");
	good("100.64.0.0", 10, 16383, 126, "100.127.255.254",
	    "100.127.255.255");
	bad("100.64.0.0", 10, 16384, 0, ERANGE);
	bad("100.64.0.0", 10, UINT32_MAX, 0, ERANGE);
	bad("100.64.0.0", 10, 1, 127, ERANGE);
	bad("100.64.0.0", 10, 1, UINT32_MAX, ERANGE);
}

static void
other_prefixes(void **state)
{
	good("10.7.0.0", 16, 255, 0, "10.7.255.2", "10.7.255.3");
	bad("10.7.0.0", 16, 256, 0, ERANGE);
	good("10.7.99.99", 16, 1, 0, "10.7.1.2", "10.7.1.3");
	good("10.7.8.0", 24, 0, 3, "10.7.8.8", "10.7.8.9");
	bad("10.7.8.0", 24, 1, 0, ERANGE);
	good("10.7.8.0", 30, 0, 0, "10.7.8.2", "10.7.8.3");
	bad("10.7.8.0", 30, 0, 1, ERANGE);
	bad("10.7.8.0", 31, 0, 0, ERANGE);
	bad("10.7.8.0", 32, 0, 0, EINVAL);
	bad("10.7.8.0", UINT32_MAX, 0, 0, EINVAL);
	good("0.0.0.0", 0, 0xffffff, 0, "255.255.255.2", "255.255.255.3");
	bad("0.0.0.0", 0, 0x1000000, 0, ERANGE);
}

static void
ipv6(void **state)
{
	uint8_t prefix[16], want[16], got[16];
	const uint8_t mac[6] = { 0xfe, 0xe1, 0xbb, 0xd1, 0x02, 0x03 };
	char text[INET6_ADDRSTRLEN];

	inet_pton(AF_INET6, "fd12:3456:789a:bcde::", prefix);
	inet_pton(AF_INET6, "fd12:3456:789a:bcde:6440:103:0:1", want);
	net_addr6_host(prefix, ip("100.64.1.3"), got);
	assert_memory_equal(got, want, 16);
	inet_pton(AF_INET6, "fd12:3456:789a:bcde:fce1:bbff:fed1:203", want);
	net_addr6_eui64(prefix, mac, got);
	assert_memory_equal(got, want, 16);
	/* In place, and with a universal MAC. */
	inet_pton(AF_INET6, "fe80::1234", prefix);
	net_addr6_eui64(prefix, (const uint8_t *)"\x00\x11\x22\x33\x44\x55",
	    prefix);
	assert_string_equal(inet_ntop(AF_INET6, prefix, text, sizeof(text)),
	    "fe80::211:22ff:fe33:4455");
	assert_string_equal(inet_ntop(AF_INET6, net_router6, text,
				sizeof(text)),
	    "fe80::1");
}

/* Guests keep their MACs: what sha256sum(1) says at the end holds for ever. */
static void
macs(void **state)
{
	static const uint8_t known[6] = { 0xfe, 0xe1, 0xbb, 0, 0, 0 };
	static const struct {
		const char *machine, *tag, *vm;
		unsigned int idx, nth;
	} all[] = { { "m", "t", "vm", 0, 0 }, { "n", "t", "vm", 0, 0 },
		{ "m", "u", "vm", 0, 0 }, { "m", "t", "wm", 0, 0 },
		{ "m", "t", "vm", 1, 0 }, { "m", "t", "vm", 0, 1 },
		{ "mt", "", "vm", 0, 0 }, { "m", "tv", "m", 0, 0 } };
	enum {
		N = sizeof(all) / sizeof(all[0])
	};
	uint8_t mac[N][6], again[6];
	size_t i, k;

	for (i = 0; i < N; i++) {
		net_mac(all[i].machine, all[i].tag, all[i].vm, all[i].idx,
		    all[i].nth, mac[i]);
		net_mac(all[i].machine, all[i].tag, all[i].vm, all[i].idx,
		    all[i].nth, again);
		assert_memory_equal(mac[i], again, 6);
		assert_memory_equal(mac[i], known, 3);
		for (k = 0; k < i; k++)
			assert_memory_not_equal(mac[i], mac[k], 6);
	}
	assert_memory_equal(mac[0] + 3, "\x80\xc7\x1f", 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_prefix),
		cmocka_unit_test(other_prefixes),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(macs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
