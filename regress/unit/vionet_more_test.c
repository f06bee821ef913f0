/*
 * The network device without its process: what it does for drivers that
 * take no offloads, what it answers itself and what it lets through, the
 * control queue, and a device that goes on where another one ended.
 */

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>

#include "regress/unit/vionet_one.h"

#define MSS  100
#define DATA 1050
#define IP   14
#define L4   34

static const struct net_conf two = { .pairs = 2, .mac = MAC };
static const struct net_conf locked = { .pairs = 1,
	.mac = MAC,
	.flags = NETF_LOCKED };
static const struct net_conf local = { .pairs = 1,
	.mac = MAC,
	.flags = NETF_LOCAL | NETF_LOCKED,
	.mtu = 1500,
	.lease = 3600,
	.host_mac = { 2, 0, 0, 0, 0, 9 },
	.host4 = 0x64400102,
	.guest4 = 0x64400103 };

static uint32_t
sum(const uint8_t *p, size_t len, uint32_t s)
{
	size_t i;

	for (i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void
put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A TCP or UDP frame of `n' bytes of data, its checksum left to others. */
static size_t
datagram(uint8_t *p, int v6, int tcp, size_t n, unsigned int gso)
{
	size_t l4 = IP + (v6 ? 40U : 20U), hdr = tcp ? 20 : 8, i;
	struct virtio_net_hdr_v1 h = { .flags = 1,
		.gso_type = (uint8_t)gso,
		.gso_size = gso == 0 ? 0 : MSS,
		.csum_start = (uint16_t)l4,
		.csum_offset = tcp ? 16 : 6 };
	uint8_t *f = p + NET_HDR, *ip = f + IP, *t = f + l4;
	uint8_t pseudo[4] = { 0, tcp ? 6 : 17, 0, 0 };

	memset(p, 0, NET_HDR + l4 + hdr + n);
	memcpy(p, &h, sizeof(h));
	memcpy(f, mac, 6);
	put16(f + 12, v6 ? 0x86dd : 0x800);
	ip[0] = v6 ? 0x60 : 0x45;
	if (v6) {
		put16(ip + 4, (unsigned int)(hdr + n));
		ip[6] = pseudo[1];
		ip[8] = 0xfd;
		ip[24] = 0xfd;
		ip[39] = 7;
	} else {
		put16(ip + 2, (unsigned int)(20 + hdr + n));
		put16(ip + 4, 0xfffe);
		ip[9] = pseudo[1];
		ip[12] = 10;
		ip[16] = 11;
		put16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
	}
	if (tcp) {
		put16(t + 6, 1000); /* sequence */
		t[12] = 0x50;
		t[13] = 0x19 | 0x80; /* FIN PSH ACK CWR */
	} else
		put16(t + 4, (unsigned int)(8 + n));
	for (i = 0; i < n; i++)
		t[hdr + i] = (uint8_t)(i * 11 + (i >> 8));
	put16(pseudo + 2, (unsigned int)(hdr + n));
	put16(t + h.csum_offset,
	    sum(pseudo, 4, sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 0)));
	return NET_HDR + l4 + hdr + n;
}

/* Is all right in a segment with data from `off' on?  Its data. */
static size_t
segment_ok(const uint8_t *f, size_t len, int v6, int tcp, size_t off, int nth)
{
	size_t l4 = IP + (v6 ? 40U : 20U), hdr = tcp ? 20 : 8, i;
	const uint8_t *ip = f + IP, *t = f + l4;
	uint8_t pseudo[4] = { 0, tcp ? 6 : 17 };
	size_t n = len - l4 - hdr;
	int last = off + n == DATA;

	put16(pseudo + 2, (unsigned int)(len - l4));
	assert_int_equal(sum(t, len - l4,
			     sum(pseudo, 4,
				 sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 0))),
	    0xffff);
	if (v6)
		assert_int_equal(ip[4] << 8 | ip[5], hdr + n);
	else {
		assert_int_equal(sum(ip, 20, 0), 0xffff);
		assert_int_equal(ip[2] << 8 | ip[3], 20 + hdr + n);
		assert_int_equal(ip[4] << 8 | ip[5], (0xfffe + nth) & 0xffff);
	}
	if (tcp) {
		assert_int_equal(t[6] << 8 | t[7], 1000 + off);
		assert_int_equal(t[13],
		    0x10 | (last ? 0x09 : 0) | (nth == 0 ? 0x80 : 0));
	} else
		assert_int_equal(t[4] << 8 | t[5], 8 + n);
	for (i = 0; i < n; i++)
		assert_int_equal(t[hdr + i],
		    (uint8_t)((off + i) * 11 + ((off + i) >> 8)));
	return n;
}

static void
segments(void **state)
{
	static const unsigned int types[4] = { 1, 4, 5, 5 };
	struct one *o = make(&two);
	struct fake *f = &o->f;
	static uint8_t p[NET_BUF];
	size_t off, n;
	int i, k, nth, v6, tcp;

	for (i = 0; i < 4; i++) {
		v6 = i & 1;
		tcp = i < 2;
		n = datagram(p, v6, tcp, DATA, types[i]);
		/* A driver that takes none of it. */
		fake_reset(f);
		up(o, VQ_F_INDIRECT);
		fake_run(f);
		for (k = 0; k < 12; k++)
			buffer(o, RX, BUF(0) + (uint64_t)k * 2048, 2048);
		fake_in(f, 0, p, n);
		assert_int_equal(fake_run(f), 0);
		for (off = 0, nth = 0; off < DATA; nth++) {
			const uint8_t *q = mem(o, BUF(0)) + nth * 2048;
			int64_t len = back(o, RX);

			assert_int_not_equal(len, -1);
			assert_int_equal(q[0], 0);
			assert_int_equal(q[1], 0);
			off += segment_ok(q + NET_HDR, (size_t)len - NET_HDR,
			    v6, tcp, off, nth);
		}
		assert_int_equal(nth, 11);
		assert_int_equal(back(o, RX), -1);
	}
	assert_int_equal(count(o, DEVS_RX_DROPS), 0);
	drop(o);
}

/* Frames of the host are not trusted to be what their headers say. */
static void
bad_segments(void **state)
{
	struct one *o = make(&two);
	struct fake *f = &o->f;
	struct virtio_net_hdr_v1 h;
	uint8_t p[2048];
	size_t n;
	int i;

	up(o, VQ_F_INDIRECT);
	fake_run(f);
	for (i = 0; i < 8; i++)
		buffer(o, RX, BUF(0) + (uint64_t)i * 2048, 2048);
	for (i = 0; i < 7; i++) {
		n = datagram(p, 0, 1, DATA, 1);
		memcpy(&h, p, sizeof(h));
		switch (i) {
		case 0:
			h.gso_size = 0;
			break;
		case 1:
			h.csum_start = 65535;
			break;
		case 2:
			h.csum_start = 10;
			break;
		case 3:
			h.gso_type = 99;
			h.flags = 0;
			break;
		case 4:
			n = NET_HDR + 14;
			break;
		case 5:
			h.gso_type = 0;
			h.csum_offset = 65535;
			break;
		case 6:
			p[NET_HDR + L4 + 12] = 0xf0;
			n = NET_HDR + L4 + 30;
			break;
		}
		memcpy(p, &h, sizeof(h));
		fake_in(f, 0, p, n);
		assert_int_equal(fake_run(f), 0);
		assert_int_equal(back(o, RX), -1);
		assert_int_equal(count(o, DEVS_RX_DROPS), i + 1);
	}
	drop(o);
}

static void
send_one(struct one *o, const uint8_t *p, size_t n, unsigned int sent)
{
	const struct seg s[] = { { BUF(0), (uint32_t)n, 0 }, { 0, 0, 0 } };

	memcpy(mem(o, BUF(0)), p, n);
	o->f.nout = 0;
	chain(o, TX, s);
	assert_int_equal(fake_run(&o->f), 0);
	assert_int_equal(back(o, TX), 0);
	assert_int_equal(o->f.nout, sent);
}

static void
sources(void **state)
{
	struct one *o = make(&locked);
	struct fake *f = &o->f;
	uint8_t p[2048];
	size_t n = frame(p, 300, 1);

	up(o, ALL);
	send_one(o, p, n, 1);
	assert_int_equal(f->out[0].len, n);
	assert_memory_equal(f->out[0].data, p, n);
	p[NET_HDR + 11] ^= 1; /* source */
	send_one(o, p, n, 0);
	/* To us, to all, to somebody else. */
	fake_run(f);
	buffer(o, RX, BUF(1), 2048);
	buffer(o, RX, BUF(1), 2048);
	fake_in(f, 0, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), n);
	memcpy(p + NET_HDR, mac, 6);
	fake_in(f, 0, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), n);
	buffer(o, RX, BUF(1), 2048);
	p[NET_HDR + 5] ^= 1;
	fake_in(f, 0, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), -1);
	drop(o);
}

static void
lease(void **state)
{
	struct one *o = make(&local);
	struct fake *f = &o->f;
	uint8_t p[NET_HDR + 42 + 300] = { 0 }, *ip = p + NET_HDR + IP,
				 *b = p + NET_HDR + 42;
	const uint8_t *r = mem(o, BUF(1)) + NET_HDR;

	frame(p, 342, 0);
	put16(p + NET_HDR + 12, 0x800);
	memset(ip, 0, 328);
	ip[0] = 0x45;
	put16(ip + 2, 328);
	ip[8] = 64;
	ip[9] = 17;
	memset(ip + 16, 0xff, 4);
	put16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
	put16(ip + 20, 68);
	put16(ip + 22, 67);
	put16(ip + 24, 308);
	b[0] = b[1] = 1;
	b[2] = 6;
	memcpy(b + 28, mac, 6);
	memcpy(b + 236,
	    "\x63\x82\x53\x63\x35\x01\x03\x32\x04\x64\x40\x01\x03"
	    "\xff",
	    14);
	up(o, ALL);
	/* Without a buffer the answer waits. */
	send_one(o, p, sizeof(p), 0);
	buffer(o, RX, BUF(1), 2048);
	assert_int_equal(fake_run(f), 0);
	assert_true(back(o, RX) > 300);
	assert_memory_equal(r + 42 + 16, "\x64\x40\x01\x03", 4);
	assert_int_equal(r[42 + 242], 5);
	assert_true(count(o, DEVS_LEASE) > 1000000);
	assert_int_equal(count(o, DEVS_TX_DROPS), 0);
	drop(o);
}

static int
command(struct one *o, unsigned int q, unsigned int class, unsigned int cmd,
    unsigned int v)
{
	const struct seg s[] = { { BUF(0), 2, 0 }, { BUF(0) + 2, 2, 0 },
		{ BUF(0) + 8, 1, F_WRITE }, { 0, 0, 0 } };
	const uint8_t c[4] = { (uint8_t) class, (uint8_t)cmd, (uint8_t)v,
		(uint8_t)(v >> 8) };

	memcpy(mem(o, BUF(0)), c, sizeof(c));
	chain(o, q, s);
	assert_int_equal(fake_run(&o->f), 0);
	assert_int_equal(back(o, q), 1);
	return mem(o, BUF(0))[8];
}

static void
commands(void **state)
{
	struct one *o = make(&two);
	struct fake *f = &o->f;
	const uint64_t mq = NET_F(VIRTIO_NET_F_MQ);
	uint8_t p[128];
	size_t n = frame(p, 60, 1);

	assert_true((f->ready.features & mq) != 0);
	up(o, ALL);
	assert_int_equal(command(o, 4, 4, 0, 0), 1);
	assert_int_equal(command(o, 4, 4, 0, 3), 1);
	assert_int_equal(command(o, 4, 4, 1, 1), 1);
	assert_int_equal(command(o, 4, 0, 0, 1), 0);
	assert_int_equal(command(o, 4, 0, 9, 1), 1);
	assert_int_equal(command(o, 4, 1, 0, 1), 0);
	assert_int_equal(command(o, 4, 1, 1, 1), 1);
	assert_int_equal(command(o, 4, 3, 0, 1), 0);
	/* With one pair all comes through that; then by pairs. */
	buffer(o, 0, BUF(1), 2048);
	buffer(o, 0, BUF(1), 2048);
	buffer(o, 2, BUF(2), 2048);
	fake_in(f, 1, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, 0), n);
	assert_int_equal(command(o, 4, 4, 0, 2), 0);
	fake_in(f, 1, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, 2), n);
	fake_in(f, 0, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, 0), n);
	/* After a reset there is one again, and the queue is the third. */
	fake_reset(f);
	up(o, ALL & ~mq);
	fake_run(f);
	assert_int_equal(command(o, 2, 4, 0, 2), 1);
	assert_int_equal(command(o, 2, 0, 1, 1), 0);
	buffer(o, 0, BUF(1), 2048);
	fake_in(f, 1, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, 0), n);
	drop(o);
}

/*
 * One process takes buffers and dies; the next one uses each of them once,
 * and still knows how many pairs there are.
 */
static void
replaced(void **state)
{
	static uint8_t p[NET_BUF], q[NET_BUF];
	struct one *o = make(&two);
	struct fake *f = &o->f;
	uint64_t features = ALL | MRG;
	size_t n = frame(p, 20000, 5), got = 0, i;
	int64_t len;

	up(o, features);
	assert_int_equal(command(o, 4, 4, 0, 2), 0);
	for (i = 0; i < 5; i++)
		buffer(o, 2, BUF(1) + i * 2048, 2048);
	/* A frame that waits holds all five; then it is lost. */
	fake_in(f, 1, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(vq_inflight_count(&f->d.queues[2].vq), 5);
	fake_activate(f, features, 1);
	assert_int_equal(fake_run(f), 0);
	for (; i < 12; i++)
		buffer(o, 2, BUF(1) + i * 2048, 2048);
	fake_in(f, 1, p, n);
	assert_int_equal(fake_run(f), 0);
	while ((len = back(o, 2)) != -1) {
		memcpy(q + got, mem(o, BUF(1)) + got, (size_t)len);
		got += (size_t)len;
	}
	assert_int_equal(got, n);
	assert_memory_equal(q + NET_HDR, p + NET_HDR, 20000);
	assert_int_equal(vq_inflight_count(&f->d.queues[2].vq), 0);
	/* The two that are left. */
	fake_in(f, 1, p, NET_HDR + 60);
	fake_in(f, 1, p, NET_HDR + 60);
	fake_in(f, 1, p, NET_HDR + 60);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, 2), NET_HDR + 60);
	assert_int_equal(back(o, 2), NET_HDR + 60);
	assert_int_equal(back(o, 2), -1);
	drop(o);
}

/* A queue whose frame waits for buffers holds up the others, not for ever. */
static void
held_up(void **state)
{
	static uint8_t p[NET_BUF];
	struct one *o = make(&two);
	struct fake *f = &o->f;
	struct dev *d = &f->d;
	size_t n = frame(p, 20000, 5);
	unsigned int i;

	up(o, ALL | MRG);
	assert_int_equal(command(o, 4, 4, 0, 2), 0);
	buffer(o, 0, BUF(3), 2048);
	buffer(o, 2, BUF(1), 2048);
	fake_in(f, 1, p, n);
	assert_int_equal(fake_run(f), 0);
	fake_in(f, 0, p, NET_HDR + 60);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, 0), -1);
	for (i = 1; i < 10; i++)
		buffer(o, 2, BUF(1) + i * 2048ULL, 2048);
	/* Nobody kicks the other one. */
	assert_int_equal(d->ops->queue(d, &d->queues[2]), 0);
	vq_publish(&d->queues[0].vq);
	vq_publish(&d->queues[2].vq);
	assert_int_equal(back(o, 2), 2048);
	assert_int_equal(back(o, 0), NET_HDR + 60);
	drop(o);
}

/* What came for the driver before is not for the next one. */
static void
drained(void **state)
{
	struct one *o = make(&two);
	struct fake *f = &o->f;
	uint8_t p[128];
	size_t n = frame(p, 60, 1);

	up(o, ALL);
	fake_run(f);
	fake_in(f, 0, p, n);
	fake_in(f, 1, p, n);
	fake_reset(f);
	up(o, ALL);
	buffer(o, RX, BUF(0), 2048);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), -1);
	fake_in(f, 0, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), n);
	drop(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments),
		cmocka_unit_test(bad_segments),
		cmocka_unit_test(sources),
		cmocka_unit_test(lease),
		cmocka_unit_test(commands),
		cmocka_unit_test(replaced),
		cmocka_unit_test(held_up),
		cmocka_unit_test(drained),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
