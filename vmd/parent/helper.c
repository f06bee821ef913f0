/*
 * Processes that do one thing for the parent: started, given their job,
 * killed when they are late, reaped.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/parent/helper.h"
#include "vmd/parent/parent.h"

#define STUCK_S 5

struct helper {
	LIST_ENTRY(helper) entry;
	struct parent *parent;
	struct helper_conf conf;
	struct peer *peer;
	struct event *timer; /* deadline, or delivery */
	struct event *reaper;
	pid_t pid;
	int pidfd;
	enum helper_end end;
	time_t killed; /* when, 0: it was not */
};

static time_t
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* The process is gone. */
static void
reaped(int fd, short ev, void *arg)
{
	struct helper *h = arg;
	int status;

	if (spawn_reap(h->pidfd, &status) == 0)
		return;
	event_free(h->reaper);
	procs_del(h->parent, h->pid);
	LIST_REMOVE(h, entry);
	close(h->pidfd);
	free(h);
}

/* Nothing more is wanted of it; it is killed and then reaped. */
void
helper_cancel(struct helper *h)
{
	if (h == NULL)
		return;
	if (h->timer != NULL)
		event_free(h->timer);
	peer_free(h->peer);
	h->timer = NULL;
	h->peer = NULL;
	/* It has nothing to lose, and is gone already if it answered. */
	syscall(SYS_pidfd_send_signal, h->pidfd, SIGKILL, NULL, 0);
	h->killed = seconds();
	if (h->reaper == NULL || event_add(h->reaper, NULL) == -1)
		log_warn("%s is not reaped", h->conf.name);
}

/* The deadline has passed, or the answer is there. */
static void
deliver(int unused, short ev, void *arg)
{
	struct helper *h = arg;
	const struct helper_conf c = h->conf;
	enum helper_end end = h->end;

	helper_cancel(h);
	c.done(c.arg, end);
}

/* From the loop, not from here: the peer is still in use by its caller. */
void
helper_answered(struct helper *h)
{
	h->end = HELPER_ANSWERED;
	event_active(h->timer, EV_TIMEOUT, 0);
}

void *
helper_arg(const struct helper *h)
{
	return h->conf.arg;
}

static void
closed(struct peer *p, const char *why)
{
	struct helper *h = peer_arg(p);

	if (h->end == HELPER_ANSWERED)
		return;
	h->end = HELPER_DIED;
	event_active(h->timer, EV_TIMEOUT, 0);
}

int
helper_log(struct peer *p, struct msg *m)
{
	struct log_line l;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	if (m->type == IMSG_CTL_LOG)
		log_from(peer_name(p), peer_log_prio(p, l.prio), l.text);
	log_line_fini(&l);
	return 0;
}

int
helper_ready(struct peer *p, struct msg *m)
{
	struct helper *h = peer_arg(p);
	uint32_t own;

	if (helper_log(p, m) == -1 || wire_get_u32(&m->body, &own) == -1)
		return -1;
	procs_add(h->parent, h->conf.name, h->conf.kind, h->pid, own);
	return 0;
}

static int
start_process(struct helper *h)
{
	const char *const argv[] = { "vmd", "-P", h->conf.name, NULL };
	const struct peer_conf pc = {
		.role = h->conf.role,
		.name = h->conf.name,
		.msgs = h->conf.msgs,
		.nmsgs = h->conf.nmsgs,
		.closed = closed,
		.arg = h,
	};
	struct spawn s = {
		.exe = h->parent->args->exe,
		.argv = argv,
		.flags = h->conf.flags,
	};
	int sv[2] = { -1, -1 }, rc = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	s.channel = sv[1];
	if ((h->pid = spawn(&s, &h->pidfd)) == -1)
		goto out;
	procs_add(h->parent, h->conf.name, h->conf.kind, h->pid, 0);
	if ((h->peer = peer_new(h->parent->base, sv[0], &pc)) != NULL)
		rc = 0;
	sv[0] = -1; /* the peer's in every case */
out:
	fd_close(&sv[0]);
	fd_close(&sv[1]);
	return rc;
}

/* How many of a person do not end although they were killed? */
static unsigned int
stuck(const struct parent *p, uid_t uid)
{
	const struct helper *h;
	unsigned int n = 0;

	LIST_FOREACH(h, &p->helpers, entry)
		n += h->conf.uid == uid && h->killed != 0 &&
		    seconds() - h->killed > STUCK_S;
	return n;
}

struct helper *
helper_start(struct parent *p, const struct helper_conf *c)
{
	const struct timeval tv = { .tv_sec = HELPER_TIMEOUT *
		    HOSTILE_PATIENCE };
	struct helper *h;

	if (c->uid != 0 && stuck(p, c->uid) >= HELPER_MAX_STUCK) {
		errno = EBUSY;
		return NULL;
	}
	if ((h = calloc(1, sizeof(*h))) == NULL)
		return NULL;
	h->parent = p;
	h->conf = *c;
	h->pidfd = -1;
	h->end = HELPER_LATE;
	if (start_process(h) == -1 && h->pidfd == -1) {
		free(h);
		return NULL;
	}
	LIST_INSERT_HEAD(&p->helpers, h, entry);
	h->reaper = event_new(p->base, h->pidfd, EV_READ | EV_PERSIST, reaped,
	    h);
	h->timer = evtimer_new(p->base, deliver, h);
	if (h->reaper != NULL && h->timer != NULL && h->peer != NULL &&
	    event_add(h->timer, &tv) == 0)
		return h;
	helper_cancel(h);
	return NULL;
}

int
helper_send(struct helper *h, uint32_t type, struct ibuf *b, int *fd)
{
	const struct msg_hdr none = { 0 };
	int rc;

	rc = peer_send(h->peer, type, none, b, fd,
	    fd != NULL && *fd != -1 ? 1 : 0);
	if (fd != NULL)
		*fd = -1;
	return rc;
}
