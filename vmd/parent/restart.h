#ifndef PARENT_RESTART_H
#define PARENT_RESTART_H

#include <stdint.h>

#include "lib/proto/vmerr.h"
#include "lib/proto/vmspec.h"

/*
 * Whether and when a VM that ended starts again by itself.  Pure decisions:
 * the caller knows the time (milliseconds of a clock that only advances).
 */

#define RESTART_LIMIT_MAX 100 /* resets that are remembered */
#define RESTART_DELAY_MAX 60  /* seconds */

struct restart {
	int64_t times[RESTART_LIMIT_MAX]; /* the last one last; 0: none */
	unsigned int delay;		  /* s, last one used; 0: none */
};

enum restart_how {
	RESTART_NO,    /* it stays down */
	RESTART_NOW,   /* a guest reset: at once, same tty */
	RESTART_LATER, /* by policy: after restart_delay() */
};

/*
 * What follows the end `exit' of a run.  `asked': a person or the daemon
 * stopped it.  `bootdev': the boot device was chosen for this run, as
 * installers do; their reset ends the VM.
 */
enum restart_how restart_how(enum vm_restart policy, enum vmexit exit,
    int asked, enum vm_bootdev bootdev);
/* What the policy alone says: for resets that came too quickly. */
int restart_by_policy(enum vm_restart policy, enum vmexit exit);
/*
 * Note a restart at `now'.  1, or 0 if there were `limit' (at most
 * RESTART_LIMIT_MAX) within `window' ms before.
 */
int restart_allowed(struct restart *r, int64_t now, unsigned int limit,
    int64_t window);
/* Seconds to wait before the next one by policy; the run lasted `ran' ms. */
unsigned int restart_delay(struct restart *r, int64_t ran);

#endif
