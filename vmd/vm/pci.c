/*
 * PCI configuration space, mechanism 1, in the vm process: ports 0xcf8 to
 * 0xcff, written by the vcpu threads, and among them 0xcf9, the reset
 * control register of Intel's south bridges.  Bus 0 only; what a guest may
 * change is said bit by bit.  PCI Local Bus Specification 3.0, 3.2.2.3 and
 * 6.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmd/vm/acpi_pm.h"
#include "vmd/vm/device.h"
#include "vmd/vm/pci.h"

#define CFG_SIZE       256

#define CFG_COMMAND    0x04
#define CFG_STATUS     0x06
#define CFG_CLASS      0x08 /* revision and class */
#define CFG_HEADER     0x0e
#define CFG_BAR	       0x10
#define CFG_SUBVENDOR  0x2c
#define CFG_SUBDEVICE  0x2e
#define CFG_CAPS       0x34
#define CFG_INTLINE    0x3c
#define CFG_FIRST_CAP  0x40

#define CMD_IO	       0x0001
#define CMD_MEM	       0x0002
#define CMD_MASTER     0x0004
#define CMD_INTX_OFF   0x0400
#define STATUS_CAPS    0x0010
#define HEADER_MULTI   0x80
#define BAR_IO	       0x1
#define BAR_MEM64      0x4

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_MASK   0x80fffffcU
#define ADDRESS_ENABLE 0x80000000U

#define RESET_BIT      0x04 /* 0 to 1 resets */
#define RESET_HARD     0x02

struct pci_func {
	uint8_t cfg[CFG_SIZE];
	uint8_t mask[CFG_SIZE];	 /* bits the guest may change */
	uint8_t clear[CFG_SIZE]; /* bits that writing 1 clears */
	unsigned int next_cap;
	unsigned int last_cap; /* where its pointer goes */
	void (*written)(void *arg, unsigned int off, unsigned int size);
	void *arg;
	void (*reading)(void *arg, unsigned int off, unsigned int size);
	void *reading_arg;
};

struct pci {
	const struct machine *m;
	struct pci_func *funcs[PCI_SLOTS][PCI_FUNCS];
	uint32_t address;
	uint8_t reset;
};

/* --- functions -------------------------------------------------------- */

uint32_t
pci_get(const struct pci_func *f, unsigned int off, unsigned int size)
{
	uint32_t v = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		v |= (uint32_t)f->cfg[off + i] << 8 * i;
	return v;
}

static void
put(uint8_t *p, unsigned int size, uint32_t val)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		p[i] = (uint8_t)(val >> 8 * i);
}

void
pci_set(struct pci_func *f, unsigned int off, unsigned int size, uint32_t val)
{
	put(f->cfg + off, size, val);
}

static void
guest_write(struct pci_func *f, unsigned int off, unsigned int size,
    uint32_t val)
{
	unsigned int i;
	uint8_t v, *p;

	for (i = 0; i < size; i++) {
		v = (uint8_t)(val >> 8 * i);
		p = &f->cfg[off + i];
		*p = (*p & (uint8_t)~f->mask[off + i]) | (v & f->mask[off + i]);
		*p &= (uint8_t) ~(v & f->clear[off + i]);
	}
	if (f->written != NULL)
		f->written(f->arg, off, size);
}

/* Functions other than 0 are found only if function 0 says so. */
static void
mark_multi(struct pci_func *const funcs[PCI_FUNCS])
{
	unsigned int i;

	for (i = 1; funcs[0] != NULL && i < PCI_FUNCS; i++)
		if (funcs[i] != NULL)
			funcs[0]->cfg[CFG_HEADER] |= HEADER_MULTI;
}

struct pci_func *
pci_add(struct pci *p, unsigned int slot, unsigned int func,
    const struct pci_ids *ids)
{
	struct pci_func *f;

	if (slot >= PCI_SLOTS || func >= PCI_FUNCS) {
		errno = EINVAL;
		return NULL;
	}
	if (p->funcs[slot][func] != NULL) {
		errno = EEXIST;
		return NULL;
	}
	if ((f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	pci_set(f, 0, 2, ids->vendor);
	pci_set(f, 2, 2, ids->device);
	pci_set(f, CFG_CLASS, 4, ids->class << 8 | ids->rev);
	pci_set(f, CFG_SUBVENDOR, 2, ids->subvendor);
	pci_set(f, CFG_SUBDEVICE, 2, ids->subdevice);
	put(f->mask + CFG_COMMAND, 2,
	    CMD_IO | CMD_MEM | CMD_MASTER | CMD_INTX_OFF);
	f->mask[CFG_INTLINE] = 0xff;
	f->next_cap = CFG_FIRST_CAP;
	f->last_cap = CFG_CAPS;
	p->funcs[slot][func] = f;
	mark_multi(p->funcs[slot]);
	return f;
}

void
pci_on_write(struct pci_func *f, void (*fn)(void *, unsigned int, unsigned int),
    void *arg)
{
	f->written = fn;
	f->arg = arg;
}

void
pci_on_read(struct pci_func *f, void (*fn)(void *, unsigned int, unsigned int),
    void *arg)
{
	f->reading = fn;
	f->reading_arg = arg;
}

/* The low bits stay 0, which is how a guest finds the size. */
int
pci_bar(struct pci_func *f, unsigned int bar, uint64_t size,
    enum pci_bar_type type)
{
	unsigned int n = type == PCI_BAR_MEM64 ? 2 : 1;
	unsigned int off = CFG_BAR + 4 * bar;
	uint64_t mask = ~(size - 1);

	if (bar + n > PCI_BARS || size < 16 || (size & (size - 1)) != 0 ||
	    (type == PCI_BAR_IO && size > 256) ||
	    (type == PCI_BAR_MEM32 && size > 1U << 31)) {
		errno = EINVAL;
		return -1;
	}
	if (f->mask[off + 3] != 0 || (n == 2 && f->mask[off + 7] != 0)) {
		errno = EEXIST;
		return -1;
	}
	put(f->mask + off, 4, (uint32_t)mask);
	if (n == 2)
		put(f->mask + off + 4, 4, (uint32_t)(mask >> 32));
	if (type == PCI_BAR_IO)
		f->cfg[off] = BAR_IO;
	else if (type == PCI_BAR_MEM64)
		f->cfg[off] = BAR_MEM64;
	return 0;
}

uint64_t
pci_bar_addr(const struct pci_func *f, unsigned int bar)
{
	unsigned int off = CFG_BAR + 4 * bar;
	uint32_t low = pci_get(f, off, 4);
	uint32_t cmd = pci_get(f, CFG_COMMAND, 2);

	if ((low & BAR_IO) != 0)
		return (cmd & CMD_IO) != 0 ? low & ~3U : UINT64_MAX;
	if ((cmd & CMD_MEM) == 0)
		return UINT64_MAX;
	if ((low & BAR_MEM64) != 0)
		return (uint64_t)pci_get(f, off + 4, 4) << 32 | (low & ~15U);
	return low & ~15U;
}

unsigned int
pci_cap(struct pci_func *f, uint8_t id, const uint8_t *body,
    const uint8_t *mask, size_t len)
{
	unsigned int off = f->next_cap;
	size_t i;

	if (len > CFG_SIZE || off + 2 + len > CFG_SIZE) {
		errno = ENOSPC;
		return 0;
	}
	f->cfg[off] = id;
	for (i = 0; i < len; i++) {
		f->cfg[off + 2 + i] = body[i];
		f->mask[off + 2 + i] = mask == NULL ? 0 : mask[i];
	}
	f->cfg[f->last_cap] = (uint8_t)off;
	f->cfg[CFG_STATUS] |= STATUS_CAPS;
	f->last_cap = off + 1;
	f->next_cap = (off + 2 + (unsigned int)len + 3) & ~3U;
	return off;
}

/* --- ports ------------------------------------------------------------ */

/* The function that the address register names, or NULL. */
static struct pci_func *
target(const struct pci *p)
{
	uint32_t a = p->address;

	if ((a & ADDRESS_ENABLE) == 0 || (a >> 16 & 0xff) != 0)
		return NULL;
	return p->funcs[a >> 11 & 31][a >> 8 & 7];
}

static uint32_t
pci_read(void *dev, uint16_t port, unsigned int size)
{
	struct pci *p = dev;
	struct pci_func *f;
	unsigned int off;

	if (port == PORT_ADDRESS && size == 4)
		return p->address;
	if (port == RESET_PORT && size == 1)
		return p->reset;
	if (port < PORT_DATA || (f = target(p)) == NULL)
		return UINT32_MAX;
	off = (p->address & 0xfc) + (port & 3U);
	if (f->reading != NULL)
		f->reading(f->reading_arg, off, size);
	return pci_get(f, off, size);
}

/* Only an access of all 32 bits reaches the address register. */
static void
pci_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct pci *p = dev;
	struct pci_func *f;

	if (port == PORT_ADDRESS && size == 4)
		p->address = val & ADDRESS_MASK;
	else if (port == RESET_PORT && size == 1) {
		p->reset = val & RESET_HARD;
		if ((val & RESET_BIT) != 0)
			p->m->reset(p->m->arg, "port 0xcf9");
	} else if (port >= PORT_DATA && (f = target(p)) != NULL)
		guest_write(f, (p->address & 0xfc) + (port & 3U), size, val);
}

static const struct device_ops pci_ops = {
	.name = "pci",
	.base = PORT_ADDRESS,
	.len = 8,
	.width = 4,
	.read = pci_read,
	.write = pci_write,
};

/*
 * An i440FX, because firmware knows it: without registers of its own but
 * those that open the ROM area for writing, which it always is here.
 */
static int
host_bridge(struct pci *p)
{
	static const struct pci_ids ids = {
		.vendor = 0x8086,
		.device = 0x1237,
		.subvendor = 0x1af4,
		.subdevice = 0x1100,
		.rev = 2,
		.class = 0x060000,
	};
	struct pci_func *f;
	unsigned int i;

	if ((f = pci_add(p, 0, 0, &ids)) == NULL)
		return -1;
	pci_set(f, CFG_COMMAND, 2, CMD_MEM | CMD_MASTER);
	pci_set(f, CFG_STATUS, 2, 0x0280);     /* fast, medium decode */
	put(f->mask + CFG_COMMAND, 2, 0x0140); /* SERR, parity */
	put(f->clear + CFG_STATUS, 2, 0xf900);
	f->mask[CFG_INTLINE] = 0;
	for (i = 0x59; i <= 0x5f; i++)
		f->mask[i] = 0x33;
	return 0;
}

struct pci *
pci_new(struct bus *b, const struct machine *m)
{
	struct pci *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->m = m;
	if (host_bridge(p) == -1 || bus_add(b, &pci_ops, p) == -1) {
		pci_free(p);
		return NULL;
	}
	return p;
}

void
pci_free(struct pci *p)
{
	unsigned int i;

	if (p == NULL)
		return;
	for (i = 0; i < PCI_SLOTS * PCI_FUNCS; i++)
		free(p->funcs[i / PCI_FUNCS][i % PCI_FUNCS]);
	free(p);
}
