/*
 * See net_talk.h.
 */

#include "regress/unit/net_talk.h"

struct talk t;

int
setup(void **state)
{
	memset(&t, 0, sizeof(t));
	net_test_conf(&t.n);
	return 0;
}

int
teardown(void **state)
{
	frame_free(&t.f);
	return 0;
}

void
load(const char *name)
{
	frame_free(&t.f);
	frame_load(&t.f, name);
}

int
answer(uint64_t now)
{
	memset(t.r, 0xa5, sizeof(t.r));
	t.len = net_answer(&t.n, t.f.p, t.f.len, t.f.how, now, &t.l, t.r,
	    sizeof(t.r));
	return t.len;
}
