/* The virtio transport: what a driver sees and what a backend is told. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "regress/unit/virtio_test.h"

#define MSIX_ON	  0x80000000U
#define MSIX_MASK 0x40000000U

static int
setup(void **state)
{
	world_init();
	return 0;
}

static int
teardown(void **state)
{
	world_fini();
	return 0;
}

static const struct connection *
find_irq(int fd)
{
	size_t i;

	for (i = 0; i < w.nirqs; i++)
		if (w.irqs[i].fd == fd)
			return &w.irqs[i];
	return NULL;
}

static uint64_t
kick_of(unsigned int q)
{
	size_t i;

	for (i = 0; i < w.nkicks; i++)
		if (w.kicks[i].fd == w.conf.kick[q])
			return w.kicks[i].at;
	return MMIO_NOWHERE;
}

static uint64_t
count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void
poke_fd(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void
look(void)
{
	unsigned int i;

	for (i = 0; i <= NQUEUES; i++)
		virtio_irq_look(&w.v->sources[i]);
}

/* The vector of queue `q'; NQUEUES: of the configuration. */
static void
vector(unsigned int q, uint16_t n)
{
	if (q == NQUEUES) {
		set(16, 2, n);
		return;
	}
	set(SELECT, 2, q);
	set(VECTOR, 2, n);
}

static void
table(unsigned int n, uint64_t addr, uint32_t data, int masked)
{
	uint64_t e = bar(1) + 16 * n;

	mmio_bus_write(w.mmio, e, 4, (uint32_t)addr);
	mmio_bus_write(w.mmio, e + 4, 4, addr >> 32);
	mmio_bus_write(w.mmio, e + 8, 4, data);
	mmio_bus_write(w.mmio, e + 12, 4, (uint32_t)masked);
}

static uint64_t
pba(void)
{
	return mmio_bus_read(w.mmio, bar(1) + 0x800, 8);
}

/* --- configuration space ---------------------------------------------------- */

static void
header(void **state)
{
	assert_int_equal(conf_get(0, 4), 0x10421af4);
	assert_int_equal(conf_get(8, 4), 0x01000001);
	assert_int_equal(conf_get(0x2c, 4), 0x00020b5d);
	assert_int_equal(conf_get(0x3c, 2), 0x010b);
	assert_int_equal(conf_get(4, 2), 6);
	assert_true(bar(0) >= MMIO_LOW && bar(1) >= MMIO_LOW);
	assert_true(bar(1) >= bar(0) + 0x4000);
	conf_set(0x10, 4, UINT32_MAX);
	assert_int_equal(conf_get(0x10, 4), 0xffffc000);
	conf_set(0x14, 4, UINT32_MAX);
	assert_int_equal(conf_get(0x14, 4), 0xfffff000);
	assert_int_equal(conf_get(0x18, 4), 0);
}

static void
capabilities(void **state)
{
	/* type, offset, length */
	static const uint32_t want[][3] = { { 1, 0, 56 },
		{ 2, 0x3000, 4 * NQUEUES }, { 3, 0x1000, 1 },
		{ 4, 0x2000, CONFIG }, { 5, 0, 0 } };
	unsigned int c = conf_get(0x34, 1);
	size_t i;

	assert_true((conf_get(6, 2) & 0x10) != 0);
	assert_int_equal(conf_get(c, 1), 0x11);
	assert_int_equal(conf_get(c + 2, 2), NQUEUES);
	assert_int_equal(conf_get(c + 4, 4), 1);
	assert_int_equal(conf_get(c + 8, 4), 0x801);
	for (i = 0; i < NELEM(want); i++) {
		c = conf_get(c + 1, 1);
		assert_int_equal(conf_get(c, 1), 9);
		assert_int_equal(conf_get(c + 3, 1), want[i][0]);
		assert_int_equal(conf_get(c + 4, 4), 0);
		assert_int_equal(conf_get(c + 8, 4), want[i][1]);
		assert_int_equal(conf_get(c + 12, 4), want[i][2]);
		if (want[i][0] == 2)
			assert_int_equal(conf_get(c + 16, 4), 4);
		conf_set(c + 8, 4, 0x10);
		if (want[i][0] != 5)
			assert_int_equal(conf_get(c + 8, 4), want[i][1]);
	}
	assert_int_equal(conf_get(c + 1, 1), 0);
}

static void
window_capability(void **state)
{
	unsigned int c = w.v->cfg_cap;

	conf_set(c + 8, 4, STATUS);
	conf_set(c + 12, 4, 1);
	conf_set(c + 16, 1, 3);
	assert_int_equal(GET_STATUS, 3);
	assert_int_equal(conf_get(c + 16, 1), 3);
	/* Things that are not there. */
	conf_set(c + 12, 4, 3);
	conf_set(c + 16, 1, 0);
	conf_set(c + 12, 4, 4);
	conf_set(c + 8, 4, 0x4000);
	conf_set(c + 16, 4, 0);
	conf_set(c + 8, 4, UINT32_MAX - 3);
	conf_set(c + 16, 4, 0);
	conf_set(c + 8, 4, 18);
	conf_set(c + 16, 4, 0);
	conf_set(c + 8, 4, 20);
	conf_set(c + 4, 1, 2);
	conf_set(c + 16, 4, 0);
	assert_int_equal(GET_STATUS, 3);
	/* The table is in the other BAR. */
	conf_set(c + 4, 1, 1);
	conf_set(c + 8, 4, 8);
	conf_set(c + 16, 4, 0x1234);
	assert_int_equal(mmio_bus_read(w.mmio, bar(1) + 8, 4), 0x1234);
}

/* --- states ------------------------------------------------------------------ */

static void
features(void **state)
{
	set(0, 4, 0);
	assert_int_equal(get(4, 4), (uint32_t)FEATURES);
	set(0, 4, 1);
	assert_int_equal(get(4, 4), 1);
	set(0, 4, 2);
	assert_int_equal(get(4, 4), 0);
	/* Without VERSION_1 there is no agreement. */
	agree(1 << 5);
	assert_int_equal(GET_STATUS, 3);
	/* What was not offered does not stay; a half is replaced. */
	set(8, 4, 0);
	set(12, 4, UINT32_MAX);
	assert_int_equal(get(12, 4), (uint32_t)FEATURES);
	set(12, 4, 1 << 28);
	assert_int_equal(get(12, 4), 1 << 28);
	set(8, 4, 7);
	set(12, 4, UINT32_MAX);
	assert_int_equal(get(12, 4), 0);
	set(8, 4, 1);
	set(12, 4, UINT32_MAX);
	set(STATUS, 1, 11);
	assert_int_equal(GET_STATUS, 11);
	/* Agreed is agreed. */
	set(12, 4, 0);
	assert_int_equal(get(12, 4), 1);
	set(STATUS, 1, 15);
	assert_int_equal(w.activations, 1);
	assert_true(w.features == (VIRTIO_F_VERSION_1 | 1 << 28));
}

static void
order_of_status(void **state)
{
	set(STATUS, 1, 4);
	assert_int_equal(GET_STATUS, 0);
	set(STATUS, 1, 2);
	assert_int_equal(GET_STATUS, 0);
	set(STATUS, 1, 15);
	assert_int_equal(GET_STATUS, 3);
	/* Bits stay until a reset. */
	set(STATUS, 1, 1);
	assert_int_equal(GET_STATUS, 3);
	set(STATUS, 1, 0x30);
	assert_int_equal(GET_STATUS, 3);
	set(STATUS, 1, 0x80);
	assert_int_equal(GET_STATUS, 0x83);
	set(STATUS, 1, 0xff);
	assert_int_equal(GET_STATUS, 0x83);
	set(STATUS, 1, 0);
	assert_int_equal(GET_STATUS, 0);
	assert_int_equal(w.activations, 0);
	assert_int_equal(w.resets, 0);
}

static void
queues(void **state)
{
	drive();
	assert_int_equal(GET_STATUS, 15);
	assert_int_equal(w.activations, 1);
	assert_int_equal(w.queues[1].size, QUEUE_MAX);
	assert_int_equal(w.queues[1].desc, 0x400);
	assert_int_equal(w.queues[2].used, 0xa00);
	assert_int_equal(w.queues[2].enabled, 1);
	set(STATUS, 1, 0);
	agree(VIRTIO_F_VERSION_1);
	set(SELECT, 2, 0);
	assert_int_equal(get(ENABLE, 2), 0);
	assert_int_equal(get(32, 8), 0);
	set(SIZE, 2, 3);
	set(SIZE, 2, 32);
	set(SIZE, 2, 0);
	assert_int_equal(get(SIZE, 2), QUEUE_MAX);
	set(SIZE, 2, 8);
	assert_int_equal(get(SIZE, 2), 8);
	/* By halves, bytes and in one. */
	set(36, 4, 1);
	set(32, 4, 0x10);
	assert_true(get(32, 8) == 0x100000010);
	set(36, 1, 0);
	set(33, 1, 2);
	assert_int_equal(get(32, 4), 0x210);
	/* Size and vector in one write. */
	set(24, 4, 0x00020004);
	assert_int_equal(get(SIZE, 2), 4);
	assert_int_equal(get(VECTOR, 2), 2);
	assert_int_equal(get(24, 8), 0x20004);
	set(SELECT, 2, NQUEUES);
	assert_int_equal(get(SIZE, 2), 0);
	assert_int_equal(get(VECTOR, 2), 0xffff);
	set(ENABLE, 2, 1);
	set(SIZE, 2, 4);
	assert_int_equal(get(SIZE, 2), 0);
	assert_int_equal(get(ENABLE, 2), 0);
	assert_int_equal(get(18, 2), NQUEUES);
}

/* A queue that is not in memory. */
static void
bad_queue(void **state)
{
	agree(VIRTIO_F_VERSION_1);
	set(SELECT, 2, 1);
	set(32, 8, 0x100000);
	set(ENABLE, 2, 1);
	assert_int_equal(GET_STATUS, 11 | 64);
	assert_int_equal(get(ENABLE, 2), 0);
	set(STATUS, 1, 15);
	assert_int_equal(GET_STATUS, 11 | 64);
	assert_int_equal(w.activations, 0);
	set(STATUS, 1, 0);
	drive();
	assert_int_equal(GET_STATUS, 15);
}

static void
slow_reset(void **state)
{
	drive();
	w.reset_now = 0;
	set(STATUS, 1, 0);
	assert_int_equal(GET_STATUS, 15);
	assert_int_equal(w.resets, 1);
	assert_int_equal(w.nkicks, 0);
	assert_int_equal(w.nirqs, 0);
	/* Nothing counts now. */
	set(STATUS, 1, 0);
	set(STATUS, 1, 0x80);
	set(SELECT, 2, 1);
	assert_int_equal(GET_STATUS, 15);
	assert_int_equal(get(SELECT, 2), 2);
	assert_int_equal(w.resets, 1);
	virtio_broken(w.v);
	assert_int_equal(GET_STATUS, 15);
	virtio_reset_done(w.v);
	assert_int_equal(GET_STATUS, 0);
	virtio_reset_done(w.v);
	drive();
	assert_int_equal(GET_STATUS, 15);
	assert_int_equal(w.activations, 2);
}

static void
breaks(void **state)
{
	struct virtio_state s;

	drive();
	virtio_state(w.v, &s);
	assert_int_equal(s.active, 1);
	assert_int_equal(s.queues[1].desc, 0x400);
	virtio_broken(w.v);
	assert_int_equal(GET_STATUS, 15 | 64);
	assert_int_equal(w.nkicks, 0);
	assert_int_equal(count(w.conf.config_call), 1);
	virtio_broken(w.v);
	assert_int_equal(count(w.conf.config_call), 0);
	assert_int_equal(get(0x1000, 1), 2);
	set(STATUS, 1, 0);
	w.refuse = 1;
	drive();
	assert_int_equal(GET_STATUS, 15 | 64);
	w.refuse = 0;
	set(STATUS, 1, 0);
	assert_int_equal(w.resets, 1);
	drive();
	w.reset_now = 0;
	set(STATUS, 1, 0);
	virtio_fail(w.v);
	assert_int_equal(GET_STATUS, 0);
	drive();
	assert_int_equal(GET_STATUS, 15 | 64);
	assert_int_equal(w.activations, 3);
	virtio_state(w.v, &s);
	assert_int_equal(s.active, 0);
}

static void
config(void **state)
{
	uint64_t gen = get(21, 1);

	virtio_page_write(&w.page, 4, "abcdefgh", 8);
	assert_true(get(21, 1) != gen);
	assert_int_equal(get(0x2004, 4), 0x64636261);
	assert_true(get(0x2004, 8) == 0x6867666564636261ULL);
	assert_int_equal(get(0x2005, 1), 'b');
	assert_int_equal(get(0x200a, 4), 0x6867);
	assert_int_equal(get(0x200c, 4), 0);
	virtio_config_changed(w.v);
	assert_int_equal(count(w.conf.config_call), 0);
	set(0x2000, 4, 1);
	assert_int_equal(w.writes, 0);
	drive();
	virtio_config_changed(w.v);
	assert_int_equal(count(w.conf.config_call), 1);
	set(0x2002, 2, 0x4321);
	assert_int_equal(w.writes, 1);
	assert_int_equal(w.write_off, 2);
	assert_int_equal(w.write_val, 0x4321);
	set(0x2004, 8, 0x100000002);
	assert_int_equal(w.writes, 3);
	assert_int_equal(w.write_off, 8);
	assert_int_equal(w.write_val, 1);
	set(0x200a, 4, 0);
	set(0x2010, 4, 0);
	assert_int_equal(w.writes, 3);
}

/* --- kicks ------------------------------------------------------------------- */

static void
kicks(void **state)
{
	uint64_t at = bar(0) + 0x3000;

	set(0x3000, 2, 0);
	assert_int_equal(count(w.conf.kick[0]), 0);
	drive();
	assert_int_equal(w.nkicks, 2);
	assert_true(kick_of(0) == at && kick_of(1) == at + 4);
	/* What the kernel would not take. */
	set(0x3004, 4, 1);
	assert_int_equal(count(w.conf.kick[1]), 1);
	set(0x3008, 2, 2);
	assert_int_equal(w.notifies, 1);
	set(0x3002, 2, 0);
	set(0x300c, 2, 3);
	assert_int_equal(w.notifies, 1);
	/* They follow the BAR. */
	conf_set(0x10, 4, 0xf0100000);
	assert_true(kick_of(0) == 0xf0103000);
	assert_true(mmio_bus_read(w.mmio, at, 4) == UINT32_MAX);
	conf_set(4, 2, 0);
	assert_int_equal(w.nkicks, 0);
	conf_set(4, 2, 6);
	assert_int_equal(w.nkicks, 2);
	/* Where no device may be. */
	conf_set(0x10, 4, 0x10000000);
	assert_int_equal(w.nkicks, 0);
	assert_true(mmio_bus_read(w.mmio, 0x10000000, 4) == UINT32_MAX);
	conf_set(0x10, 4, 0xfec00000);
	assert_int_equal(w.nkicks, 0);
	w.no_ioevents = 1;
	conf_set(0x10, 4, 0xd0000000);
	assert_int_equal(w.nkicks, 0);
	set(0x3000, 2, 0);
	assert_int_equal(count(w.conf.kick[0]), 1);
}

/* Without bus mastering nobody works on queues, and no message is sent. */
static void
master(void **state)
{
	unsigned int cap = w.v->msix_cap;

	drive();
	assert_int_equal(w.nkicks, 2);
	conf_set(4, 2, 2);
	assert_int_equal(w.nkicks, 0);
	set(0x3000, 2, 0);
	set(0x3004, 4, 1);
	set(0x3008, 2, 2);
	assert_int_equal(count(w.conf.kick[0]), 0);
	assert_int_equal(count(w.conf.kick[1]), 0);
	assert_int_equal(w.notifies, 0);
	/* The line needs no memory. */
	assert_int_equal(w.nirqs, NQUEUES + 1);
	conf_set(4, 2, 6);
	assert_int_equal(w.nkicks, 2);
	conf_set(cap, 4, MSIX_ON);
	vector(0, 0);
	table(0, 0xfee01000, 0x41, 0);
	assert_int_equal(w.nirqs, 1);
	conf_set(4, 2, 2);
	assert_int_equal(w.nirqs, 0);
	poke_fd(w.conf.call[0]);
	look();
	assert_int_equal(mmio_bus_read(w.mmio, bar(1) + 0x800, 8), 1);
	/* It comes when it may. */
	conf_set(4, 1, 6);
	assert_int_equal(w.nirqs, 1);
	assert_int_equal(count(w.conf.call[0]), 1);
	assert_int_equal(mmio_bus_read(w.mmio, bar(1) + 0x800, 8), 0);
	/* A driver may do this last. */
	set(STATUS, 1, 0);
	conf_set(4, 2, 2);
	drive();
	assert_int_equal(w.nkicks, 0);
	conf_set(4, 2, 6);
	assert_int_equal(w.nkicks, 2);
}

/* --- interrupts ---------------------------------------------------------------- */

static void
line(void **state)
{
	const struct connection *c;

	assert_int_equal(w.nirqs, 0);
	drive();
	assert_int_equal(w.nirqs, NQUEUES + 1);
	assert_non_null(c = find_irq(w.conf.call[1]));
	assert_int_equal(c->at, 11);
	assert_int_equal(c->resample, w.conf.resample);
	assert_int_equal(conf_get(6, 2) & 8, 0);
	virtio_call(w.v, 1);
	virtio_call(w.v, 9);
	assert_int_equal(count(w.conf.call[1]), 1);
	assert_int_equal(conf_get(6, 2) & 8, 8);
	/* Ended while the cause is there: again. */
	poke_fd(w.conf.resample);
	virtio_irq_resampled(w.v);
	assert_int_equal(count(w.conf.config_call), 1);
	assert_int_equal(count(w.conf.resample), 0);
	assert_int_equal(get(0x1001, 1), 0);
	assert_int_equal(get(0x1000, 4), 1);
	assert_int_equal(get(0x1000, 1), 0);
	virtio_irq_resampled(w.v);
	assert_int_equal(count(w.conf.config_call), 0);
	/* Switched off, and on with a cause. */
	conf_set(4, 2, 0x406);
	assert_int_equal(w.nirqs, 0);
	virtio_call(w.v, 0);
	look();
	conf_set(4, 2, 6);
	assert_int_equal(w.nirqs, NQUEUES + 1);
	assert_int_equal(count(w.conf.call[0]), 1);
	set(STATUS, 1, 0);
	assert_int_equal(w.nirqs, 0);
	assert_int_equal(get(0x1000, 1), 0);
}

static void
vectors(void **state)
{
	unsigned int cap = w.v->msix_cap, i;
	const struct connection *c;

	conf_set(cap, 4, MSIX_ON);
	drive();
	assert_int_equal(w.nirqs, 0);
	for (i = 0; i <= NQUEUES; i++)
		vector(i, (uint16_t)i);
	vector(1, NQUEUES + 1);
	assert_int_equal(get(VECTOR, 2), 0xffff);
	vector(1, 1);
	assert_int_equal(w.nirqs, 0); /* all masked */
	table(1, 0xfee01000, 0x41, 0);
	assert_int_equal(w.nirqs, 1);
	assert_non_null(c = find_irq(w.conf.call[1]));
	assert_int_equal(c->resample, -1);
	assert_int_equal(w.msi[c->at - FIRST_MSI].addr, 0xfee01000);
	assert_int_equal(w.msi[c->at - FIRST_MSI].data, 0x41);
	/* Two that share one. */
	vector(0, 1);
	assert_int_equal(w.nirqs, 2);
	assert_int_equal(find_irq(w.conf.call[0])->at,
	    find_irq(w.conf.call[1])->at);
	/* A message that changes while it is open. */
	mmio_bus_write(w.mmio, bar(1) + 16 + 8, 4, 0x42);
	assert_int_equal(w.msi[find_irq(w.conf.call[0])->at - FIRST_MSI].data,
	    0x42);
	vector(0, 0xffff);
	assert_int_equal(w.nirqs, 1);
	virtio_call(w.v, 1);
	assert_int_equal(get(0x1000, 1), 0);
	/* MSI-X off: the line. */
	conf_set(cap, 4, 0);
	assert_int_equal(w.nirqs, NQUEUES + 1);
	assert_int_equal(find_irq(w.conf.call[1])->at, 11);
	conf_set(cap, 4, MSIX_ON);
	assert_int_equal(w.nirqs, 1);
	set(STATUS, 1, 0);
	assert_int_equal(w.nirqs, 0);
	vector(1, 1);
	assert_int_equal(w.nirqs, 0);
}

static void
held(void **state)
{
	unsigned int cap = w.v->msix_cap;

	conf_set(cap, 4, MSIX_ON);
	drive();
	vector(1, 2);
	vector(NQUEUES, 0);
	table(0, 0xfee00000, 0x40, 0);
	table(2, 0xfee00000, 0x42, 1);
	virtio_call(w.v, 1);
	assert_int_equal(pba(), 4);
	assert_int_equal(count(w.conf.call[1]), 0);
	virtio_call(w.v, 1);
	look();
	assert_int_equal(pba(), 4);
	/* Once, when it is unmasked. */
	mmio_bus_write(w.mmio, bar(1) + 2 * 16 + 12, 4, 0);
	assert_non_null(find_irq(w.conf.call[1]));
	assert_int_equal(count(w.conf.call[1]), 1);
	assert_int_equal(pba(), 0);
	/* The whole function. */
	conf_set(cap, 4, MSIX_ON | MSIX_MASK);
	assert_int_equal(w.nirqs, 0);
	virtio_call(w.v, 1);
	virtio_config_changed(w.v);
	assert_int_equal(pba(), 5);
	conf_set(cap, 4, MSIX_ON);
	assert_int_equal(pba(), 0);
	assert_int_equal(count(w.conf.call[1]), 1);
	assert_int_equal(count(w.conf.config_call), 1);
	/* Not held, not pending: somebody else has seen it. */
	virtio_call(w.v, 1);
	look();
	assert_int_equal(pba(), 0);
	/* A reset forgets. */
	conf_set(cap, 4, MSIX_ON | MSIX_MASK);
	virtio_call(w.v, 1);
	assert_int_equal(pba(), 4);
	set(STATUS, 1, 0);
	assert_int_equal(pba(), 0);
}

static void
msix_table(void **state)
{
	uint64_t e = bar(1) + 16;

	assert_int_equal(mmio_bus_read(w.mmio, e + 12, 4), 1);
	mmio_bus_write(w.mmio, e, 8, UINT64_MAX);
	mmio_bus_write(w.mmio, e + 8, 8, UINT64_MAX);
	assert_true(mmio_bus_read(w.mmio, e, 8) == 0xfffffffffffffffcULL);
	assert_true(mmio_bus_read(w.mmio, e + 8, 8) == 0x1ffffffffULL);
	assert_int_equal(mmio_bus_read(w.mmio, e + 16, 4), 0);
	mmio_bus_write(w.mmio, e + 6, 4, 0);
	assert_true(mmio_bus_read(w.mmio, e, 8) == 0xfffffffffffcULL);
	assert_int_equal(mmio_bus_read(w.mmio, e + 8, 4), 0xffff0000);
	mmio_bus_write(w.mmio, bar(1) + 16 * 4, 8, UINT64_MAX);
	assert_int_equal(mmio_bus_read(w.mmio, bar(1) + 16 * 4, 8), 0);
	mmio_bus_write(w.mmio, bar(1) + 0x800, 8, UINT64_MAX);
	assert_int_equal(pba(), 0);
}

static void
confs(void **state)
{
	struct virtio_host h = w.v->host;
	struct virtio_conf c = w.conf;

	c.slot = 5;
	c.nqueues = VIRTIO_MAXQUEUES + 1;
	assert_null(virtio_new(&h, &c));
	c.nqueues = 0;
	assert_null(virtio_new(&h, &c));
	c.nqueues = 1;
	c.queue_max = 3;
	assert_null(virtio_new(&h, &c));
	c.queue_max = 16;
	c.config_len = VIRTIO_CONFIG_MAX + 1;
	assert_null(virtio_new(&h, &c));
	assert_int_equal(errno, EINVAL);
	c.config_len = 0;
	c.slot = SLOT;
	assert_null(virtio_new(&h, &c));
	assert_int_equal(errno, EEXIST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(header),
		TEST(capabilities),
		TEST(window_capability),
		TEST(features),
		TEST(order_of_status),
		TEST(queues),
		TEST(bad_queue),
		TEST(slow_reset),
		TEST(breaks),
		TEST(config),
		TEST(kicks),
		TEST(master),
		TEST(line),
		TEST(vectors),
		TEST(held),
		TEST(msix_table),
		TEST(confs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
