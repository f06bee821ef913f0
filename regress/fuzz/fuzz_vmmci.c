/*
 * The registers of vmmci, its place on the bus and what the host asks of
 * it: six bytes an action.  Its line must change each time it is said to
 * change and follow the ISR, and narrow reads have no high bits.
 */

#include <stdlib.h>
#include <string.h>

#include "vmd/vm/vmmci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct machine m;
	struct bus *b;
	struct vmmci *v;
	int level;
};

static void
irq(void *arg, unsigned int gsi, int level)
{
	struct world *w = arg;

	if (gsi != pci_irq(VMMCI_SLOT) || level == w->level)
		abort();
	w->level = level;
}

static void
reset(void *arg, const char *source)
{
}

static void
poweroff(void *arg)
{
	abort();
}

/* There are no timers here. */
static void
expired(void *arg, int reboot, const char *why)
{
	abort();
}

static void
host(struct world *w, uint8_t what)
{
	switch (what % 6) {
	case 4:
		vmmci_pause(w->v);
		break;
	case 5:
		vmmci_unpause(w->v);
		break;
	default:
		vmmci_send(w->v, (enum vmmci_cmd)(what % 6));
		break;
	}
}

/* The configuration space, the registers where they are at first, or any. */
static uint16_t
port(const uint8_t *p)
{
	switch (p[0] >> 6) {
	case 0:
		return (uint16_t)(0xcf8 + (p[1] & 7));
	case 1:
		return (uint16_t)(p[1] << 8 | p[5]);
	default:
		return (uint16_t)(VMMCI_IO + p[1] % (VMMCI_IO_LEN + 4));
	}
}

static void
act(struct world *w, const uint8_t *p)
{
	unsigned int size = 1U << (p[0] & 3);
	uint32_t v;

	memcpy(&v, p + 2, sizeof(v));
	if ((p[0] & 0x30) == 0x30)
		host(w, p[1]);
	else if ((p[0] & 8) != 0)
		bus_write(w->b, port(p), size, v);
	else if ((v = bus_read(w->b, port(p), size)) != 0 && size < 4 &&
	    v >> 8 * size != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct vmmci_ops ops = { expired, NULL };
	struct world w = {
		.m = { .irq = irq, .reset = reset, .poweroff = poweroff }
	};
	struct pci *p;

	w.m.arg = &w;
	w.b = bus_new();
	p = pci_new(w.b, &w.m);
	w.v = vmmci_new(w.b, &w.m, p, &ops);
	if (p == NULL || w.v == NULL)
		abort();
	for (; len >= 6; len -= 6, data += 6)
		act(&w, data);
	vmmci_free(w.v);
	pci_free(p);
	bus_free(w.b);
	return 0;
}
