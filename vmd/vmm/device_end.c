/*
 * The end of a device process, in vmm, and what then.
 *
 * One that dies, or ends in any way that nobody has asked for, is started
 * again with what it was given once it was reaped, so that its old I/O is
 * over; the vm process gives it the queues.  One that
 * dies three times in a minute stays dead, its guest is paused, and a person
 * who says `unpause' tries again.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/vmm/vmm.h"

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static const char *
short_name(const struct device *d)
{
	return strrchr(d->name, '/') + 1;
}

static void
how(const struct device *d, int status, char *text, size_t len)
{
	if (WIFSIGNALED(status))
		snprintf(text, len, "%s: killed by signal %d (%s)",
		    short_name(d), WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == SB_EXIT_DENIED)
		snprintf(text, len,
		    "%s: ended by its sandbox: it made a system call that is "
		    "denied",
		    short_name(d));
	else
		snprintf(text, len, "%s: exited with status %d", short_name(d),
		    WEXITSTATUS(status));
}

/* 1 if this was once too often. */
static int
too_often(struct device *d)
{
	int64_t now = now_ms();
	size_t i;

	for (i = 0; i + 1 < DEVICE_DEATHS; i++)
		d->deaths[i] = d->deaths[i + 1];
	d->deaths[DEVICE_DEATHS - 1] = now;
	return d->deaths[0] != 0 && now - d->deaths[0] < DEVICE_DEATHS_MS;
}

/* Start it again, or hold its guest. */
static void
replace(struct device *d)
{
	const char *name = short_name(d);
	char why[256];

	if (too_often(d)) {
		snprintf(why, sizeof(why), "%s died %d times in a minute", name,
		    DEVICE_DEATHS);
		guest_hold(d->g, why);
	} else if (device_launch(d, DEVF_REPLACED) == -1) {
		snprintf(why, sizeof(why), "%s cannot be started again: %s",
		    name, strerror(errno));
		guest_hold(d->g, why);
	} else {
		log_info("%s: started again", d->name);
	}
}

/* The guest is not to go on: neither are its devices. */
static int
ending(const struct guest *g)
{
	return g->over || g->closed || peer_has_ended(g->peer) || g->stopping ||
	    g->leaving || g->killed != NULL || g->refusal.err != VMERR_OK ||
	    g->words.exit != VMEXIT_NONE;
}

void
device_ended(int fd, short ev, void *arg)
{
	struct device *d = arg;
	struct guest *g = d->g;
	char why[sizeof(g->died)];
	int status = 0, lost = d->lost;

	/*
	 * First what they still had to say: when the vm process goes, its
	 * channel ends, then its devices are killed, then it is reaped.
	 */
	peer_drain(d->peer);
	peer_drain(g->peer);
	switch (spawn_reap(d->pidfd, &status)) {
	case 0:
		return;
	case -1:
		log_warn("%s: reap", d->name);
		status = 1 << 8;
	}
	device_forget(d);
	d->lost = 0;
	/* With 0 it has told the vm process why it cannot begin. */
	if (ending(g) || lost || (!g->up && status == 0 && !d->failed)) {
		guest_settle(g);
		return;
	}
	how(d, status, why, sizeof(why));
	log_warnx("vm/%s/%s", g->name, why);
	if (g->up) {
		replace(d);
		return;
	}
	memcpy(g->died, why, sizeof(why));
	guest_kill(g, g->died, VMERR_GUEST);
}

void
device_failed(struct device *d, const char *why)
{
	d->failed = 1;
	device_kill(d, why);
}

int
devices_retry(struct guest *g)
{
	struct device *d;

	/* What is ending needs none, and its end does not wait for them. */
	if (ending(g))
		return 0;
	TAILQ_FOREACH(d, &g->devices, entry) {
		if (d->lost) {
			errno = EBUSY; /* with its last I/O */
			return -1;
		}
		if (d->pidfd != -1)
			continue;
		memset(d->deaths, 0, sizeof(d->deaths));
		if (device_launch(d, DEVF_REPLACED) == -1) {
			log_warn("%s: start", d->name);
			return -1;
		}
	}
	return 0;
}
