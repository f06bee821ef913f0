/*
 * A virtio device in PCI configuration space, in the vm process: where its
 * windows are, and the capabilities that say what is in them.  One of these
 * is a window in itself, for firmware that does not map memory.  The guest
 * writes through ports 0xcf8 and 0xcfc.  Virtio 1.2, 4.1.2 and 4.1.4.
 */
#include <errno.h>
#include <string.h>

#include "vmd/vm/mmio.h"
#include "vmd/vm/pci.h"
#include "vmd/vm/virtio_int.h"

#define VENDOR	    0x1af4
#define SUBVENDOR   0x0b5d
#define MODERN	    0x1040 /* and the virtio device id */

#define CFG_COMMAND 0x04
#define CFG_STATUS  0x06
#define CFG_BAR	    0x10
#define CFG_LINE    0x3c
#define CFG_PIN	    0x3d
#define CMD_MEM	    0x0002
#define STATUS_INTX 0x0008

#define CAP_VENDOR  0x09
#define CAP_MSIX    0x11

/* Types of virtio structures. */
#define TYPE_COMMON 1
#define TYPE_NOTIFY 2
#define TYPE_ISR    3
#define TYPE_DEVICE 4
#define TYPE_CFG    5

/* From the start of a virtio capability. */
#define CAP_BAR	   4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_DATA   16

static const uint64_t lengths[2] = { VIRTIO_BAR_LEN, VIRTIO_MSIX_BAR_LEN };

static const struct mmio_ops windows[2] = {
	{ "virtio", virtio_bar_read, virtio_bar_write },
	{ "msix", virtio_msix_read, virtio_msix_write },
};

uint16_t
virtio_pci_msix(const struct virtio *v)
{
	return (uint16_t)pci_get(v->func, v->msix_cap + 2, 2);
}

uint16_t
virtio_pci_command(const struct virtio *v)
{
	return (uint16_t)pci_get(v->func, CFG_COMMAND, 2);
}

int
virtio_pci_master(const struct virtio *v)
{
	return (virtio_pci_command(v) & CMD_MASTER) != 0;
}

/* --- capabilities ---------------------------------------------------------- */

static void
put32(uint8_t *p, uint32_t val)
{
	memcpy(p, &val, sizeof(val));
}

/* What follows id and next; `more' is the word behind, if `len' has room. */
static unsigned int
virtio_cap(struct virtio *v, uint8_t type, uint32_t off, uint32_t len,
    const uint32_t *more)
{
	uint8_t body[18] = { 0 };
	size_t n = more == NULL ? 14 : 18;

	body[0] = (uint8_t)(n + 2);
	body[1] = type;
	put32(body + 6, off);
	put32(body + 10, len);
	if (more != NULL)
		put32(body + 14, *more);
	return pci_cap(v->func, CAP_VENDOR, body, NULL, n);
}

/* The only one that the guest writes to. */
static unsigned int
cfg_cap(struct virtio *v)
{
	uint8_t mask[18] = { 0 };
	uint8_t body[18] = { 20, TYPE_CFG };

	mask[CAP_BAR - 2] = 0xff;
	memset(mask + CAP_OFFSET - 2, 0xff, 12);
	return pci_cap(v->func, CAP_VENDOR, body, mask, sizeof(body));
}

static unsigned int
msix_cap(struct virtio *v)
{
	static const uint8_t mask[10] = { 0, 0xc0 };
	uint8_t body[10] = { (uint8_t)v->conf.nqueues };

	put32(body + 2, 0 | 1);
	put32(body + 6, VIRTIO_MSIX_PBA | 1);
	return pci_cap(v->func, CAP_MSIX, body, mask, sizeof(body));
}

static int
capabilities(struct virtio *v)
{
	const uint32_t step = VIRTIO_NOTIFY_STEP;
	unsigned int n = v->conf.config_len;

	if ((v->msix_cap = msix_cap(v)) == 0 ||
	    virtio_cap(v, TYPE_COMMON, VIRTIO_COMMON, VIRTIO_COMMON_LEN,
		NULL) == 0 ||
	    virtio_cap(v, TYPE_NOTIFY, VIRTIO_NOTIFY,
		VIRTIO_NOTIFY_STEP * v->conf.nqueues, &step) == 0 ||
	    virtio_cap(v, TYPE_ISR, VIRTIO_ISR, 1, NULL) == 0 ||
	    (n > 0 &&
		virtio_cap(v, TYPE_DEVICE, VIRTIO_DEVICE, n, NULL) == 0) ||
	    (v->cfg_cap = cfg_cap(v)) == 0)
		return -1;
	return 0;
}

/* --- the window in configuration space -------------------------------------- */

struct access {
	unsigned int bar, size;
	uint32_t off;
};

/* What the capability names, if it is something that can be accessed. */
static int
access_get(const struct virtio *v, struct access *a)
{
	const struct pci_func *f = v->func;

	a->bar = pci_get(f, v->cfg_cap + CAP_BAR, 1);
	a->off = pci_get(f, v->cfg_cap + CAP_OFFSET, 4);
	a->size = pci_get(f, v->cfg_cap + CAP_LENGTH, 4);
	return a->bar < 2 && (a->size == 1 || a->size == 2 || a->size == 4) &&
	    a->off % a->size == 0 && a->off < lengths[a->bar];
}

static int
overlaps(unsigned int off, unsigned int size, unsigned int at, unsigned int len)
{
	return off < at + len && at < off + size;
}

static void
cfg_read(struct virtio *v)
{
	struct access a;
	uint64_t val;

	if (!access_get(v, &a))
		return;
	val = windows[a.bar].read(v, a.off, a.size);
	pci_set(v->func, v->cfg_cap + CAP_DATA, a.size, (uint32_t)val);
}

static void
cfg_write(struct virtio *v)
{
	struct access a;

	if (access_get(v, &a))
		windows[a.bar].write(v, a.off, a.size,
		    pci_get(v->func, v->cfg_cap + CAP_DATA, a.size));
}

/* --- what the guest does ---------------------------------------------------- */

static void
moved(struct virtio *v)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		v->at[i] = mmio_move(v->host.mmio, v->windows[i],
		    pci_bar_addr(v->func, i));
	virtio_kicks(v);
}

static void
written(void *arg, unsigned int off, unsigned int size)
{
	struct virtio *v = arg;

	if (overlaps(off, size, CFG_COMMAND, 2) ||
	    overlaps(off, size, CFG_BAR, 8))
		moved(v);
	if (overlaps(off, size, CFG_COMMAND, 2) ||
	    overlaps(off, size, v->msix_cap + 2, 2))
		virtio_irq_update(v);
	if (overlaps(off, size, v->cfg_cap + CAP_DATA, 4))
		cfg_write(v);
}

static void
reading(void *arg, unsigned int off, unsigned int size)
{
	struct virtio *v = arg;
	uint32_t status;

	if (overlaps(off, size, CFG_STATUS, 2)) {
		status = pci_get(v->func, CFG_STATUS, 2) & ~STATUS_INTX;
		if (!virtio_msix_on(v) && virtio_isr_get(v->conf.page) != 0)
			status |= STATUS_INTX;
		pci_set(v->func, CFG_STATUS, 2, status);
	}
	if (overlaps(off, size, v->cfg_cap + CAP_DATA, 4))
		cfg_read(v);
}

/* --- life ------------------------------------------------------------------- */

/* A window with an address, as firmware would have left it. */
static int
window(struct virtio *v, unsigned int i)
{
	uint64_t gpa = mmio_place(v->host.mmio, lengths[i]);

	if (gpa == MMIO_NOWHERE) {
		errno = ENOSPC;
		return -1;
	}
	if (pci_bar(v->func, i, lengths[i], PCI_BAR_MEM32) == -1)
		return -1;
	pci_set(v->func, CFG_BAR + 4 * i, 4, (uint32_t)gpa);
	v->windows[i] = mmio_add(v->host.mmio, &windows[i], v, lengths[i]);
	return v->windows[i] == -1 ? -1 : 0;
}

int
virtio_pci_init(struct virtio *v)
{
	const struct virtio_conf *c = &v->conf;
	const struct pci_ids ids = { .vendor = VENDOR,
		.device = MODERN + c->device,
		.subvendor = SUBVENDOR,
		.subdevice = c->device,
		.rev = 1,
		.class = c->class };

	v->func = pci_add(v->host.pci, c->slot, c->func, &ids);
	if (v->func == NULL || window(v, 0) == -1 || window(v, 1) == -1 ||
	    capabilities(v) == -1)
		return -1;
	pci_set(v->func, CFG_PIN, 1, 1);
	pci_set(v->func, CFG_LINE, 1, v->irq);
	pci_set(v->func, CFG_COMMAND, 2, CMD_MEM | CMD_MASTER);
	pci_on_write(v->func, written, v);
	pci_on_read(v->func, reading, v);
	moved(v);
	return 0;
}

/* The function itself stays: the bus has it. */
void
virtio_pci_fini(struct virtio *v)
{
	unsigned int i;

	if (v->func != NULL) {
		pci_on_write(v->func, NULL, NULL);
		pci_on_read(v->func, NULL, NULL);
	}
	for (i = 0; i < 2; i++)
		if (v->windows[i] != -1)
			mmio_del(v->host.mmio, v->windows[i]);
}
