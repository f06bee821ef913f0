/* Prints date and time, memory sizes, and checks the periodic interrupt. */
#include "guest.h"

static volatile uint32_t ticks;

static uint8_t
cmos(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void __attribute__((interrupt)) on_rtc(struct frame *f)
{
	if (cmos(0x0c) & 0x40)
		ticks++;
	pic_eoi(8);
}

static void
two(uint8_t bcd, char after)
{
	put_char((char)('0' + (bcd >> 4)));
	put_char((char)('0' + (bcd & 15)));
	put_char(after);
}

void
guest_main(const struct start_info *si)
{
	uint8_t v[6], again[6];
	static const uint8_t regs[6] = { 9, 8, 7, 4, 2, 0 };
	uint32_t from, t;
	int i;

	do {
		while (cmos(0x0a) & 0x80)
			;
		for (i = 0; i < 6; i++)
			v[i] = cmos(regs[i]);
		for (i = 0; i < 6; i++)
			again[i] = cmos(regs[i]);
	} while (memcmp(v, again, sizeof(v)) != 0);
	put("time ");
	two(cmos(0x32), (char)('0' + (v[0] >> 4)));
	put_char((char)('0' + (v[0] & 15)));
	put_char('-');
	two(v[1], '-');
	two(v[2], ' ');
	two(v[3], ':');
	two(v[4], ':');
	two(v[5], '\n');
	say_dec("above16M", (uint32_t)(cmos(0x34) | cmos(0x35) << 8));
	say_dec("cpus", cmos(0x5f) + 1U);
	check((cmos(0x0d) & 0x80) != 0, "clock is valid");

	idt_set(0x28, on_rtc);
	pic_init();
	pic_unmask(8);
	outb(0x70, 0x0a);
	outb(0x71, 0x2a); /* 64 Hz */
	outb(0x70, 0x0b);
	outb(0x71, cmos(0x0b) | 0x40);
	cmos(0x0c);
	from = pm_now();
	t = ticks;
	while (ticks - t < 16)
		guest_idle();
	check(pm_since(from) > PM_HZ / 8 && pm_since(from) < PM_HZ,
	    "periodic interrupt");
	power_off();
}
