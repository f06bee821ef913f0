#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "guest.h"

/*
 * The driver side of virtio over PCI, as our test guests need it: thin
 * enough to do everything wrong on purpose.  Virtio 1.2, 2.7 and 4.1.
 */

#define VIRTIO_RING	 0x4000 /* bytes of memory for each queue */
#define VIRTIO_NOMSI	 0xffff
#define VIRTIO_WAIT	 (PM_HZ * 20ULL)

#define VIRTIO_INDIRECT	 (1ULL << 28)
#define VIRTIO_EVENT_IDX (1ULL << 29)
#define VIRTIO_VERSION_1 (1ULL << 32)

/* Of descriptors. */
#define VQ_NEXT	    1
#define VQ_WRITE    2
#define VQ_INDIRECT 4

/* One function on bus 0; addresses of its structures, 0 if it has none. */
struct vdev {
	unsigned int slot, func;
	uint64_t common, isr, notify, config, msix;
	uint32_t multiplier;
	unsigned int msix_cap, cfg_cap;
	uint64_t features; /* agreed on */
};

struct vq {
	struct vdev *d;
	unsigned int n, size;
	uint64_t desc, avail, used, kick;
	uint16_t offered; /* what avail.idx says, or will */
	uint16_t seen;	  /* of the used ring */
	uint16_t told;	  /* avail.idx when last asked whether to kick */
};

static inline uint8_t
load8(uint64_t a)
{
	return *(volatile uint8_t *)a;
}

static inline uint16_t
load16(uint64_t a)
{
	return *(volatile uint16_t *)a;
}

static inline uint64_t
load64(uint64_t a)
{
	return *(volatile uint64_t *)a;
}

static inline void
store8(uint64_t a, uint8_t v)
{
	*(volatile uint8_t *)a = v;
}

static inline void
store16(uint64_t a, uint16_t v)
{
	*(volatile uint16_t *)a = v;
}

static inline void
store64(uint64_t a, uint64_t v)
{
	*(volatile uint64_t *)a = v;
}

/* For waits longer than the 4.7 s in which the PM timer goes round. */
struct wait {
	uint32_t last;
	uint64_t sum;
};
/* Has it been VIRTIO_WAIT since the first call with a cleared `w'? */
int wait_over(struct wait *w);

/* Configuration space. */
uint32_t pci_conf(const struct vdev *d, unsigned int reg);
uint8_t pci_conf8(const struct vdev *d, unsigned int reg);
void pci_conf_set(const struct vdev *d, unsigned int reg, uint32_t v);

/* Look for the structures of the device there; 0 if there is no device. */
int virtio_find(struct vdev *d, unsigned int slot, unsigned int func);

uint8_t virtio_status(const struct vdev *d);
void virtio_set_status(const struct vdev *d, uint8_t v);
uint64_t virtio_offered(const struct vdev *d);
/* Write 0 and wait until it reads 0; 0 if that is too long. */
int virtio_reset(const struct vdev *d);
/*
 * Reset, and all up to FEATURES_OK with VERSION_1 and those of `features'
 * that are offered; 0 if that fails.
 */
int virtio_begin(struct vdev *d, uint64_t features);
/* Queue `n' in the VIRTIO_RING bytes at `mem', which are cleared. */
void virtio_queue(struct vq *q, struct vdev *d, unsigned int n,
    unsigned int size, uint64_t mem, uint16_t vector);
/* DRIVER_OK; 0 if the device does not take it. */
int virtio_go(const struct vdev *d);
/* Entry `n' of the MSI-X table; the switch for all of it. */
void
virtio_vector(const struct vdev *d, unsigned int n, uint8_t vector, int masked);
void virtio_msix(const struct vdev *d, int on);

/* Descriptor `i' of `table'; that of the next one if flags has VQ_NEXT. */
void
vq_desc(uint64_t table, unsigned int i, uint64_t addr, uint32_t len, int flags);
/*
 * Put the chain at `head' into the avail ring; show the device all that are
 * there, and kick if it wants to be; both.
 */
void vq_put(struct vq *q, uint16_t head);
void vq_show(struct vq *q);
void vq_offer(struct vq *q, uint16_t head);
void vq_kick(struct vq *q);
/* Wait, without interrupts, for one more; its length, or -1. */
int64_t vq_wait(struct vq *q);
/* Interrupt after the next one; without EVENT_IDX, all or none. */
void vq_interrupts(struct vq *q, int on);

#endif
