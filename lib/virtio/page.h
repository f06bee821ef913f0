#ifndef VIRTIO_PAGE_H
#define VIRTIO_PAGE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the vm process and a device share for one virtio device: the ISR
 * byte and the device's configuration space.  A page of a memfd, or plain
 * memory for devices inside the vm process.  Zero-filled at first.
 *
 * The device writes, the vm process answers the guest from it, so that a
 * device that hangs never holds a vcpu.  Neither side trusts the other:
 * nothing in here is an index or a length.
 */

#define VIRTIO_CONFIG_MAX 256

#define VIRTIO_ISR_QUEUE  0x1
#define VIRTIO_ISR_CONFIG 0x2

struct virtio_page {
	uint32_t seq; /* odd while config changes; its low byte is the
		       * config_generation that the guest sees */
	uint8_t isr;
	uint8_t pad[3];
	uint8_t config[VIRTIO_CONFIG_MAX];
};

/*
 * Change `len' bytes of the configuration at `off', one writer at a time.
 * The guest learns that by virtio_config_changed().  Aligned words are never
 * torn.  What lies outside is ignored.
 */
void virtio_page_write(struct virtio_page *p, size_t off, const void *buf,
    size_t len);
/* Read; the bytes outside are 0. */
void virtio_page_read(const struct virtio_page *p, size_t off, void *buf,
    size_t len);
/* The generation that config_generation shows. */
uint8_t virtio_page_generation(const struct virtio_page *p);

/*
 * Set `bits' in the ISR byte, before the eventfd of the interrupt is
 * written; take them all, leaving none.  Atomic, any thread or process.
 */
void virtio_isr_set(struct virtio_page *p, uint8_t bits);
uint8_t virtio_isr_get(const struct virtio_page *p);
uint8_t virtio_isr_take(struct virtio_page *p);

#endif
