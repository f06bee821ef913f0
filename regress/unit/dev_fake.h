#ifndef DEV_FAKE_H
#define DEV_FAKE_H

/*
 * A device without its process: the device's own file, a queue in a little
 * guest memory, and what dev.c would do for it.
 */

#include "regress/unit/dirty_watch.h"
#include "vmd/dev/dev.h"

#define FAKE_MEM   (1 << 20)
#define FAKE_DESC  0x0000ULL
#define FAKE_AVAIL 0x1000ULL
#define FAKE_USED  0x2000ULL
#define FAKE_DATA  0x4000ULL
#define FAKE_QUEUE 16 /* its size */

struct fake {
	struct dev d;
	struct dev_ready ready;
	char why[DEV_WHYLEN];
	struct dev_page page;
	struct vq_inflight *record;
	unsigned int ended;    /* requests */
	uint64_t state_at_end; /* page.state when the last one did */
	struct watch watch;    /* of memory, once it is on */
};

/*
 * Open `ops' on files: FD_DISK layers of disk 0 or the FD_CDROM, taken.  0,
 * or -1 with why.
 */
int fake_open(struct fake *f, const struct dev_ops *ops, const int *fds,
    unsigned int nfds, uint32_t flags, uint32_t qcow2);
/* The same for the successor of one that has died; `page' is what it left. */
int fake_open_again(struct fake *f, const struct dev_ops *ops, const int *fds,
    unsigned int nfds, uint32_t flags, uint32_t qcow2,
    const struct dev_page *page);
/* The driver is up with one queue, number 0 (or `q'). */
void fake_activate(struct fake *f, unsigned int q, uint64_t features);
/* Work until nothing is left; what dev_ops.queue returned. */
int fake_run(struct fake *f);
/* The reset of the guest; close. */
void fake_reset(struct fake *f);
void fake_close(struct fake *f);

#endif
