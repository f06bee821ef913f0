#ifndef VM_PCI_H
#define VM_PCI_H

#include <stddef.h>
#include <stdint.h>

struct pci;

/*
 * Configuration space of the functions on bus 0.  Functions are added
 * before the guest runs and live as long as their bus.
 *
 * Which slot a device has is part of what guests rely on: 0 host bridge,
 * 1 rng, 2 scsi, 3 vmmci, disk n at 4 + n / 8 function n % 8, interface n
 * at 8 + n / 8 function n % 8.
 */
#define PCI_SLOTS 32
#define PCI_FUNCS 8
#define PCI_BARS  6

/*
 * The interrupt line (GSI, and IRQ of the 8259s) of INTA of all functions in
 * `slot': level, shared.  The ACPI tables say the same, and so does firmware
 * for an i440FX.
 */
static inline unsigned int
pci_irq(unsigned int slot)
{
	return (slot - 1) % 4 < 2 ? 10 : 11;
}

struct pci_ids {
	uint16_t vendor, device, subvendor, subdevice;
	uint8_t rev;
	uint32_t class; /* base class, subclass, interface: 24 bits */
};

struct pci_func;

/*
 * A new function, owned by `p'.  NULL with errno: EINVAL for a place that
 * is not there, EEXIST for one that is taken, ENOMEM.  Function 0 of a
 * slot says that there are others.
 */
struct pci_func *pci_add(struct pci *p, unsigned int slot, unsigned int func,
    const struct pci_ids *ids);
/*
 * Called, with the bus lock held, after the guest wrote `size' bytes at
 * `off' of the header or a capability; at most one call per write.
 */
void pci_on_write(struct pci_func *f,
    void (*fn)(void *arg, unsigned int off, unsigned int size), void *arg);

/* The same before the guest reads, so that the device can set it first. */
void pci_on_read(struct pci_func *f,
    void (*fn)(void *arg, unsigned int off, unsigned int size), void *arg);
/*
 * Give register `bar' a size, a power of two of at least 16; IO at most
 * 256.  MEM64 takes two registers.  0, or -1 with errno EINVAL or EEXIST.
 */
enum pci_bar_type {
	PCI_BAR_MEM32,
	PCI_BAR_IO,
	PCI_BAR_MEM64
};
int pci_bar(struct pci_func *f, unsigned int bar, uint64_t size,
    enum pci_bar_type type);
/* Where it is now; UINT64_MAX while the guest does not decode it. */
uint64_t pci_bar_addr(const struct pci_func *f, unsigned int bar);

/*
 * Append a capability: id, then `len' bytes of `body' of which the bits in
 * `mask' (NULL: none) are writable.  Returns its offset, or 0 with errno
 * ENOSPC.
 */
unsigned int pci_cap(struct pci_func *f, uint8_t id, const uint8_t *body,
    const uint8_t *mask, size_t len);

/* `size' is 1, 2 or 4, and `off' a multiple of it (less than 256). */
uint32_t pci_get(const struct pci_func *f, unsigned int off, unsigned int size);
/* Set by the device, whatever the guest may write. */
void
pci_set(struct pci_func *f, unsigned int off, unsigned int size, uint32_t val);

#endif
