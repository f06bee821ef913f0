#ifndef DEV_SPIN_H
#define DEV_SPIN_H

#include <stdint.h>

/*
 * Looking for work a little while before sleeping: a guest that sees one
 * request done often makes the next within microseconds, and both its kick
 * and our waking take longer than that.  How long is learned: it grows as
 * long as there is work again soon, and becomes nothing when there is not.
 * Counts in ticks of the TSC, so that it needs no system call.
 */
struct spin {
	uint64_t tsc, ns; /* when it began */
	uint64_t max;	  /* ticks; 0: never */
	uint64_t window;  /* ticks to look for now */
	uint64_t idle;	  /* since when; 0: it is not */
};

/*
 * At the start; and later, before the clock is out of reach: it looks for at
 * most `us' microseconds.
 */
void spin_begin(struct spin *s);
void spin_ready(struct spin *s, unsigned int us);

/*
 * There is nothing to do: until `found' returns not 0, for as long as it
 * pays; what that returned.
 */
int spin_wait(struct spin *s, int (*found)(void *arg), void *arg);

/* After a sleep. */
void spin_woke(struct spin *s);

#endif
