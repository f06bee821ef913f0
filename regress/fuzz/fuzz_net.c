/*
 * A frame of a guest: flags of the interface, what to do with the frame, then
 * the frame.  Answers are whole frames from the host to the guest, nothing is
 * answered that net_wants() would have kept away, and what the filter lets
 * pass still passes after the kernel has put a checksum into it.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/net/addr.h"
#include "lib/net/answer.h"
#include "lib/net/dhcp.h"
#include "lib/net/dhcp6.h"
#include "lib/net/filter.h"
#include "lib/net/pkt.h"
#include "lib/net/ra.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
	HOW_PARTIAL = 0x01, /* as NET_PARTIAL */
	HOW_FIX = 0x02,	    /* make the checksum of IPv4 right */
	HOW_BARE = 0x04,    /* an interface that has nothing to give */
	HOW_SIZE = 0xf8,    /* room for the reply: all, or less */
};

static struct net_conf conf;

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
configure(uint8_t flags, uint8_t how)
{
	static const struct net_conf like = {
		.mtu = 1400,
		.pairs = 1,
		.lease = 3600,
		.mac = { 0xfe, 0xe1, 0xbb, 0xd1, 0x02, 0x03 },
		.host_mac = { 0xfe, 0xe1, 0xba, 0xd1, 0x02, 0x03 },
		.host4 = 0x64400102,
		.guest4 = 0x64400103,
		.ndns4 = 3,
		.nntp4 = 3,
		.ndns6 = 3,
		.host = "web",
		.domain = "a-long-name-of-a-domain.example.org",
	};

	conf = like;
	conf.flags = flags & NETF_ALL;
	net_addr6_host(net_router6, conf.guest4, conf.host6);
	conf.host6[0] = 0xfd;
	net_addr6_eui64(conf.host6, conf.mac, conf.guest6);
	if ((how & HOW_BARE) != 0) {
		conf.mtu = conf.ndns4 = conf.nntp4 = conf.ndns6 = 0;
		conf.lease = 0;
		conf.host[0] = conf.domain[0] = '\0';
	}
}

static void
fix(uint8_t *frame, size_t len)
{
	size_t i, hlen;
	uint32_t s = 0;

	if (len < PKT_ETH + PKT_IP4 || pkt_get16(frame + 12) != PKT_TYPE_IP4)
		return;
	hlen = (size_t)(frame[PKT_ETH] & 15) * 4;
	if (hlen < PKT_IP4 || hlen > len - PKT_ETH)
		return;
	pkt_put16(frame + PKT_ETH + 10, 0);
	for (i = 0; i < hlen; i += 2)
		s += pkt_get16(frame + PKT_ETH + i);
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	pkt_put16(frame + PKT_ETH + 10, (uint16_t)~s);
}

static void
answer(const uint8_t *frame, size_t len, uint8_t how)
{
	size_t size = NET_REPLY_MAX - (size_t)(how & HOW_SIZE) * 4;
	struct net_lease lease = { 0, 0, 0, 0 };
	struct pkt p;
	uint32_t address, seconds;
	uint8_t *reply;
	int n;

	if ((reply = malloc(size)) == NULL)
		abort();
	n = net_answer(&conf, frame, len, how & HOW_PARTIAL, 1, &lease, reply,
	    size);
	check(n >= NET_EATEN && (n <= 0 || (size_t)n <= size));
	if (n != 0)
		check(net_wants(&conf, frame, len < NET_HEAD ? len : NET_HEAD));
	if (n > 0) {
		check((reply[0] & 1) != 0 || memcmp(reply, conf.mac, 6) == 0);
		check(memcmp(reply + 6, conf.host_mac, 6) == 0);
		check(pkt_udp4(reply, (size_t)n, 0, &p) == 0 ||
		    pkt_udp6(reply, (size_t)n, 0, &p) == 0 ||
		    pkt_icmp6(reply, (size_t)n, 0, &p) == 0);
		check(p.data + p.len == reply + n);
	}
	free(reply);
	/* Each alone has to stand frames of the others. */
	if (net_dhcp_seen(conf.mac, frame, len, &address, &seconds))
		check(address != 0 || seconds == 0);
	check(net_dhcp(&conf, frame, len, 1, 1, &lease, NULL, 0) <= 0);
	check(net_dhcp6(&conf, frame, len, 1, NULL, 0) <= 0);
	check(net_ra(&conf, frame, len, 1, NULL, 0) <= 0);
}

/* `head' is the first part, alone on the heap, and may be changed. */
static void
filter(uint8_t *head, size_t len, uint8_t what)
{
	size_t csum;

	net_filter_in(&conf, head, len);
	if (net_filter(&conf, head, len, 0))
		check((conf.flags & NETF_LOCKED) == 0 ||
		    memcmp(head + 6, conf.mac, 6) == 0);
	for (csum = 1; csum + 2 <= len; csum++) {
		if (!net_filter(&conf, head, len, csum))
			continue;
		head[csum] = what;
		head[csum + 1] = (uint8_t)~what;
		check(net_filter(&conf, head, len, 0));
		if ((conf.flags & NETF_LOCKED) == 0)
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy;
	size_t n;

	if (len < 2)
		return 0;
	configure(data[0], data[1]);
	n = len - 2;
	if ((copy = malloc(n + 1)) == NULL)
		abort();
	memcpy(copy, data + 2, n);
	if ((data[1] & HOW_FIX) != 0)
		fix(copy, n);
	if ((copy = realloc(copy, n + (n == 0))) == NULL)
		abort();
	answer(copy, n, data[1]);
	n = n < NET_HEAD ? n : NET_HEAD;
	if ((copy = realloc(copy, n + (n == 0))) == NULL)
		abort();
	filter(copy, n, data[0]);
	free(copy);
	return 0;
}
