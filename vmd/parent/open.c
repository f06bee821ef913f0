/*
 * The parent's side of opening files: a process for each, with a deadline.
 * What it opens is decided in opener.c.
 */
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

struct opening {
	struct parent *parent;
	struct peer *peer;
	struct event *timer; /* deadline, or delivery */
	struct event *reaper;
	pid_t pid;
	int pidfd;
	open_done done;
	void *arg;
	int answered;
	int fd; /* the answer */
	char *why;
};

/* The process is gone. */
static void
reaped(int fd, short ev, void *arg)
{
	struct opening *o = arg;
	int status;

	if (spawn_reap(o->pidfd, &status) == 0)
		return;
	event_free(o->reaper);
	procs_del(o->parent, o->pid);
	close(o->pidfd);
	free(o);
}

/* Nothing more is wanted of it; it is killed and then reaped. */
void
open_cancel(struct opening *o)
{
	if (o == NULL)
		return;
	if (o->timer != NULL)
		event_free(o->timer);
	peer_free(o->peer);
	fd_close(&o->fd);
	free(o->why);
	o->timer = NULL;
	o->peer = NULL;
	o->why = NULL;
	/* It has nothing to lose, and is gone already if it answered. */
	syscall(SYS_pidfd_send_signal, o->pidfd, SIGKILL, NULL, 0);
	if (event_add(o->reaper, NULL) == -1)
		log_warn("opener is not reaped");
}

/* The deadline has passed, or the answer is there. */
static void
deliver(int unused, short ev, void *arg)
{
	struct opening *o = arg;
	open_done done = o->done;
	void *done_arg = o->arg;
	char *why = o->why;
	int fd = o->fd, answered = o->answered;

	o->fd = -1;
	o->why = NULL;
	open_cancel(o);
	if (!answered)
		done(done_arg, -1, "open timed out");
	else if (fd != -1)
		done(done_arg, fd, NULL);
	else
		done(done_arg, -1, why != NULL ? why : "cannot be opened");
	free(why);
}

/* From the loop, not from here: the peer is still in use by its caller. */
static void
answered(struct opening *o, int fd, const char *why)
{
	if (o->answered) {
		fd_close(&fd);
		return;
	}
	o->answered = 1;
	o->fd = fd;
	o->why = why == NULL ? NULL : strdup(why);
	event_active(o->timer, EV_TIMEOUT, 0);
}

static void
closed(struct peer *p, const char *why)
{
	answered(peer_arg(p), -1, "the opener died");
}

static int
opening_log(struct peer *p, struct msg *m)
{
	struct log_line l;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	log_from("opener", (int)(l.prio & 7), l.text);
	log_line_fini(&l);
	return 0;
}

static int
opening_ready(struct peer *p, struct msg *m)
{
	struct opening *o = peer_arg(p);
	uint32_t own;

	if (peer_log(p, m) == -1 || wire_get_u32(&m->body, &own) == -1)
		return -1;
	procs_add(o->parent, "opener", PROC_OPENER, o->pid, own);
	return 0;
}

static int
opening_response(struct peer *p, struct msg *m)
{
	struct opening *o = peer_arg(p);
	struct vmop_result r;
	int fd = -1;

	if (vmop_result_get(&m->body, &r) == -1)
		return -1;
	if (m->nfds == 1 && r.err == VMERR_OK) {
		fd = m->fds[0];
		m->fds[0] = -1;
	}
	answered(o, fd, r.text);
	vmop_result_fini(&r);
	return 0;
}

static const struct msg_handler opening_msgs[] = {
	{ IMSG_OPEN_RESPONSE, ROLE_OPENER, opening_response },
	{ IMSG_CTL_LOG, ROLE_OPENER, opening_log },
	{ IMSG_CTL_READY, ROLE_OPENER, opening_ready },
};

static int
start_process(struct opening *o, int exe)
{
	static const char *const argv[] = { "vmd", "-P", "opener", NULL };
	const struct peer_conf pc = {
		.role = ROLE_OPENER,
		.name = "opener",
		.msgs = opening_msgs,
		.nmsgs = sizeof(opening_msgs) / sizeof(opening_msgs[0]),
		.closed = closed,
		.arg = o,
	};
	int sv[2] = { -1, -1 }, rc = -1;
	struct spawn s = { .exe = exe, .argv = argv };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return -1;
	s.channel = sv[1];
	if ((o->pid = spawn(&s, &o->pidfd)) == -1)
		goto out;
	procs_add(o->parent, "opener", PROC_OPENER, o->pid, 0);
	if ((o->peer = peer_new(o->parent->base, sv[0], &pc)) != NULL)
		rc = 0;
	sv[0] = -1; /* the peer's in every case */
out:
	fd_close(&sv[0]);
	fd_close(&sv[1]);
	return rc;
}

static int
send_job(struct opening *o, const struct open_msg *m)
{
	const struct msg_hdr none = { 0 };
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return -1;
	if (open_msg_put(b, m) == -1) {
		ibuf_free(b);
		return -1;
	}
	return peer_send(o->peer, IMSG_OPEN_REQUEST, none, b, NULL, 0);
}

struct opening *
open_start(struct parent *p, const struct open_msg *m, open_done done,
    void *arg)
{
	const struct timeval tv = { .tv_sec = OPEN_TIMEOUT };
	struct opening *o;

	if (m->path[0] != '/') {
		errno = EINVAL;
		return NULL;
	}
	if ((o = calloc(1, sizeof(*o))) == NULL)
		return NULL;
	o->parent = p;
	o->done = done;
	o->arg = arg;
	o->pidfd = o->fd = -1;
	if (start_process(o, p->args->exe) == -1 && o->pidfd == -1) {
		free(o);
		return NULL;
	}
	o->reaper = event_new(p->base, o->pidfd, EV_READ | EV_PERSIST, reaped,
	    o);
	o->timer = evtimer_new(p->base, deliver, o);
	if (o->reaper == NULL || o->timer == NULL || o->peer == NULL ||
	    event_add(o->timer, &tv) == -1 || send_job(o, m) == -1) {
		open_cancel(o);
		return NULL;
	}
	return o;
}
