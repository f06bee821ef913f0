#ifndef VM_TIMER_H
#define VM_TIMER_H

#include <stdint.h>

struct event;
struct event_base;

/*
 * A one-shot timer of a device: armed by any thread, fires on the main
 * thread.  It is a timerfd, because libevent's own timers belong to the
 * thread of the loop.
 */
struct timer {
	int fd;
	struct event *ev;
	void (*fire)(void *arg);
	void *arg;
};

/*
 * `fire' is called without locks.  Without a `base' the timer never fires.
 * 0, or -1 with errno; timer_fini() is needed, and safe, in both cases.
 */
int timer_init(struct timer *t, struct event_base *base,
    void (*fire)(void *arg), void *arg);
/* Fire once, `ns' from now, in place of what was armed; 0: not at all. */
void timer_arm(struct timer *t, uint64_t ns);
void timer_fini(struct timer *t);

#endif
