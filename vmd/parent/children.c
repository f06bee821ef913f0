/*
 * The processes that live as long as the daemon: control, priv and vmm.
 * They are started by the parent, watched through a pidfd, and started
 * again when they end, with a growing delay if that keeps happening.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"

#define DELAY_MAX    60	   /* s between two starts of a child */
#define STEADY_MS    10000 /* a run that long was a good one */
#define VMM_LOG_RATE 400   /* lines a second */
#define END_GRACE    10	   /* s for all children to end */

static int child_start(struct child *c);

struct parent *
parent_of(struct peer *p)
{
	struct child *c = peer_arg(p);

	return c->parent;
}

static int
is(const struct child *c, enum child_nr nr)
{
	return c == &c->parent->children[nr];
}

void
child_kill(const struct child *c)
{
	if (c->pidfd != -1)
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
}

int
child_send_id(struct child *c, uint32_t type, struct msg_hdr h,
    const struct vmop_id *v, int *fd)
{
	struct ibuf *b;
	int take = -1;

	if (c->peer == NULL) {
		errno = EPIPE;
		return -1;
	}
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return -1;
	if (vmop_id_put(b, v) == -1) {
		ibuf_free(b);
		return -1;
	}
	if (fd != NULL) {
		take = *fd;
		*fd = -1;
	}
	return peer_send(c->peer, type, h, b, &take, fd == NULL ? 0 : 1);
}

/* The listening socket for control; /dev/kvm and vmd-guest for vmm. */
static int
send_fds(struct child *c, uint32_t type, struct fdlist *fds, int labels)
{
	const struct msg_hdr none = { 0 };
	struct ibuf *b;
	int send[VM_MAXFDS];
	size_t i, n = fds->n;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    (labels && wire_put_fdlist(b, fds) == -1)) {
		ibuf_free(b);
		fdlist_close(fds);
		return -1;
	}
	for (i = 0; i < n; i++)
		send[i] = fds->ents[i].fd;
	fds->n = 0;
	return peer_send(c->peer, type, none, b, send, n);
}

static int
add_dup(struct fdlist *fds, enum fd_kind kind, int fd)
{
	int copy;

	if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1)
		return -1;
	return fdlist_add(fds, kind, 0, 0, &copy);
}

/* /dev/kvm, the program of guests, and the locks of its ids. */
static int
greet_vmm(struct child *c)
{
	struct parent *p = c->parent;
	struct fdlist fds = FDLIST_INIT;
	int ids;

	if (add_dup(&fds, FD_KVM, p->kvm) == -1 ||
	    add_dup(&fds, FD_GUEST_EXE, p->args->guest_exe) == -1) {
		fdlist_close(&fds);
		return -1;
	}
	if ((ids = sandbox_ids_open()) == -1)
		log_warn("ids of guests");
	else if (fdlist_add(&fds, FD_IDS, 0, 0, &ids) == -1)
		fd_close(&ids);
	return send_fds(c, IMSG_VMDOP_RECEIVE_VMM_FD, &fds, 1);
}

/* What a new child needs first. */
static int
greet(struct child *c)
{
	struct parent *p = c->parent;
	struct vmop_id level = { .arg = (uint32_t)p->verbose };
	struct msg_hdr none = { 0 };
	struct fdlist fds = FDLIST_INIT;

	if (p->verbose != p->args->verbose)
		child_send_id(c, IMSG_CTL_VERBOSE, none, &level, NULL);
	if (is(c, CHILD_VMM))
		return greet_vmm(c);
	if (is(c, CHILD_PRIV)) {
		net_greet(p);
		return 0;
	}
	if (add_dup(&fds, FD_SOCKET, p->sock.fd) == -1)
		return -1;
	return send_fds(c, IMSG_CTL_SOCKET, &fds, 0);
}

/* What depended on it. */
static void
lost(struct child *c)
{
	struct parent *p = c->parent;
	struct request *r, *next;

	if (is(c, CHILD_CONTROL)) {
		requests_drop(p, 0);
		conns_clear(p);
	} else if (is(c, CHILD_PRIV)) {
		net_lost(p);
		shutdown_check(p);
	} else if (is(c, CHILD_VMM)) {
		procs_lost(p);
		vm_all_lost(p, "vmm died");
		TAILQ_FOREACH_SAFE(r, &p->requests, entry, next)
			if (r->at_vmm)
				request_fail(p, r, VMERR_GONE, "vmm died");
	}
}

static void
log_status(const struct child *c, int status)
{
	if (WIFSIGNALED(status))
		log_warnx("%s: killed by signal %d (%s)", c->type->name,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (c->parent->stopping < 3 || WEXITSTATUS(status) != 0)
		log_warnx("%s: exited with status %d", c->type->name,
		    WEXITSTATUS(status));
}

static void
start_later(struct child *c)
{
	struct timeval tv = { 0 };

	if (now_ms() - c->since >= STEADY_MS)
		c->delay = 0;
	tv.tv_sec = c->delay;
	c->delay = c->delay == 0 ? 1 : c->delay * 2;
	if (c->delay > DELAY_MAX)
		c->delay = DELAY_MAX;
	if (event_add(c->again, &tv) == -1)
		fatal("%s: cannot be started again", c->type->name);
}

static int
any_left(const struct parent *p)
{
	int i;

	for (i = 0; i < NCHILDREN; i++)
		if (p->children[i].pidfd != -1)
			return 1;
	return 0;
}

static void
child_ended(int fd, short ev, void *arg)
{
	struct child *c = arg;
	struct parent *p = c->parent;
	int status, reaped;

	if ((reaped = spawn_reap(c->pidfd, &status)) == 0)
		return;
	if (reaped == 1)
		log_status(c, status);
	else
		log_warn("%s: ended, and cannot be reaped", c->type->name);
	event_free(c->ended);
	c->ended = NULL;
	fd_close(&c->pidfd);
	/* What it said before it died still counts. */
	peer_drain(c->peer);
	peer_free(c->peer);
	c->peer = NULL;
	lost(c);
	if (p->stopping < 3)
		start_later(c);
	else if (!any_left(p))
		event_base_loopbreak(p->base);
}

/* A channel that ended, or was misused, is the end of its process. */
static void
child_closed(struct peer *peer, const char *why)
{
	struct child *c = peer_arg(peer);

	if (why != NULL)
		log_warnx("%s: %s, killed", c->type->name, why);
	if (why != NULL || c->parent->stopping < 3)
		child_kill(c);
}

static void
start_again(int fd, short ev, void *arg)
{
	struct child *c = arg;

	if (c->parent->stopping >= 3)
		return;
	if (child_start(c) == -1) {
		log_warn("%s: not started", c->type->name);
		start_later(c);
	}
}

/* Not while its end is dealt with: what failed by that has failed. */
void
child_hasten(struct child *c)
{
	if (c->peer != NULL || !event_pending(c->again, EV_TIMEOUT, NULL))
		return;
	event_del(c->again);
	start_again(-1, 0, c);
}

static pid_t
exec_child(struct child *c, int channel)
{
	const struct parent_args *a = c->parent->args;
	const char *argv[8] = { "vmd", "-P", c->type->name };
	unsigned int lacking = 0;
	struct spawn s = { .exe = a->exe, .argv = argv, .channel = channel };
	int n = 3, i;

	if (a->debug)
		argv[n++] = "-d";
	for (i = 0; i < a->verbose && i < 2; i++)
		argv[n++] = "-v";
	if (is(c, CHILD_VMM)) {
		s.flags = sandbox_vmm_flags(&lacking);
		if (!lacking) {
			s.started = sandbox_vmm_map;
			s.child = sandbox_vmm_child;
		}
	} else {
		/* Whom it cannot name it cannot signal. */
		s.flags = WITHOUT(PIDNS) ? 0 : CLONE_NEWPID;
	}
	return spawn(&s, &c->pidfd);
}

static int
child_start(struct child *c)
{
	const struct peer_conf pc = {
		.role = c->type->role,
		.name = c->type->name,
		.msgs = c->type->msgs,
		.nmsgs = c->type->nmsgs,
		.closed = child_closed,
		.arg = c,
	};
	struct peer_conf conf = pc;
	int sv[2];

	/* Its guests' lines come through vmm, which limits each. */
	if (is(c, CHILD_VMM))
		conf.log_rate = VMM_LOG_RATE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	c->since = now_ms();
	c->own = 0;
	c->pid = exec_child(c, sv[1]);
	fd_close(&sv[1]);
	if (c->pid == -1) {
		fd_close(&sv[0]);
		return -1;
	}
	c->peer = peer_new(c->parent->base, sv[0], &conf);
	c->ended = event_new(c->parent->base, c->pidfd, EV_READ | EV_PERSIST,
	    child_ended, c);
	if (c->ended == NULL || event_add(c->ended, NULL) == -1)
		fatal("%s: cannot be watched", c->type->name);
	/* Without a channel or its files it is of no use. */
	if (c->peer == NULL || greet(c) == -1)
		child_kill(c);
	return 0;
}

int
children_start(struct parent *p)
{
	struct child *c;
	int i;

	for (i = 0; i < NCHILDREN; i++) {
		c = &p->children[i];
		c->again = evtimer_new(p->base, start_again, c);
		if (c->again == NULL || child_start(c) == -1) {
			log_warn("%s: not started", c->type->name);
			return -1;
		}
	}
	return 0;
}

static void
kill_all(int fd, short ev, void *arg)
{
	struct parent *p = arg;
	int i;

	for (i = 0; i < NCHILDREN; i++)
		child_kill(&p->children[i]);
}

void
children_stop(struct parent *p)
{
	const struct timeval tv = { .tv_sec = END_GRACE };
	const struct msg_hdr none = { 0 };
	int i;

	for (i = 0; i < NCHILDREN; i++)
		if (p->children[i].peer != NULL)
			peer_send(p->children[i].peer, IMSG_CTL_SHUTDOWN, none,
			    NULL, NULL, 0);
	if (!any_left(p))
		event_base_loopbreak(p->base);
	else if (event_base_once(p->base, -1, EV_TIMEOUT, kill_all, p, &tv) ==
	    -1)
		kill_all(-1, 0, p);
}

void
children_free(struct parent *p)
{
	struct child *c;
	int i;

	for (i = 0; i < NCHILDREN; i++) {
		c = &p->children[i];
		child_kill(c);
		peer_free(c->peer);
		if (c->ended != NULL)
			event_free(c->ended);
		if (c->again != NULL)
			event_free(c->again);
		fd_close(&c->pidfd);
	}
}
