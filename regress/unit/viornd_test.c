/* The entropy device: chains, the rate, and a guest that breaks its queue. */

#include <sys/timerfd.h>

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "regress/unit/dirty_watch.h"
#include "regress/unit/virtio_test.h"
#include "vmd/vm/viornd.h"

#define RAM	0x40000
#define DESC	0x0
#define AVAIL	0x400
#define USED	0x800
#define DATA	0x1000
#define F_NEXT	1
#define F_WRITE 2

static struct gmem mem;
static struct event_base *base;
static struct viornd *rnd;
static uint64_t bar0;
static uint16_t offered;
static struct watch watch;
static struct vq_dirty dirty = { watch_mark, &watch };

/* A clock that stands until told; timers that only say when. */
static struct timespec now;
static uint64_t armed_ns;

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *its,
    struct itimerspec *old);

int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	*t = now;
	return 0;
}

int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *its,
    struct itimerspec *old)
{
	armed_ns = (uint64_t)its->it_value.tv_sec * 1000000000 +
	    (uint64_t)its->it_value.tv_nsec;
	return 0;
}

static void
pass_ns(uint64_t ns)
{
	ns += (uint64_t)now.tv_nsec;
	now.tv_sec += (time_t)(ns / 1000000000);
	now.tv_nsec = (long)(ns % 1000000000);
}

static uint32_t
header(unsigned int reg)
{
	bus_write(w.bus, 0xcf8, 4, 1U << 31 | VIORND_SLOT << 11 | reg);
	return bus_read(w.bus, 0xcfc, 4);
}

static void
put(uint64_t off, unsigned int size, uint64_t val)
{
	mmio_bus_write(w.mmio, bar0 + off, size, val);
}

static void
begin(void)
{
	memset(mem.base, 0, RAM);
	offered = 0;
	put(STATUS, 1, 1);
	put(STATUS, 1, 3);
	put(8, 4, 1);
	put(12, 4, 1);
	put(STATUS, 1, 11);
	put(SELECT, 2, 0);
	put(32, 8, DESC);
	put(40, 8, AVAIL);
	put(48, 8, USED);
	put(ENABLE, 2, 1);
	put(STATUS, 1, 15);
}

static int
setup(void **state)
{
	struct virtio_host h;

	world_init();
	memset(&mem, 0, sizeof(mem));
	if ((mem.base = calloc(1, RAM)) == NULL ||
	    (base = event_base_new()) == NULL)
		return -1;
	mem.size = mem.ranges[0].size = RAM;
	mem.nranges = 1;
	h = w.v->host;
	h.base = base;
	h.mem = &mem;
	h.dirty = &dirty;
	watch.on = 1;
	armed_ns = 0;
	if ((rnd = viornd_new(&h, VIORND_RATE)) == NULL)
		return -1;
	bar0 = header(0x10) & ~15U;
	begin();
	return 0;
}

static int
teardown(void **state)
{
	viornd_free(rnd);
	event_base_free(base);
	free(mem.base);
	world_fini();
	return 0;
}

static void
offer(uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t i = offered % 64, next = 0;

	memcpy(mem.base + DESC + 16 * i, &addr, 8);
	memcpy(mem.base + DESC + 16 * i + 8, &len, 4);
	memcpy(mem.base + DESC + 16 * i + 12, &flags, 2);
	memcpy(mem.base + DESC + 16 * i + 14, &next, 2);
	memcpy(mem.base + AVAIL + 4 + 2 * i, &i, 2);
	offered++;
	memcpy(mem.base + AVAIL + 2, &offered, 2);
}

static void
kick(void)
{
	int i;

	put(0x3000, 4, 0);
	watch_begin(&watch, &mem, RAM);
	for (i = 0; i < 8; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	watch_end(&watch);
}

static unsigned int
used(void)
{
	uint16_t n;

	memcpy(&n, mem.base + USED + 2, 2);
	return n;
}

static uint32_t
used_len(unsigned int i)
{
	uint32_t n;

	memcpy(&n, mem.base + USED + 4 + 8 * i + 4, 4);
	return n;
}

/* How many of `n' bytes are not 0. */
static size_t
filled(uint64_t at, size_t n)
{
	size_t i, sum = 0;

	for (i = 0; i < n; i++)
		sum += mem.base[at + i] != 0;
	return sum;
}

static void
ids(void **state)
{
	assert_int_equal(header(0), 0x10441af4);
	assert_int_equal(header(8), 0x08800001);
	assert_int_equal(header(0x2c), 0x00040b5d);
	assert_int_equal(header(0x3c), 0x10a);
}

static void
chains(void **state)
{
	const uint16_t chain = F_NEXT | F_WRITE;

	offer(DATA, 1000, F_WRITE);
	offer(DATA + 2000, 1000, F_WRITE);
	kick();
	assert_int_equal(used(), 2);
	assert_int_equal(used_len(1), 1000);
	assert_true(filled(DATA, 1000) > 900);
	assert_int_equal(filled(DATA + 1000, 1000), 0);
	assert_true(filled(DATA + 2000, 1000) > 900);
	assert_int_equal(filled(DATA + 3000, 1000), 0);
	assert_int_equal(mmio_bus_read(w.mmio, bar0 + 0x1000, 1), 1);
	/* Nothing to write to; then one of several segments. */
	offer(DATA, 10, 0);
	offer(DATA + 4000, 10, chain);
	memcpy(mem.base + DESC + 16 * 3 + 14, &(uint16_t){ 9 }, 2);
	memcpy(mem.base + DESC + 16 * 9, mem.base + DESC + 16 * 3, 16);
	memcpy(mem.base + DESC + 16 * 9, &(uint64_t){ DATA + 5000 }, 8);
	memcpy(mem.base + DESC + 16 * 9 + 12, &(uint16_t){ F_WRITE }, 2);
	kick();
	assert_int_equal(used(), 4);
	assert_int_equal(used_len(2), 0);
	assert_int_equal(used_len(3), 20);
	assert_true(filled(DATA + 5000, 10) > 5);
}

static void
capped(void **state)
{
	offer(DATA, 100000, F_WRITE);
	kick();
	assert_int_equal(used_len(0), VIORND_CHAIN);
	assert_int_equal(filled(DATA + VIORND_CHAIN, 1000), 0);
}

static void
rate(void **state)
{
	int i;

	for (i = 0; i < 6; i++)
		offer(DATA, VIORND_CHAIN, F_WRITE);
	kick();
	/* A quarter of a second's worth at once, then no faster. */
	assert_int_equal(used(), 4);
	assert_int_equal(armed_ns, 62500001);
	pass_ns(armed_ns / 2);
	kick();
	assert_int_equal(used(), 4);
	pass_ns(armed_ns);
	kick();
	assert_int_equal(used(), 5);
	pass_ns(1ULL << 40);
	kick();
	assert_int_equal(used(), 6);
	/* Time that has passed is not saved up. */
	for (i = 0; i < 6; i++)
		offer(DATA, VIORND_CHAIN, F_WRITE);
	kick();
	assert_int_equal(used(), 9);
	/* Even of the smallest there is an end. */
	put(STATUS, 1, 0);
	assert_int_equal(armed_ns, 0);
	pass_ns(1ULL << 40);
	begin();
	for (i = 0; i < 10000 && armed_ns == 0; i++) {
		offer(DATA, 1, F_WRITE);
		kick();
	}
	assert_int_equal(i, (1 << 18) / 64 + 1);
}

static void
resets(void **state)
{
	offer(DATA, 10, F_WRITE);
	put(STATUS, 1, 0);
	kick();
	assert_int_equal(used(), 0);
	begin();
	offer(DATA, 10, F_WRITE);
	kick();
	assert_int_equal(used(), 1);
}

static void
broken(void **state)
{
	offer(RAM - 1, 2, F_WRITE);
	kick();
	assert_int_equal(mmio_bus_read(w.mmio, bar0 + STATUS, 1), 15 | 64);
	assert_int_equal(mmio_bus_read(w.mmio, bar0 + 0x1000, 1), 2);
	put(STATUS, 1, 0);
	begin();
	offer(RAM - 2, 2, F_WRITE);
	kick();
	assert_int_equal(used(), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ids),
		TEST(chains),
		TEST(capped),
		TEST(rate),
		TEST(resets),
		TEST(broken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
