#ifndef GUEST_VBAD_H
#define GUEST_VBAD_H

#include "virtio.h"

/*
 * A hostile driver of any virtio device: rings that lead nowhere, queues
 * that are not in memory, registers written at random.  After each the
 * device says that it needs a reset, works when it had one, and another
 * device has not noticed.  Memory of the guest is 64 MiB.
 */

/* What a device is like. */
#define VBAD_HEADER 1 /* its requests begin with bytes that it reads */
#define VBAD_ASYNC  2 /* a request is in flight for a while */

struct vbad {
	struct vdev *d;
	struct vq *q;	/* which of its queues */
	uint64_t rings; /* where that lies, VIRTIO_RING bytes */
	uint64_t table; /* 4096 bytes of memory that nobody else uses */
	int kind;
	/* Drive it from reset on, with indirect descriptors; 0 if that fails. */
	int (*up)(void);
	/*
	 * A good request in descriptors 0 to 2, the second of more than 16
	 * bytes and written by the device.
	 */
	void (*good)(void);
	/* Have something done and look at it, other than for other `n'. */
	int (*works)(uint32_t n);
	int (*other_works)(uint32_t n);
};

/* A check for each ring; one for all areas; one for all registers. */
void vbad_rings(const struct vbad *v);
void vbad_areas(const struct vbad *v);
void vbad_registers(const struct vbad *v);

#endif
