/*
 * A clock that stands still until the test moves it, and a timer that
 * expires at once, however long it was armed for: link with
 * --wrap=clock_gettime and --wrap=timerfd_settime.
 */

#ifndef UNIT_CLOCK_FAKE_H
#define UNIT_CLOCK_FAKE_H

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

#define NSEC 1000000000LL

static int64_t real_ns, mono_ns;
static int64_t armed_ns; /* 0: it is not */

int __wrap_clock_gettime(clockid_t, struct timespec *);
int __real_timerfd_settime(int, int, const struct itimerspec *,
    struct itimerspec *);
int __wrap_timerfd_settime(int, int, const struct itimerspec *,
    struct itimerspec *);

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ns = id == CLOCK_REALTIME ? real_ns : mono_ns;

	ts->tv_sec = ns / NSEC;
	ts->tv_nsec = ns % NSEC;
	return 0;
}

int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new,
    struct itimerspec *old)
{
	struct itimerspec its = *new;

	armed_ns = new->it_value.tv_sec *NSEC + new->it_value.tv_nsec;
	its.it_value.tv_sec = 0;
	its.it_value.tv_nsec = armed_ns != 0;
	return __real_timerfd_settime(fd, flags, &its, old);
}

#endif
