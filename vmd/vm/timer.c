/*
 * Timers of the devices in the vm process.  The vcpu threads arm them, the
 * main thread's loop sees them expire; all a thread touches is a
 * descriptor.
 */
#include <sys/timerfd.h>

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "vmd/vm/timer.h"

#define NSEC 1000000000ULL

static void
expired(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;
	uint64_t n;

	/* Nothing to read: armed anew since it expired. */
	if (read(t->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		t->fire(t->arg);
}

int
timer_init(struct timer *t, struct event_base *base, void (*fire)(void *),
    void *arg)
{
	t->fd = -1;
	t->ev = NULL;
	t->fire = fire;
	t->arg = arg;
	if (base == NULL)
		return 0;
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->fd == -1)
		return -1;
	t->ev = event_new(base, t->fd, EV_READ | EV_PERSIST, expired, t);
	if (t->ev == NULL)
		return -1;
	return event_add(t->ev, NULL);
}

void
timer_arm(struct timer *t, uint64_t ns)
{
	struct itimerspec its;

	if (t->fd == -1)
		return;
	memset(&its, 0, sizeof(its));
	its.it_value.tv_sec = (time_t)(ns / NSEC);
	its.it_value.tv_nsec = (long)(ns % NSEC);
	timerfd_settime(t->fd, 0, &its, NULL);
}

void
timer_fini(struct timer *t)
{
	if (t->ev != NULL)
		event_free(t->ev);
	if (t->fd != -1)
		close(t->fd);
	t->ev = NULL;
	t->fd = -1;
}
