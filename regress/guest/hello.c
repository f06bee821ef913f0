/* The smallest guest: says hello with its command line, powers off. */
#include "guest.h"

void
guest_main(const struct start_info *si)
{
	const struct module *m = (const struct module *)si->modlist;

	put("hello ");
	put(si->cmdline == 0 ? "-" : (const char *)si->cmdline);
	put_char('\n');
	say_hex("magic", si->magic);
	if (si->nr_modules > 0) {
		say_dec("initrd", m->size);
		put((const char *)m->addr);
	}
	power_off();
}
