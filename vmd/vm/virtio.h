#ifndef VM_VIRTIO_H
#define VM_VIRTIO_H

#include <stdint.h>

#include "lib/util/gmem.h"
#include "lib/virtio/page.h"

struct bus;
struct event_base;
struct mmio;
struct pci;
struct vmm;
struct vq_dirty;

/*
 * A virtio device as the guest sees it: PCI function, capabilities, common
 * configuration, MSI-X, notification.  Virtio 1.2, 2.1 to 2.4 and 4.1.  In
 * the vm process; the queues are worked on elsewhere: by a device process
 * or by the main thread.
 *
 * Threads: registers are accessed by vcpu threads with the bus lock held,
 * so that is how the callbacks of virtio_backend are called; they must be
 * quick and must not call virtio_*() except virtio_call().  virtio_new() and
 * virtio_free() belong to the main thread while no vcpu runs; the other
 * functions take the bus lock themselves, on any thread.
 */

#define VIRTIO_MAXQUEUES     16

#define VIRTIO_F_VERSION_1   (1ULL << 32) /* always offered */

#define VIRTIO_S_ACKNOWLEDGE 0x01
#define VIRTIO_S_DRIVER	     0x02
#define VIRTIO_S_DRIVER_OK   0x04
#define VIRTIO_S_FEATURES_OK 0x08
#define VIRTIO_S_NEEDS_RESET 0x40
#define VIRTIO_S_FAILED	     0x80

/* What the transport needs of libvmm; -1 with errno.  Tests fake it. */
struct virtio_host_ops {
	int (*ioeventfd)(void *arg, int fd, uint64_t gpa, unsigned int len,
	    int assign);
	/* resample -1: edge, for message-signalled interrupts */
	int (*irqfd)(void *arg, int fd, unsigned int gsi, int resample,
	    int assign);
	int (*msi_new)(void *arg, unsigned int *gsi);
	int (*msi_set)(void *arg, unsigned int gsi, uint64_t addr,
	    uint32_t data);
	void (*msi_free)(void *arg, unsigned int gsi);
};
/* The real ones; `arg' is the struct vmm. */
extern const struct virtio_host_ops virtio_host_vmm;

/* The machine it is put into; copied. */
struct virtio_host {
	struct bus *bus;
	struct pci *pci;
	struct mmio *mmio;
	struct event_base *base; /* the main thread's */
	const struct gmem *mem;
	/* Of devices whose queues are worked on here; or NULL. */
	const struct vq_dirty *dirty;
	const struct virtio_host_ops *ops;
	void *arg;
};

struct virtio_queue {
	int enabled;
	uint16_t size;
	uint64_t desc, avail, used;
};

struct virtio_backend {
	/*
	 * DRIVER_OK: `features' are agreed on, `q[0..n)' are checked and
	 * stay as they are until the reset.  -1: DEVICE_NEEDS_RESET.
	 */
	int (*activate)(void *arg, uint64_t features,
	    const struct virtio_queue *q, unsigned int n);
	/*
	 * Only after activate() returned 0.  1: guest memory is not used any
	 * more.  0: it still is, virtio_reset_done() follows; until then the
	 * guest reads the old status and changes nothing.
	 */
	int (*reset)(void *arg);
	/*
	 * The guest wrote its configuration space, inside of config_len;
	 * size 1, 2 or 4.  NULL: read-only.
	 */
	void (*config_write)(void *arg, unsigned int off, unsigned int size,
	    uint32_t val);
	/*
	 * The guest kicked queue `q'.  Only for queues without kick
	 * eventfd; NULL if all have one.
	 */
	void (*notify)(void *arg, unsigned int q);
	void *arg;
};

/*
 * Descriptors are eventfds, non-blocking, and stay the caller's; they must
 * outlive the device.  An interrupt is raised by virtio_isr_set() and then a
 * write to its eventfd, in any process.
 */
struct virtio_conf {
	const char *name;	 /* "vioblk0"; copied */
	unsigned int slot, func; /* see pci.h */
	uint16_t device;      /* virtio device id: 1 net, 2 block, 4 entropy */
	uint32_t class;	      /* 24 bits */
	uint64_t features;    /* offered */
	unsigned int nqueues; /* 1..VIRTIO_MAXQUEUES */
	uint16_t queue_max;   /* a power of two, at most 1024 */
	struct virtio_page *page;
	unsigned int config_len;    /* at most VIRTIO_CONFIG_MAX; may be 0 */
	int kick[VIRTIO_MAXQUEUES]; /* from the guest; -1: notify() */
	int call[VIRTIO_MAXQUEUES]; /* to the guest */
	int config_call;
	int resample; /* of the INTx line: private to the transport */
	struct virtio_backend backend;
};

struct virtio;
/* NULL with errno. */
struct virtio *
virtio_new(const struct virtio_host *h, const struct virtio_conf *c);
void virtio_free(struct virtio *v);

/* The reset that virtio_backend.reset() put off is done. */
void virtio_reset_done(struct virtio *v);
/* The device's configuration is new: generation, interrupt. */
void virtio_config_changed(struct virtio *v);
/* The guest broke the device or the device itself: DEVICE_NEEDS_RESET. */
void virtio_broken(struct virtio *v);
/*
 * The backend is gone for good: as virtio_broken(), a reset that is waited
 * for is done, and the device never runs again.
 */
void virtio_fail(struct virtio *v);
/*
 * Interrupt for queue `q': what a device inside the vm process does.  No
 * lock.
 */
void virtio_call(struct virtio *v, unsigned int q);

/* What the guest has set up: to tell a backend that was started anew. */
struct virtio_state {
	int active; /* between activate() and reset() */
	uint8_t status;
	uint64_t features;
	unsigned int nqueues;
	struct virtio_queue queues[VIRTIO_MAXQUEUES];
};
void virtio_state(struct virtio *v, struct virtio_state *s);

#endif
