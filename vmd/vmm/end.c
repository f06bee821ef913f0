/*
 * The end of a guest's process, in vmm: why, who is told, what becomes free.
 *
 * A run is over when its process was reaped, not before.  What the process
 * said last, how it ended and what we did to it make the cause.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <event2/event.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/vmm/vmm.h"

#define TEXTLEN	       (VMM_TEXT_MAX + 64)
#define STATUS_UNKNOWN (-1) /* no wait status has all bits */

void
guest_free(struct guest *g)
{
	struct order *o;

	while ((o = TAILQ_FIRST(&g->orders)) != NULL)
		order_free(g, o);
	devices_free(g);
	TAILQ_REMOVE(&g->m->guests, g, entry);
	if (g->ended != NULL)
		event_free(g->ended);
	if (g->deadline != NULL)
		event_free(g->deadline);
	if (g->unreaped != NULL)
		event_free(g->unreaped);
	peer_free(g->peer);
	fd_close(&g->pidfd);
	if (g->ids != 0)
		sandbox_slot_release(g->ids);
	vmop_result_fini(&g->refusal);
	vmop_result_fini(&g->words);
	free(g->name);
	free(g);
}

/* It ended without a word of its own. */
static enum vmexit
silent_end(int status, char text[TEXTLEN])
{
	if (status == STATUS_UNKNOWN) {
		snprintf(text, TEXTLEN, "ended, nobody knows how");
		return VMEXIT_FAILED;
	}
	if (WIFSIGNALED(status)) {
		snprintf(text, TEXTLEN, "killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
		return VMEXIT_SIGNAL;
	}
	if (WEXITSTATUS(status) == SB_EXIT_DENIED)
		snprintf(text, TEXTLEN,
		    "ended by its sandbox: it made a system call that is "
		    "denied (see the log)");
	else
		snprintf(text, TEXTLEN, "exited with status %d",
		    WEXITSTATUS(status));
	return VMEXIT_FAILED;
}

/*
 * Why, as exactly as can be told: our reason to kill it, a signal of others,
 * what it said, how it ended.
 */
static enum vmexit
cause(const struct guest *g, int status, char text[TEXTLEN])
{
	const struct vmop_result *w = &g->words;
	int killed = status != STATUS_UNKNOWN && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGKILL;

	if (g->broken != NULL ||
	    (g->killed != NULL && killed && w->exit == VMEXIT_NONE)) {
		snprintf(text, TEXTLEN, "killed by vmm: %s",
		    g->broken != NULL ? g->broken : g->killed);
		return VMEXIT_FAILED;
	}
	if (w->exit != VMEXIT_NONE &&
	    (killed || status == STATUS_UNKNOWN || !WIFSIGNALED(status))) {
		snprintf(text, TEXTLEN, "%s",
		    w->text != NULL ? w->text :
				      vmexit_text((enum vmexit)w->exit));
		return (enum vmexit)w->exit;
	}
	if (g->stopping && (killed || status == 0)) {
		snprintf(text, TEXTLEN, "stopped");
		return VMEXIT_STOPPED;
	}
	return silent_end(status, text);
}

/* Nothing waits for it any more after this. */
static void
answer_all(struct guest *g)
{
	struct order *o;
	struct msg m = { 0 };

	while ((o = TAILQ_FIRST(&g->orders)) != NULL) {
		m.hdr = o->hdr;
		if (!o->answered && o->why == NULL)
			peer_fail(g->m->up, &m, o->answer, VMERR_GONE,
			    "%s has ended", g->name);
		order_free(g, o);
	}
}

static void
report_end(struct guest *g, int status)
{
	const struct msg_hdr none = { 0 };
	struct vmop_result r = { 0 };
	char text[TEXTLEN];

	r.exit = cause(g, status, text);
	r.id = g->id;
	r.generation = g->generation;
	r.pid = g->pid;
	r.name = g->name;
	r.text = text;
	if (g->probe) {
		if (g->probe == 1)
			probe_done(g->m, 0, text);
	} else if (g->up) {
		peer_result(g->m->up, IMSG_VMDOP_TERMINATE_VM_EVENT, none, &r);
	} else if (g->refusal.err != VMERR_OK) {
		peer_result(g->m->up, IMSG_VMDOP_START_VM_RESPONSE, g->start,
		    &g->refusal);
	} else {
		r.err = g->why != VMERR_OK ? g->why : VMERR_GUEST;
		peer_result(g->m->up, IMSG_VMDOP_START_VM_RESPONSE, g->start,
		    &r);
	}
}

void
guest_expect_end(struct guest *g)
{
	const struct timeval tv = { .tv_sec = g->m->reap_s };

	if (g->unreaped == NULL || g->late ||
	    event_pending(g->unreaped, EV_TIMEOUT, NULL))
		return;
	if (event_add(g->unreaped, &tv) == -1)
		log_warnx("vm/%s: no timer for its end", g->name);
}

/*
 * SIGKILL ends everything but a system call that the kernel cannot give up:
 * I/O on a disk, or a file system, that does not answer.  Only very much
 * memory takes that long, too.
 */
void
guest_unreaped(int fd, short ev, void *arg)
{
	static char text[] = "killed, waiting for the disk";
	const struct msg_hdr none = { 0 };
	struct guest *g = arg;
	const struct vmop_result r = {
		.id = g->id,
		.generation = g->generation,
		.pid = g->pid,
		.name = g->name,
		.text = text,
	};

	g->late = 1;
	log_warnx("vm/%s: %s", g->name, text);
	if (!g->probe)
		peer_result(g->m->up, IMSG_VMDOP_VM_LATE, none, &r);
}

void
guest_settle(struct guest *g)
{
	struct vmm_role *m = g->m;

	/* Where there is no pid namespace they may outlive it. */
	if (!g->over)
		return;
	if (devices_kill(g) > 0) {
		guest_expect_end(g);
		return;
	}
	answer_all(g);
	if (g->own != 0)
		guest_report(g, 0);
	/* Who hears of its end finds its images closed. */
	devices_free(g);
	report_end(g, g->status);
	guest_free(g);
	if (m->ending && TAILQ_EMPTY(&m->guests))
		event_base_loopbreak(m->base);
}

void
guest_ended(int fd, short ev, void *arg)
{
	struct guest *g = arg;
	int rc;

	/* First what it still had to say. */
	peer_drain(g->peer);
	g->status = STATUS_UNKNOWN;
	if ((rc = spawn_reap(g->pidfd, &g->status)) == 0)
		return;
	if (rc == -1)
		log_warn("vm/%s: cannot be reaped", g->name);
	log_debug("vm/%s: pid %d, wait status 0x%x", g->name, (int)g->pid,
	    (unsigned int)g->status);
	g->over = 1;
	event_del(g->ended);
	guest_settle(g);
}
