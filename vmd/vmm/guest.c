/*
 * A guest's process as vmm sees it: what it says, what it is told, when it
 * is killed.  What follows its end is in end.c.
 *
 * It is the least trusted process there is: a bad message costs it its life
 * and nothing else, and every text of its is encoded before it goes up.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#define LIBBSD_OPENBSD_VIS /* argument order of strnvis() */
#include <bsd/vis.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/vmm/vmm.h"

struct guest *
guest_find(struct vmm_role *m, uint32_t id, uint64_t generation)
{
	struct guest *g;

	TAILQ_FOREACH(g, &m->guests, entry)
		if (g->id == id && g->generation == generation && !g->probe)
			return g;
	return NULL;
}

int
pidfd_watch(struct event *ev, struct event_base *base, int pidfd)
{
	if (event_pending(ev, EV_READ, NULL))
		return 0;
	if (event_assign(ev, base, pidfd, EV_READ | EV_PERSIST,
		event_get_callback(ev), event_get_callback_arg(ev)) == -1 ||
	    event_add(ev, NULL) == -1) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

void
guest_kill(struct guest *g, const char *why, enum vmerr e)
{
	if (g->killed == NULL) {
		g->killed = why;
		g->why = e;
	}
	if (!g->over)
		pidfd_watch(g->ended, g->m->base, g->pidfd);
	syscall(SYS_pidfd_send_signal, g->pidfd, SIGKILL, NULL, 0);
	guest_expect_end(g);
}

static void
set_deadline(struct guest *g, unsigned int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	if (event_add(g->deadline, &tv) == -1)
		guest_kill(g, "no memory", VMERR_GUEST);
}

void
guest_stop(struct guest *g, unsigned int kill_s)
{
	const struct msg_hdr none = { 0 };

	if (g->stopping)
		return;
	g->stopping = 1;
	/* If it does not hear this it is ending already. */
	peer_send(g->peer, IMSG_VMDOP_VM_STOP, none, NULL, NULL, 0);
	set_deadline(g, kill_s == 0 ? g->m->kill_s : kill_s);
}

/* It did not come up, or did not end, in time. */
void
guest_late(int fd, short ev, void *arg)
{
	struct guest *g = arg;

	if (g->stopping) {
		log_warnx("vm/%s: does not stop, killed", g->name);
		guest_kill(g, NULL, VMERR_OK);
	} else if (g->closed) {
		guest_kill(g, "it closed its channel", VMERR_GUEST);
	} else {
		guest_kill(g, "not up in time", VMERR_TIMEOUT);
	}
}

void
guest_closed(struct peer *p, const char *why)
{
	struct guest *g = peer_arg(p);

	g->closed = 1;
	if (why != NULL) {
		log_warnx("vm/%s: %s, killed", g->name, why);
		g->broken = why;
		guest_kill(g, why, VMERR_GUEST);
	} else if (!g->stopping) {
		/* It is ending, or else it cannot be told to. */
		set_deadline(g, g->m->close_s);
	}
}

void
guest_report(const struct guest *g, uint32_t own)
{
	const struct msg_hdr none = { 0 };
	char name[VM_NAME_MAX + 3];
	struct proc_info i = { .name = name,
		.kind = PROC_VM,
		.pid = g->pid,
		.own = own };
	struct ibuf *b;

	snprintf(name, sizeof(name), "vm/%s", g->name);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    proc_info_put(b, &i) == -1)
		ibuf_free(b);
	else
		peer_send(g->m->up, IMSG_CTL_PROC_REPORT, none, b, NULL, 0);
}

/* --- what it says ------------------------------------------------------ */

/* A text that may go to a log or a terminal, not too long. */
static int
clean(char **text)
{
	char cut[VMM_TEXT_MAX], enc[VMM_TEXT_MAX * 4 + 1];

	if (*text == NULL)
		return 0;
	/* All of it fits: libbsd's strnvis() writes beyond a short buffer. */
	strncpy(cut, *text, sizeof(cut) - 1);
	cut[sizeof(cut) - 1] = '\0';
	strnvis(enc, cut, sizeof(enc), VIS_NL | VIS_CSTYLE | VIS_NOSLASH);
	enc[VMM_TEXT_MAX - 1] = '\0';
	free(*text);
	*text = strdup(enc);
	return *text == NULL ? -1 : 0;
}

static int
get_result(struct msg *m, struct vmop_result *r)
{
	if (vmop_result_get(&m->body, r) == -1)
		return -1;
	if (wire_end(&m->body) == 0 && clean(&r->text) == 0)
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
	r->exit = VMEXIT_NONE;
	r->id = g->id;
	r->generation = g->generation;
	r->pid = g->pid;
}

/* Its own report of its sandbox, once. */
static int
guest_ready(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);

	if (g->own != 0 || peer_log(p, m) == -1 ||
	    wire_get_u32(&m->body, &g->own) == -1 ||
	    (g->own & SB_OWN_REPORT) == 0)
		return -1;
	guest_report(g, g->own);
	return 0;
}

static void
started(struct guest *g, struct vmop_result *r)
{
	g->up = 1;
	if (!g->stopping)
		event_del(g->deadline);
	sign(g, r);
	peer_result(g->m->up, IMSG_VMDOP_START_VM_RESPONSE, g->start, r);
}

static int
guest_start_response(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct vmop_result r;

	if (g->up || g->probe == 2 || g->refusal.err != VMERR_OK ||
	    m->hdr.reqid != g->start.reqid || get_result(m, &r) == -1)
		return -1;
	if (g->probe) {
		probe_done(g->m, r.err == VMERR_OK, r.text);
		g->probe = 2; /* its deadline stays */
	} else if (r.err == VMERR_OK) {
		started(g, &r);
	} else {
		/* It goes up when the process is gone. */
		sign(g, &r);
		g->refusal = r;
		return 0;
	}
	vmop_result_fini(&r);
	return 0;
}

/* What a guest's process can know of its end. */
static int
may_say(uint32_t exit)
{
	switch (exit) {
	case VMEXIT_POWEROFF:
	case VMEXIT_RESET:
	case VMEXIT_TRIPLE:
	case VMEXIT_STOPPED:
	case VMEXIT_EMULATION:
	case VMEXIT_FAILED:
		return 1;
	default:
		return 0;
	}
}

static int
guest_exit(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct vmop_result r;

	if (g->words.exit != VMEXIT_NONE || get_result(m, &r) == -1)
		return -1;
	if (!may_say(r.exit)) {
		vmop_result_fini(&r);
		return -1;
	}
	g->words = r;
	return 0;
}

/* --- orders ------------------------------------------------------------ */

struct order *
order_find(struct guest *g, const struct msg *m)
{
	struct order *o;

	TAILQ_FOREACH(o, &g->orders, entry)
		if (o->hdr.reqid == m->hdr.reqid && o->answer == m->type)
			return o;
	return NULL;
}

void
order_free(struct guest *g, struct order *o)
{
	TAILQ_REMOVE(&g->orders, o, entry);
	g->norders--;
	if (o->late != NULL)
		event_free(o->late);
	free(o->why);
	free(o);
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

/* It runs on, then with all its devices, as long as that goes well. */
static void
not_held(struct guest *g, const char *why)
{
	log_warnx("vm/%s: cannot be paused: %s", g->name,
	    why != NULL ? why : "no reason given");
	if (devices_retry(g) == -1)
		guest_kill(g, "a device is gone, and it cannot be paused",
		    VMERR_GUEST);
}

/* The answer to an order: exactly one that was given. */
static int
guest_answer(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct vmop_result r;
	struct order *o = order_find(g, m);

	if (o == NULL || get_result(m, &r) == -1)
		return -1;
	sign(g, &r);
	if (o->why != NULL) {
		if (r.err == VMERR_OK || r.err == VMERR_PAUSED)
			tell_held(g, o->why);
		else if (r.err != VMERR_NOTRUNNING)
			not_held(g, r.text);
	} else if (!o->answered) {
		peer_result(g->m->up, o->answer, o->hdr, &r);
	}
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
	    (d = device_find(g, id.kind, id.idx)) == NULL || id.run > d->run) {
		dev_id_fini(&id);
		return -1;
	}
	/* Not if it speaks of one that has died meanwhile. */
	if (id.run == d->run)
		device_failed(d, "the vm process gave it up");
	dev_id_fini(&id);
	return 0;
}

/* It ends its devices: their ends are in order from now on. */
static int
guest_leaves(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);

	if (!g->up || g->leaving)
		return -1;
	g->leaving = 1;
	return 0;
}

/* Whoever asked has waited long enough; its own answer counts no more. */
static void
order_late(int fd, short ev, void *arg)
{
	struct order *o = arg;
	struct msg m = { .hdr = o->hdr };

	o->answered = 1;
	peer_fail(o->g->m->up, &m, o->answer, VMERR_TIMEOUT,
	    "%s does not answer", o->g->name);
}

/* clang-format off */
const struct msg_handler guest_msgs[] = {
	{ IMSG_CTL_LOG,			ROLE_VM, peer_log },
	{ IMSG_CTL_READY,		ROLE_VM, guest_ready },
	{ IMSG_VMDOP_START_VM_RESPONSE,	ROLE_VM, guest_start_response },
	{ IMSG_VMDOP_VM_ENDING,		ROLE_VM, guest_leaves },
	{ IMSG_VMDOP_VM_EXIT,		ROLE_VM, guest_exit },
	{ IMSG_VMDOP_PAUSE_VM_RESPONSE,	ROLE_VM, guest_answer },
	{ IMSG_VMDOP_UNPAUSE_VM_RESPONSE, ROLE_VM, guest_answer },
	{ IMSG_CTL_CONSOLE_RESPONSE,	ROLE_VM, guest_answer },
	{ IMSG_VMDOP_DEVICES_RESPONSE,	ROLE_VM, guest_devices },
	{ IMSG_VMDOP_DEVICE_FAILED,	ROLE_VM, guest_device_failed },
	{ IMSG_CTL_BREAK_RESPONSE,	ROLE_VM, guest_answer },
};
/* clang-format on */
const size_t guest_nmsgs = sizeof(guest_msgs) / sizeof(guest_msgs[0]);

static struct order *
order_new(struct guest *g, struct msg_hdr hdr, uint32_t answer)
{
	struct timeval tv = { .tv_sec = g->m->order_s };
	struct order *o;

	if ((o = calloc(1, sizeof(*o))) == NULL)
		return NULL;
	o->g = g;
	o->hdr = hdr;
	o->answer = answer;
	TAILQ_INSERT_TAIL(&g->orders, o, entry);
	g->norders++;
	o->late = event_new(g->m->base, -1, 0, order_late, o);
	if (o->late == NULL || event_add(o->late, &tv) == -1) {
		order_free(g, o);
		return NULL;
	}
	return o;
}

void
guest_order(struct guest *g, struct msg *m, const struct vmop_id *v,
    uint32_t answer)
{
	struct order *o;
	struct ibuf *b;

	/* Late ones stay until it answers, if it ever does. */
	if (g->norders >= VMM_MAX_ORDERS) {
		peer_fail(g->m->up, m, answer, VMERR_LIMIT,
		    "%s has not answered %d requests: no more until it does",
		    g->name, VMM_MAX_ORDERS);
		return;
	}
	if ((o = order_new(g, m->hdr, answer)) == NULL) {
		peer_fail(g->m->up, m, answer, VMERR_FAILED, "no memory");
		return;
	}
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) != NULL &&
	    vmop_id_put(b, v) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	if (b != NULL &&
	    peer_send(g->peer, m->type, m->hdr, b, m->fds, m->nfds) == 0)
		return;
	order_free(g, o);
	peer_fail(g->m->up, m, answer, VMERR_GONE, "%s is ending", g->name);
}

void
guest_hold(struct guest *g, const char *why)
{
	const struct msg_hdr none = { 0 };
	struct vmop_id v = { .id = g->id, .generation = g->generation };
	struct order *o = NULL;
	struct ibuf *b = NULL;

	log_warnx("vm/%s: %s: to be paused", g->name, why);
	if (g->norders >= VMM_MAX_ORDERS ||
	    (o = calloc(1, sizeof(*o))) == NULL ||
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
	g->norders++;
	return;
fail:
	if (o != NULL)
		free(o->why);
	free(o);
	guest_kill(g, "a device is gone, and it cannot be paused", VMERR_GUEST);
}
