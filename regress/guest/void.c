/* Ports and memory where nobody is: all ones, and writes go nowhere. */
#include "guest.h"

void
guest_main(const struct start_info *si)
{
	static const uint16_t ports[] = { 0x0e, 0x300, 0x510, 0x1234, 0xfffc };
	static const uint64_t holes[] = { 0xa0000, 0xbfff0, 0xd0000000,
		0xf0000000, 0xfed00000 };
	static volatile uint8_t word[8];
	unsigned int i;
	int ok = 1;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		outl(ports[i], 0);
		outw(ports[i], 0);
		outb(ports[i], 0);
		ok &= inb(ports[i]) == 0xff && inw(ports[i]) == 0xffff &&
		    inl(ports[i]) == 0xffffffff;
	}
	check(ok, "ports");
	for (i = 0, ok = 1; i < sizeof(holes) / sizeof(holes[0]); i++) {
		store32(holes[i], 0);
		*(volatile uint8_t *)(holes[i] + 5) = 0;
		*(volatile uint64_t *)holes[i] = 0;
		ok &= load32(holes[i]) == 0xffffffff &&
		    *(volatile uint8_t *)(holes[i] + 1) == 0xff &&
		    *(volatile uint64_t *)holes[i] == ~0ULL;
	}
	check(ok, "memory");
	/* A string of port reads lands in memory byte by byte. */
	__asm__ volatile("cld; rep insb"
			 :
			 : "D"(word), "c"(sizeof(word)), "d"((uint16_t)0x300)
			 : "memory");
	for (i = 0, ok = 1; i < sizeof(word); i++)
		ok &= word[i] == 0xff;
	check(ok, "string input");
	/* Half in COM1's scratch register, half beyond it. */
	outb(0x3ff, 0x77);
	check(inw(0x3ff) == 0xff77, "straddling read");
	power_off();
}
