#ifndef NET_TALK_H
#define NET_TALK_H

#include "regress/unit/net_test.h"

/*
 * For the tests of what lib/net answers: an interface, the frame that it
 * gets, and its answer.
 */

struct talk {
	struct net_conf n;
	struct net_lease l;
	struct frame f;
	uint8_t r[NET_REPLY_MAX];
	int len; /* of the answer; 0: none */
};
extern struct talk t;

/* Around each test. */
int setup(void **state);
int teardown(void **state);

/* Take a frame by the name of its file. */
void load(const char *name);
/* Have it answered; the length of the answer. */
int answer(uint64_t now);

#endif
