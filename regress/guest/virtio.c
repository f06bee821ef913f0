/*
 * A driver for the entropy device: finds its structures by the
 * capabilities, then reset, features, a queue, and interrupts in all the
 * ways there are.
 */
#include "guest.h"

#define SLOT	   1
#define DATA	   0x1000000ULL /* memory that nobody else has */
#define DESC	   DATA
#define AVAIL	   (DATA + 0x1000)
#define USED	   (DATA + 0x2000)
#define BUF	   (DATA + 0x10000)
#define SIZE	   8

#define MSI_VECTOR 0x50
#define PIN_VECTOR 0x60

#define DEADLINE   (PM_HZ * 3) /* three seconds */

static uint64_t common, isr, notify, msix;
static unsigned int msix_cap, cfg_cap;
static volatile unsigned int msis, lines;
static uint16_t offered;

static void
address(unsigned int reg)
{
	outl(0xcf8, 1U << 31 | SLOT << 11 | (reg & 0xfc));
}

static uint32_t
conf(unsigned int reg)
{
	address(reg);
	return inl(0xcfc);
}

static void
conf_set(unsigned int reg, uint32_t v)
{
	address(reg);
	outl(0xcfc, v);
}

static uint8_t
conf8(unsigned int reg)
{
	return (uint8_t)(conf(reg) >> 8 * (reg & 3));
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

static void
store64(uint64_t a, uint64_t v)
{
	*(volatile uint64_t *)a = v;
}

static void __attribute__((interrupt)) on_msi(struct frame *f)
{
	msis++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_line(struct frame *f)
{
	lines++;
	/* Reading it takes the cause away. */
	(void)load8(isr);
	lapic_eoi();
}

static void
find(void)
{
	unsigned int cap, type;
	uint64_t bar0 = conf(0x10) & ~15U;

	msix = conf(0x14) & ~15U;
	for (cap = conf8(0x34); cap != 0; cap = conf8(cap + 1)) {
		if (conf8(cap) == 0x11)
			msix_cap = cap;
		if (conf8(cap) != 9)
			continue;
		type = conf8(cap + 3);
		if (type == 1)
			common = bar0 + conf(cap + 8);
		else if (type == 2)
			notify = bar0 + conf(cap + 8);
		else if (type == 3)
			isr = bar0 + conf(cap + 8);
		else if (type == 5)
			cfg_cap = cap;
	}
}

static uint8_t
status(void)
{
	return load8(common + 20);
}

static void
set_status(uint8_t v)
{
	store8(common + 20, v);
}

/* Everything up to DRIVER_OK; vectors as given. */
static void
start(uint16_t vector)
{
	memset((void *)DESC, 0, 0x3000);
	offered = 0;
	set_status(0);
	set_status(1);
	set_status(3);
	store32(common + 8, 1);
	store32(common + 12, 1); /* VERSION_1 */
	set_status(11);
	store16(common + 22, 0);
	store16(common + 24, SIZE);
	store16(common + 26, vector);
	store32(common + 32, DESC);
	store32(common + 36, 0);
	store64(common + 40, AVAIL);
	store64(common + 48, USED);
	store16(common + 28, 1);
	set_status(15);
}

static void
offer(uint32_t len)
{
	unsigned int i = offered % SIZE;

	store64(DESC + 16 * i, BUF);
	store32(DESC + 16 * i + 8, len);
	store32(DESC + 16 * i + 12, 2); /* WRITE */
	store16(AVAIL + 4 + 2 * i, (uint16_t)i);
	store16(AVAIL + 2, ++offered);
	store16(notify, 0);
}

/* Wait for the device to have used all, without interrupts. */
static int
used(void)
{
	uint32_t from = pm_now();

	while (load16(USED + 2) != offered)
		if (pm_since(from) > DEADLINE)
			return 0;
	return 1;
}

/* Sleep until `*n' is `want'; the timer wakes us as well. */
static int
wait_for(volatile unsigned int *n, unsigned int want)
{
	uint32_t from = pm_now();

	while (*n < want && pm_since(from) < DEADLINE)
		guest_idle();
	return *n == want;
}

static volatile unsigned int ticks;

static void __attribute__((interrupt)) on_tick(struct frame *f)
{
	ticks++;
	pic_eoi(0);
}

/* 100 times a second, so that no wait is for ever. */
static void
ticking(void)
{
	idt_set(0x20, on_tick);
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
	pic_unmask(0);
}

static void
vector_set(unsigned int n, int masked)
{
	uint64_t e = msix + 16 * n;

	store32(e + 12, 1);
	store32(e, 0xfee00000);
	store32(e + 4, 0);
	store32(e + 8, MSI_VECTOR);
	store32(e + 12, masked ? 1 : 0);
}

static int
random_bytes(void)
{
	unsigned int i, sum = 0, zero = 1;

	for (i = 0; i < 256; i++) {
		sum += load8(BUF + i) & 1;
		zero &= load8(BUF + i) == 0;
	}
	return !zero && sum > 64 && sum < 192;
}

static void
discovery(void)
{
	uint64_t ids = conf(0);

	check(ids == 0x10441af4 && (conf(8) & 0xff) == 1, "ids");
	find();
	check(common != 0 && notify != 0 && isr != 0 && msix != 0 &&
		msix_cap != 0 && cfg_cap != 0,
	    "structures");
	check(load16(common + 18) == 1, "one queue");
	store32(common, 1);
	check((load32(common + 4) & 1) == 1, "VERSION_1 is offered");
	set_status(1);
	set_status(3);
	set_status(11);
	check(status() == 3, "it must be agreed on");
	set_status(0);
	check(status() == 0, "reset");
	start(0xffff);
	check(status() == 15, "running");
	store64(common + 32, 0x1234560);
	check(load32(common + 32) == (uint32_t)DESC, "no change when running");
}

static void
polled(void)
{
	memset((void *)BUF, 0, 256);
	offer(256);
	check(used() && load32(USED + 8) == 256, "256 bytes");
	check(random_bytes(), "are random");
	offer(200000);
	check(used() && load32(USED + 16) == 65536, "at most 64 KiB at once");
	/* The kernel takes 2 bytes only: this is the slow path. */
	offered++;
	store64(DESC + 32, BUF);
	store32(DESC + 40, 16);
	store32(DESC + 44, 2);
	store16(AVAIL + 8, 2);
	store16(AVAIL + 2, offered);
	store32(notify, 0);
	check(used() && load32(USED + 24) == 16, "kick of another width");
	check((load8(isr) & 1) == 1 && load8(isr) == 0, "ISR clears");
}

static void
by_msi(void)
{
	uint32_t control = conf(msix_cap);

	vector_set(0, 0);
	vector_set(1, 0);
	conf_set(msix_cap, control | 1U << 31);
	start(1);
	check(load16(common + 26) == 1, "vector");
	offer(32);
	check(wait_for(&msis, 1), "MSI-X interrupt");
	check((load8(isr) & 1) == 0, "no ISR with MSI-X");
	vector_set(1, 1);
	offer(32);
	check(used(), "masked");
	check(msis == 1 && (load32(msix + 0x800) & 2) != 0, "pending");
	offer(32);
	check(used() && msis == 1, "and again");
	vector_set(1, 0);
	check(wait_for(&msis, 2), "one interrupt when unmasked");
	check(load32(msix + 0x800) == 0, "nothing pending");
	conf_set(msix_cap, control | 3U << 30);
	offer(32);
	check(used() && msis == 2 && (load32(msix + 0x800) & 2) != 0,
	    "all masked");
	conf_set(msix_cap, control | 1U << 31);
	check(wait_for(&msis, 3), "and unmasked");
	conf_set(msix_cap, control);
}

static void
by_line(void)
{
	unsigned int pin = conf8(0x3c), i;

	check(conf8(0x3d) == 1 && pin == 10, "interrupt line");
	start(0xffff);
	ioapic_route(pin, PIN_VECTOR, 1);
	for (i = 1; i <= 3; i++) {
		offer(32);
		if (!wait_for(&lines, i))
			break;
	}
	check(i == 4, "three interrupts by line");
	/* Disabled, it waits. */
	conf_set(4, 0x406);
	offer(32);
	check(used() && lines == 3, "line disabled");
	check((conf(4) >> 16 & 8) != 0, "interrupt status");
	conf_set(4, 0x006);
	check(wait_for(&lines, 4), "line enabled");
	check((conf(4) >> 16 & 8) == 0, "no interrupt status");
	ioapic_mask(pin);
}

static volatile unsigned int pics;

static void __attribute__((interrupt)) on_pic(struct frame *f)
{
	pics++;
	(void)load8(isr);
	pic_eoi(10);
}

/* Through the 8259s, as kernels without ACPI do. */
static void
by_pic(const char *what)
{
	unsigned int i, before = pics;

	start(0xffff);
	idt_set(0x2a, on_pic);
	pic_unmask(10);
	for (i = 1; i <= 3; i++) {
		offer(32);
		if (!wait_for(&pics, before + i))
			break;
	}
	check(i == 4, what);
	outb(0xa1, 0xff);
}

static void
moves(void)
{
	uint64_t to = 0xf1000000;

	start(0xffff);
	conf_set(0x10, 0xffffffff);
	check((conf(0x10) & ~15U) == 0xffffc000, "size of BAR 0");
	conf_set(0x10, (uint32_t)to);
	check(load8(common + 20) == 0xff, "nobody at the old place");
	find();
	check(common - (common & 0xfff) == to && status() == 15,
	    "the device is at the new one");
	offer(64);
	check(used() && load32(USED + 8) == 64, "and so is its kick");
	conf_set(4, 0);
	check(load8(common + 20) == 0xff, "not decoded");
	conf_set(4, 6);
	/* The window in configuration space. */
	conf_set(cfg_cap + 4, 0);
	conf_set(cfg_cap + 8, 20);
	conf_set(cfg_cap + 12, 1);
	check((conf(cfg_cap + 16) & 0xff) == 15, "status by capability");
	address(cfg_cap + 16);
	outb(0xcfc, 0);
	check(status() == 0, "reset by capability");
}

static void
broken(void)
{
	start(0xffff);
	store16(AVAIL + 2, 0x4000);
	store16(notify, 0);
	offered = 0;
	pm_wait_us(200000);
	check((status() & 0x40) != 0, "a broken ring needs a reset");
	check((load8(isr) & 2) != 0, "and says so");
	start(0xffff);
	offer(64);
	check(status() == 15 && used(), "after which it works");
}

void
guest_main(const struct start_info *si)
{
	pic_init();
	lapic_init();
	ticking();
	idt_set(MSI_VECTOR, on_msi);
	idt_set(PIN_VECTOR, on_line);
	discovery();
	polled();
	by_msi();
	by_line();
	by_pic("three interrupts by the 8259");
	outb(0x4d1, 4);
	by_pic("and level-triggered");
	outb(0x4d1, 0);
	moves();
	broken();
	power_off();
}
