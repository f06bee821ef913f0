/*
 * Everything a guest can do to its ports, at every width, with all devices
 * there: six bytes an access.  Narrow reads have no high bits, and each
 * interrupt line changes when it is said to change.
 */

#include <stdlib.h>
#include <string.h>

#include "vmd/vm/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct machine m;
	struct bus *b;
	struct uart *u;
	struct acpi_pm *a;
	int level[24];
};

static void
irq(void *arg, unsigned int gsi, int level)
{
	struct world *w = arg;

	if (gsi >= 24 || level == w->level[gsi])
		abort();
	w->level[gsi] = level;
}

static void
reset(void *arg, const char *source)
{
	if (strncmp(source, "port 0x", 7) != 0)
		abort();
}

static void
nothing(void *arg)
{
}

static void
output(void *arg, const uint8_t *buf, size_t len)
{
}

/* Most accesses go where somebody is. */
static uint16_t
port(const uint8_t *p)
{
	static const uint16_t base[] = { 0x60, 0x64, 0x70, 0x71, 0x80, 0x92,
		0x3f8, 0x3fc, 0x600, 0x608, 0xcf8, 0xcfc };
	unsigned int n = p[0] >> 4;

	if (n < sizeof(base) / sizeof(base[0]))
		return (uint16_t)(base[n] + (p[1] & 3));
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
access_port(struct world *w, const uint8_t *p)
{
	unsigned int size = 1U << (p[0] & 3);
	uint32_t v;

	memcpy(&v, p + 2, sizeof(v));
	if ((p[0] & 8) != 0)
		bus_write(w->b, port(p), size, v);
	else if ((v = bus_read(w->b, port(p), size)) != 0 && size < 4 &&
	    v >> 8 * size != 0)
		abort();
	if ((p[0] & 4) == 0)
		return;
	if ((p[1] & 4) != 0)
		acpi_pm_button(w->a);
	else if (uart_input(w->u, p, 6) > 6)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w = {
		.m = { .irq = irq, .reset = reset, .poweroff = nothing }
	};
	const struct uart_ops ops = { output, nothing, NULL };
	struct legacy *l;
	struct pci *p;
	struct rtc *r;

	w.m.arg = &w;
	w.b = bus_new();
	w.u = uart_new(w.b, &w.m, &ops);
	w.a = acpi_pm_new(w.b, &w.m);
	l = legacy_new(w.b, &w.m);
	p = pci_new(w.b, &w.m);
	r = rtc_new(w.b, &w.m, 1 << 30, 0, 2);
	if (w.u == NULL || w.a == NULL || l == NULL || p == NULL || r == NULL)
		abort();
	for (; len >= 6; len -= 6, data += 6)
		access_port(&w, data);
	rtc_free(r);
	pci_free(p);
	legacy_free(l);
	acpi_pm_free(w.a);
	uart_free(w.u);
	bus_free(w.b);
	return 0;
}
