/*
 * A network interface: DHCP, ARP and UDP with a peer on the other side of
 * the tap (net.py), frames to be segmented both ways, with and without what
 * the driver may agree to, several queues, and a reset while frames come.
 */
#include "net.h"

#define MEM	 0x2000000ULL /* 32 MiB up */
#define PEER	 7777
#define TRIES	 8
#define UDP_DATA 42
#define TCP_DATA 54
#define BULK	 40000U
#define MSS	 1448

static struct nic nic;
static uint32_t me, host; /* addresses */
static uint8_t host_mac[6];
static uint8_t out[NET_BIG], in[NET_BIG + 4096];
static struct net_hdr in_hdr;
static unsigned int sendq, recvq;

static const struct {
	const char *name;
	uint64_t features;
} modes[] = {
	{ "nothing", 0 },
	{ "events", VIRTIO_EVENT_IDX | VIRTIO_INDIRECT },
	{ "mergeable", NET_F_MRG | NET_F_STATUS | NET_F_CTRL },
	{ "checksums", NET_F_CSUM | NET_F_GUEST_CSUM },
	{ "all",
	    NET_F_MRG | NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 |
		NET_F_HOST_TSO4 | NET_F_CTRL | NET_F_CTRL_RX |
		VIRTIO_EVENT_IDX | NET_F_MTU | NET_F_STATUS },
	{ "big",
	    NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 |
		NET_F_HOST_TSO4 },
};

/* --- frames ------------------------------------------------------------------ */

/* Is the transport's checksum right? */
static int
sum_ok(const uint8_t *f, unsigned int len)
{
	return net_ip_sum(f, len - 34) == 0xffff;
}

/* The checksum by the device where it does that, else by us. */
static void
finish(struct net_hdr *h, unsigned int len, unsigned int offset)
{
	uint8_t *at = out + 34 + offset;

	memset(h, 0, sizeof(*h));
	if (nic.dev.features & NET_F_CSUM) {
		net_put16(at, net_fold(net_pseudo(out, len - 34)));
		h->flags = 1;
		h->csum_start = 34;
		h->csum_offset = (uint16_t)offset;
		return;
	}
	net_put16(at, 0);
	net_put16(at, ~net_ip_sum(out, len - 34) & 0xffff);
}

static int
send_udp(uint32_t from, uint32_t to, unsigned int sport, unsigned int dport,
    unsigned int len)
{
	struct net_hdr h;
	uint8_t *u = out + 34;

	net_ip(out, 17, from, to, 8 + len);
	net_put16(u, sport);
	net_put16(u + 2, dport);
	net_put16(u + 4, 8 + len);
	finish(&h, UDP_DATA + len, 6);
	return net_send(&nic, sendq, &h, out, UDP_DATA + len);
}

/* The next frame that `match' likes: its length, or 0 after a second. */
static unsigned int
await(int (*match)(unsigned int len))
{
	uint32_t from = pm_now();
	unsigned int len, q;

	do {
		for (q = 0; q <= recvq; q++) {
			len = net_poll(&nic, q, &in_hdr, in);
			if (len > 0 && match(len))
				return len;
		}
	} while (pm_since(from) < PM_HZ);
	return 0;
}

/* --- who we are ---------------------------------------------------------------- */

static unsigned int dhcp_type;

static int
is_dhcp(unsigned int len)
{
	return len >= UDP_DATA + 240 && net_get16(in + 12) == 0x800 &&
	    in[23] == 17 && net_get16(in + 36) == 68 &&
	    in[UDP_DATA + 242] == dhcp_type && sum_ok(in, len);
}

static int
dhcp(unsigned int type, unsigned int answer)
{
	net_ethernet(out, &nic, net_all, 0x800);
	net_dhcp(out + UDP_DATA, &nic, type, me);
	dhcp_type = answer;
	if (!send_udp(0, 0xffffffff, 68, 67, NET_DHCP) || !await(is_dhcp))
		return 0;
	me = net_get32(in + UDP_DATA + 16);
	host = net_get32(in + UDP_DATA + 20);
	return 1;
}

static int
is_arp(unsigned int len)
{
	return len >= 42 && net_get16(in + 12) == 0x806 &&
	    net_get16(in + 20) == 2 && net_get32(in + 28) == host;
}

static int
arp(void)
{
	static const struct net_hdr none;
	unsigned int i, len = 0;

	net_arp(out, &nic, me, host);
	/* The host may not have noticed yet that the tap is in use. */
	for (i = 0; i < TRIES && len == 0; i++) {
		if (!net_send(&nic, sendq, &none, out, 60))
			return 0;
		len = await(is_arp);
	}
	if (len == 0)
		return 0;
	memcpy(host_mac, in + 22, 6);
	return 1;
}

/* --- with the peer ---------------------------------------------------------------- */

static unsigned int want;

static int
is_reply(unsigned int len)
{
	return len >= UDP_DATA && net_get16(in + 12) == 0x800 && in[23] == 17 &&
	    net_get16(in + 34) == PEER && net_get16(in + 38) == 8 + want &&
	    (in_hdr.flags & 1 || sum_ok(in, 34 + 8 + want));
}

/* `len' bytes to the peer, and as many, or `back', to us. */
static int
ask(unsigned int len, unsigned int back)
{
	unsigned int i;

	want = back;
	for (i = 0; i < TRIES; i++) {
		net_ethernet(out, &nic, host_mac, 0x800);
		if (!send_udp(me, host, 1000 + sendq, PEER, len))
			return 0;
		if (await(is_reply))
			return 1;
	}
	return 0;
}

static int
echo(unsigned int len)
{
	uint8_t *p = out + UDP_DATA;
	unsigned int i;

	p[0] = 'e';
	for (i = 1; i < len; i++)
		p[i] = (uint8_t)(i * 7 + len);
	return ask(len, len) && memcmp(in + UDP_DATA, p, len) == 0;
}

static int
echoes(void)
{
	unsigned int len;

	for (len = 1; len < 1472; len += len < 40 ? 3 : 131)
		if (!echo(len))
			return 0;
	return echo(1472);
}

/* One frame of many segments, to the peer, which counts them. */
static int
send_bulk(void)
{
	struct net_hdr h;
	uint8_t *t = out + 34;
	uint32_t sum = 0;
	unsigned int i;

	out[UDP_DATA] = 'q';
	if (!ask(1, 8)) /* nothing, by now */
		return 0;
	net_ethernet(out, &nic, host_mac, 0x800);
	net_ip(out, 6, me, host, 20 + BULK);
	memset(t, 0, 20);
	net_put16(t, 1234);
	net_put16(t + 2, 9);
	t[12] = 0x50;
	t[13] = 0x10;
	for (i = 0; i < BULK; i++) {
		out[TCP_DATA + i] = (uint8_t)(i * 13 + (i >> 8));
		sum += out[TCP_DATA + i];
	}
	finish(&h, TCP_DATA + BULK, 16);
	h.gso_type = 1;
	h.gso_size = MSS;
	h.hdr_len = TCP_DATA;
	if (!net_send(&nic, sendq, &h, out, TCP_DATA + BULK))
		return 0;
	out[UDP_DATA] = 'q';
	return ask(1, 8) && net_get32(in + UDP_DATA) == BULK &&
	    net_get32(in + UDP_DATA + 4) == sum;
}

static uint32_t next_seq;

static int
is_bulk(unsigned int len)
{
	return len >= TCP_DATA && net_get16(in + 12) == 0x800 && in[23] == 6 &&
	    net_get16(in + 34) == 9;
}

/* The peer sends as much at once: what comes depends on what we take. */
static int
receive_bulk(void)
{
	int tso = (nic.dev.features & NET_F_GUEST_TSO4) != 0;
	unsigned int len, i, n, frames = 0;

	out[UDP_DATA] = 'g';
	net_ethernet(out, &nic, host_mac, 0x800);
	if (!send_udp(me, host, 1000, PEER, 1))
		return 0;
	for (next_seq = 0; next_seq < BULK; next_seq += n, frames++) {
		if ((len = await(is_bulk)) == 0)
			return 0;
		n = net_get16(in + 16) - 40;
		if (n + TCP_DATA > len || net_get32(in + 38) != next_seq ||
		    (!tso && n > MSS) ||
		    (!(in_hdr.flags & 1) && !sum_ok(in, TCP_DATA + n)))
			return 0;
		for (i = 0; i < n; i++)
			if (in[TCP_DATA + i] !=
			    (uint8_t)((next_seq + i) * 3 +
				((next_seq + i) >> 8)))
				return 0;
	}
	return tso ? frames == 1 : frames == (BULK + MSS - 1) / MSS;
}

/* --- tests ------------------------------------------------------------------------ */

static void
named(int ok, const char *mode, const char *what)
{
	put(ok ? "PASS " : "FAIL ");
	put(mode);
	put(": ");
	put(what);
	put_char('\n');
}

static void
mode(unsigned int i)
{
	const char *m = modes[i].name;

	if (!net_up(&nic, modes[i].features | NET_F_MAC, MEM, VIRTIO_NOMSI)) {
		named(0, m, "up");
		return;
	}
	me = 0;
	named(dhcp(1, 2) && me != 0, m, "offer");
	named(dhcp(3, 5), m, "lease");
	named(arp(), m, "arp");
	named(echoes(), m, "echo");
	if (nic.dev.features & NET_F_HOST_TSO4)
		named(send_bulk(), m, "bulk to the host");
	named(receive_bulk(), m, "bulk from the host");
}

static void
commands(void)
{
	static const uint8_t one[2] = { 1, 0 }, none[2] = { 0, 0 };
	/* No unicast addresses, and one for many. */
	static const uint8_t macs[14] = { 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x5e, 0,
		0, 1 };

	check(net_command(&nic, 0, 0, one, 1) == 1, "no receive modes");
	check(net_command(&nic, 1, 0, macs, sizeof(macs)) == 1, "no table");
	check(net_command(&nic, 4, 0, none, 2) == 1, "no pairs");
	check(net_command(&nic, 77, 0, one, 2) == 1, "no such command");
	if (!net_up(&nic, NET_F_MRG | NET_F_CTRL | NET_F_CTRL_RX | NET_F_MQ,
		MEM, VIRTIO_NOMSI)) {
		check(0, "control queue");
		return;
	}
	check(net_command(&nic, 0, 0, one, 1) == 0, "receive mode");
	check(net_command(&nic, 1, 0, macs, sizeof(macs)) == 0,
	    "table of addresses");
	check(net_command(&nic, 1, 1, macs, 6) == 1, "no other address");
	check(echo(100), "echo");
	if (!(nic.dev.features & NET_F_MQ))
		return;
	net_put16(in, 0);
	in[0] = (uint8_t)nic.pairs;
	in[1] = 0;
	check(net_command(&nic, 4, 0, in, 2) == 0, "all pairs");
	recvq = nic.pairs - 1;
	for (sendq = 0; sendq < nic.pairs; sendq++)
		check(echoes(), "echo by each queue");
	sendq = 0;
	check(net_command(&nic, 4, 0, one, 2) == 0, "one pair");
	recvq = 0;
	check(echoes(), "echo by one of them");
	in[0] = 5;
	in[1] = 0;
	check(net_command(&nic, 4, 0, in, 2) == 1, "too many pairs");
}

/* With frames on their way both ways. */
static void
resets(void)
{
	unsigned int i, ok = 0;

	for (i = 0; i < 20; i++) {
		net_ethernet(out, &nic, host_mac, 0x800);
		out[UDP_DATA] = 'g';
		send_udp(me, host, 1000, PEER, 1);
		ok += net_up(&nic, NET_F_MRG | NET_F_GUEST_CSUM, MEM,
			  VIRTIO_NOMSI) != 0;
	}
	check(ok == 20, "resets");
	check(dhcp(1, 2) && dhcp(3, 5) && arp() && echoes(), "and after them");
}

static void
replaced(void)
{
	unsigned int i, ok = 1;

	put("replace me\n");
	for (i = 0; i < 300 && ok; i++)
		ok = echo(200);
	check(ok, "echo before and after");
}

/* As many as there are, one after the other. */
static void
nics(void)
{
	unsigned int i;

	for (i = 0; net_find(&nic, i); i++) {
		me = 0;
		check(net_up(&nic, NET_F_MAC, MEM, VIRTIO_NOMSI) &&
			nic.mac[5] == i && dhcp(1, 2) &&
			me == 0x64400103 + 2 * i,
		    "offer");
		virtio_reset(&nic.dev);
	}
	say_dec("interfaces", i);
	user_off();
}

/* Rings and headers that no driver makes; the interface is sound after. */
static void
hostile(void)
{
	static const struct {
		unsigned int queue;
		uint64_t addr;
		uint32_t len;
		int flags;
		uint16_t head;
	} bad[] = {
		{ 1, MEM, 100, 0, 256 },
		{ 1, MEM, 100, VQ_WRITE, 0 },
		{ 1, MEM, 0, 0, 0 },
		{ 1, 0xfffffffffffff000, 0x2000, 0, 0 },
		{ 1, MEM, 100, VQ_INDIRECT, 0 },
		{ 0, MEM, 4, VQ_WRITE, 0 },
		{ 0, MEM, 2048, 0, 0 },
		{ 0, 0xe0000000, 2048, VQ_WRITE, 0 },
		{ 2, MEM, 4, 0, 0 },
	};
	struct net_hdr h;
	struct wait w;
	unsigned int i;
	struct vq *q;

	check(net_find(&nic, 0), "interface");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check(net_up(&nic, NET_F_CTRL, MEM, VIRTIO_NOMSI), "up");
		q = bad[i].queue == 0 ? &nic.rx[0] :
		    bad[i].queue == 1 ? &nic.tx[0] :
					&nic.ctrl;
		/* All that is there is bad. */
		store16(q->avail + 2, 0);
		vq_desc(q->desc, 0, bad[i].addr, bad[i].len, bad[i].flags);
		if (bad[i].queue == 0) {
			virtio_begin(&nic.dev, NET_F_CTRL);
			virtio_queue(q, &nic.dev, 0, NET_RING, MEM, 0xffff);
			vq_desc(q->desc, 0, bad[i].addr, bad[i].len,
			    bad[i].flags);
			virtio_queue(&nic.tx[0], &nic.dev, 1, NET_RING,
			    MEM + VIRTIO_RING, 0xffff);
			virtio_go(&nic.dev);
		}
		vq_put(q, bad[i].head);
		store16(q->avail + 2, q->offered);
		vq_kick(q);
		/* Something to receive, so that somebody looks. */
		if (bad[i].queue == 0) {
			nic.hasty = 1;
			dhcp(1, 2);
			nic.hasty = 0;
		}
		memset(&w, 0, sizeof(w));
		while (!(virtio_status(&nic.dev) & 0x40) && !wait_over(&w))
			;
		check((virtio_status(&nic.dev) & 0x40) != 0, "needs reset");
	}
	check(net_up(&nic, NET_F_CSUM | NET_F_HOST_TSO4, MEM, VIRTIO_NOMSI),
	    "up");
	/* Headers: dropped, and no harm done. */
	for (i = 0; i < 256; i++) {
		memset(&h, 0xff, sizeof(h));
		h.flags = (uint8_t)i;
		h.gso_type = (uint8_t)(i * 7);
		h.csum_start = (uint16_t)(i * 257);
		net_ethernet(out, &nic, nic.mac, 0x800);
		if (!net_send(&nic, 0, &h, out, 60 + i))
			break;
	}
	check(i == 256, "headers");
	me = 0;
	check(dhcp(1, 2) && dhcp(3, 5) && arp() && echoes(), "all is well");
	user_off();
}

static void
all(void)
{
	unsigned int i;

	check(net_find(&nic, 0), "interface");
	say_dec("pairs", nic.pairs);
	say_dec("mtu", load16(nic.dev.config + 10));
	check(load16(nic.dev.config + 6) == 1, "link");
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		mode(i);
	net_up(&nic, NET_F_CTRL | NET_F_MRG, MEM, VIRTIO_NOMSI);
	commands();
	resets();
	replaced();
	put("end\n");
	user_off();
}

void
guest_main(const struct start_info *si)
{
	const char *what = (const char *)si->cmdline;

	if (str_eq(what, "nics"))
		user_mode(nics);
	if (str_eq(what, "hostile"))
		user_mode(hostile);
	user_mode(all);
}
