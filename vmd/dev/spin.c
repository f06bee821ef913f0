/*
 * Looking for work before sleeping; see spin.h.  In device processes.
 */
#include <time.h>
#include <x86intrin.h>

#include "vmd/dev/spin.h"

#define FIRST	  8 /* parts of the longest */
#define KNOWN_NS  100000U
#define USUAL_GHZ 2U

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void
spin_begin(struct spin *s)
{
	s->tsc = __rdtsc();
	s->ns = now_ns();
}

/* How fast the TSC runs needs to be known only roughly. */
void
spin_ready(struct spin *s, unsigned int us)
{
	uint64_t ticks = __rdtsc() - s->tsc, ns = now_ns() - s->ns;

	s->max = us * UINT64_C(1000) * USUAL_GHZ;
	if (ns >= KNOWN_NS && ticks / ns < 10)
		s->max = (uint64_t)((double)ticks / (double)ns * us * 1000);
	s->window = 0;
}

int
spin_wait(struct spin *s, int (*found)(void *arg), void *arg)
{
	int rc = 0;

	s->idle = __rdtsc();
	if (s->window == 0)
		return 0;
	for (; rc == 0 && __rdtsc() - s->idle < s->window; rc = found(arg))
		_mm_pause();
	return rc;
}

/* Would we have found it, at most looking as long as we may? */
void
spin_woke(struct spin *s)
{
	if (s->idle == 0)
		return;
	if (__rdtsc() - s->idle < s->max) {
		s->window = s->window == 0 ? s->max / FIRST : 2 * s->window;
		if (s->window > s->max)
			s->window = s->max;
	} else {
		s->window /= 2;
		if (s->window < s->max / FIRST)
			s->window = 0;
	}
	s->idle = 0;
}
