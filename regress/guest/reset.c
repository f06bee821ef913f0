/* Resets in the way its command line names. */
#include "guest.h"

void
guest_main(const struct start_info *si)
{
	const char *how = (const char *)si->cmdline;
	const struct acpi_head *fadt = acpi_find(si, "FACP");
	const uint8_t *reg = (const uint8_t *)fadt + 116;
	uint64_t addr;

	put("resetting\n");
	memcpy(&addr, reg + 4, sizeof(addr));
	if (str_eq(how, "cf9"))
		outb(0xcf9, 6);
	else if (str_eq(how, "i8042"))
		outb(0x64, 0xfe);
	else if (str_eq(how, "p92"))
		outb(0x92, inb(0x92) | 1);
	else if (str_eq(how, "acpi") && reg[0] == 1)
		outb((uint16_t)addr, reg[12]);
	else if (str_eq(how, "triple"))
		__asm__ volatile("lidt %0; ud2" : : "m"(*(uint64_t *)0x500));
	put("still here\n");
	power_off();
}
