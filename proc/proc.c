/*
 * The life of a role process: how it begins, gives up its privileges and
 * talks to the one above.  Used by every role but the parent.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>
#include <bsd/stdlib.h>
#include <bsd/unistd.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/proc.h"

#define FLUSH_MS 1000
#define LINE_LEN 1024 /* of the line that it is ready */

static struct peer *up; /* of this process: the log goes there */
static void (*on_end)(void);

void
proc_on_end(void (*fn)(void))
{
	on_end = fn;
}

/* Before proc_up() lines are sent by hand, on the bare descriptor. */
static void
send_raw(struct ibuf *body)
{
	struct imsgbuf ib;
	struct ibuf *b;

	imsgbuf_init(&ib, PROC_CHANNEL_FD);
	b = imsg_create(&ib, IMSG_CTL_LOG, 0, 0, MSG_HDR_LEN + ibuf_size(body));
	if (b != NULL) {
		if (ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
		    ibuf_add_ibuf(b, body) == -1) {
			ibuf_free(b);
		} else {
			imsg_close(&ib, b);
			imsgbuf_write(&ib);
		}
	}
	imsgbuf_clear(&ib);
	ibuf_free(body);
}

/* A line for the process above; it is cut to what a line may have. */
static void
send_line(uint32_t type, int prio, const char *line)
{
	const struct msg_hdr none = { 0 };
	struct ibuf *b = log_line_new(prio, line);

	if (b == NULL)
		return;
	if (type == IMSG_CTL_READY && wire_put_u32(b, sandbox_own()) == -1)
		ibuf_free(b);
	else if (up == NULL)
		send_raw(b);
	else
		peer_send(up, type, none, b, NULL, 0);
}

static void
log_up(void *arg, int prio, const char *line)
{
	send_line(IMSG_CTL_LOG, prio, line);
	/*
	 * A last word must not wait for a loop that never turns again.  Only
	 * fatal() is that urgent: see peer_log_prio().
	 */
	if (up != NULL && prio <= LOG_CRIT)
		peer_flush(up, FLUSH_MS);
}

void
proc_ready(const char *fmt, ...)
{
	char text[LINE_LEN] = "ready: ";
	size_t len = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	send_line(IMSG_CTL_READY, LOG_DEBUG, text);
}

void
proc_init(const struct proc_args *a)
{
	closefrom(PROC_CHANNEL_FD + 1);
	signal(SIGPIPE, SIG_IGN);
	if (fcntl(PROC_CHANNEL_FD, F_SETFD, FD_CLOEXEC) == -1)
		_exit(1); /* started by hand: there is no channel */
	setproctitle("-vmd: %s", a->role);
	log_init(a->role, LOG_TO_STDERR, a->verbose);
	log_set_sink(log_up, NULL);
	if (sandbox_traps(PROC_CHANNEL_FD, NULL) == -1)
		fatal("SIGSYS");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fatal("PR_SET_PDEATHSIG");
	hostile_init();
}

static void
up_closed(struct peer *p, const char *why)
{
	if (on_end != NULL)
		on_end();
	if (why == NULL)
		_exit(0);
	/* What was said before, and why: by hand, the peer takes no more. */
	if (peer_flush(p, FLUSH_MS) == 0) {
		up = NULL;
		log_warnx("%s: %s, ended", peer_name(p), why);
	}
	_exit(1);
}

struct peer *
proc_up(struct event_base *base, enum role above,
    const struct msg_handler *msgs, size_t nmsgs, void *arg)
{
	const struct peer_conf conf = {
		.role = above,
		.name = above == ROLE_VMM ? "vmm" : "parent",
		.msgs = msgs,
		.nmsgs = nmsgs,
		.closed = up_closed,
		.arg = arg,
	};

	return up = peer_new(base, PROC_CHANNEL_FD, &conf);
}
