#ifndef VM_VIORND_H
#define VM_VIORND_H

#include <stdint.h>

#include "vmd/vm/virtio.h"

/*
 * The entropy device, inside the vm process: queue and random bytes on the
 * main thread.  Virtio 1.2, 5.4.
 */

#define VIORND_SLOT  1
#define VIORND_RATE  (1U << 20)	 /* bytes a second, the usual */
#define VIORND_CHAIN (64U << 10) /* most bytes at once */

struct viornd;
/*
 * Put one into the machine: main thread, before the vcpus run.  `rate' is in
 * bytes a second, at least VIORND_CHAIN.  NULL with errno.
 */
struct viornd *viornd_new(const struct virtio_host *h, uint32_t rate);
void viornd_free(struct viornd *r);
/* Leave guest memory alone, and go on.  Main thread. */
void viornd_pause(struct viornd *r, int paused);

#endif
