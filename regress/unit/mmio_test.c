/* Windows in memory: who answers, and where they may be. */

#include <errno.h>

#include "regress/unit/dev_test.h"
#include "vmd/vm/mmio.h"

struct dev {
	unsigned int reads, writes, size;
	uint64_t off, val;
};

static struct bus *bus;
static struct mmio *m;
static struct dev a, b;

static uint64_t
dev_read(void *arg, uint64_t off, unsigned int size)
{
	struct dev *d = arg;

	d->reads++;
	d->off = off;
	d->size = size;
	return 0x1122334455667788ULL;
}

static void
dev_write(void *arg, uint64_t off, unsigned int size, uint64_t val)
{
	struct dev *d = arg;

	d->writes++;
	d->off = off;
	d->size = size;
	d->val = val;
}

static const struct mmio_ops ops = { "test", dev_read, dev_write };

static int
setup(void **state)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	bus = bus_new();
	m = mmio_new(bus);
	return m == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	mmio_free(m);
	bus_free(bus);
	return 0;
}

static void
accesses(void **state)
{
	int w = mmio_add(m, &ops, &a, 0x1000);

	assert_true(mmio_bus_read(m, 0xc0000000, 4) == UINT32_MAX);
	assert_true(mmio_move(m, w, 0xc0001000) == 0xc0001000);
	assert_true(mmio_bus_read(m, 0xc0001000, 8) == 0x1122334455667788ULL);
	assert_int_equal(mmio_bus_read(m, 0xc0001004, 1), 0x88);
	assert_int_equal(a.off, 4);
	mmio_bus_write(m, 0xc0001ffe, 2, 0x12345678);
	assert_int_equal(a.val, 0x5678);
	assert_int_equal(a.off, 0xffe);
	/* Over an end, of no size, of nobody. */
	mmio_bus_write(m, 0xc0001fff, 2, 0);
	mmio_bus_write(m, 0xc0000fff, 2, 0);
	mmio_bus_write(m, 0xc0001000, 3, 0);
	mmio_bus_write(m, 0xc0001000, 0, 0);
	mmio_bus_write(m, UINT64_MAX, 8, 0);
	assert_int_equal(a.writes, 1);
	assert_true(mmio_bus_read(m, 0xc0001fff, 8) == UINT64_MAX);
	assert_true(mmio_bus_read(m, 0xc0001000, 16) == UINT64_MAX);
	assert_int_equal(a.reads, 2);
	mmio_del(m, w);
	assert_int_equal(mmio_bus_read(m, 0xc0001000, 1), 0xff);
}

static void
overlaps(void **state)
{
	int first = mmio_add(m, &ops, &a, 0x2000);
	int second = mmio_add(m, &ops, &b, 0x2000);

	mmio_move(m, second, 0xd0000000);
	mmio_move(m, first, 0xd0001000);
	mmio_bus_write(m, 0xd0001000, 4, 1);
	mmio_bus_write(m, 0xd0000000, 4, 1);
	assert_int_equal(a.writes, 1);
	assert_int_equal(b.writes, 1);
	/* A number is used again. */
	mmio_del(m, first);
	mmio_bus_write(m, 0xd0001000, 4, 1);
	assert_int_equal(b.writes, 2);
	assert_int_equal(mmio_add(m, &ops, &a, 16), first);
}

static void
places(void **state)
{
	static const struct {
		uint64_t gpa;
		int ok;
	} tests[] = {
		{ 0, 0 },
		{ 0xbffff000, 0 },
		{ 0xc0000000, 1 },
		{ 0xdffff000, 1 },
		{ 0xdffff001, 0 },
		{ 0xe0000000, 0 },
		{ 0xeffff000, 0 },
		{ 0xf0000000, 1 },
		{ 0xfebff000, 1 },
		{ 0xfec00000, 0 },
		{ 0xfee00000, 0 },
		{ 0x100000000, 0 },
		{ UINT64_MAX - 0xfff, 0 },
		{ UINT64_MAX, 0 },
	};
	int w = mmio_add(m, &ops, &a, 0x1000);
	uint64_t gpa, last;
	size_t i;

	for (i = 0; i < NELEM(tests); i++)
		assert_true(mmio_move(m, w, tests[i].gpa) ==
		    (tests[i].ok ? tests[i].gpa : MMIO_NOWHERE));
	assert_true(mmio_place(m, 0x1000) == 0xc0000000);
	assert_true(mmio_place(m, 0x4000) == 0xc0004000);
	assert_true(mmio_place(m, 0x1000) == 0xc0008000);
	last = 0;
	while ((gpa = mmio_place(m, 0x1000000)) != MMIO_NOWHERE) {
		assert_true(gpa % 0x1000000 == 0 && gpa > last);
		last = gpa;
	}
	assert_true(last == 0xdf000000);
}

static void
full(void **state)
{
	int i;

	for (i = 0; i < MMIO_MAXWINDOWS; i++)
		assert_int_equal(mmio_add(m, &ops, &a, 16), i);
	assert_int_equal(mmio_add(m, &ops, &a, 16), -1);
	assert_int_equal(errno, ENOSPC);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accesses),
		TEST(overlaps),
		TEST(places),
		TEST(full),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
