/*
 * Restart decisions of the parent: guest resets, the `restart' setting and
 * their limits.  No clock, no VM list, no process is touched here.
 */
#include <string.h>

#include "vmd/parent/restart.h"

static int
is_reset(enum vmexit exit)
{
	return exit == VMEXIT_RESET || exit == VMEXIT_TRIPLE;
}

static int
is_failure(enum vmexit exit)
{
	switch (exit) {
	case VMEXIT_TRIPLE:
	case VMEXIT_SIGNAL:
	case VMEXIT_EMULATION:
	case VMEXIT_FAILED:
	case VMEXIT_LAUNCH:
		return 1;
	default:
		return 0;
	}
}

int
restart_by_policy(enum vm_restart policy, enum vmexit exit)
{
	if (policy == RESTART_ALWAYS)
		return exit != VMEXIT_STOPPED;
	return policy == RESTART_ON_FAILURE &&
	    (is_failure(exit) || is_reset(exit));
}

enum restart_how
restart_how(enum vm_restart policy, enum vmexit exit, int asked,
    enum vm_bootdev bootdev)
{
	if (asked || exit == VMEXIT_STOPPED)
		return RESTART_NO;
	if (is_reset(exit))
		return bootdev == BOOTDEV_AUTO ? RESTART_NOW : RESTART_NO;
	return restart_by_policy(policy, exit) ? RESTART_LATER : RESTART_NO;
}

int
restart_allowed(struct restart *r, int64_t now, unsigned int limit,
    int64_t window)
{
	const size_t last = RESTART_LIMIT_MAX - 1;
	int64_t before = r->times[RESTART_LIMIT_MAX - limit];

	if (before != 0 && now - before < window)
		return 0;
	memmove(&r->times[0], &r->times[1], last * sizeof(r->times[0]));
	r->times[last] = now;
	return 1;
}

unsigned int
restart_delay(struct restart *r, int64_t ran)
{
	if (r->delay == 0 || ran >= RESTART_DELAY_MAX * 1000)
		r->delay = 1;
	else if (r->delay * 2 > RESTART_DELAY_MAX)
		r->delay = RESTART_DELAY_MAX;
	else
		r->delay *= 2;
	return r->delay;
}
