/*
 * The end of the daemon: guests are asked to stop, all within one deadline,
 * then forced; then the children are told to end.  A second signal forces
 * at once.
 */
#include <event2/event.h>

#include "lib/util/log.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"

#define FORCED_GRACE 5 /* seconds after vmm has killed them */

enum {
	GUESTS_ASKED = 1,
	GUESTS_FORCED,
	CHILDREN
};

static int
any_up(const struct parent *p)
{
	const struct vm *v;

	TAILQ_FOREACH(v, &p->vms, entry)
		if (vm_is_up(v))
			return 1;
	return 0;
}

static void
stop_all(struct parent *p, int force)
{
	struct vm *v, *next;
	enum vmerr e;

	TAILQ_FOREACH_SAFE(v, &p->vms, entry, next) {
		if (v->state == VMS_STOPPED ||
		    (v->state == VMS_STOPPING && !force))
			continue;
		if ((e = vm_stop(v, force, NULL)) != VMERR_OK)
			log_warnx("%s: %s", v->spec->name, vmerr_text(e));
	}
}

static void
set_deadline(struct parent *p, int seconds)
{
	const struct timeval tv = { .tv_sec = seconds };

	if (p->deadline == NULL || event_add(p->deadline, &tv) == -1)
		fatalx("no memory to shut down");
}

static void
force(struct parent *p)
{
	p->stopping = GUESTS_FORCED;
	set_deadline(p, (int)p->conf->kill_timeout + FORCED_GRACE);
	stop_all(p, 1);
}

static void
end_children(struct parent *p)
{
	p->stopping = CHILDREN;
	if (p->deadline != NULL)
		event_del(p->deadline);
	children_stop(p);
}

static void
deadline(int fd, short ev, void *arg)
{
	struct parent *p = arg;

	if (p->stopping == GUESTS_ASKED) {
		log_warnx("guests did not stop in time, forced");
		force(p);
	} else if (p->stopping == GUESTS_FORCED) {
		log_warnx("giving up on guests that do not end");
		end_children(p);
	}
}

void
shutdown_check(struct parent *p)
{
	if ((p->stopping == GUESTS_ASKED || p->stopping == GUESTS_FORCED) &&
	    !any_up(p) && net_shutdown(p))
		end_children(p);
}

void
shutdown_begin(struct parent *p)
{
	if (p->stopping == GUESTS_ASKED)
		force(p);
	if (p->stopping)
		return;
	log_info("terminating");
	p->stopping = GUESTS_ASKED;
	p->deadline = evtimer_new(p->base, deadline, p);
	set_deadline(p, SHUTDOWN_GRACE);
	stop_all(p, 0);
	shutdown_check(p);
}
