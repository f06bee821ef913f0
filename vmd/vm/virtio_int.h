#ifndef VM_VIRTIO_INT_H
#define VM_VIRTIO_INT_H

#include "vmd/vm/virtio.h"

/*
 * What the files of the virtio transport share.  Bus lock held everywhere
 * unless said otherwise.  Nothing outside vmd/vm/virtio*.c includes this.
 */

struct event;
struct pci_func;

/* BAR 0, and what is where in it; BAR 1. */
#define VIRTIO_BAR_LEN	    0x4000
#define VIRTIO_COMMON	    0x0000
#define VIRTIO_COMMON_LEN   56
#define VIRTIO_ISR	    0x1000
#define VIRTIO_DEVICE	    0x2000
#define VIRTIO_NOTIFY	    0x3000
#define VIRTIO_NOTIFY_STEP  4
#define VIRTIO_MSIX_BAR_LEN 0x1000
#define VIRTIO_MSIX_PBA	    0x800

#define VIRTIO_NO_VECTOR    0xffff
#define VIRTIO_MAXVECTORS   (VIRTIO_MAXQUEUES + 1)

/* Where an interrupt eventfd is connected to. */
enum virtio_wire {
	WIRE_NONE,
	WIRE_INTX,
	WIRE_MSI,
	WIRE_HELD /* masked: we read it and set the pending bit */
};

/* Who interrupts: queue 0 to nqueues - 1, then the configuration. */
struct virtio_source {
	struct virtio *v;
	int fd;
	struct event *ev;
	uint16_t vector;
	enum virtio_wire wire;
	unsigned int gsi; /* of WIRE_INTX and WIRE_MSI */
};

struct virtio_vector {
	uint32_t words[4]; /* address low and high, data, control */
	int pending;
	int allocated;
	unsigned int gsi;
};

struct virtio {
	struct virtio_host host;
	struct virtio_conf conf;
	char name[32];

	/* virtio_pci.c */
	struct pci_func *func;
	int windows[2];
	uint64_t at[2]; /* of the BARs; MMIO_NOWHERE */
	unsigned int msix_cap, cfg_cap;

	/* virtio_regs.c, and the states */
	uint8_t status;
	int active;    /* the backend runs */
	int resetting; /* and is asked to stop */
	int dead;      /* there is no backend any more */
	uint32_t device_select, driver_select;
	uint64_t features; /* the driver's */
	uint16_t queue_select;
	/* The last stands for all that are not there. */
	struct virtio_queue queues[VIRTIO_MAXQUEUES + 1];
	uint64_t kick_at[VIRTIO_MAXQUEUES]; /* ioeventfd; MMIO_NOWHERE */

	/* virtio_irq.c */
	unsigned int irq;
	struct virtio_source sources[VIRTIO_MAXVECTORS];
	struct virtio_vector vectors[VIRTIO_MAXVECTORS + 1]; /* so here */
	struct event *resample_ev;
};

/* --- virtio.c: states ------------------------------------------------- */

/* What the driver may do follows from this. */
enum virtio_phase {
	PHASE_RESET,
	PHASE_ACKNOWLEDGED,
	PHASE_DRIVER,
	PHASE_FEATURES, /* agreed: queues may be set up */
	PHASE_RUNNING,
	PHASE_DEAD, /* FAILED or DEVICE_NEEDS_RESET: until a reset */
	PHASE_RESETTING,
	PHASE_MAX
};
enum virtio_phase virtio_phase(const struct virtio *v);
/* The driver wrote device_status. */
void virtio_status(struct virtio *v, uint8_t val);
/* DEVICE_NEEDS_RESET, with an interrupt if the driver runs. */
void virtio_needs_reset(struct virtio *v);
/* Connect the kick eventfds, or not, as the state says. */
void virtio_kicks(struct virtio *v);

/* --- virtio_regs.c: BAR 0 --------------------------------------------- */

uint64_t virtio_bar_read(void *arg, uint64_t off, unsigned int size);
void virtio_bar_write(void *arg, uint64_t off, unsigned int size, uint64_t val);

/* --- virtio_irq.c: BAR 1 and interrupts ------------------------------- */

/* Main thread.  0, or -1 with errno. */
int virtio_irq_init(struct virtio *v);
void virtio_irq_fini(struct virtio *v);
uint64_t virtio_msix_read(void *arg, uint64_t off, unsigned int size);
void
virtio_msix_write(void *arg, uint64_t off, unsigned int size, uint64_t val);
/* Connect all sources as the state says. */
void virtio_irq_update(struct virtio *v);
/* A device reset: no vectors, nothing pending. */
void virtio_irq_reset(struct virtio *v);
int virtio_msix_on(const struct virtio *v);
/* Set ISR bits and signal a source. */
void virtio_raise(struct virtio *v, unsigned int source, uint8_t isr);
/* What events do: look at an interrupt eventfd; at the end of INTx. */
void virtio_irq_look(struct virtio_source *s);
void virtio_irq_resampled(struct virtio *v);

/* --- virtio_pci.c: configuration space -------------------------------- */

int virtio_pci_init(struct virtio *v);
void virtio_pci_fini(struct virtio *v);
/* Bits of MSI-X message control and of the command register. */
#define MSIX_MASKED  0x4000
#define MSIX_ENABLED 0x8000
#define CMD_MASTER   0x0004
#define CMD_INTX_OFF 0x0400
uint16_t virtio_pci_msix(const struct virtio *v);
uint16_t virtio_pci_command(const struct virtio *v);
/*
 * 1 if the function may read and write memory: only then it is to be kicked,
 * and only then it may send messages.  Its line needs no memory.
 */
int virtio_pci_master(const struct virtio *v);

#endif
