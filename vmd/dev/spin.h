#ifndef DEV_SPIN_H
#define DEV_SPIN_H

#include <stdint.h>

/*
 * Looking for work a little while before sleeping: a guest that sees one
 * request done often makes the next within microseconds, and both its kick
 * and our waking take longer than that.  How long is learned: it grows as
 * long as sleeps turn out short, and becomes nothing when they are long.
 * Counts in ticks of the TSC, so that it needs no system call.
 */
struct spin {
	uint64_t tsc, ns; /* when it began */
	uint64_t max;	  /* ticks; 0: never */
	uint64_t window;  /* ticks to look for now */
	uint64_t slept;	  /* since when */
};

/* At the start; and later, before the clock is out of reach. */
void spin_begin(struct spin *s);
void spin_ready(struct spin *s);

/* Until `found' returns not 0, for as long as it pays; what that returned. */
int spin_wait(struct spin *s, int (*found)(void *arg), void *arg);

/* Around a sleep. */
void spin_sleeps(struct spin *s);
void spin_woke(struct spin *s);

#endif
