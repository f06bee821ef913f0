#ifndef VM_VMMCI_H
#define VM_VMMCI_H

#include <stdint.h>

#include "vmd/vm/device.h"
#include "vmd/vm/pci.h"

/*
 * vmmci(4), through which OpenBSD guests are asked to shut down or to set
 * their clock, and tell that they power down: a virtio device of the legacy
 * interface (Virtio 1.2, 4.1.4.10) without queues, in one I/O BAR.  Its
 * registers are accessed by vcpu threads; the functions below are for the
 * main thread and take the bus lock.
 */
#define VMMCI_SLOT	 3
#define VMMCI_IO	 0x1000 /* until the guest moves it */
#define VMMCI_IO_LEN	 64

#define VMMCI_F_TIMESYNC 0x1
#define VMMCI_F_ACK	 0x2
#define VMMCI_F_SYNCRTC	 0x4

enum vmmci_cmd {
	VMMCI_NONE,
	VMMCI_SHUTDOWN,
	VMMCI_REBOOT,
	VMMCI_SYNCRTC
};

/* In these many milliseconds: an answer; after it, the end. */
#define VMMCI_ANSWER_MS 3000
#define VMMCI_END_MS	120000

/*
 * The time for a guest to be gone has passed: called on the main thread
 * without locks, once for each command.
 */
struct vmmci_ops {
	void (*expired)(void *arg, int reboot, const char *why);
	void *arg;
};

struct vmmci;
/* `ops' is copied.  NULL with errno. */
struct vmmci *vmmci_new(struct bus *b, const struct machine *m, struct pci *p,
    const struct vmmci_ops *ops);
void vmmci_free(struct vmmci *v);

/*
 * Send a command.  1 if the guest's driver listens, which for
 * VMMCI_SYNCRTC includes that it knows it; else 0, and nothing happens.  A
 * command that is outstanding is not sent again, and no VMMCI_SYNCRTC
 * comes after another one.
 */
int vmmci_send(struct vmmci *v, enum vmmci_cmd cmd);
/*
 * The guest is held: so are the timers.  It goes on: so do they, and it is
 * told to set its clock.
 */
void vmmci_pause(struct vmmci *v);
void vmmci_unpause(struct vmmci *v);

#endif
