/*
 * Guests that sleep for one answer after the other; see lone.h.  In device
 * processes.
 */
#include "vmd/dev/lone.h"

#define SURE	     16 /* answers: it looks */
#define PATIENCE     64
#define MAX_PATIENCE 4096

void
lone_init(struct lone *l)
{
	l->on = 0;
	l->calm = 0;
	l->patience = PATIENCE;
}

void
lone_answered(struct lone *l, unsigned int n, int wanted)
{
	if (n != 1 || wanted) {
		l->on = n == 1;
		l->calm = 0;
	} else if (++l->calm >= (l->on ? l->patience : SURE)) {
		if (!l->on)
			l->patience = PATIENCE;
		else if (l->patience < MAX_PATIENCE)
			l->patience *= 2;
		l->on = 0;
		l->calm = 0;
	}
}
