/* Lists PCI bus 0 and pokes where there is nothing. */
#include "guest.h"

static uint32_t
conf(uint32_t bus, uint32_t dev, uint32_t fn, uint32_t reg)
{
	outl(0xcf8, 1U << 31 | bus << 16 | dev << 11 | fn << 8 | reg);
	return inl(0xcfc);
}

void
guest_main(const struct start_info *si)
{
	uint32_t dev, id, before;

	for (dev = 0; dev < 32; dev++) {
		if ((id = conf(0, dev, 0, 0)) == 0xffffffff)
			continue;
		put("dev ");
		put_dec(dev);
		put_char(' ');
		put_hex(id);
		say_hex(" class", conf(0, dev, 0, 8) >> 8);
	}
	say_hex("subsystem", conf(0, 0, 0, 0x2c));
	check(conf(0, 0, 1, 0) == 0xffffffff, "no function 1");
	check(conf(1, 0, 0, 0) == 0xffffffff, "no bus 1");
	before = conf(0, 0, 0, 0);
	outl(0xcfc, 0x12345678);
	check(conf(0, 0, 0, 0) == before, "ids are read-only");
	conf(0, 0, 0, 0);
	check(inw(0xcfc) == (before & 0xffff) && inw(0xcfe) == before >> 16 &&
		inb(0xcfd) == (before >> 8 & 0xff),
	    "narrow reads");
	outl(0xcf8, 0);
	check(inl(0xcfc) == 0xffffffff, "disabled");
	check(inl(0xcf8) == 0, "address register");
	power_off();
}
