/*
 * Every ring of a small scope: all descriptors over a small alphabet of
 * addresses, lengths, flags and links, in tables of 2 and 4, alone and with
 * indirect tables, and all index jumps.  What vq_next() says is compared with
 * a second reading of the specification; it must end, stay in memory (a
 * guard page is behind it) and write nothing, and vq_push() and vq_publish()
 * nothing but the used ring.
 */

#include "regress/unit/vq_test.h"

/* Two ranges that touch; the second ends at the guard page. */
#define SPLIT	 0xb0
#define END	 0xc0
#define DATA	 0x90
#define TABLE	 0xa0 /* indirect; up to 2 entries */
#define AVAIL	 0x40
#define USED	 0x54
#define USED_LEN 38
#define BAD	 99 /* not an index */

/* At least so many; fewer means that the scope has shrunk. */
#define MIN_STATES 3932868UL
#define MIN_GOOD   504103UL

static struct gmem g;
static struct vq_conf conf;
static struct vq q;
static unsigned long states, good;

/* --- the second reading ----------------------------------------------------- */

struct expect {
	struct {
		uint64_t addr;
		uint32_t len;
		int wr;
	} segs[16];
	unsigned int n;
	int writable; /* seen one */
};

static int
in_memory(uint64_t addr, uint32_t len)
{
	return addr < END && len <= END - addr;
}

static int
expect_segment(struct expect *e, const struct test_desc *d)
{
	int wr = (d->flags & F_WRITE) != 0;
	uint32_t first = d->len;

	if (d->len == 0 || !in_memory(d->addr, d->len) || (e->writable && !wr))
		return 0;
	e->writable |= wr;
	if (d->addr < SPLIT && d->addr + d->len > SPLIT)
		first = (uint32_t)(SPLIT - d->addr);
	e->segs[e->n].addr = d->addr;
	e->segs[e->n].len = first;
	e->segs[e->n++].wr = wr;
	if (first < d->len) {
		e->segs[e->n].addr = SPLIT;
		e->segs[e->n].len = d->len - first;
		e->segs[e->n++].wr = wr;
	}
	return 1;
}

/* 1 if the chain at `i' of a table of `n' is well-formed. */
static int
expect_chain(struct expect *e, uint64_t table, unsigned int n, unsigned int i,
    int inside)
{
	unsigned int visited = 0;
	struct test_desc d;

	for (;;) {
		if (i >= n || (visited & 1U << i) != 0)
			return 0;
		visited |= 1U << i;
		memcpy(&d, g.base + table + 16UL * i, sizeof(d));
		if ((d.flags & F_INDIRECT) != 0)
			break;
		if (!expect_segment(e, &d))
			return 0;
		if ((d.flags & F_NEXT) == 0)
			return 1;
		i = d.next;
	}
	if (inside || (conf.features & VQ_F_INDIRECT) == 0 ||
	    (d.flags & F_NEXT) != 0 || d.len == 0 || d.len % 16 != 0 ||
	    d.len / 16 > conf.size || !in_memory(d.addr, d.len))
		return 0;
	return expect_chain(e, d.addr, d.len / 16, 0, 1);
}

/* --- one state ---------------------------------------------------------------- */

static void
unchanged(const uint8_t *before, size_t from, size_t to)
{
	if (memcmp(before + from, g.base + from, to - from) != 0)
		fail_msg("memory between %zu and %zu has changed", from, to);
}

static void
compare(const struct expect *e, const struct vq_chain *c)
{
	unsigned int i;

	assert_int_equal(c->nrd + c->nwr, e->n);
	for (i = 0; i < e->n; i++) {
		assert_ptr_equal(c->iov[i].iov_base, g.base + e->segs[i].addr);
		assert_int_equal(c->iov[i].iov_len, e->segs[i].len);
		assert_int_equal(i >= c->nrd, e->segs[i].wr);
	}
	assert_int_equal(c->rdlen, vq_iov_len(c->rd, c->nrd));
	assert_int_equal(c->wrlen, vq_iov_len(c->wr, c->nwr));
}

/* What is in memory now, with `head' offered first of `idx'. */
static void
visit(uint16_t head, uint16_t idx)
{
	uint8_t before[END];
	struct iovec iov[8];
	struct vq_chain c = { .iov = iov, .max = NELEM(iov) };
	struct expect e = { .n = 0 };
	int want, rc;

	states++;
	poke16(&g, AVAIL + 2, idx);
	poke16(&g, AVAIL + 4, head);
	memset(g.base + USED, 0, USED_LEN);
	if (vq_init(&q, &conf) == -1)
		fail_msg("vq_init");
	memcpy(before, g.base, END);
	want = idx == 0							? 0 :
	    idx <= conf.size && expect_chain(&e, 0, conf.size, head, 0) ? 1 :
									  -1;
	if ((rc = vq_next(&q, &c)) != want)
		fail_msg("vq_next says %d, not %d", rc, want);
	unchanged(before, 0, END);
	if (rc != 1)
		return;
	good++;
	compare(&e, &c);
	if (vq_push(&q, head, c.wrlen) == -1 || !vq_publish(&q))
		fail_msg("vq_push");
	unchanged(before, 0, USED);
	unchanged(before, USED + 6 + 8UL * conf.size, END);
	assert_int_equal(peek16(&g, USED + 2), 1);
	assert_int_equal(peek32(&g, USED + 8), c.wrlen);
}

/* --- scopes ------------------------------------------------------------------- */

static const struct {
	uint64_t addr;
	uint32_t len;
} places[] = {
	{ DATA, 8 },
	{ END - 4, 4 },	  /* up to the end */
	{ END - 4, 5 },	  /* and beyond */
	{ SPLIT - 4, 8 }, /* in both ranges */
	{ DATA, 0 },
	{ UINT64_MAX - 3, 8 },
	{ 0x1000, 4 },
	{ DATA, UINT32_MAX },
};

static const uint16_t links[] = { 0, 1, 2, 0xffff };

static void
start(uint16_t size, uint64_t features)
{
	memset(g.base, 0, END);
	conf.mem = &g;
	conf.size = size;
	conf.avail = AVAIL;
	conf.used = USED;
	conf.features = features;
}

/* Number `n' of the descriptors that this scope knows; 0: no more. */
static int
any_desc(unsigned int n, struct test_desc *d)
{
	d->flags = n % 8;
	n /= 8;
	d->next = links[n % NELEM(links)];
	n /= NELEM(links);
	if (n >= NELEM(places))
		return 0;
	d->addr = places[n].addr;
	d->len = places[n].len;
	return 1;
}

static void
tables_of_two(void **state)
{
	struct test_desc d, e;
	unsigned int i, j;
	uint16_t head;

	for (i = 0; i < 2; i++) {
		start(2, i == 0 ? 0 : VQ_F_INDIRECT);
		for (unsigned int a = 0; any_desc(a, &d); a++) {
			desc_put(&g, 0, 0, &d);
			for (j = 0; any_desc(j, &e); j++) {
				desc_put(&g, 0, 1, &e);
				for (head = 0; head <= 2; head++)
					visit(head, 1);
			}
		}
	}
}

/* All chains of four: links, directions, and one bad kind. */
static void
tables_of_four(void **state)
{
	enum {
		KINDS = 4 * 5 + 1
	};
	struct test_desc kinds[KINDS];
	unsigned int n[4], i;
	uint16_t head;

	start(4, VQ_F_INDIRECT);
	for (i = 0; i < KINDS - 1; i++)
		kinds[i] = (struct test_desc){ DATA + i, 1 + i, i % 4,
			(uint16_t)(i / 4) };
	kinds[KINDS - 1] = (struct test_desc){ END, 1, 0, 0 };
	memset(n, 0, sizeof(n));
	do {
		for (i = 0; i < 4; i++)
			desc_put(&g, 0, i, &kinds[n[i]]);
		for (head = 0; head < 4; head++)
			visit(head, 1);
		for (i = 0; i < 4 && ++n[i] == KINDS; i++)
			n[i] = 0;
	} while (i < 4);
}

static void
indirect(void **state)
{
	static const uint32_t lens[] = { 0, 8, 16, 24, 32, 48, 64, 80,
		0xfffffff0 };
	static const uint64_t at[] = { TABLE, TABLE - 1, END - 16,
		UINT64_MAX - 15 };
	const struct test_desc first = { DATA, 2, F_NEXT, 1 };
	struct test_desc t = { .flags = F_INDIRECT, .next = 1 }, d, e;
	unsigned int a, b, i, j;

	start(4, VQ_F_INDIRECT);
	desc_put(&g, 0, 0, &first);
	for (i = 0; i < NELEM(lens); i++)
		for (j = 0; j < NELEM(at); j++) {
			t.len = lens[i];
			t.addr = at[j];
			desc_put(&g, 0, 1, &t);
			for (a = 0; any_desc(a, &d); a++) {
				desc_put(&g, TABLE, 0, &d);
				for (b = 0; any_desc(b, &e); b++) {
					desc_put(&g, TABLE, 1, &e);
					visit(0, 1);
				}
				visit(1, 1);
			}
		}
}

/* Whatever the avail index is, and whatever heads follow. */
static void
jumps(void **state)
{
	const struct test_desc d = { DATA, 1, 0, 0 };
	uint32_t idx;
	uint16_t size;

	for (size = 1; size <= 4; size *= 2)
		for (idx = 0; idx <= 0xffff; idx++) {
			start(size, 0);
			desc_put(&g, 0, 0, &d);
			visit(0, (uint16_t)idx);
			visit(BAD, (uint16_t)idx);
		}
}

static void
enough(void **state)
{
	print_message("# %lu states, %lu of them well-formed\n", states, good);
	assert_true(states >= MIN_STATES);
	assert_true(good >= MIN_GOOD);
}

static int
setup(void **state)
{
	mem_make(&g, END);
	g.ranges[0].size = SPLIT;
	g.ranges[1] = (struct gmem_range){ SPLIT, END - SPLIT, SPLIT,
		GMEM_RAM };
	g.nranges = 2;
	return 0;
}

static int
teardown(void **state)
{
	mem_drop(&g);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_of_two),
		cmocka_unit_test(tables_of_four),
		cmocka_unit_test(indirect),
		cmocka_unit_test(jumps),
		cmocka_unit_test(enough),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
