/*
 * How fast is the first disk?  A driver that does as it is told on the
 * serial line, a line for each run:
 *
 *	r|w s|n SIZE DEPTH MILLISECONDS [1]
 *
 * reads or writes, sequentially or anywhere, SIZE bytes at a time, DEPTH
 * requests at a time, for so long; it answers `done REQUESTS NANOSECONDS
 * KICKS INTERRUPTS ERRORS' and waits for the next line.  Each 4 KiB of the disk begin
 * with their own offset; a request that finds something else is an error.
 *
 * The same program runs on every virtual machine monitor, so that only these
 * differ: any virtio disk with the PCI interface of Virtio 1.2, 4.1.  It
 * works in ring 3 and looks at the used ring instead of being interrupted;
 * with a 1 at the end of the line it sleeps until it is, by MSI-X.
 */
#include "guest.h"

#define DATA	  0x1000000ULL /* memory that nobody else has */
#define DESC	  DATA
#define AVAIL	  (DATA + 0x4000)
#define USED	  (DATA + 0x8000)
#define HEADERS	  (DATA + 0x10000)
#define STATUS	  (DATA + 0x11000)
#define CLOCK	  (DATA + 0x12000)
#define BUFS	  (DATA + 0x400000)
#define BUF_SIZE  0x40000U /* the largest request */
#define DEPTH_MAX 32
#define QSIZE_MAX 256
#define STAMP	  4096
#define COM1	  0x3f8
#define FLUSH	  (1U << 9)
#define MSR_CLOCK 0x4b564d01
#define VECTOR	  0x50

static uint64_t common, notify, config, msix;
static unsigned int msix_cap;
static volatile uint64_t interrupts;
static uint32_t multiplier;
static uint64_t kick, capacity;
static uint16_t qsize, avail_idx, used_idx, kicked_idx;
static int events;
static uint64_t kicks, errors, count, elapsed;

struct run {
	uint32_t write, anywhere, size, depth, ms, sleep;
};
static struct run run;

/* --- finding it ------------------------------------------------------------ */

static uint32_t dev;

static uint32_t
conf(unsigned int reg)
{
	outl(0xcf8, 1U << 31 | dev << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

static uint8_t
conf8(unsigned int reg)
{
	return (uint8_t)(conf(reg) >> 8 * (reg & 3));
}

static uint8_t
load8(uint64_t a)
{
	return *(volatile uint8_t *)a;
}

static uint16_t
load16(uint64_t a)
{
	return *(volatile uint16_t *)a;
}

static uint64_t
load64(uint64_t a)
{
	return *(volatile uint64_t *)a;
}

static void
store8(uint64_t a, uint8_t v)
{
	*(volatile uint8_t *)a = v;
}

static void
store16(uint64_t a, uint16_t v)
{
	*(volatile uint16_t *)a = v;
}

static void
store64(uint64_t a, uint64_t v)
{
	*(volatile uint64_t *)a = v;
}

/* Address of what is at `off' of a BAR, 0 if we cannot reach it. */
static uint64_t
in_bar(unsigned int bar, uint32_t off)
{
	uint32_t lo = conf(0x10 + 4 * bar);

	if ((lo & 6) == 4 && conf(0x14 + 4 * bar) != 0)
		return 0;
	return (lo & ~15U) + off;
}

static uint64_t
structure(unsigned int cap)
{
	return in_bar(conf8(cap + 4), conf(cap + 8));
}

static void
find_structures(void)
{
	unsigned int cap;

	for (cap = conf8(0x34); cap != 0; cap = conf8(cap + 1)) {
		if (conf8(cap) == 0x11) {
			msix_cap = cap;
			msix = in_bar(conf(cap + 4) & 7, conf(cap + 4) & ~7U);
		}
		if (conf8(cap) != 9)
			continue;
		switch (conf8(cap + 3)) {
		case 1:
			common = structure(cap);
			break;
		case 2:
			notify = structure(cap);
			multiplier = conf(cap + 16);
			break;
		case 4:
			config = structure(cap);
			break;
		}
	}
}

static int
find(void)
{
	for (dev = 0; dev < 256; dev++) {
		if (conf(0) != 0x10421af4 && conf(0) != 0x10011af4)
			continue;
		outl(0xcf8, 1U << 31 | dev << 8 | 4);
		outw(0xcfc, 0x406); /* memory, bus master, no INTx */
		find_structures();
		return common != 0 && notify != 0 && config != 0 && msix != 0;
	}
	return 0;
}

/* --- the device ------------------------------------------------------------- */

static uint32_t
offered(uint32_t half)
{
	store32(common, half);
	return load32(common + 4);
}

static void
desc(unsigned int i, uint64_t addr, uint32_t len, int flags)
{
	store64(DESC + 16 * i, addr);
	store32(DESC + 16 * i + 8, len);
	store16(DESC + 16 * i + 12, (uint16_t)flags);
	store16(DESC + 16 * i + 14, (uint16_t)(i + 1));
}

static __attribute__((interrupt)) void
on_msi(struct frame *f)
{
	interrupts++;
	lapic_eoi();
}

/* The first vector, for the queue. */
static void
start_msix(void)
{
	idt_set(VECTOR, on_msi);
	store32(msix, (uint32_t)LAPIC);
	store32(msix + 4, 0);
	store32(msix + 8, VECTOR);
	store32(msix + 12, 0);
	outl(0xcf8, 1U << 31 | dev << 8 | msix_cap);
	outw(0xcfc + 2, 0x8000);
}

static int
start(void)
{
	store8(common + 20, 0);
	while (load8(common + 20) != 0)
		;
	store8(common + 20, 1);
	store8(common + 20, 3);
	events = offered(0) >> 29 & 1;
	store32(common + 8, 0);
	/* Without FLUSH each write would be flushed. */
	store32(common + 12, (uint32_t)events << 29 | (offered(0) & FLUSH));
	store32(common + 8, 1);
	store32(common + 12, 1); /* VERSION_1 */
	start_msix();
	store8(common + 20, 11);
	if (load8(common + 20) != 11)
		return 0;
	store16(common + 22, 0);
	qsize = load16(common + 24);
	if (qsize > QSIZE_MAX)
		qsize = QSIZE_MAX;
	store16(common + 24, qsize);
	store64(common + 32, DESC);
	store64(common + 40, AVAIL);
	store64(common + 48, USED);
	store16(common + 26, 0);
	kick = notify + load16(common + 30) * multiplier;
	store16(common + 28, 1);
	store8(common + 20, 15);
	capacity = load64(config) * 512;
	return qsize >= 3 * DEPTH_MAX;
}

/* --- a run, in ring 3 --------------------------------------------------------- */

/* Nanoseconds since some time, by KVM's clock. */
static uint64_t
now(void)
{
	uint64_t t = rdtsc() - load64(CLOCK + 8);
	int8_t shift = (int8_t)load8(CLOCK + 28);

	t = shift < 0 ? t >> -shift : t << shift;
	return (uint64_t)((unsigned __int128)t * load32(CLOCK + 24) >> 32);
}

static uint64_t
next_offset(void)
{
	static uint64_t seed = 0x9e3779b97f4a7c15ULL, at;
	uint64_t blocks = capacity / run.size;

	if (run.anywhere) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		return seed % blocks * run.size;
	}
	if (at >= blocks)
		at = 0;
	return at++ * run.size;
}

static void
submit(unsigned int slot)
{
	uint64_t off = next_offset(), buf = BUFS + slot * (uint64_t)BUF_SIZE;
	uint32_t i;

	store32(HEADERS + 16 * slot, run.write);
	store64(HEADERS + 16 * slot + 8, off / 512);
	store8(STATUS + slot, 0xff);
	for (i = 0; run.write && i < run.size; i += STAMP)
		store64(buf + i, off + i);
	store16(AVAIL + 4 + 2 * (avail_idx % qsize), (uint16_t)(3 * slot));
	avail_idx++;
}

/* Is a kick wanted for what came since the last one? */
static int
wanted(void)
{
	uint16_t event;

	if (!events)
		return (load16(USED) & 1) == 0;
	event = load16(USED + 4 + 8 * (uint64_t)qsize);
	return (uint16_t)(avail_idx - event - 1) <
	    (uint16_t)(avail_idx - kicked_idx);
}

static void
publish(void)
{
	store16(AVAIL + 2, avail_idx);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wanted()) {
		store16(kick, 0);
		kicks++;
	}
	kicked_idx = avail_idx;
}

static void
finished(unsigned int slot)
{
	uint64_t off = load64(HEADERS + 16 * slot + 8) * 512;
	uint64_t buf = BUFS + slot * (uint64_t)BUF_SIZE;
	uint32_t i;

	count++;
	if (load8(STATUS + slot) != 0)
		errors++;
	for (i = 0; !run.write && i < run.size; i += STAMP)
		if (load64(buf + i) != off + i)
			errors++;
}

/* When as many more as there can be are done. */
static void
no_interrupts(void)
{
	store16(AVAIL, 1);
	store16(AVAIL + 4 + 2 * (uint64_t)qsize, (uint16_t)(used_idx + 32768));
}

/* Until something has been done: with the next there is an interrupt. */
static void
rest(void)
{
	if (!run.sleep) {
		__asm__ volatile("pause");
		return;
	}
	store16(AVAIL, 0);
	store16(AVAIL + 4 + 2 * (uint64_t)qsize, used_idx);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load16(USED + 2) == used_idx)
		user_idle();
}

/* All that has been done, and as much again if there is time. */
static unsigned int
collect(int more)
{
	unsigned int n = 0, slot;
	uint16_t idx = load16(USED + 2);

	for (; used_idx != idx; used_idx++, n++) {
		slot = load32(USED + 4 + 8 * (uint64_t)(used_idx % qsize)) / 3;
		finished(slot);
		if (more)
			submit(slot);
	}
	if (!run.sleep)
		no_interrupts();
	return n;
}

static void
work(void)
{
	uint64_t begin, end;
	unsigned int i, left = run.depth;
	int more = 1;

	for (i = 0; i < run.depth; i++) {
		desc(3 * i, HEADERS + 16 * i, 16, 1);
		desc(3 * i + 1, BUFS + i * (uint64_t)BUF_SIZE, run.size,
		    run.write ? 1 : 3);
		desc(3 * i + 2, STATUS + i, 1, 2);
	}
	begin = now();
	end = begin + run.ms * 1000000ULL;
	for (i = 0; i < run.depth; i++)
		submit(i);
	publish();
	while (left > 0) {
		if (load16(USED + 2) == used_idx) {
			rest();
			continue;
		}
		more = more && now() < end;
		i = collect(more);
		if (more)
			publish();
		else
			left -= i;
	}
	elapsed = now() - begin;
}

/* --- orders --------------------------------------------------------------------- */

static __attribute__((interrupt)) void
on_serial(struct frame *f)
{
	pic_eoi(4);
}

static char
get_char(void)
{
	while (!(inb(COM1 + 5) & 1))
		user_idle();
	return (char)inb(COM1);
}

static uint32_t
number(const char **p)
{
	uint32_t n = 0;

	while (**p == ' ')
		(*p)++;
	while (**p >= '0' && **p <= '9')
		n = 10 * n + (uint32_t)(*(*p)++ - '0');
	return n;
}

static int
get_run(void)
{
	char line[80];
	const char *p = line + 3;
	unsigned int n = 0;
	char c;

	while ((c = get_char()) != '\n' && c != '\r')
		if (n < sizeof(line) - 1)
			line[n++] = c;
	line[n] = '\0';
	if (n < 4)
		return 0;
	run.write = line[0] == 'w';
	run.anywhere = line[2] == 'n';
	run.size = number(&p);
	run.depth = number(&p);
	run.ms = number(&p);
	run.sleep = number(&p);
	return run.size >= 512 && run.size % 512 == 0 && run.size <= BUF_SIZE &&
	    run.size <= capacity && run.depth > 0 && run.depth <= DEPTH_MAX;
}

static void
answer(void)
{
	put("done ");
	put_dec(count);
	put_char(' ');
	put_dec(elapsed);
	put_char(' ');
	put_dec(kicks);
	put_char(' ');
	put_dec(interrupts);
	put_char(' ');
	put_dec(errors);
	put_char('\n');
}

static void
obey(void)
{
	say_dec("ready", capacity);
	for (;;) {
		count = kicks = errors = interrupts = 0;
		if (get_run()) {
			work();
			answer();
		} else {
			put("what?\n");
		}
	}
}

void
guest_main(const struct start_info *si)
{
	if (!find() || !start()) {
		put("no disk\n");
		power_off();
	}
	wrmsr(MSR_CLOCK, CLOCK | 1);
	pic_init();
	lapic_init();
	idt_set(0x24, on_serial);
	pic_unmask(4);
	outb(COM1 + 1, 1); /* tell of input */
	outb(COM1 + 4, 8); /* by an interrupt */
	user_mode(obey);
}
