/*
 * COM1 both ways by interrupt: what is typed comes back in capitals, a BREAK
 * as `<break>', until a `.'; then a lot of output at once.
 */
#include "guest.h"

#define BREAK 0x7f /* nobody types it here */

static volatile char in[4096];
static volatile unsigned int head, tail;

static void __attribute__((interrupt)) on_uart(struct frame *f)
{
	uint8_t lsr;
	char c;

	while ((lsr = inb(0x3fd)) & 1) {
		c = (char)inb(0x3f8);
		lsr |= line_status;
		line_status = 0;
		in[head++ % sizeof(in)] = lsr & 0x10 ? BREAK : c;
	}
	pic_eoi(4);
}

static int
get_char(void)
{
	while (head == tail)
		guest_idle();
	return in[tail++ % sizeof(in)];
}

void
guest_main(const struct start_info *si)
{
	unsigned int i;
	int c;

	idt_set(0x24, on_uart);
	pic_init();
	outb(0x3fb, 0x80);
	outb(0x3f8, 1);
	outb(0x3f9, 0);
	outb(0x3fb, 3);
	outb(0x3fa, 7);
	outb(0x3fc, 0x0b);
	outb(0x3f9, 1);
	pic_unmask(4);
	check((inb(0x3fd) & 0x60) == 0x60, "transmitter idle");
	outb(0x3ff, 0x5a);
	check(inb(0x3ff) == 0x5a, "scratch register");
	put("ready\n");
	while ((c = get_char()) != '.')
		if (c == BREAK)
			put("<break>");
		else
			put_char(
			    c >= 'a' && c <= 'z' ? (char)(c - 32) : (char)c);
	put_char('\n');
	for (i = 0; i < 400; i++)
		say_dec("line", i);
	put("done\n");
	power_off();
}
