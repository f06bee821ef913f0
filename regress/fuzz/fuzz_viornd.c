/*
 * The entropy device with a driver that does what it wants: registers, its
 * memory, chains, kicks, and time that passes.  A byte says what, its
 * operands follow.  What is filled lies in the guest's memory, it is no more
 * than the rate allows, and nothing is given to a driver that did not start
 * the device, broke its queue, or is paused.
 */
#include <sys/random.h>
#include <sys/timerfd.h>

#include <event2/event.h>
#include <time.h>

#include "regress/unit/virtio_test.h"
#include "vmd/vm/viornd.h"

#define RAM	 0x4000
#define DESC	 0x0
#define AVAIL	 0x400
#define USED	 0x800
#define ENTRIES	 64
#define BURST	 (VIORND_RATE / 4)
#define RUNNING	 4 /* of the status */
#define BROKEN	 64
#define INDIRECT (1U << 28)
#define EVENTIDX (1U << 29)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *its,
    struct itimerspec *old);
ssize_t __wrap_getrandom(void *buf, size_t n, unsigned int flags);

struct input {
	const uint8_t *p;
	size_t left;
};

static struct gmem mem;
static struct event_base *base;
static struct viornd *rnd;
static uint64_t bar0;
static uint16_t offered;
static uint64_t now_ms, given;
static int paused;

int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	t->tv_sec = (time_t)(now_ms / 1000);
	t->tv_nsec = (long)(now_ms % 1000 * 1000000);
	return 0;
}

/* Who waits is kicked. */
int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *its,
    struct itimerspec *old)
{
	return 0;
}

ssize_t
__wrap_getrandom(void *buf, size_t n, unsigned int flags)
{
	uintptr_t at = (uintptr_t)buf - (uintptr_t)mem.base;

	if (n == 0 || at >= RAM || n > RAM - at)
		abort();
	memset(buf, 0xa5, n);
	given += n;
	return (ssize_t)n;
}

static uint64_t
take(struct input *in, size_t n)
{
	uint64_t v = 0;

	if (n > in->left)
		n = in->left;
	memcpy(&v, in->p, n);
	in->p += n;
	in->left -= n;
	return v;
}

static void
put(uint64_t off, unsigned int size, uint64_t val)
{
	mmio_bus_write(w.mmio, bar0 + off, size, val);
}

static void
start(uint32_t features)
{
	const uint32_t none = 0;

	offered = 0;
	memcpy(mem.base + AVAIL, &none, 4);
	memcpy(mem.base + USED, &none, 4);
	put(STATUS, 1, 0);
	put(STATUS, 1, 3);
	put(8, 4, 0);
	put(12, 4, features);
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

static void
offer(uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t i = offered++ % ENTRIES, next = (i + 1) % ENTRIES;

	memcpy(mem.base + DESC + 16 * i, &addr, 8);
	memcpy(mem.base + DESC + 16 * i + 8, &len, 4);
	memcpy(mem.base + DESC + 16 * i + 12, &flags, 2);
	memcpy(mem.base + DESC + 16 * i + 14, &next, 2);
	memcpy(mem.base + AVAIL + 4 + 2 * i, &i, 2);
	memcpy(mem.base + AVAIL + 2, &offered, 2);
}

/* Whatever woke the main thread: a kick, a timer, the end of a pause. */
static void
run(void)
{
	uint64_t before = given, status;
	int i;

	status = mmio_bus_read(w.mmio, bar0 + STATUS, 1);
	for (i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	if (given != before &&
	    (paused || (status & (RUNNING | BROKEN)) != RUNNING))
		abort();
	if (given > BURST + (uint64_t)VIORND_RATE * now_ms / 1000)
		abort();
}

/* Areas of BAR 0 by their first bytes, as in fuzz_virtio_pci.c. */
static uint64_t
place(uint64_t where)
{
	return (where >> 6 & 3) << 12 | (where & 0x3f);
}

static void
act(struct input *in)
{
	unsigned int what = (unsigned int)take(in, 1), more = what >> 3;
	unsigned int size = 1U << (more & 3);
	uint64_t at = take(in, 2);
	size_t n;

	switch (what & 7) {
	case 0:
		put(place(at), size, take(in, size));
		break;
	case 1:
		mmio_bus_read(w.mmio, bar0 + place(at), size);
		break;
	case 2:
		at %= RAM - 32;
		for (n = 0; n <= more && in->left > 0; n++)
			mem.base[at + n] = (uint8_t)take(in, 1);
		break;
	case 3:
		offer(at, (uint32_t)take(in, 3), more & 7);
		break;
	case 4:
		put(0x3000, 2, at);
		break;
	case 5:
		now_ms += at;
		break;
	case 6:
		paused = more & 1;
		viornd_pause(rnd, paused);
		break;
	default:
		start((at & 1 ? INDIRECT : 0) | (at & 2 ? EVENTIDX : 0));
		break;
	}
	run();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	struct virtio_host h;

	world_init();
	memset(&mem, 0, sizeof(mem));
	if ((mem.base = calloc(1, RAM)) == NULL ||
	    (base = event_base_new()) == NULL)
		abort();
	mem.size = mem.ranges[0].size = RAM;
	mem.nranges = 1;
	now_ms = given = 0;
	paused = 0;
	h = w.v->host;
	h.base = base;
	h.mem = &mem;
	if ((rnd = viornd_new(&h, VIORND_RATE)) == NULL)
		abort();
	bus_write(w.bus, 0xcf8, 4, 1U << 31 | VIORND_SLOT << 11 | 0x10);
	bar0 = bus_read(w.bus, 0xcfc, 4) & ~15U;
	start(0);
	while (in.left > 0)
		act(&in);
	viornd_free(rnd);
	event_base_free(base);
	free(mem.base);
	world_fini();
	return 0;
}
