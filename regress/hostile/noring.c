/*
 * Attempts through a ring, in processes that never have one.
 */

#include <errno.h>

#include "regress/hostile/ring.h"

static long
none(void)
{
	errno = ENXIO;
	return -1;
}

long
ring_try_open(int pid)
{
	return none();
}

long
ring_try_connect(int pid)
{
	return none();
}

long
ring_try_read(int pid)
{
	return none();
}

long
ring_try_register(int pid)
{
	return none();
}
