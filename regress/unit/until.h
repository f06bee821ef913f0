/* For tests with an event loop: run it until something is so. */

#ifndef UNIT_UNTIL_H
#define UNIT_UNTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>

#define PATIENCE 10 /* s */

static struct event_base *base;
static int late;

static inline void
too_late(int fd, short ev, void *arg)
{
	late = 1;
}

/* Run the loop until something is true; the test fails if it never is. */
#define until(cond)                                                            \
	do {                                                                   \
		const struct timeval tv_ = { .tv_sec = PATIENCE };             \
		struct event *ev_ = evtimer_new(base, too_late, NULL);         \
                                                                               \
		late = 0;                                                      \
		event_add(ev_, &tv_);                                          \
		while (!(cond) && !late)                                       \
			event_base_loop(base, EVLOOP_ONCE);                    \
		event_free(ev_);                                               \
		assert_false(late);                                            \
	} while (0)

/* Let everything that can happen now happen. */
static inline void
settle(void)
{
	int i;

	for (i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

#endif
