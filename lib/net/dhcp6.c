/*
 * Stateless DHCPv6 for the guest of a local interface, in the process of
 * that interface.  Messages are frames of the guest and hostile.  Addresses
 * come from router advertisements; who asks for some here gets the refusal
 * that RFC 8415, 18.3, has for that.
 */

#include <string.h>

#include "lib/net/addr.h"
#include "lib/net/dhcp6.h"
#include "lib/net/pkt.h"

#define AT	    (PKT_ETH + PKT_IP6 + PKT_UDP)
#define CLIENT_PORT 546
#define SERVER_PORT 547
#define DUID_LEN    10
#define MAX_IDS	    8 /* identity associations looked at */

enum {
	SOLICIT = 1,
	ADVERTISE = 2,
	REQUEST = 3,
	RENEW = 5,
	REBIND = 6,
	REPLY = 7,
	RELEASE = 8,
	DECLINE = 9,
	INFORMATION = 11,
};

enum {
	OPT_CLIENT = 1,
	OPT_SERVER = 2,
	OPT_NA = 3,
	OPT_TA = 4,
	OPT_WANTED = 6,
	OPT_STATUS = 13,
	OPT_DNS = 23,
	OPT_DOMAIN = 24,
	OPT_PD = 25,
};

enum {
	SUCCESS = 0,
	NO_ADDRS = 2,
	NO_BINDING = 3,
	NO_PREFIX = 6,
};

/* What a message must name: RFC 8415, 16. */
enum {
	NAMES_NONE,
	NAMES_US,
	NAMES_PERHAPS
};

static const struct kind {
	uint8_t answer; /* type, 0: none */
	uint8_t server; /* NAMES_* */
	uint8_t na, pd; /* status of addresses and of prefixes */
	uint8_t ids;	/* may have identity associations */
} kinds[] = {
	[SOLICIT] = { ADVERTISE, NAMES_NONE, NO_ADDRS, NO_PREFIX, 1 },
	[REQUEST] = { REPLY, NAMES_US, NO_ADDRS, NO_PREFIX, 1 },
	[RENEW] = { REPLY, NAMES_US, NO_BINDING, NO_BINDING, 1 },
	[REBIND] = { REPLY, NAMES_NONE, NO_BINDING, NO_BINDING, 1 },
	[RELEASE] = { REPLY, NAMES_US, NO_BINDING, NO_BINDING, 1 },
	[DECLINE] = { REPLY, NAMES_US, NO_BINDING, NO_BINDING, 1 },
	[INFORMATION] = { REPLY, NAMES_PERHAPS, 0, 0, 0 },
};

struct request {
	const uint8_t *client, *server, *wanted;
	size_t nclient, nserver, nwanted;
	const uint8_t *ids[MAX_IDS]; /* of the options */
	size_t nids;
};

struct out {
	uint8_t *p;
	size_t len, max;
};

static const uint8_t servers[16] = { 0xff, 0x02, [13] = 1, [15] = 2 };

static int
option(struct request *r, const uint8_t *p, size_t len)
{
	switch (pkt_get16(p)) {
	case OPT_CLIENT:
		r->client = p + 4;
		r->nclient = len;
		return len >= 3 && len <= 130;
	case OPT_SERVER:
		r->server = p + 4;
		r->nserver = len;
		return 1;
	case OPT_WANTED:
		r->wanted = p + 4;
		r->nwanted = len / 2;
		return len % 2 == 0;
	case OPT_NA:
	case OPT_PD:
		if (len < 12)
			return 0;
		break;
	case OPT_TA:
		if (len < 4)
			return 0;
		break;
	default:
		return 1;
	}
	if (r->nids < MAX_IDS)
		r->ids[r->nids++] = p;
	return 1;
}

static int
parse(const uint8_t *p, size_t len, struct request *r)
{
	size_t i = 4, n;

	memset(r, 0, sizeof(*r));
	while (i < len) {
		if (len - i < 4 || (n = pkt_get16(p + i + 2)) > len - i - 4)
			return -1;
		if (!option(r, p + i, n))
			return -1;
		i += 4 + n;
	}
	return 0;
}

static void
duid(const struct net_conf *n, uint8_t *d)
{
	pkt_put16(d, 3); /* of a link-layer address */
	pkt_put16(d + 2, 1);
	memcpy(d + 4, n->host_mac, 6);
}

/* Is it a message that has what it must have, and is for this server? */
static int
valid(const struct net_conf *n, const struct kind *k, const struct request *r)
{
	uint8_t d[DUID_LEN];

	duid(n, d);
	if (r->client == NULL && k->ids)
		return 0;
	if (r->nids > 0 && !k->ids)
		return 0;
	if (r->server == NULL)
		return k->server != NAMES_US;
	return k->server != NAMES_NONE && r->nserver == DUID_LEN &&
	    memcmp(r->server, d, DUID_LEN) == 0;
}

/* Room for the data of an option, or NULL. */
static uint8_t *
put(struct out *o, uint16_t code, size_t len)
{
	uint8_t *p = o->p + o->len;

	if (len + 4 > o->max - o->len)
		return NULL;
	pkt_put16(p, code);
	pkt_put16(p + 2, (uint16_t)len);
	o->len += 4 + len;
	return p + 4;
}

static void
put_copy(struct out *o, uint16_t code, const void *from, size_t len)
{
	uint8_t *p;

	if (len > 0 && (p = put(o, code, len)) != NULL)
		memcpy(p, from, len);
}

/* The association as it was asked for, without addresses, and why. */
static void
put_id(struct out *o, const uint8_t *id, const struct kind *k)
{
	uint16_t code = pkt_get16(id);
	size_t head = code == OPT_TA ? 4 : 12;
	uint8_t *p;

	if ((p = put(o, code, head + 6)) == NULL)
		return;
	memset(p, 0, head);
	memcpy(p, id + 4, 4);
	pkt_put16(p + head, OPT_STATUS);
	pkt_put16(p + head + 2, 2);
	pkt_put16(p + head + 4, code == OPT_PD ? k->pd : k->na);
}

static int
wants(const struct request *r, uint16_t code)
{
	size_t i;

	for (i = 0; i < r->nwanted; i++)
		if (pkt_get16(r->wanted + 2 * i) == code)
			return 1;
	return r->wanted == NULL;
}

static void
put_config(struct out *o, const struct net_conf *n, const struct request *r)
{
	uint8_t name[256];

	if (wants(r, OPT_DNS) && n->ndns6 <= NET_MAX_SERVERS)
		put_copy(o, OPT_DNS, n->dns6, 16 * (size_t)n->ndns6);
	if (wants(r, OPT_DOMAIN))
		put_copy(o, OPT_DOMAIN, name,
		    pkt_domain(n->domain, name, sizeof(name)));
}

static size_t
message(const struct net_conf *n, const uint8_t *msg, const struct request *r,
    uint8_t *m, size_t max)
{
	const struct kind *k = &kinds[msg[0]];
	struct out o = { m, 4, max };
	uint8_t d[DUID_LEN];
	size_t i;

	m[0] = k->answer;
	memcpy(m + 1, msg + 1, 3);
	duid(n, d);
	put_copy(&o, OPT_CLIENT, r->client, r->nclient);
	put_copy(&o, OPT_SERVER, d, sizeof(d));
	for (i = 0; i < r->nids; i++)
		put_id(&o, r->ids[i], k);
	if (msg[0] == RELEASE || msg[0] == DECLINE)
		put_copy(&o, OPT_STATUS, "\0\0", 2);
	else
		put_config(&o, n, r);
	return o.len;
}

/* RFC 8415, 7: between link-local addresses. */
static int
for_us(const struct net_conf *n, const uint8_t *frame, const struct pkt *p)
{
	return p->dport == SERVER_PORT && memcmp(frame + 6, n->mac, 6) == 0 &&
	    memcmp(p->dst, servers, 16) == 0 && p->src[0] == 0xfe &&
	    (p->src[1] & 0xc0) == 0x80;
}

int
net_dhcp6(const struct net_conf *n, const uint8_t *frame, size_t len, int how,
    uint8_t *reply, size_t size)
{
	struct pkt_to t = { .smac = n->host_mac,
		.dmac = n->mac,
		.src = net_router6,
		.sport = SERVER_PORT,
		.dport = CLIENT_PORT };
	struct request r;
	struct pkt p;

	if ((n->flags & NETF_LOCAL) == 0 || (n->flags & NETF_INET6) == 0 ||
	    pkt_udp6(frame, len, how, &p) == -1 || !for_us(n, frame, &p))
		return 0;
	if (p.len < 4 || p.data[0] >= sizeof(kinds) / sizeof(kinds[0]) ||
	    kinds[p.data[0]].answer == 0 || parse(p.data, p.len, &r) == -1 ||
	    !valid(n, &kinds[p.data[0]], &r) || size < AT + 4)
		return NET_EATEN;
	t.dst = p.src;
	t.len = message(n, p.data, &r, reply + AT, size - AT);
	return (int)pkt_put_udp6(reply, &t);
}
