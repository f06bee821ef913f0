/*
 * The states of a VM and what may happen in each: one table.  Used by the
 * parent, which is the only process that keeps states.
 */
#include <errno.h>

#include "lib/util/log.h"
#include "vmd/parent/vm.h"

/* Rows start at zero, which must mean "cannot happen". */
#define TO(s) (VMS_##s + 1)

/* clang-format off */
static const int table[VMS_MAX][EV_MAX] = {
	[VMS_STOPPED] =  { [EV_QUEUE]   = TO(WAITING),
			   [EV_START]   = TO(STARTING) },
	[VMS_WAITING] =  { [EV_CANCEL]  = TO(STOPPED),
			   [EV_START]   = TO(STARTING) },
	[VMS_STARTING] = { [EV_UP]      = TO(RUNNING),
			   [EV_FAIL]    = TO(STOPPED),
			   [EV_STOP]    = TO(STOPPING),
			   [EV_EXIT]    = TO(STOPPED) },
	[VMS_RUNNING] =  { [EV_PAUSE]   = TO(PAUSED),
			   [EV_STOP]    = TO(STOPPING),
			   [EV_EXIT]    = TO(STOPPED) },
	[VMS_PAUSED] =   { [EV_UNPAUSE] = TO(RUNNING),
			   [EV_STOP]    = TO(STOPPING),
			   [EV_EXIT]    = TO(STOPPED) },
	[VMS_STOPPING] = { [EV_FAIL]    = TO(STOPPED),
			   [EV_EXIT]    = TO(STOPPED) },
};
/* clang-format on */

static const char *const names[EV_MAX] = {
	[EV_QUEUE] = "queue",
	[EV_CANCEL] = "cancel",
	[EV_START] = "start",
	[EV_UP] = "up",
	[EV_FAIL] = "fail",
	[EV_PAUSE] = "pause",
	[EV_UNPAUSE] = "unpause",
	[EV_STOP] = "stop",
	[EV_EXIT] = "exit",
};

int
state_next(enum vm_state s, enum vm_ev ev)
{
	if ((unsigned int)s >= VMS_MAX || (unsigned int)ev >= EV_MAX)
		return -1;
	return table[s][ev] - 1;
}

int
vm_event(struct vm *v, enum vm_ev ev)
{
	int to;

	if ((to = state_next(v->state, ev)) == -1) {
		log_warnx("%s: %s while %s, ignored", v->spec->name, names[ev],
		    vm_state_text(v->state));
		errno = EINVAL;
		return -1;
	}
	log_debug("%s: %s -> %s (%s)", v->spec->name, vm_state_text(v->state),
	    vm_state_text((enum vm_state)to), names[ev]);
	v->state = (enum vm_state)to;
	return 0;
}
