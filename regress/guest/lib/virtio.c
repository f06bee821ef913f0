/*
 * The driver side of virtio, for test guests.  See virtio.h.
 */
#include "virtio.h"

/* The common configuration structure. */
#define DEVICE_SELECT  0
#define DEVICE_FEATURE 4
#define DRIVER_SELECT  8
#define DRIVER_FEATURE 12
#define STATUS	       20
#define QUEUE_SELECT   22
#define QUEUE_SIZE     24
#define QUEUE_VECTOR   26
#define QUEUE_ENABLE   28
#define QUEUE_NOTIFY   30
#define QUEUE_DESC     32
#define QUEUE_AVAIL    40
#define QUEUE_USED     48

int
wait_over(struct wait *w)
{
	uint32_t now = pm_now();

	if (w->sum++ > 0)
		w->sum += (now - w->last) & 0xffffff;
	w->last = now;
	return w->sum > VIRTIO_WAIT;
}

static void
address(const struct vdev *d, unsigned int reg)
{
	outl(0xcf8, 1U << 31 | d->slot << 11 | d->func << 8 | (reg & 0xfc));
}

uint32_t
pci_conf(const struct vdev *d, unsigned int reg)
{
	address(d, reg);
	return inl(0xcfc);
}

void
pci_conf_set(const struct vdev *d, unsigned int reg, uint32_t v)
{
	address(d, reg);
	outl(0xcfc, v);
}

uint8_t
pci_conf8(const struct vdev *d, unsigned int reg)
{
	return (uint8_t)(pci_conf(d, reg) >> 8 * (reg & 3));
}

static void
structure(struct vdev *d, unsigned int cap)
{
	unsigned int bar = pci_conf8(d, cap + 4);
	uint64_t at = (pci_conf(d, 0x10 + 4 * bar) & ~15U) +
	    pci_conf(d, cap + 8);

	switch (pci_conf8(d, cap + 3)) {
	case 1:
		d->common = at;
		break;
	case 2:
		d->notify = at;
		d->multiplier = pci_conf(d, cap + 16);
		break;
	case 3:
		d->isr = at;
		break;
	case 4:
		d->config = at;
		break;
	case 5:
		d->cfg_cap = cap;
		break;
	}
}

int
virtio_find(struct vdev *d, unsigned int slot, unsigned int func)
{
	unsigned int cap;

	memset(d, 0, sizeof(*d));
	d->slot = slot;
	d->func = func;
	if ((pci_conf(d, 0) & 0xffff) != 0x1af4)
		return 0;
	/* As drivers do: memory, bus master. */
	pci_conf_set(d, 4, (pci_conf(d, 4) & 0xffff) | 6);
	d->msix = pci_conf(d, 0x14) & ~15U;
	for (cap = pci_conf8(d, 0x34); cap != 0; cap = pci_conf8(d, cap + 1))
		if (pci_conf8(d, cap) == 0x11)
			d->msix_cap = cap;
		else if (pci_conf8(d, cap) == 9)
			structure(d, cap);
	return d->common != 0 && d->notify != 0 && d->isr != 0;
}

uint8_t
virtio_status(const struct vdev *d)
{
	return load8(d->common + STATUS);
}

void
virtio_set_status(const struct vdev *d, uint8_t v)
{
	store8(d->common + STATUS, v);
}

uint64_t
virtio_offered(const struct vdev *d)
{
	uint64_t low;

	store32(d->common + DEVICE_SELECT, 0);
	low = load32(d->common + DEVICE_FEATURE);
	store32(d->common + DEVICE_SELECT, 1);
	return (uint64_t)load32(d->common + DEVICE_FEATURE) << 32 | low;
}

int
virtio_reset(const struct vdev *d)
{
	struct wait w = { 0 };

	virtio_set_status(d, 0);
	while (virtio_status(d) != 0)
		if (wait_over(&w))
			return 0;
	return 1;
}

int
virtio_begin(struct vdev *d, uint64_t features)
{
	if (!virtio_reset(d))
		return 0;
	virtio_set_status(d, 1);
	virtio_set_status(d, 3);
	d->features = (features | VIRTIO_VERSION_1) & virtio_offered(d);
	store32(d->common + DRIVER_SELECT, 0);
	store32(d->common + DRIVER_FEATURE, (uint32_t)d->features);
	store32(d->common + DRIVER_SELECT, 1);
	store32(d->common + DRIVER_FEATURE, (uint32_t)(d->features >> 32));
	virtio_set_status(d, 11);
	return virtio_status(d) == 11;
}

void
virtio_queue(struct vq *q, struct vdev *d, unsigned int n, unsigned int size,
    uint64_t mem, uint16_t vector)
{
	memset(q, 0, sizeof(*q));
	q->d = d;
	q->n = n;
	q->size = size;
	q->desc = mem;
	q->avail = mem + 0x1000;
	q->used = mem + 0x2000;
	memset((void *)q->desc, 0, 16 * (size_t)size);
	memset((void *)q->avail, 0, 6 + 2 * (size_t)size);
	memset((void *)q->used, 0, 6 + 8 * (size_t)size);
	store16(d->common + QUEUE_SELECT, (uint16_t)n);
	store16(d->common + QUEUE_SIZE, (uint16_t)size);
	store16(d->common + QUEUE_VECTOR, vector);
	store64(d->common + QUEUE_DESC, q->desc);
	store64(d->common + QUEUE_AVAIL, q->avail);
	store64(d->common + QUEUE_USED, q->used);
	q->kick = d->notify + load16(d->common + QUEUE_NOTIFY) * d->multiplier;
	store16(d->common + QUEUE_ENABLE, 1);
}

int
virtio_go(const struct vdev *d)
{
	virtio_set_status(d, 15);
	return virtio_status(d) == 15;
}

void
virtio_vector(const struct vdev *d, unsigned int n, uint8_t vector, int masked)
{
	uint64_t e = d->msix + 16 * n;

	store32(e + 12, 1);
	store32(e, LAPIC & 0xffffffff);
	store32(e + 4, 0);
	store32(e + 8, vector);
	store32(e + 12, masked ? 1 : 0);
}

void
virtio_msix(const struct vdev *d, int on)
{
	uint32_t control = pci_conf(d, d->msix_cap) & ~(3U << 30);

	pci_conf_set(d, d->msix_cap, control | (on ? 1U << 31 : 0));
}

void
vq_desc(uint64_t table, unsigned int i, uint64_t addr, uint32_t len, int flags)
{
	uint64_t at = table + 16 * i;

	store64(at, addr);
	store32(at + 8, len);
	store32(at + 12, (uint32_t)flags | (i + 1) << 16);
}

void
vq_kick(struct vq *q)
{
	store16(q->kick, (uint16_t)q->n);
}

/* After the index is stored: does the device want to hear of it? */
static int
wanted(struct vq *q)
{
	uint16_t event, old = q->told;

	q->told = q->offered;

	__asm__ volatile("mfence" : : : "memory");
	if (!(q->d->features & VIRTIO_EVENT_IDX))
		return !(load16(q->used) & 1);
	event = load16(q->used + 4 + 8 * q->size);
	return (uint16_t)(q->offered - event - 1) <
	    (uint16_t)(q->offered - old);
}

void
vq_put(struct vq *q, uint16_t head)
{
	store16(q->avail + 4 + 2 * (q->offered++ % q->size), head);
}

void
vq_show(struct vq *q)
{
	if (q->offered == q->told)
		return;
	store16(q->avail + 2, q->offered);
	if (wanted(q))
		vq_kick(q);
}

void
vq_offer(struct vq *q, uint16_t head)
{
	vq_put(q, head);
	vq_show(q);
}

int64_t
vq_wait(struct vq *q)
{
	struct wait w = { 0 };
	uint64_t at = q->used + 4 + 8 * (q->seen % q->size);

	while (load16(q->used + 2) == q->seen)
		if (wait_over(&w))
			return -1;
	q->seen++;
	return load32(at + 4);
}

void
vq_interrupts(struct vq *q, int on)
{
	if (q->d->features & VIRTIO_EVENT_IDX)
		store16(q->avail + 4 + 2 * q->size,
		    (uint16_t)(on ? q->seen : q->seen - 1));
	else
		store16(q->avail, on ? 0 : 1);
	__asm__ volatile("mfence" : : : "memory");
}
