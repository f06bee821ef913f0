/*
 * DHCP and BOOTP for the guest of a local interface, in the process of that
 * interface; requests are frames of the guest and hostile.  There is one
 * client and one address, so nothing is remembered but when the lease ends.
 * RFC 951, 1542, 2131, 2132, 3396 (not: no option here is long), 6842.
 */

#include <string.h>

#include "lib/net/dhcp.h"
#include "lib/net/pkt.h"

/* The fields of a message. */
enum {
	OP = 0,
	HTYPE = 1,
	HLEN = 2,
	HOPS = 3,
	XID = 4,
	FLAGS = 10,
	CIADDR = 12,
	YIADDR = 16,
	SIADDR = 20,
	GIADDR = 24,
	CHADDR = 28,
	SNAME = 44,
	BOOTFILE = 108,
	COOKIE = 236,
	OPTIONS = 240,
	SNAME_LEN = BOOTFILE - SNAME,
	BOOTFILE_LEN = COOKIE - BOOTFILE,
};

#define BOOTREQUEST  1
#define BOOTREPLY    2
#define MAGIC	     0x63825363
#define BROADCAST    0x8000
#define MIN_MESSAGE  300 /* and all that fits into a BOOTP reply */
#define MIN_DATAGRAM 576 /* that every client takes */
#define HEADERS	     (PKT_IP4 + PKT_UDP)
#define MESSAGE	     (PKT_ETH + HEADERS)
#define SERVER_PORT  67
#define CLIENT_PORT  68

enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_HOST = 12,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_BROADCAST = 28,
	OPT_NTP = 42,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_WANTED = 55,
	OPT_MAXSIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_CLIENT = 61,
	OPT_END = 255,
};

enum {
	BOOTP = 0, /* no type */
	DISCOVER = 1,
	OFFER = 2,
	REQUEST = 3,
	DECLINE = 4,
	ACK = 5,
	NAK = 6,
	RELEASE = 7,
	INFORM = 8,
};

struct request {
	const uint8_t *msg;
	size_t len;
	uint8_t type;
	uint8_t overload; /* 1: file, 2: sname */
	uint32_t ciaddr, requested, server, lease;
	uint16_t max; /* datagram */
	const uint8_t *wanted, *client;
	uint8_t nwanted, nclient;
};

/* Options being written; those that do not fit are left out. */
struct out {
	uint8_t *p;
	size_t len, max;
};

/* An option that is there more than once counts as it was first. */
static void
option(struct request *r, uint8_t code, const uint8_t *p, uint8_t len)
{
	if (code == OPT_TYPE && len == 1 && r->type == BOOTP)
		r->type = p[0];
	else if (code == OPT_OVERLOAD && len == 1 && r->overload == 0)
		r->overload = p[0];
	else if (code == OPT_REQUESTED && len == 4 && r->requested == 0)
		r->requested = pkt_get32(p);
	else if (code == OPT_SERVER && len == 4 && r->server == 0)
		r->server = pkt_get32(p);
	else if (code == OPT_LEASE && len == 4)
		r->lease = pkt_get32(p);
	else if (code == OPT_MAXSIZE && len == 2 && r->max == 0)
		r->max = pkt_get16(p);
	else if (code == OPT_WANTED && len > 0 && r->nwanted == 0) {
		r->wanted = p;
		r->nwanted = len;
	} else if (code == OPT_CLIENT && len > 0 && r->nclient == 0) {
		r->client = p;
		r->nclient = len;
	}
}

/* What comes after a broken option is not looked at. */
static void
options(struct request *r, const uint8_t *p, size_t len)
{
	size_t i = 0;

	while (i < len && p[i] != OPT_END) {
		if (p[i] == OPT_PAD) {
			i++;
			continue;
		}
		if (len - i < 2 || p[i + 1] > len - i - 2)
			return;
		option(r, p[i], p + i + 2, p[i + 1]);
		i += 2 + (size_t)p[i + 1];
	}
}

static int
parse(const struct net_conf *n, const struct pkt *p, struct request *r)
{
	const uint8_t *m = p->data;

	memset(r, 0, sizeof(*r));
	if (p->len < COOKIE || m[OP] != BOOTREQUEST || m[HTYPE] != 1 ||
	    m[HLEN] != 6 || m[HOPS] != 0 || pkt_get32(m + GIADDR) != 0 ||
	    memcmp(m + CHADDR, n->mac, 6) != 0)
		return -1;
	r->msg = m;
	r->len = p->len;
	r->ciaddr = pkt_get32(m + CIADDR);
	if (p->len >= OPTIONS && pkt_get32(m + COOKIE) == MAGIC)
		options(r, m + OPTIONS, p->len - OPTIONS);
	if ((r->overload & 1) != 0)
		options(r, m + BOOTFILE, BOOTFILE_LEN);
	else if (m[BOOTFILE] != 0)
		return -1;
	if ((r->overload & 2) != 0)
		options(r, m + SNAME, SNAME_LEN);
	return 0;
}

/* Is the frame from the guest to us, or to anybody? */
static int
for_us(const struct net_conf *n, const uint8_t *frame, const struct pkt *p)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint32_t dst = pkt_get32(p->dst);

	if (p->sport != CLIENT_PORT || p->dport != SERVER_PORT ||
	    memcmp(frame + 6, n->mac, 6) != 0)
		return 0;
	if (memcmp(frame, all, 6) != 0 && memcmp(frame, n->host_mac, 6) != 0)
		return 0;
	return dst == UINT32_MAX || dst == n->host4;
}

static void
put(struct out *o, uint8_t code, const void *p, size_t len)
{
	if (len == 0 || len > 255 || o->len + 2 + len + 1 > o->max)
		return;
	o->p[o->len] = code;
	o->p[o->len + 1] = (uint8_t)len;
	memcpy(o->p + o->len + 2, p, len);
	o->len += 2 + len;
}

static void
put_u32s(struct out *o, uint8_t code, const uint32_t *v, uint32_t n)
{
	uint8_t b[4 * NET_MAX_SERVERS];
	uint32_t i;

	for (i = 0; i < n && i < NET_MAX_SERVERS; i++)
		pkt_put32(b + 4 * i, v[i]);
	put(o, code, b, 4 * (size_t)i);
}

static void
put_u32(struct out *o, uint8_t code, uint32_t v)
{
	put_u32s(o, code, &v, 1);
}

static int
wants(const struct request *r, uint8_t code)
{
	return r->nwanted == 0 || memchr(r->wanted, code, r->nwanted) != NULL;
}

static int
forever(const struct net_conf *n)
{
	return n->lease == 0 || n->lease == UINT32_MAX;
}

static void
put_lease(struct out *o, const struct net_conf *n)
{
	put_u32(o, OPT_LEASE, forever(n) ? UINT32_MAX : n->lease);
	if (forever(n))
		return;
	put_u32(o, OPT_T1, n->lease / 2);
	put_u32(o, OPT_T2, n->lease - n->lease / 8);
}

static void
put_config(struct out *o, const struct net_conf *n, const struct request *r)
{
	const uint8_t mtu[2] = { (uint8_t)(n->mtu >> 8), (uint8_t)n->mtu };

	put_u32(o, OPT_MASK, 0xfffffffe);
	put_u32(o, OPT_ROUTER, n->host4);
	put_u32s(o, OPT_DNS, n->dns4, n->ndns4);
	if (wants(r, OPT_HOST) || (n->flags & NETF_BOOT) != 0)
		put(o, OPT_HOST, n->host, strnlen(n->host, NET_NAME_MAX));
	if (wants(r, OPT_BROADCAST)) /* RFC 3021, 3.3: no other on a /31 */
		put_u32(o, OPT_BROADCAST, UINT32_MAX);
	if (wants(r, OPT_MTU) && n->mtu != 0)
		put(o, OPT_MTU, mtu, sizeof(mtu));
	if (wants(r, OPT_DOMAIN))
		put(o, OPT_DOMAIN, n->domain,
		    strnlen(n->domain, NET_DOMAIN_MAX));
	if (wants(r, OPT_NTP))
		put_u32s(o, OPT_NTP, n->ntp4, n->nntp4);
}

/* How many bytes of options the client takes, if `size' is a frame. */
static size_t
room(const struct net_conf *n, const struct request *r, size_t size)
{
	size_t max = r->max;

	if (r->type == BOOTP)
		return MIN_MESSAGE - OPTIONS;
	if (n->mtu != 0 && max > n->mtu)
		max = n->mtu;
	if (max > size - PKT_ETH)
		max = size - PKT_ETH;
	if (max < MIN_DATAGRAM)
		max = MIN_DATAGRAM;
	return max - HEADERS - OPTIONS;
}

/* The fixed part of an answer of `type' (of ours). */
static void
fields(const struct net_conf *n, const struct request *r, uint8_t type,
    uint8_t *m)
{
	static const char boot[] = "auto_install";

	m[OP] = BOOTREPLY;
	m[HTYPE] = 1;
	m[HLEN] = 6;
	memcpy(m + XID, r->msg + XID, 4);
	memcpy(m + FLAGS, r->msg + FLAGS, 2);
	memcpy(m + CHADDR, n->mac, 6);
	pkt_put32(m + COOKIE, MAGIC);
	if (type == NAK)
		return;
	if (type != OFFER)
		pkt_put32(m + CIADDR, r->ciaddr);
	if (r->type != INFORM)
		pkt_put32(m + YIADDR, n->guest4);
	pkt_put32(m + SIADDR, n->host4);
	if ((n->flags & NETF_BOOT) != 0)
		memcpy(m + BOOTFILE, boot, sizeof(boot));
}

static size_t
message(const struct net_conf *n, const struct request *r, uint8_t type,
    uint8_t *m, size_t size)
{
	struct out o = { m + OPTIONS, 0, room(n, r, size) };

	memset(m, 0, OPTIONS + o.max);
	fields(n, r, type, m);
	if (type != BOOTP) {
		put(&o, OPT_TYPE, &type, 1);
		if (type != NAK && r->type != INFORM)
			put_lease(&o, n);
		put_u32(&o, OPT_SERVER, n->host4);
		put(&o, OPT_CLIENT, r->client, r->nclient);
	}
	if (type != NAK)
		put_config(&o, n, r);
	o.p[o.len++] = OPT_END;
	return OPTIONS + o.len < MIN_MESSAGE ? MIN_MESSAGE : OPTIONS + o.len;
}

/* To whom: RFC 2131, 4.1. */
static int
reply(const struct net_conf *n, const struct request *r, uint8_t type,
    uint8_t *frame, size_t size)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct pkt_to t = { .smac = n->host_mac,
		.dmac = n->mac,
		.src4 = n->host4,
		.dst4 = n->guest4,
		.sport = SERVER_PORT,
		.dport = CLIENT_PORT };

	if (size < PKT_ETH + MIN_DATAGRAM)
		return NET_EATEN;
	if (type == NAK ||
	    (r->ciaddr == 0 && (r->msg[FLAGS] & BROADCAST >> 8) != 0)) {
		t.dmac = all;
		t.dst4 = UINT32_MAX;
	} else if (r->ciaddr != 0)
		t.dst4 = r->ciaddr;
	t.len = message(n, r, type, frame + MESSAGE, size);
	return (int)pkt_put_udp4(frame, &t);
}

static void
granted(const struct net_conf *n, const struct request *r, uint64_t now,
    struct net_lease *l)
{
	l->grants++;
	if (r->type == BOOTP || forever(n))
		l->until = NET_LEASE_FOREVER;
	else
		l->until = now + n->lease;
}

/* The address that is asked for or in use, if any, must be the right one. */
static int
right(const struct net_conf *n, const struct request *r)
{
	return (r->requested == 0 || r->requested == n->guest4) &&
	    (r->ciaddr == 0 || r->ciaddr == n->guest4);
}

static int
request(const struct net_conf *n, const struct request *r, uint64_t now,
    struct net_lease *l, uint8_t *frame, size_t size)
{
	if (!right(n, r)) {
		l->refused++;
		return reply(n, r, NAK, frame, size);
	}
	granted(n, r, now, l);
	return reply(n, r, r->type == BOOTP ? BOOTP : ACK, frame, size);
}

int
net_dhcp(const struct net_conf *n, const uint8_t *frame, size_t len, int how,
    uint64_t now, struct net_lease *l, uint8_t *buf, size_t size)
{
	struct request r;
	struct pkt p;

	if ((n->flags & NETF_LOCAL) == 0 || n->host4 == 0 || n->guest4 == 0 ||
	    pkt_udp4(frame, len, how, &p) == -1 || !for_us(n, frame, &p) ||
	    parse(n, &p, &r) == -1)
		return 0;
	if (r.server != 0 && r.server != n->host4)
		return 0;
	switch (r.type) {
	case BOOTP:
		return right(n, &r) ? request(n, &r, now, l, buf, size) : 0;
	case DISCOVER:
		return reply(n, &r, OFFER, buf, size);
	case REQUEST:
		return request(n, &r, now, l, buf, size);
	case INFORM:
		return reply(n, &r, ACK, buf, size);
	case DECLINE:
		l->declined++;
		/* FALLTHROUGH */
	case RELEASE:
		l->until = 0;
		return NET_EATEN;
	default:
		return NET_EATEN;
	}
}

/* As far as can be told from its first bytes. */
static int
from_server(const uint8_t *frame, size_t len)
{
	const uint8_t *udp;

	if (len < MESSAGE + OPTIONS || pkt_get16(frame + 12) != PKT_TYPE_IP4 ||
	    frame[PKT_ETH + 9] != PKT_UDP_PROTO)
		return 0;
	udp = frame + PKT_ETH + (size_t)(frame[PKT_ETH] & 15) * 4;
	return pkt_get16(udp) == SERVER_PORT &&
	    pkt_get16(udp + 2) == CLIENT_PORT;
}

int
net_dhcp_seen(const uint8_t mac[6], const uint8_t *frame, size_t len,
    uint32_t *address, uint32_t *seconds)
{
	struct request r = { 0 };
	const uint8_t *m;
	struct pkt p;

	if (!from_server(frame, len) || pkt_udp4(frame, len, 0, &p) == -1 ||
	    p.len < OPTIONS)
		return 0;
	m = p.data;
	if (m[OP] != BOOTREPLY || m[HLEN] != 6 ||
	    memcmp(m + CHADDR, mac, 6) != 0 || pkt_get32(m + COOKIE) != MAGIC)
		return 0;
	options(&r, m + OPTIONS, p.len - OPTIONS);
	if (r.type != ACK && r.type != NAK)
		return 0;
	*address = r.type == ACK ? pkt_get32(m + YIADDR) : 0;
	*seconds = r.type == ACK ? r.lease : 0;
	/* The answer to an INFORM is about no address. */
	return r.type == NAK || *address != 0;
}
