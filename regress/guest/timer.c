/*
 * Timers against each other: the PIT through the 8259 and through IOAPIC
 * pin 2, the local APIC's, the TSC deadline, the PM timer, PIT channel 2.
 * Bounds are wide: what counts is that they tick, and at about their rate.
 */
#include "guest.h"

static volatile uint32_t ticks;

static void __attribute__((interrupt)) on_pic(struct frame *f)
{
	ticks++;
	pic_eoi(0);
}

static void __attribute__((interrupt)) on_lapic(struct frame *f)
{
	ticks++;
	lapic_eoi();
}

static void __attribute__((interrupt)) on_spurious(struct frame *f)
{
}

static void
pit_hz(uint32_t hz)
{
	uint32_t n = 1193182 / hz;

	outb(0x43, 0x34);
	outb(0x40, (uint8_t)n);
	outb(0x40, (uint8_t)(n >> 8));
}

/* PM timer ticks that `n' interrupts took. */
static uint32_t
measure(uint32_t n)
{
	uint32_t from, t;

	t = ticks;
	while (ticks == t)
		guest_idle();
	from = pm_now();
	t = ticks;
	while (ticks - t < n)
		guest_idle();
	return pm_since(from);
}

static int
near(uint32_t v, uint32_t want)
{
	return v > want / 2 && v < want * 2;
}

static void
deadline(void)
{
	uint32_t a, b, c, d, i, from;
	uint64_t hz;

	__asm__ volatile("cpuid"
			 : "=a"(a), "=b"(b), "=c"(c), "=d"(d)
			 : "a"(1), "c"(0));
	if (!(c & 1 << 24)) {
		put("no TSC deadline\n");
		return;
	}
	from = pm_now();
	hz = rdtsc();
	pm_wait_us(20000);
	hz = (rdtsc() - hz) * PM_HZ / pm_since(from);
	store32(LAPIC + 0x320, 0x40042);
	from = pm_now();
	for (i = 0, ticks = 0; i < 10; i++) {
		wrmsr(0x6e0, rdtsc() + hz / 100);
		while (ticks == i)
			guest_idle();
	}
	check(near(pm_since(from), PM_HZ / 10), "TSC deadline");
	store32(LAPIC + 0x320, 0x10000);
}

void
guest_main(const struct start_info *si)
{
	uint32_t from, lapic_hz;

	idt_set(0x20, on_pic);
	idt_set(0x27, on_spurious);
	idt_set(0x40, on_lapic);
	idt_set(0x41, on_lapic);
	idt_set(0x42, on_lapic);
	idt_set(0xff, on_spurious);

	from = pm_now();
	pm_wait_us(10000);
	check(pm_since(from) >= PM_HZ / 100, "PM timer");

	/* Channel 2, gated by port 0x61, one shot of 20 ms. */
	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, 23864 & 0xff);
	outb(0x42, 23864 >> 8);
	from = pm_now();
	while (!(inb(0x61) & 0x20) && pm_since(from) < PM_HZ)
		;
	check(near(pm_since(from), PM_HZ / 50), "PIT channel 2");

	pic_init();
	lapic_init();
	pit_hz(100);
	pic_unmask(0);
	check(near(measure(20), PM_HZ / 5), "PIT through the 8259");
	outb(0x21, 0xff);

	ioapic_route(2, 0x40, 0);
	check(near(measure(20), PM_HZ / 5), "PIT through IOAPIC pin 2");
	ioapic_mask(2);

	/* Count down for 10 ms to learn the rate, then tick at 100 Hz. */
	store32(LAPIC + 0x3e0, 3);
	store32(LAPIC + 0x320, 0x10000);
	store32(LAPIC + 0x380, 0xffffffff);
	from = pm_now();
	pm_wait_us(10000);
	lapic_hz = 0xffffffff - load32(LAPIC + 0x390);
	lapic_hz = (uint32_t)((uint64_t)lapic_hz * PM_HZ / pm_since(from));
	store32(LAPIC + 0x320, 0x20041);
	store32(LAPIC + 0x380, lapic_hz / 100);
	check(near(measure(20), PM_HZ / 5), "local APIC timer");
	store32(LAPIC + 0x320, 0x10000);
	deadline();
	power_off();
}
