/*
 * passt(1) for user-mode interfaces, in the parent: started with an identity
 * of its own and two descriptors, the stream of frames and a pipe for its
 * words; watched by pidfd.
 *
 * It is ready when it has written its number to that pipe; an end before
 * that is the failure of the start, with what it said as the reason.  It is
 * no part of ours, and is entered by what a guest sends: nothing it says is
 * taken for more than a text, and of that only some.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/parent/parent.h"
#include "vmd/parent/passt.h"

#define READY_S	  10
#define TERM_S	  2
#define WHY_MAX	  512
#define LINE_LEN  256
#define WORDS_MAX 65536 /* bytes taken from one process in its life */

enum passt_state {
	PT_WAITING, /* for the end of the one before */
	PT_STARTING,
	PT_RUNNING,
	PT_ENDING,
};

struct passt {
	LIST_ENTRY(passt) entry;
	struct parent *parent;
	struct vm *vm; /* NULL: it has nothing to do with it any more */
	unsigned int idx;
	enum passt_state state;
	passt_done *done;
	char *name; /* "vm/web1/passt0" */
	char **argv;
	uid_t uid;
	int lock; /* of its ids */
	int tap;  /* the guest's end, until it is ready */
	int words;
	int pidfd;
	pid_t pid;
	struct event *reader, *reaper, *timer;
	int number;   /* it has said that: it is ready */
	size_t taken; /* of its words */
	char line[LINE_LEN];
	size_t line_len;
	char why[LINE_LEN]; /* the last line, or what went wrong */
};

static void
event_drop(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

/* Not while it has a process, except at the end of the daemon. */
static void
passt_free(struct passt *s)
{
	LIST_REMOVE(s, entry);
	event_drop(&s->reader);
	event_drop(&s->reaper);
	event_drop(&s->timer);
	fd_close(&s->lock);
	fd_close(&s->tap);
	fd_close(&s->words);
	fd_close(&s->pidfd);
	passt_args_free(s->argv);
	free(s->name);
	free(s);
}

static void
passt_kill(const struct passt *s, int sig)
{
	if (s->pidfd != -1)
		syscall(SYS_pidfd_send_signal, s->pidfd, sig, NULL, 0);
}

static void
timer_set(struct passt *s, unsigned int seconds)
{
	const struct timeval tv = { .tv_sec = seconds };

	if (event_add(s->timer, &tv) == -1)
		log_warn("%s: no timer", s->name);
}

/* Nobody waits for it any more. */
static void
let_go(struct passt *s, int sig)
{
	s->vm = NULL;
	s->done = NULL;
	s->state = PT_ENDING;
	fd_close(&s->tap);
	event_drop(&s->reader);
	fd_close(&s->words);
	passt_kill(s, sig);
	timer_set(s, TERM_S);
	if (s->pidfd == -1)
		passt_free(s);
}

static void __attribute__((format(printf, 2, 3)))
fail(struct passt *s, const char *fmt, ...)
{
	passt_done *done = s->done;
	struct vm *v = s->vm;
	unsigned int idx = s->idx;
	char why[WHY_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	let_go(s, SIGKILL);
	done(v, idx, why);
}

/* --- what it says ------------------------------------------------------ */

static void
ready(struct passt *s)
{
	struct vm *v = s->vm;
	int old;

	event_del(s->timer);
	old = fdlist_take(&v->fds, FD_TAP, s->idx, 0);
	fd_close(&old);
	if (fdlist_add(&v->fds, FD_TAP, s->idx, 0, &s->tap) == -1) {
		fail(s, "no place for its socket");
		return;
	}
	log_debug("%s: ready, uid %u", s->name, s->uid);
	s->state = PT_RUNNING;
	s->why[0] = '\0';
	s->done(v, s->idx, NULL);
}

static int
is_number(const char *line)
{
	return line[0] != '\0' && line[strspn(line, "0123456789")] == '\0';
}

static void
said(struct passt *s, const char *line)
{
	/* What it says when the host has no syslog is of no use. */
	if (line[0] == '\0' || is_number(line) ||
	    strncmp(line, "Failed to send ", 15) == 0)
		return;
	if (s->state == PT_RUNNING)
		log_from(s->name, LOG_WARNING, line);
	else
		log_debug("%s: %s", s->name, line);
	snprintf(s->why, sizeof(s->why), "%s", line);
}

static void
line_end(struct passt *s)
{
	s->line[s->line_len] = '\0';
	s->line_len = 0;
	s->number |= is_number(s->line);
	said(s, s->line);
}

/* Take some of what is there: 1, 0 if there is nothing, -1 at the end. */
static int
listen_to(struct passt *s)
{
	char buf[1024];
	ssize_t n, i;

	if ((n = read(s->words, buf, sizeof(buf))) <= 0)
		return n == -1 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	s->taken += (size_t)n;
	for (i = 0; i < n; i++) {
		if (buf[i] == '\n')
			line_end(s);
		else if (s->line_len < sizeof(s->line) - 1)
			s->line[s->line_len++] = isprint(
						     (unsigned char)buf[i]) ?
			    buf[i] :
			    '?';
	}
	/* Who talks that much is not listened to; the pipe stays open. */
	return s->taken >= WORDS_MAX ? -1 : 1;
}

static void
words(int fd, short ev, void *arg)
{
	struct passt *s = arg;

	if (listen_to(s) == -1)
		event_drop(&s->reader);
	if (s->number && s->state == PT_STARTING)
		ready(s);
}

/* --- its process ------------------------------------------------------- */

static void launch(struct passt *s);

/* Start those that waited for this one's end. */
static void
next(struct parent *p, const char *name)
{
	struct passt *s;

	LIST_FOREACH(s, &p->passts, entry)
		if (s->state == PT_WAITING && strcmp(s->name, name) == 0) {
			launch(s);
			return;
		}
}

static void
how_it_ended(const struct passt *s, int status, char *buf, size_t len)
{
	if (WIFSIGNALED(status))
		snprintf(buf, len, "killed by signal %d", WTERMSIG(status));
	else if (s->why[0] != '\0')
		snprintf(buf, len, "%s", s->why);
	else
		snprintf(buf, len, "exited with status %d",
		    WEXITSTATUS(status));
}

static void
reaped(int unused, short ev, void *arg)
{
	struct passt *s = arg;
	struct parent *p = s->parent;
	char how[WHY_MAX], name[VM_NAME_MAX + 32];
	int status;

	if (spawn_reap(s->pidfd, &status) != 1)
		return;
	procs_del(p, s->pid);
	fd_close(&s->pidfd);
	fd_close(&s->lock);
	event_drop(&s->reaper);
	while (s->words != -1 && listen_to(s) == 1)
		;
	line_end(s);
	snprintf(name, sizeof(name), "%s", s->name);
	how_it_ended(s, status, how, sizeof(how));
	if (s->state == PT_STARTING) {
		fail(s, "passt: %s", how);
	} else {
		if (s->state == PT_RUNNING)
			log_warnx("%s: %s; no link until the next start",
			    s->name, how);
		passt_free(s);
	}
	next(p, name);
}

static void
late(int unused, short ev, void *arg)
{
	struct passt *s = arg;

	switch (s->state) {
	case PT_WAITING:
		fail(s, "passt: the one before does not end");
		break;
	case PT_STARTING:
		fail(s, "%s",
		    s->pidfd == -1 ? s->why : "passt: not ready in time");
		break;
	case PT_ENDING:
		passt_kill(s, SIGKILL);
		timer_set(s, TERM_S);
		reaped(-1, 0, s);
		break;
	case PT_RUNNING:
		break;
	}
}

/* In the child, root until here: nobody, with nothing, for good. */
static int
become(void *arg)
{
	const uid_t id = *(const uid_t *)arg;
	const struct rlimit none = { 0, 0 };
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) == -1)
			return -1;
	if (setrlimit(RLIMIT_CORE, &none) == -1 || setgroups(0, NULL) == -1 ||
	    setresgid(id, id, id) == -1 || setresuid(id, id, id) == -1 ||
	    sandbox_nnp() == -1)
		return -1;
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int
pipes(const struct passt *s, int sv[2], int pv[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1 ||
	    pipe2(pv, O_CLOEXEC | O_NONBLOCK) == -1 ||
	    /* It opens it again, by name. */
	    fchown(pv[1], s->uid, s->uid) == -1)
		return -1;
	return fcntl(sv[0], F_SETFL, O_NONBLOCK);
}

static int
start_process(struct passt *s, const char **what)
{
	struct spawn sp = { .argv = (const char *const *)s->argv,
		.child = become,
		.arg = &s->uid };
	int sv[2] = { -1, -1 }, pv[2] = { -1, -1 }, exe = -1, rc = -1;

	*what = "ids";
	if ((s->lock = sandbox_slot_outside(&s->uid)) == -1)
		return -1;
	*what = s->parent->args->passt;
	if ((exe = open(*what, O_RDONLY | O_CLOEXEC)) == -1)
		goto out;
	*what = "socket";
	if (pipes(s, sv, pv) == -1)
		goto out;
	sp.exe = exe;
	sp.channel = sv[1];
	sp.err = pv[1];
	*what = s->parent->args->passt;
	if ((s->pid = spawn(&sp, &s->pidfd)) == -1)
		goto out;
	s->tap = sv[0];
	s->words = pv[0];
	sv[0] = pv[0] = -1;
	rc = 0;
out:
	fd_close(&exe);
	fd_close(&sv[0]);
	fd_close(&sv[1]);
	fd_close(&pv[0]);
	fd_close(&pv[1]);
	return rc;
}

static int
watch(struct passt *s)
{
	struct event_base *base = s->parent->base;

	s->reaper = event_new(base, s->pidfd, EV_READ | EV_PERSIST, reaped, s);
	s->reader = event_new(base, s->words, EV_READ | EV_PERSIST, words, s);
	if (s->reaper == NULL || s->reader == NULL ||
	    event_add(s->reaper, NULL) == -1 ||
	    event_add(s->reader, NULL) == -1)
		return -1;
	return 0;
}

/* What goes wrong is told from the loop. */
static void
launch(struct passt *s)
{
	const char *what;

	s->state = PT_STARTING;
	if (start_process(s, &what) == -1) {
		snprintf(s->why, sizeof(s->why), "passt: %s: %s", what,
		    strerror(errno));
		fd_close(&s->lock);
		event_active(s->timer, EV_TIMEOUT, 0);
		return;
	}
	procs_add(s->parent, s->name, PROC_PASST, s->pid, 0);
	if (watch(s) == -1)
		event_active(s->timer, EV_TIMEOUT, 0);
}

/* --- for others -------------------------------------------------------- */

static struct passt *
passt_new(struct vm *v, unsigned int idx, passt_done *done)
{
	struct passt *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->parent = v->parent;
	s->vm = v;
	s->idx = idx;
	s->done = done;
	s->lock = s->tap = s->words = s->pidfd = -1;
	s->timer = evtimer_new(v->parent->base, late, s);
	s->argv = passt_args(&v->run->nics[idx]);
	LIST_INSERT_HEAD(&v->parent->passts, s, entry);
	if (asprintf(&s->name, "vm/%s/passt%u", v->spec->name, idx) == -1)
		s->name = NULL;
	if (s->name != NULL && s->argv != NULL && s->timer != NULL)
		return s;
	passt_free(s);
	errno = ENOMEM;
	return NULL;
}

int
passt_start(struct vm *v, unsigned int idx, passt_done *done)
{
	struct passt *s, *o, *tmp;
	int before = 0;

	if ((s = passt_new(v, idx, done)) == NULL)
		return -1;
	timer_set(s, READY_S * HOSTILE_PATIENCE);
	LIST_FOREACH_SAFE(o, &v->parent->passts, entry, tmp)
	{
		if (o == s || strcmp(o->name, s->name) != 0)
			continue;
		before |= o->pidfd != -1;
		if (o->state != PT_ENDING)
			let_go(o, SIGTERM);
	}
	if (!before)
		launch(s);
	return 0;
}

void
passt_stop(struct vm *v)
{
	struct passt *s, *tmp;
	int fd;

	LIST_FOREACH_SAFE(s, &v->parent->passts, entry, tmp)
	{
		if (s->vm != v)
			continue;
		if (s->state == PT_RUNNING) {
			fd = fdlist_take(&v->fds, FD_TAP, s->idx, 0);
			fd_close(&fd);
		}
		let_go(s, SIGTERM);
	}
}

int
passt_runs(const struct vm *v, unsigned int idx)
{
	const struct passt *s;

	LIST_FOREACH(s, &v->parent->passts, entry)
		if (s->vm == v && s->idx == idx)
			return s->state == PT_RUNNING;
	return 0;
}

void
passt_clear(struct parent *p)
{
	struct passt *s;

	while ((s = LIST_FIRST(&p->passts)) != NULL) {
		passt_kill(s, SIGKILL);
		passt_free(s);
	}
}
