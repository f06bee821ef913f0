#ifndef DEV_LONE_H
#define DEV_LONE_H

/*
 * Does a guest sleep until its one request is answered?  Then it had better
 * kick: the kick holds its processor while we answer, often for long enough,
 * and to wake it up takes much longer.  One that looks for the answer by
 * itself need not.  In both cases it does not want to be interrupted: to know
 * which it is, one that kicks is left to itself rarely, and ever more so as
 * long as it then sleeps.
 */
struct lone {
	int on;			     /* it is to kick */
	unsigned int calm, patience; /* answers that did not wake it */
};

/* The queue is new. */
void lone_init(struct lone *l);

/* `n' answers were shown at a time; did the guest want an interrupt? */
void lone_answered(struct lone *l, unsigned int n, int wanted);

#endif
