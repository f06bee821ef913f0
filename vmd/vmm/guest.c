/*
 * A guest's process as vmm sees it: what it says, when it is killed, why it
 * ended.
 *
 * It is the least trusted process there is: a bad message costs it its life
 * and nothing else.  Its run is over when it was reaped, not before; then
 * everything that still waits for it is answered.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/vmm/vmm.h"

#define TEXTLEN 256

struct guest *
guest_find(struct vmm_role *m, uint32_t id, uint64_t generation)
{
	struct guest *g;

	TAILQ_FOREACH(g, &m->guests, entry)
		if (g->id == id && g->generation == generation && !g->probe)
			return g;
	return NULL;
}

static void
order_free(struct guest *g, struct order *o)
{
	TAILQ_REMOVE(&g->orders, o, entry);
	free(o->why);
	free(o);
}

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
	peer_free(g->peer);
	fd_close(&g->pidfd);
	if (g->ids != 0)
		sandbox_slot_release(g->ids);
	vmop_result_fini(&g->refusal);
	vmop_result_fini(&g->words);
	free(g->name);
	free(g);
}

void
guest_kill(struct guest *g, const char *why)
{
	if (g->killed == NULL)
		g->killed = why;
	syscall(SYS_pidfd_send_signal, g->pidfd, SIGKILL, NULL, 0);
}

void
guest_stop(struct guest *g)
{
	const struct msg_hdr none = { 0 };
	struct timeval tv = { .tv_sec = g->m->kill_s };

	if (g->stopping)
		return;
	g->stopping = 1;
	if (peer_send(g->peer, IMSG_VMDOP_VM_STOP, none, NULL, NULL, 0) == -1 ||
	    event_add(g->deadline, &tv) == -1)
		guest_kill(g, NULL);
}

/* It did not come up, or did not end, in time. */
void
guest_late(int fd, short ev, void *arg)
{
	struct guest *g = arg;

	if (g->stopping)
		guest_kill(g, NULL);
	else
		guest_kill(g, "did not start in time");
}

void
guest_closed(struct peer *p, const char *why)
{
	struct guest *g = peer_arg(p);

	g->closed = 1;
	if (why != NULL)
		log_warnx("vm/%s: %s, killed", g->name, why);
	/* If it is ending already this changes nothing. */
	guest_kill(g, why);
}

/* --- what it says ------------------------------------------------------ */

static int
get_result(struct msg *m, struct vmop_result *r)
{
	if (vmop_result_get(&m->body, r) == -1)
		return -1;
	if (wire_end(&m->body) == 0)
		return 0;
	vmop_result_fini(r);
	return -1;
}

/* Only we know who it is: nothing it says about that goes up. */
static void
sign(const struct guest *g, struct vmop_result *r)
{
	free(r->name);
	free(r->tty);
	r->name = strdup(g->name);
	r->tty = NULL;
	r->id = g->id;
	r->generation = g->generation;
	r->pid = g->pid;
}

static int
guest_start_response(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct vmop_result r;

	if (g->up || g->refusal.err != 0 || m->hdr.reqid != g->start.reqid ||
	    get_result(m, &r) == -1)
		return -1;
	if (g->probe) {
		probe_done(g->m, r.err == VMERR_OK, r.text);
		g->probe = 2; /* told */
	}
	if (r.err == VMERR_OK || g->probe) {
		g->up = 1;
		if (!g->stopping)
			event_del(g->deadline);
		sign(g, &r);
		if (!g->probe)
			peer_result(g->m->up, m->type, g->start, &r);
		vmop_result_fini(&r);
	} else {
		/* It goes up when the process is gone. */
		sign(g, &r);
		g->refusal = r;
	}
	return 0;
}

static int
guest_exit(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);

	if (g->words.exit != VMEXIT_NONE || get_result(m, &g->words) == -1)
		return -1;
	return 0;
}

/* It was paused by us. */
static void
tell_held(struct guest *g, char *why)
{
	const struct msg_hdr none = { 0 };
	struct vmop_result r = { .text = why };

	r.id = g->id;
	r.generation = g->generation;
	r.pid = g->pid;
	r.name = g->name;
	peer_result(g->m->up, IMSG_VMDOP_VM_PAUSED, none, &r);
}

/* The answer to an order: exactly one that was given. */
static int
guest_answer(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct vmop_result r;
	struct order *o;

	TAILQ_FOREACH(o, &g->orders, entry)
		if (o->hdr.reqid == m->hdr.reqid && o->answer == m->type)
			break;
	if (o == NULL || get_result(m, &r) == -1)
		return -1;
	sign(g, &r);
	if (o->why == NULL)
		peer_result(g->m->up, o->answer, o->hdr, &r);
	else if (r.err == VMERR_OK)
		tell_held(g, o->why);
	vmop_result_fini(&r);
	order_free(g, o);
	return 0;
}

/* A device does not answer or speaks nonsense, says the vm process. */
static int
guest_device_failed(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct device *d;
	struct dev_id id;

	if (dev_id_get(&m->body, &id) == -1)
		return -1;
	if (wire_end(&m->body) == -1 ||
	    (d = device_find(g, id.kind, id.idx)) == NULL) {
		dev_id_fini(&id);
		return -1;
	}
	device_kill(d, id.text != NULL ? "the vm process gave it up" : NULL);
	dev_id_fini(&id);
	return 0;
}

/* clang-format off */
const struct msg_handler guest_msgs[] = {
	{ IMSG_CTL_LOG,			ROLE_VM, peer_log },
	{ IMSG_CTL_READY,		ROLE_VM, peer_log },
	{ IMSG_VMDOP_START_VM_RESPONSE,	ROLE_VM, guest_start_response },
	{ IMSG_VMDOP_VM_EXIT,		ROLE_VM, guest_exit },
	{ IMSG_VMDOP_PAUSE_VM_RESPONSE,	ROLE_VM, guest_answer },
	{ IMSG_VMDOP_UNPAUSE_VM_RESPONSE, ROLE_VM, guest_answer },
	{ IMSG_CTL_CONSOLE_RESPONSE,	ROLE_VM, guest_answer },
	{ IMSG_VMDOP_DEVICE_FAILED,	ROLE_VM, guest_device_failed },
};
/* clang-format on */
const size_t guest_nmsgs = sizeof(guest_msgs) / sizeof(guest_msgs[0]);

void
guest_order(struct guest *g, struct msg *m, const struct vmop_id *v,
    uint32_t answer)
{
	struct order *o;
	struct ibuf *b;

	if ((o = calloc(1, sizeof(*o))) == NULL ||
	    (b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		goto fail;
	o->hdr = m->hdr;
	o->answer = answer;
	if (vmop_id_put(b, v) == -1) {
		ibuf_free(b);
		goto fail;
	}
	if (peer_send(g->peer, m->type, m->hdr, b, m->fds, m->nfds) == -1)
		goto fail;
	TAILQ_INSERT_TAIL(&g->orders, o, entry);
	return;
fail:
	free(o);
	peer_fail(g->m->up, m, answer, VMERR_GONE, "%s is ending", g->name);
}

void
guest_hold(struct guest *g, const char *why)
{
	const struct msg_hdr none = { 0 };
	struct vmop_id v = { .id = g->id, .generation = g->generation };
	struct order *o;
	struct ibuf *b = NULL;

	log_warnx("vm/%s: %s: paused", g->name, why);
	if ((o = calloc(1, sizeof(*o))) == NULL ||
	    (o->why = strdup(why)) == NULL ||
	    (b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vmop_id_put(b, &v) == -1) {
		ibuf_free(b);
		goto fail;
	}
	o->answer = IMSG_VMDOP_PAUSE_VM_RESPONSE;
	if (peer_send(g->peer, IMSG_VMDOP_PAUSE_VM, none, b, NULL, 0) == -1)
		goto fail;
	TAILQ_INSERT_TAIL(&g->orders, o, entry);
	return;
fail:
	if (o != NULL)
		free(o->why);
	free(o);
	guest_kill(g, "a device is gone, and it cannot be paused");
}

/* --- its end ----------------------------------------------------------- */

/* Why, as exactly as can be told. */
static enum vmexit
cause(const struct guest *g, int status, char text[TEXTLEN])
{
	int sig;

	if (g->words.exit != VMEXIT_NONE) {
		snprintf(text, TEXTLEN, "%s",
		    g->words.text != NULL ?
			g->words.text :
			vmexit_text((enum vmexit)g->words.exit));
		return (enum vmexit)g->words.exit;
	}
	if (g->killed != NULL) {
		snprintf(text, TEXTLEN, "killed by vmm: %s", g->killed);
		return VMEXIT_FAILED;
	}
	if (g->stopping) {
		snprintf(text, TEXTLEN, "stopped");
		return VMEXIT_STOPPED;
	}
	if (WIFSIGNALED(status)) {
		sig = WTERMSIG(status);
		snprintf(text, TEXTLEN, "killed by signal %d (%s)", sig,
		    strsignal(sig));
		return VMEXIT_SIGNAL;
	}
	if (WEXITSTATUS(status) == SB_EXIT_DENIED)
		snprintf(text, TEXTLEN,
		    "ended by its sandbox: it made a "
		    "system call that is denied (see the log)");
	else
		snprintf(text, TEXTLEN, "exited with status %d",
		    WEXITSTATUS(status));
	return VMEXIT_FAILED;
}

/* Nothing waits for it any more after this. */
static void
answer_all(struct guest *g)
{
	struct order *o;
	struct msg m = { 0 };

	while ((o = TAILQ_FIRST(&g->orders)) != NULL) {
		m.hdr = o->hdr;
		if (o->why == NULL)
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
	if (g->probe == 1) {
		probe_done(g->m, 0, text);
	} else if (g->probe) {
		return;
	} else if (g->up) {
		peer_result(g->m->up, IMSG_VMDOP_TERMINATE_VM_EVENT, none, &r);
	} else if (g->refusal.err != VMERR_OK) {
		peer_result(g->m->up, IMSG_VMDOP_START_VM_RESPONSE, g->start,
		    &g->refusal);
	} else {
		r.err = VMERR_GUEST;
		peer_result(g->m->up, IMSG_VMDOP_START_VM_RESPONSE, g->start,
		    &r);
	}
}

void
guest_settle(struct guest *g)
{
	struct vmm_role *m = g->m;

	/* Where there is no pid namespace they may outlive it. */
	if (!g->over || devices_kill(g) > 0)
		return;
	answer_all(g);
	report_end(g, g->status);
	guest_free(g);
	if (m->ending && TAILQ_EMPTY(&m->guests))
		event_base_loopbreak(m->base);
}

void
guest_ended(int fd, short ev, void *arg)
{
	struct guest *g = arg;

	/* First what it still had to say. */
	peer_drain(g->peer);
	if (spawn_reap(g->pidfd, &g->status) == 0)
		return;
	g->over = 1;
	event_del(g->ended);
	guest_settle(g);
}
