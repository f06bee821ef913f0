/*
 * The 16550A between a guest and a console.  Two bytes an action: what, and
 * a value.  Its line must change each time it is said to change, it must
 * never take more than it has room for, and who was refused is told when
 * there is room.
 */

#include <stdlib.h>

#include "vmd/vm/device.h"

struct world {
	int level;
	int refused;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
irq(void *arg, unsigned int gsi, int level)
{
	struct world *w = arg;

	if (gsi != 4 || level == w->level)
		abort();
	w->level = level;
}

static void
output(void *arg, const uint8_t *buf, size_t len)
{
	if (len != 1)
		abort();
}

static void
room(void *arg)
{
	struct world *w = arg;

	if (!w->refused)
		abort();
	w->refused = 0;
}

static void
input(struct uart *u, struct world *w, uint8_t n)
{
	static const uint8_t buf[256];
	size_t len = n & 31;
	size_t took = uart_input(u, buf, len);

	if (took > 16 || took > len)
		abort();
	if (took < len)
		w->refused = 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w = { 0, 0 };
	const struct machine m = { .arg = &w, .irq = irq };
	const struct uart_ops ops = { output, room, &w };
	struct bus *b = bus_new();
	struct uart *u = uart_new(b, &m, &ops);
	size_t i;

	if (u == NULL)
		abort();
	for (i = 0; i + 1 < len; i += 2)
		switch (data[i] >> 3 & 3) {
		case 0:
			bus_write(b, 0x3f8 + (data[i] & 7), 1, data[i + 1]);
			break;
		case 1:
			bus_read(b, 0x3f8 + (data[i] & 7), 1);
			break;
		case 2:
			input(u, &w, data[i + 1]);
			break;
		default:
			uart_break(u);
			break;
		}
	uart_free(u);
	bus_free(b);
	return 0;
}
