/* Queues: what a driver that behaves gets, and one that does not. */

#include "regress/unit/vq_test.h"

#define SIZE 4
#define DATA 0x200

static struct gmem g;
static struct vq_conf conf;
static struct vq q;
static struct iovec iov[8];
static struct vq_chain c;

static void
start(uint64_t features)
{
	const struct vq_conf like = { .mem = &g,
		.size = SIZE,
		.desc = 0,
		.avail = 0x40,
		.used = 0x50,
		.features = features };

	memset(g.base, 0, g.size);
	conf = like;
	assert_int_equal(vq_init(&q, &conf), 0);
	c.iov = iov;
	c.max = NELEM(iov);
}

static int
setup(void **state)
{
	mem_make(&g, 0x400);
	start(0);
	return 0;
}

static int
teardown(void **state)
{
	mem_drop(&g);
	return 0;
}

static void
desc(unsigned int i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	const struct test_desc d = { addr, len, flags, next };

	desc_put(&g, conf.desc, i, &d);
}

static void
broken(void)
{
	errno = 0;
	assert_int_equal(vq_next(&q, &c), -1);
	assert_int_equal(errno, EPROTO);
	/* For good, whatever is there now. */
	memset(g.base, 0, g.size);
	assert_int_equal(vq_next(&q, &c), -1);
}

static void
areas(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		int error;
	} tests[] = {
		{ 4, 0, 0x40, 0x50, 0 },
		{ 1, 0x3f0, 0x3f8, 0x3f0, 0 },
		{ 0, 0, 0x40, 0x50, EINVAL },
		{ 3, 0, 0x40, 0x50, EINVAL },
		{ 2048, 0, 0x40, 0x50, EINVAL },
		{ 4, 8, 0x40, 0x50, EINVAL },
		{ 4, 0, 0x41, 0x50, EINVAL },
		{ 4, 0, 0x40, 0x52, EINVAL },
		{ 4, 0x3d0, 0x40, 0x50, EFAULT },
		{ 4, 0, 0x3f4, 0x50, EFAULT },
		{ 4, 0, 0x3f2, 0x3dc, EFAULT },
		{ 4, 0, 0x3f2, 0x3d8, 0 },
		{ 4, UINT64_MAX - 15, 0x40, 0x50, EFAULT },
		{ 4, 0, UINT64_MAX - 1, 0x50, EFAULT },
		{ 64, 0x400, 0x40, 0x50, EFAULT },
	};
	struct vq_conf t = conf;
	size_t i;

	for (i = 0; i < NELEM(tests); i++) {
		t.size = tests[i].size;
		t.desc = tests[i].desc;
		t.avail = tests[i].avail;
		t.used = tests[i].used;
		errno = 0;
		assert_int_equal(vq_check(&t), tests[i].error ? -1 : 0);
		assert_int_equal(errno, tests[i].error);
	}
}

static void
round_trip(void **state)
{
	desc(2, DATA, 16, F_NEXT, 3);
	desc(3, DATA + 16, 32, F_NEXT | F_WRITE, 0);
	desc(0, DATA + 64, 1, F_WRITE, 99);
	assert_int_equal(vq_next(&q, &c), 0);
	offer(&g, &conf, 2);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(c.head, 2);
	assert_int_equal(c.nrd, 1);
	assert_int_equal(c.nwr, 2);
	assert_int_equal(c.rdlen, 16);
	assert_int_equal(c.wrlen, 33);
	assert_ptr_equal(c.rd[0].iov_base, g.base + DATA);
	assert_ptr_equal(c.wr[0].iov_base, g.base + DATA + 16);
	assert_ptr_equal(c.wr[1].iov_base, g.base + DATA + 64);
	assert_int_equal(vq_inflight_count(&q), 1);
	assert_int_equal(vq_push(&q, 1, 0), -1);
	assert_int_equal(vq_push(&q, 4, 0), -1);
	assert_int_equal(vq_push(&q, 2, 33), 0);
	assert_int_equal(vq_push(&q, 2, 33), -1);
	assert_int_equal(peek16(&g, conf.used + 2), 0);
	assert_int_equal(vq_publish(&q), 1);
	assert_int_equal(vq_publish(&q), 0);
	assert_int_equal(peek16(&g, conf.used + 2), 1);
	assert_int_equal(peek32(&g, conf.used + 4), 2);
	assert_int_equal(peek32(&g, conf.used + 8), 33);
	assert_int_equal(vq_inflight_count(&q), 0);
}

/* Chains give and take more often than the indices have values. */
static void
wraps(void **state)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		desc(i, DATA, 8, 0, 0);
	for (i = 0; i < 70000; i++) {
		offer(&g, &conf, i & 3);
		assert_int_equal(vq_next(&q, &c), 1);
		assert_int_equal(c.head, i & 3);
		assert_int_equal(vq_push(&q, c.head, 0), 0);
		assert_int_equal(vq_publish(&q), 1);
	}
	assert_int_equal(peek16(&g, conf.used + 2), 70000 & 0xffff);
}

static void
broken_rings(void **state)
{
	/* a loop */
	desc(0, DATA, 8, F_NEXT, 0);
	offer(&g, &conf, 0);
	broken();
	/* an index that jumps */
	start(0);
	desc(0, DATA, 8, 0, 0);
	poke16(&g, conf.avail + 2, 5);
	broken();
	start(0);
	poke16(&g, conf.avail + 2, 0xffff);
	broken();
	/* a head beyond the table */
	start(0);
	offer(&g, &conf, 4);
	broken();
	/* one that is in flight, or pushed and not shown */
	start(0);
	desc(0, DATA, 8, 0, 0);
	offer(&g, &conf, 0);
	offer(&g, &conf, 0);
	assert_int_equal(vq_next(&q, &c), 1);
	broken();
	start(0);
	desc(0, DATA, 8, 0, 0);
	offer(&g, &conf, 0);
	offer(&g, &conf, 0);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(vq_push(&q, 0, 0), 0);
	broken();
	/* more segments than the caller has room for */
	start(0);
	desc(0, DATA, 8, F_NEXT, 1);
	desc(1, DATA, 8, F_NEXT, 2);
	desc(2, DATA, 8, 0, 0);
	offer(&g, &conf, 0);
	c.max = 2;
	broken();
}

static void
indirect(void **state)
{
	const struct test_desc t[] = { { DATA, 8, F_NEXT, 2 },
		{ DATA + 16, 4, F_WRITE, 0 }, { DATA + 8, 8, F_NEXT, 1 } };
	size_t i;

	for (i = 0; i < 2; i++) {
		start(i == 0 ? VQ_F_INDIRECT : 0);
		/* the table is at an odd address */
		desc_put(&g, 0x301, 0, &t[0]);
		desc_put(&g, 0x301, 1, &t[1]);
		desc_put(&g, 0x301, 2, &t[2]);
		desc(1, DATA + 32, 2, F_NEXT, 3);
		desc(3, 0x301, sizeof(t), F_INDIRECT | F_WRITE, 7);
		offer(&g, &conf, 1);
		if (i == 1) {
			broken();
			return;
		}
		assert_int_equal(vq_next(&q, &c), 1);
		assert_int_equal(c.nrd, 3);
		assert_int_equal(c.rdlen, 18);
		assert_int_equal(c.wrlen, 4);
		assert_ptr_equal(c.rd[2].iov_base, g.base + DATA + 8);
	}
}

/* Ranges that touch are not one: a segment over both is two. */
static void
straddle(void **state)
{
	g.ranges[0].size = DATA;
	g.ranges[1] = (struct gmem_range){ DATA, 0x100, DATA, GMEM_RESERVED };
	g.ranges[2] = (struct gmem_range){ DATA + 0x200, 0x100, DATA + 0x100,
		0 };
	g.nranges = 3;
	desc(0, DATA - 4, 8, F_WRITE, 0);
	offer(&g, &conf, 0);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(c.nwr, 2);
	assert_int_equal(c.wrlen, 8);
	assert_int_equal(c.wr[0].iov_len, 4);
	assert_ptr_equal(c.wr[1].iov_base, g.base + DATA);
	desc(1, DATA + 0x100 - 4, 8, F_WRITE, 0);
	offer(&g, &conf, 1);
	broken();
}

static void
interrupts(void **state)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		desc(i, DATA, 8, 0, 0);
	offer(&g, &conf, 0);
	poke16(&g, conf.avail, 1); /* not now */
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(vq_push(&q, 0, 0), 0);
	assert_int_equal(vq_publish(&q), 0);
	start(VQ_F_EVENT_IDX);
	for (i = 0; i < 4; i++)
		desc(i, DATA, 8, 0, 0);
	poke16(&g, conf.avail, 1);	       /* means nothing now */
	poke16(&g, conf.avail + 4 + 2 * 4, 1); /* after the second */
	for (i = 0; i < 3; i++) {
		offer(&g, &conf, (uint16_t)i);
		assert_int_equal(vq_next(&q, &c), 1);
		assert_int_equal(vq_push(&q, c.head, 0), 0);
		assert_int_equal(vq_publish(&q), i == 1);
	}
	/* a batch that passes it */
	poke16(&g, conf.avail + 4 + 2 * 4, 3);
	for (i = 0; i < 3; i++) {
		offer(&g, &conf, (uint16_t)i);
		assert_int_equal(vq_next(&q, &c), 1);
		assert_int_equal(vq_push(&q, c.head, 0), 0);
	}
	assert_int_equal(vq_publish(&q), 1);
}

static void
kicks(void **state)
{
	desc(0, DATA, 8, 0, 0);
	vq_kick_off(&q);
	assert_int_equal(peek16(&g, conf.used), 1);
	assert_int_equal(vq_kick_on(&q), 0);
	assert_int_equal(peek16(&g, conf.used), 0);
	vq_kick_off(&q);
	offer(&g, &conf, 0);
	assert_int_equal(vq_kick_on(&q), 1);
	start(VQ_F_EVENT_IDX);
	desc(0, DATA, 8, 0, 0);
	offer(&g, &conf, 0);
	vq_kick_off(&q);
	assert_int_equal(peek16(&g, conf.used), 0);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(vq_kick_on(&q), 0);
	assert_int_equal(peek16(&g, conf.used + 4 + 8 * SIZE), 1);
}

static void
gives_back(void **state)
{
	uint32_t i;

	for (i = 0; i < 4; i++) {
		desc(i, DATA, 8, 0, 0);
		offer(&g, &conf, (uint16_t)i);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(vq_untake(&q, 1), -1);
	assert_int_equal(vq_untake(&q, 2), 0);
	assert_int_equal(vq_untake(&q, 2), -1);
	assert_int_equal(vq_untake(&q, 1), 0);
	assert_int_equal(vq_inflight_count(&q), 1);
	for (i = 1; i < 4; i++) {
		assert_int_equal(vq_next(&q, &c), 1);
		assert_int_equal(c.head, i);
	}
	assert_int_equal(vq_push(&q, 3, 0), 0);
	assert_int_equal(vq_untake(&q, 3), -1);
	assert_int_equal(vq_untake(&q, 9), -1);
}

static void
moves(void **state)
{
	struct vq_state s = { 7, 7 };

	assert_int_equal(vq_state_set(&q, &s), 0);
	desc(0, DATA, 8, 0, 0);
	poke16(&g, conf.avail + 2, 7);
	assert_int_equal(vq_next(&q, &c), 0);
	offer(&g, &conf, 0);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(vq_state_set(&q, &s), -1);
	assert_int_equal(vq_push(&q, 0, 0), 0);
	vq_publish(&q);
	assert_int_equal(peek16(&g, conf.used + 2), 8);
	vq_state_get(&q, &s);
	assert_int_equal(s.last_avail, 8);
	assert_int_equal(s.used, 8);
	s.used = 6;
	assert_int_equal(vq_state_set(&q, &s), -1);
}

static uint64_t marked[8][2];
static unsigned int nmarked;

static void
mark(void *arg, uint64_t gpa, uint64_t len)
{
	assert_true(nmarked < NELEM(marked));
	marked[nmarked][0] = gpa;
	marked[nmarked++][1] = len;
}

static void
marks(void **state)
{
	static const uint64_t want[][2] = { { DATA, 8 }, { DATA + 64, 2 },
		{ DATA + 66, 6 }, { 0x54, 8 }, { 0x52, 2 }, { 0x50, 2 } };

	const struct vq_dirty dirty = { mark, NULL }, none = { NULL, NULL };

	conf.dirty = &dirty;
	assert_int_equal(vq_init(&q, &conf), 0);
	nmarked = 0;
	desc(0, DATA, 8, F_WRITE | F_NEXT, 1);
	desc(1, DATA + 64, 8, F_WRITE, 0);
	offer(&g, &conf, 0);
	assert_int_equal(vq_next(&q, &c), 1);
	vq_wrote(&q, c.wr, c.nwr, 0, 10);
	vq_wrote(&q, c.wr, c.nwr, 10, 100);
	q.conf.dirty = &none;
	vq_wrote(&q, c.wr, c.nwr, 0, 10);
	q.conf.dirty = &dirty;
	assert_int_equal(vq_push(&q, 0, 10), 0);
	vq_publish(&q);
	vq_kick_on(&q);
	assert_int_equal(nmarked, NELEM(want));
	assert_memory_equal(marked, want, sizeof(want));
}

static void
lists(void **state)
{
	uint8_t bytes[10], buf[16], want[16];
	struct iovec v[] = { { bytes, 3 }, { bytes + 3, 1 }, { bytes + 4, 6 } };
	struct iovec out[3];
	size_t off, len, i;
	int n;

	for (off = 0; off <= 12; off++)
		for (len = 0; len <= 12; len++) {
			size_t there = off >= 10 ? 0 :
			    len > 10 - off	 ? 10 - off :
						   len;

			for (i = 0; i < sizeof(bytes); i++)
				bytes[i] = (uint8_t)i;
			memset(buf, 0xee, sizeof(buf));
			assert_int_equal(vq_iov_get(v, 3, off, buf, len),
			    there);
			for (i = 0; i < sizeof(buf); i++)
				assert_int_equal(buf[i],
				    i < there ? off + i : 0xee);
			memset(want, 0x77, sizeof(want));
			assert_int_equal(vq_iov_put(v, 3, off, want, len),
			    there);
			for (i = 0; i < sizeof(bytes); i++)
				assert_int_equal(bytes[i],
				    i >= off && i < off + there ? 0x77 : i);
			n = vq_iov_slice(v, 3, off, len, out, 3);
			if (len > there)
				assert_int_equal(n, -1);
			else
				assert_int_equal(vq_iov_len(out, (size_t)n),
				    len);
		}
	assert_int_equal(vq_iov_slice(v, 3, 0, 10, out, 2), -1);
	assert_int_equal(errno, E2BIG);
	assert_int_equal(vq_iov_slice(v, 3, 2, 3, v, 3), 3);
	assert_ptr_equal(v[0].iov_base, bytes + 2);
}

/* A record of something else, or of nonsense, is refused. */
static void
bad_records(void **state)
{
	struct vq_inflight *r = calloc(1, vq_inflight_size(SIZE));

	assert_non_null(r);
	conf.inflight = r;
	assert_int_equal(vq_init(&q, &conf), 0);
	assert_int_equal(r->size, SIZE);
	r->size = 8;
	assert_int_equal(vq_init(&q, &conf), -1);
	assert_int_equal(errno, EBADMSG);
	r->size = SIZE;
	r->slots[1].state = 9;
	assert_int_equal(vq_init(&q, &conf), -1);
	assert_int_equal(errno, EBADMSG);
	r->slots[1].state = 1;
	r->slots[1].seq = UINT64_MAX;
	assert_int_equal(vq_init(&q, &conf), -1);
	assert_int_equal(errno, EBADMSG);
	r->slots[1].seq = 0;
	poke16(&g, conf.used + 2, 5);
	assert_int_equal(vq_init(&q, &conf), -1);
	assert_int_equal(errno, EPROTO);
	/* Two of the same age: both, once. */
	poke16(&g, conf.used + 2, 0);
	desc(1, DATA, 8, 0, 0);
	desc(2, DATA, 8, 0, 0);
	poke16(&g, conf.avail + 2, 2);
	r->slots[2].state = 1;
	assert_int_equal(vq_init(&q, &conf), 0);
	assert_int_equal(vq_redo(&q, &c), 1);
	assert_int_equal(c.head, 1);
	assert_int_equal(vq_push(&q, 2, 0), -1);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(c.head, 2);
	assert_int_equal(vq_next(&q, &c), 0);
	/* Given back, the older one first, they come again in their order. */
	assert_int_equal(vq_untake(&q, 1), 0);
	assert_int_equal(vq_untake(&q, 1), -1);
	assert_int_equal(vq_waits(&q), 1);
	assert_int_equal(vq_untake(&q, 2), 0);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(c.head, 1);
	assert_int_equal(vq_next(&q, &c), 1);
	assert_int_equal(c.head, 2);
	assert_int_equal(vq_inflight_count(&q), 2);
	assert_int_equal(vq_next(&q, &c), 0);
	assert_int_equal(vq_publish(&q), 1);
	vq_inflight_clear(r, SIZE);
	assert_int_equal(vq_init(&q, &conf), 0);
	assert_int_equal(vq_redo(&q, &c), 0);
	/* Cleared, and died over it: still empty, the next time as well. */
	r->slots[1].state = 1;
	r->used = 7;
	r->size = 0;
	assert_int_equal(vq_init(&q, &conf), 0);
	assert_int_equal(vq_init(&q, &conf), 0);
	assert_int_equal(vq_redo(&q, &c), 0);
	free(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(areas),
		TEST(round_trip),
		TEST(wraps),
		TEST(broken_rings),
		TEST(indirect),
		TEST(straddle),
		TEST(interrupts),
		TEST(kicks),
		TEST(gives_back),
		TEST(moves),
		TEST(marks),
		TEST(lists),
		TEST(bad_records),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
