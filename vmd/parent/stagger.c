/*
 * What the daemon starts by itself: VMs of the configuration, some at a
 * time so that the host is not overrun, and VMs that `restart' brings back.
 */
#include <event2/event.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/parent/parent.h"

#define DEFAULT_DELAY 30 /* seconds */

static unsigned int
parallel(const struct parent *p)
{
	long n;

	if (p->conf != NULL && p->conf->parallel != 0)
		return p->conf->parallel;
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : (unsigned int)n;
}

static void
again(int fd, short ev, void *arg)
{
	stagger_start(arg);
}

static void
rest_later(struct parent *p)
{
	struct timeval tv = { .tv_sec = DEFAULT_DELAY };

	if (p->conf != NULL && p->conf->parallel != 0)
		tv.tv_sec = p->conf->delay;
	if (p->stagger == NULL)
		p->stagger = evtimer_new(p->base, again, p);
	if (p->stagger == NULL || event_add(p->stagger, &tv) == -1)
		log_warn("staggered start");
}

void
stagger_start(struct parent *p)
{
	unsigned int n = 0, max = parallel(p);
	struct vm *v, *next;

	if (p->stopping)
		return;
	TAILQ_FOREACH_SAFE(v, &p->vms, entry, next) {
		/* One with a timer waits for its own time. */
		if (v->state != VMS_WAITING || v->timer != NULL)
			continue;
		if (n++ == max) {
			rest_later(p);
			return;
		}
		vm_start_self(v);
	}
	/* Nobody is left to wait for it. */
	if (p->stagger != NULL)
		event_del(p->stagger);
}

void
stagger_more(struct parent *p)
{
	if (p->stagger == NULL || !event_pending(p->stagger, EV_TIMEOUT, NULL))
		stagger_start(p);
}

static void
restart_now(int fd, short ev, void *arg)
{
	struct vm *v = arg;

	vm_timer_clear(v);
	if (!v->parent->stopping)
		vm_start_self(v);
}

void
restart_later(struct vm *v, unsigned int delay)
{
	log_info("%s: starts again in %u s", v->spec->name, delay);
	vm_event(v, EV_QUEUE);
	if (vm_timer_set(v, delay, restart_now) == -1)
		log_warn("%s: no restart timer", v->spec->name);
}
