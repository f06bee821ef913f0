/*
 * The network device without its process: frames both ways in all layouts,
 * offloads that the driver took and those it did not, buffers that are not
 * enough, the control queue, what a hostile driver may try, and a device
 * that goes on where another one ended.
 */

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>

#include "regress/unit/vionet_one.h"

static const struct net_conf plain = { .pairs = 1, .mac = MAC };

/* --- both ways -------------------------------------------------------------- */

static void
send_layouts(void **state)
{
	static const size_t lens[] = { 14, 60, 1514, 9014 };
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	uint8_t want[16384];
	size_t i, n;

	up(o, ALL);
	for (i = 0; i < NELEM(lens); i++) {
		const struct seg layouts[4][5] = {
			{ { BUF(0), (uint32_t)(lens[i] + NET_HDR), 0 } },
			{ { BUF(0), NET_HDR, 0 },
			    { BUF(0) + NET_HDR, (uint32_t)lens[i], 0 } },
			{ { BUF(0), 5, 0 }, { BUF(0) + 5, 10, 0 },
			    { BUF(0) + 15, (uint32_t)(lens[i] - 3), 0 } },
			{ { BUF(0), 1, 0 }, { BUF(0) + 1, 11, 0 },
			    { BUF(0) + 12, 1, 0 },
			    { BUF(0) + 13, (uint32_t)(lens[i] - 1), 0 } },
		};
		unsigned int k;

		n = frame(want, lens[i], (int)i);
		for (k = 0; k < 4; k++) {
			memcpy(mem(o, BUF(0)), want, n);
			f->nout = 0;
			chain(o, TX, layouts[k]);
			assert_int_equal(fake_run(f), 0);
			assert_int_equal(back(o, TX), 0);
			assert_int_equal(f->nout, 1);
			assert_int_equal(f->out[0].len, n);
			assert_memory_equal(f->out[0].data, want, n);
		}
	}
	assert_int_equal(count(o, DEVS_TX_FRAMES), 16);
	assert_int_equal(count(o, DEVS_TX_BYTES), 4 * (14 + 60 + 1514 + 9014));
	assert_int_equal(count(o, DEVS_TX_DROPS), 0);
	drop(o);
}

static void
receive_one(void **state)
{
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	struct virtio_net_hdr_v1 h;
	uint8_t p[2048];
	size_t n = frame(p, 1514, 3);

	up(o, ALL);
	/* It waits where it is until there is a buffer. */
	assert_int_equal(fake_run(f), 0);
	fake_in(f, 0, p, n);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(f->taken, 0);
	buffer(o, RX, BUF(0), 65562);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), n);
	memcpy(&h, mem(o, BUF(0)), sizeof(h));
	assert_int_equal(h.num_buffers, 1);
	assert_memory_equal(mem(o, BUF(0)) + NET_HDR, p + NET_HDR, 1514);
	/* A buffer alone is no work. */
	buffer(o, RX, BUF(0), 65562);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), -1);
	assert_int_equal(count(o, DEVS_RX_FRAMES), 1);
	assert_int_equal(count(o, DEVS_RX_BYTES), 1514);
	drop(o);
}

/* What buffers hold one after the other, put together. */
static size_t
gather(struct one *o, unsigned int first, unsigned int n, uint32_t size,
    uint8_t *to)
{
	unsigned int i;
	size_t all = 0;

	for (i = 0; i < n; i++) {
		int64_t len = back(o, RX);

		assert_int_not_equal(len, -1);
		memcpy(to + all, mem(o, BUF(0)) + (first + i) * size,
		    (size_t)len);
		all += (size_t)len;
	}
	return all;
}

static void
receive_merged(void **state)
{
	static uint8_t p[NET_BUF], q[NET_BUF];
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	struct virtio_net_hdr_v1 h;
	unsigned int i, bufs;
	size_t len, n;

	up(o, ALL | MRG);
	for (i = 0; i < 60; i++)
		buffer(o, RX, BUF(0) + i * 1536ULL, 1536);
	for (i = 0, len = 1514; i + 44 < 60; len = len == 1514 ? 61000 : 1514) {
		n = frame(p, len, (int)len);
		fake_in(f, 0, p, n);
		assert_int_equal(fake_run(f), 0);
		bufs = (unsigned int)((n + 1535) / 1536);
		assert_int_equal(gather(o, i, bufs, 1536, q), n);
		memcpy(&h, q, sizeof(h));
		assert_int_equal(h.num_buffers, bufs);
		assert_memory_equal(q + NET_HDR, p + NET_HDR, len);
		i += bufs;
	}
	/* What it took to be ready for more is back. */
	assert_int_equal(vq_inflight_count(&f->d.queues[RX].vq), 0);
	assert_int_equal(count(o, DEVS_RX_DROPS), 0);
	drop(o);
}

/* A frame that has begun waits for the rest of its buffers. */
static void
receive_held(void **state)
{
	static uint8_t p[NET_BUF], q[NET_BUF];
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	size_t n = frame(p, 20000, 9);
	unsigned int i;

	up(o, ALL | MRG);
	for (i = 0; i < 5; i++)
		buffer(o, RX, BUF(0) + i * 2048ULL, 2048);
	fake_in(f, 0, p, n);
	fake_in(f, 0, p, 60);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), -1);
	assert_int_equal(f->taken, 1);
	for (; i < 11; i++)
		buffer(o, RX, BUF(0) + i * 2048ULL, 2048);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(gather(o, 0, 10, 2048, q), n);
	assert_memory_equal(q + NET_HDR, p + NET_HDR, 20000);
	assert_int_equal(back(o, RX), 60);
	/* More than the ring can ever hold is dropped. */
	for (i = 0; i < FAKE_QUEUE; i++)
		buffer(o, RX, BUF(0) + i * 64ULL, 64);
	fake_in(f, 0, p, n);
	fake_in(f, 0, p, 60);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), 60);
	assert_int_equal(back(o, RX), -1);
	assert_int_equal(count(o, DEVS_RX_DROPS), 1);
	drop(o);
}

/* --- what is wrong ------------------------------------------------------------ */

static void
bad_headers(void **state)
{
	static const struct virtio_net_hdr_v1 bad[] = {
		{ .flags = 1, .csum_start = 100, .csum_offset = 0 },
		{ .flags = 1, .csum_start = 65535, .csum_offset = 65535 },
		{ .gso_type = 1,
		    .gso_size = 0,
		    .flags = 1,
		    .csum_start = 34,
		    .csum_offset = 16 },
		{ .gso_type = 3, .gso_size = 100 },
		{ .gso_type = 77, .gso_size = 100 },
	};
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	const struct seg s[] = { { BUF(0), 72, 0 }, { 0, 0, 0 } };
	unsigned int i;

	up(o, ALL);
	for (i = 0; i < NELEM(bad); i++) {
		frame(mem(o, BUF(0)), 60, 1);
		memcpy(mem(o, BUF(0)), &bad[i], sizeof(bad[i]));
		chain(o, TX, s);
		assert_int_equal(fake_run(f), 0);
		assert_int_equal(back(o, TX), 0);
	}
	assert_int_equal(f->nout, 0);
	assert_int_equal(count(o, DEVS_TX_DROPS), NELEM(bad));
	/* The host does not take it: gone. */
	frame(mem(o, BUF(0)), 60, 1);
	f->out_errno = EIO;
	chain(o, TX, s);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, TX), 0);
	assert_int_equal(count(o, DEVS_TX_DROPS), NELEM(bad) + 1);
	drop(o);
}

static void
bad_chains(void **state)
{
	static const struct {
		unsigned int q;
		struct seg s[3];
	} bad[] = {
		{ TX, { { BUF(0), 100, 0 }, { BUF(1), 4, F_WRITE } } },
		{ RX, { { BUF(0), 2000, 0 } } },
		{ RX, { { BUF(0), 11, F_WRITE } } },
		{ RX, { { FAKE_MEM - 8, 2000, F_WRITE } } },
		{ TX, { { FAKE_MEM, 100, 0 } } },
		{ 2, { { BUF(0), 4, 0 } } },
	};
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	uint8_t p[128];
	size_t i, n = frame(p, 60, 1);

	for (i = 0; i < NELEM(bad); i++) {
		fake_reset(f);
		up(o, ALL);
		fake_run(f);
		fake_in(f, 0, p, n);
		chain(o, bad[i].q, bad[i].s);
		assert_int_equal(fake_run(f), -1);
	}
	assert_int_equal(f->nout, 0);
	drop(o);
}

/* Frames too short or too long are dropped, not sent. */
static void
lengths(void **state)
{
	static const struct {
		uint32_t len;
		unsigned int sent;
	} cases[] = { { 1, 0 }, { 12, 0 }, { 25, 0 }, { 26, 1 },
		{ NET_HDR + NET_MAX_MTU + 14, 1 },
		{ NET_HDR + NET_MAX_MTU + 100, 0 } };
	struct one *o = make(&plain);
	struct fake *f = &o->f;
	size_t i;

	up(o, ALL);
	for (i = 0; i < NELEM(cases); i++) {
		const struct seg s[] = { { BUF(0), cases[i].len, 0 },
			{ 0, 0, 0 } };

		memset(mem(o, BUF(0)), 0, NET_HDR);
		f->nout = 0;
		chain(o, TX, s);
		assert_int_equal(fake_run(f), 0);
		assert_int_equal(back(o, TX), 0);
		assert_int_equal(f->nout, cases[i].sent);
	}
	drop(o);
}

/* The router says again and again that it is there. */
static void
advertised(void **state)
{
	const struct net_conf c = { .flags = NETF_LOCAL | NETF_INET6,
		.pairs = 1,
		.mtu = 1500,
		.mac = MAC,
		.host6 = { 0xfd, [15] = 1 } };
	struct one *o = make(&c);
	struct fake *f = &o->f;
	unsigned int i;

	/* Not before there is a driver. */
	vionet_ops.tick(&f->d);
	up(o, ALL);
	for (i = 0; i < 3; i++) {
		buffer(o, RX, BUF(0), 2000);
		assert_int_equal(fake_run(f), 0);
		assert_true(back(o, RX) > 0);
		assert_int_equal(mem(o, BUF(0))[NET_HDR + 54], 134);
		/* Without buffers one waits, not more. */
		vionet_ops.tick(&f->d);
		vionet_ops.tick(&f->d);
		assert_int_equal(back(o, RX), -1);
	}
	assert_int_equal(count(o, DEVS_RX_DROPS), 0);
	buffer(o, RX, BUF(0), 2000);
	buffer(o, RX, BUF(1), 2000);
	assert_int_equal(fake_run(f), 0);
	assert_true(back(o, RX) > 0);
	assert_int_equal(back(o, RX), -1);
	drop(o);
	o = make(&plain);
	f = &o->f;
	up(o, ALL);
	buffer(o, RX, BUF(0), 2000);
	vionet_ops.tick(&f->d);
	assert_int_equal(fake_run(f), 0);
	assert_int_equal(back(o, RX), -1);
	drop(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send_layouts),
		cmocka_unit_test(receive_one),
		cmocka_unit_test(receive_merged),
		cmocka_unit_test(receive_held),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(bad_chains),
		cmocka_unit_test(lengths),
		cmocka_unit_test(advertised),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
