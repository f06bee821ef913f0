/* Prints a number ten times a second until something is typed. */
#include "guest.h"

static void __attribute__((interrupt)) on_pit(struct frame *f)
{
	pic_eoi(0);
}

void
guest_main(const struct start_info *si)
{
	uint32_t n = 0, i;

	idt_set(0x20, on_pit);
	pic_init();
	outb(0x43, 0x34);
	outb(0x40, (1193182 / 100) & 0xff);
	outb(0x40, (1193182 / 100) >> 8);
	pic_unmask(0);
	while (!(inb(0x3fd) & 1)) {
		say_dec("tick", n++);
		for (i = 0; i < 10; i++)
			guest_idle();
	}
	put("typed\n");
	power_off();
}
