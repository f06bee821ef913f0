#ifndef VM_VM_H
#define VM_VM_H

#include <pthread.h>

#include "lib/proto/vmerr.h"
#include "lib/proto/vmspec.h"
#include "lib/util/fdlist.h"
#include "lib/util/gmem.h"
#include "lib/virtio/vq.h"
#include "lib/vmm/vmm.h"
#include "proc/peer.h"
#include "vmd/vm/device.h"
#include "vmd/vm/virtio.h"
#include "vmd/vm/vmmci.h"

/*
 * The vm process: one guest.  Its main thread owns the channel, the console
 * and the timers; vcpu threads (lib/vmm) call into the bus.
 */

#define VM_TEXTLEN 512

struct console;
struct event;

struct vm {
	struct event_base *base;
	struct peer *up;
	struct vm_spec *spec; /* NULL before the launch */
	struct fdlist fds;
	struct gmem mem;
	struct huge *huge;
	struct vmm *vmm;
	struct machine machine;
	struct bus *bus;
	struct uart *uart;
	struct rtc *rtc;
	struct legacy *legacy;
	struct pci *pci;
	struct acpi_pm *acpi;
	struct vmmci *vmmci;
	struct mmio *mmio;
	struct virtio_host virtio; /* what virtio_new() wants */
	struct vq_dirty dirty;	   /* main thread: what we write into mem */
	struct viornd *viornd;
	struct console *console;
	struct devs *devs;
	struct msg_hdr start; /* the request that launched us */
	int launched;	      /* and was answered */
	struct msg_hdr pause; /* a request to pause that waits */
	int pausing;	      /* for the devices */
	int unhold;	      /* it is asked to end meanwhile */
	int paused;
	int ending; /* the vcpus have ended */
	int wake;   /* eventfd: a vcpu ended */
	struct event *wake_ev;

	pthread_mutex_t lock;
	enum vmexit exit; /* under lock: the first cause */
	char text[VM_TEXTLEN];
};

/* vm.c: the role; never returns. */
int vm_main(void);
/*
 * Note why this run ends; the first cause counts.  Any thread; the text is
 * copied.  Does not stop anything by itself.
 */
void vm_note(struct vm *vm, enum vmexit how, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * machine.c: from a spec and descriptors to a guest that is ready to run,
 * narrowing the process on the way: first what the device processes need,
 * then, when they are ready, the rest.  VMERR_OK, or an error with a
 * sentence in `err'.
 */
enum vmerr vm_build(struct vm *vm, char err[VM_TEXTLEN]);
enum vmerr vm_finish(struct vm *vm, char err[VM_TEXTLEN]);
/* vm.c: what devs.c calls. */
void vm_devs_ready(void *arg, const char *error);
void vm_devs_paused(void *arg, const char *error);
void vm_devs_ended(void *arg);
/* The ranges of a guest with `bytes' of memory.  0, or -1 with errno. */
int vm_memory(struct gmem *g, uint64_t bytes);

#endif
