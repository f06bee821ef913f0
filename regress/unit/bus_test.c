/* The bus: who gets which piece of an access, and who may own what. */

#include <errno.h>

#include "regress/unit/dev_test.h"

/* A device that answers with its ports and remembers what it was told. */
struct echo {
	unsigned int n;
	struct {
		uint16_t port;
		unsigned int size;
		uint32_t val;
	} log[8];
};

static void
note(struct echo *e, uint16_t port, unsigned int size, uint32_t val)
{
	assert_true(e->n < NELEM(e->log));
	e->log[e->n].port = port;
	e->log[e->n].size = size;
	e->log[e->n++].val = val;
}

/* Garbage above the size, which must not be seen. */
static uint32_t
echo_read(void *dev, uint16_t port, unsigned int size)
{
	uint32_t v = 0xa5000000;
	unsigned int i;

	note(dev, port, size, 0);
	for (i = size; i-- > 0;)
		v = v << 8 | ((port + i) & 0xff);
	return v;
}

static void
echo_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	note(dev, port, size, val);
}

static const struct device_ops byte_ops = { "byte", 0x10, 8, 1, echo_read,
	echo_write };
static const struct device_ops word_ops = { "word", 0x18, 8, 2, echo_read,
	echo_write };
static const struct device_ops long_ops = { "long", 0x20, 8, 4, echo_read,
	echo_write };
static const struct device_ops last_ops = { "last", 0xfffe, 2, 1, echo_read,
	echo_write };

static struct bus *
make(struct echo e[4])
{
	struct bus *b = bus_new();

	memset(e, 0, 4 * sizeof(*e));
	assert_non_null(b);
	assert_int_equal(bus_add(b, &byte_ops, &e[0]), 0);
	assert_int_equal(bus_add(b, &word_ops, &e[1]), 0);
	assert_int_equal(bus_add(b, &long_ops, &e[2]), 0);
	assert_int_equal(bus_add(b, &last_ops, &e[3]), 0);
	return b;
}

/* Every port, every width: each byte comes from its port or is 0xff. */
static void
reads(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4 };
	unsigned int port, i, s, p;
	struct echo e[4];
	struct bus *b = make(e);
	uint32_t v, want;

	for (port = 0; port < 0x10000; port++)
		for (s = 0; s < NELEM(sizes); s++) {
			want = 0;
			for (i = 0; i < sizes[s]; i++) {
				p = port + i;
				if ((p >= 0x10 && p < 0x28) ||
				    (p >= 0xfffe && p < 0x10000))
					want |= (p & 0xff) << 8 * i;
				else
					want |= 0xffU << 8 * i;
			}
			v = bus_read(b, (uint16_t)port, sizes[s]);
			assert_int_equal(v, want);
			e[0].n = e[1].n = e[2].n = e[3].n = 0;
		}
	assert_int_equal(bus_read(b, 0x10, 3), UINT32_MAX);
	assert_int_equal(bus_read(b, 0x10, 0), UINT32_MAX);
	bus_write(b, 0x10, 8, 0);
	assert_int_equal(e[0].n, 0);
	bus_free(b);
}

static void
splits(void **state)
{
	struct echo e[4];
	struct bus *b = make(e);
	unsigned int i;

	/* Narrow device, wide access: ascending pieces. */
	bus_write(b, 0x10, 4, 0x44332211);
	assert_int_equal(e[0].n, 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(e[0].log[i].port, 0x10 + i);
		assert_int_equal(e[0].log[i].size, 1);
		assert_int_equal(e[0].log[i].val, 0x11 * (i + 1));
	}
	bus_write(b, 0x19, 4, 0x44332211);
	assert_int_equal(e[1].n, 2);
	assert_int_equal(e[1].log[0].port, 0x19);
	assert_int_equal(e[1].log[0].val, 0x2211);
	assert_int_equal(e[1].log[1].port, 0x1b);
	assert_int_equal(e[1].log[1].val, 0x4433);
	/* What the device takes goes in one piece. */
	bus_write(b, 0x20, 4, 0x44332211);
	assert_int_equal(e[2].n, 1);
	assert_int_equal(e[2].log[0].size, 4);
	assert_int_equal(e[2].log[0].val, 0x44332211);
	e[1].n = e[2].n = 0;
	/* Two devices: bytes. */
	bus_write(b, 0x1e, 4, 0x44332211);
	assert_int_equal(e[1].n, 2);
	assert_int_equal(e[2].n, 2);
	assert_int_equal(e[1].log[1].val, 0x22);
	assert_int_equal(e[2].log[0].port, 0x20);
	assert_int_equal(e[2].log[0].val, 0x33);
	/* Past the last port. */
	bus_write(b, 0xfffe, 4, 0x44332211);
	assert_int_equal(e[3].n, 2);
	assert_int_equal(e[3].log[1].val, 0x22);
	bus_free(b);
}

static void
owners(void **state)
{
	static struct device_ops ops[BUS_MAXDEVS + 1];
	struct device_ops bad = byte_ops;
	struct echo e[4];
	struct bus *b = make(e);
	unsigned int i;

	bad.base = 0x17;
	bad.len = 1;
	assert_int_equal(bus_add(b, &bad, NULL), -1);
	assert_int_equal(errno, EEXIST);
	bad.base = 0;
	bad.len = 0x11;
	assert_int_equal(bus_add(b, &bad, NULL), -1);
	assert_int_equal(errno, EEXIST);
	bad.len = 0;
	assert_int_equal(bus_add(b, &bad, NULL), -1);
	assert_int_equal(errno, EINVAL);
	bad.base = 0xffff;
	bad.len = 2;
	assert_int_equal(bus_add(b, &bad, NULL), -1);
	assert_int_equal(errno, EINVAL);
	bad = byte_ops;
	bad.base = 0x100;
	bad.width = 3;
	assert_int_equal(bus_add(b, &bad, NULL), -1);
	assert_int_equal(errno, EINVAL);
	for (i = 4; i <= BUS_MAXDEVS; i++) {
		ops[i] = byte_ops;
		ops[i].base = (uint16_t)(0x100 + 8 * i);
		assert_int_equal(bus_add(b, &ops[i], NULL),
		    i < BUS_MAXDEVS ? 0 : -1);
	}
	assert_int_equal(errno, ENOSPC);
	bus_free(b);
	bus_free(NULL);
}

static uint64_t at;

static uint64_t
where(void *dev)
{
	return at;
}

static const struct device_ops moving_ops = { "moving", 0, 8, 4, echo_read,
	echo_write };

/* A range that moves: found wherever it is, behind those that do not. */
static void
moves(void **state)
{
	static const uint64_t places[] = { 0, 0x0c, 0x1c, 0x24, 0x1000, 0xfff0,
		0xfff8, 0xfff9, 0xffff, 0x10000, 0x10010, 0xffffffff,
		UINT64_MAX - 4, UINT64_MAX };
	unsigned int i, s, port, j, p;
	struct echo e[4], m = { 0 };
	struct bus *b = make(e);
	uint32_t want;

	assert_int_equal(bus_add_moving(b, &moving_ops, &m, where), 0);
	for (i = 0; i < NELEM(places); i++)
		for (s = 1; s <= 4; s *= 2)
			for (port = 0; port < 0x10000; port++) {
				at = places[i];
				want = 0;
				for (j = 0; j < s; j++) {
					p = port + j;
					if ((p >= 0x10 && p < 0x28) ||
					    (p >= 0xfffe && p < 0x10000))
						want |= (p & 0xff) << 8 * j;
					else if (at <= 0xfff8 && p >= at &&
					    p < at + 8)
						want |= (uint32_t)(p - at)
						    << 8 * j;
					else
						want |= 0xffU << 8 * j;
				}
				assert_int_equal(bus_read(b, (uint16_t)port, s),
				    want);
				e[0].n = e[1].n = e[2].n = e[3].n = m.n = 0;
			}
	at = 0x1000;
	assert_int_equal(bus_read(b, 0x1004, 4), 0x07060504);
	assert_int_equal(m.n, 1);
	bus_write(b, 0x1006, 2, 0x2211);
	assert_int_equal(m.log[1].port, 6);
	assert_int_equal(m.log[1].size, 2);
	assert_int_equal(m.log[1].val, 0x2211);
	bus_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(splits),
		cmocka_unit_test(moves),
		cmocka_unit_test(owners),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
