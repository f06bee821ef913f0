/*
 * A VM's console, between this terminal (or two pipes) and a socket whose
 * other end the guest process holds.
 *
 * Output goes to standard output as it takes it; nothing waits for anything
 * but in one ppoll(2), so that an escape or a signal ends us although nobody
 * reads what the guest says.  Input goes through the escape filter; it is
 * read only when all of the last piece was taken, so that a guest that does
 * not read cannot hold up its output.  A guest that resets comes back with a
 * new process: we attach again and skip what was shown.
 */

#include <sys/socket.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/util/ring.h"
#include "vmctl/term.h"
#include "vmctl/vmctl.h"

#define BACK_MS	   10000 /* for a guest that resets to come back */
#define BACK_STEP  20	 /* ms between two looks */
#define INPUT_SIZE 4096
#define PIECE	   PIPE_BUF /* a pipe that takes something takes this */

struct console {
	struct vmctl *ctl;
	char *name;
	int sock;
	int readonly;
	int stdin_open;
	int again; /* not the first attachment */
	struct term term;
	struct escape esc;
	int breaking;		/* a BREAK follows what is in `in' */
	char typed[INPUT_SIZE]; /* not yet filtered */
	size_t typed_start;
	size_t typed_end;
	char in[2 * INPUT_SIZE]; /* for the guest */
	size_t in_start;
	size_t in_end;
	char out[16384]; /* from the guest */
	size_t out_start;
	size_t out_end;
	uint64_t shown; /* bytes of the history, with what followed */
	uint64_t skip;	/* bytes to come that were shown already */
};

enum outcome {
	OUT_GO,
	OUT_LEFT,
	OUT_CLOSED,
	OUT_FAILED
};

/* Some of what is there, when it can be taken. */
static enum outcome
output(struct console *c)
{
	size_t len = c->out_end - c->out_start;
	ssize_t n;

	n = write(c->term.out_fd, c->out + c->out_start,
	    len < PIECE ? len : PIECE);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? OUT_GO : OUT_FAILED;
	c->out_start += (size_t)n;
	return OUT_GO;
}

/* From the guest, when all of the last was taken. */
static enum outcome
listen_to(struct console *c)
{
	size_t off = 0;
	ssize_t n;

	n = recv(c->sock, c->out, sizeof(c->out), MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? OUT_GO : OUT_CLOSED;
	if (n == 0)
		return OUT_CLOSED;
	if (c->skip > 0) {
		off = c->skip < (uint64_t)n ? (size_t)c->skip : (size_t)n;
		c->skip -= off;
	}
	c->shown += (size_t)n - off;
	c->out_start = off;
	c->out_end = (size_t)n;
	return OUT_GO;
}

static void
help(void)
{
	term_say("\r\n~.\tleave\r\n~#\tsend a BREAK\r\n"
		 "~~\tsend one tilde\r\n"
		 "~?\tthis list\r\n");
}

/* Typed, when all of the last was filtered. */
static enum outcome
input(struct console *c)
{
	ssize_t n;

	n = read(STDIN_FILENO, c->typed, sizeof(c->typed));
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return OUT_GO;
	if (n <= 0) {
		c->stdin_open = 0;
		shutdown(c->sock, SHUT_WR); /* somebody else may type */
		/* A terminal that is gone has nobody before it. */
		return c->term.raw ? OUT_LEFT : OUT_GO;
	}
	c->typed_start = 0;
	c->typed_end = (size_t)n;
	return OUT_GO;
}

/* Up to the next escape that means more than bytes. */
static enum outcome
filter(struct console *c)
{
	enum esc_event ev;
	size_t used;

	c->in_start = 0;
	ev = escape_filter(&c->esc, c->typed + c->typed_start,
	    c->typed_end - c->typed_start, c->in, &c->in_end, &used);
	c->typed_start += used;
	if (c->readonly)
		c->in_end = 0;
	if (ev == ESC_HELP)
		help();
	c->breaking = ev == ESC_BREAK && !c->readonly;
	return ev == ESC_LEAVE ? OUT_LEFT : OUT_GO;
}

/*
 * There is no BREAK in a socket: the daemon is asked for it.  What was typed
 * after it is sent when it was answered.
 */
static void
send_break(struct console *c)
{
	struct vmop_id op = { .name = c->name };
	struct vmop_result r;
	char *s;

	c->breaking = 0;
	if (client_ask(c->ctl, IMSG_CTL_BREAK, &op, NULL, &r) == ST_DONE) {
		if (r.err != VMERR_OK) {
			s = result_text(&r);
			term_say("\r\nBREAK: %s\r\n", s);
			free(s);
		}
		vmop_result_fini(&r);
	}
	client_close(c->ctl);
}

/* To the guest, what it takes now. */
static void
send_input(struct console *c)
{
	ssize_t n;

	n = send(c->sock, c->in + c->in_start, c->in_end - c->in_start,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		c->in_start += (size_t)n;
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		c->in_start = c->in_end; /* the end is read, too */
}

/* Wait for anything that can go on; 0, or -1 with errno. */
static int
wait_all(struct console *c, struct pollfd p[3])
{
	int in = c->in_start < c->in_end, out = c->out_start < c->out_end;

	p[0].fd = out && !in ? -1 : c->sock;
	p[0].events = (short)((out ? 0 : POLLIN) | (in ? POLLOUT : 0));
	p[1].fd = c->stdin_open && !in ? STDIN_FILENO : -1;
	p[1].events = POLLIN;
	p[2].fd = out ? c->term.out_fd : -1;
	p[2].events = POLLOUT;
	p[0].revents = p[1].revents = p[2].revents = 0;
	if (out && c->term.out_fd == -1) {
		errno = EBADF;
		return -1;
	}
	return ppoll(p, 3, NULL, &c->term.unblocked) == -1 ? -1 : 0;
}

/* Until something ends it. */
static enum outcome
pump(struct console *c)
{
	enum outcome o = OUT_GO;
	struct pollfd p[3];
	int pending;

	while (o == OUT_GO) {
		pending = c->in_start < c->in_end;
		if (!pending && c->breaking)
			send_break(c);
		if (!pending && c->typed_start < c->typed_end) {
			o = filter(c);
			continue;
		}
		if (wait_all(c, p) == -1) {
			if (term_signal != 0)
				return OUT_LEFT;
			if (errno != EINTR)
				return OUT_FAILED;
			continue;
		}
		if (pending && p[0].revents != 0)
			send_input(c);
		if (p[2].revents != 0)
			o = output(c);
		else if (c->out_start == c->out_end &&
		    p[0].revents & (POLLIN | POLLHUP | POLLERR))
			o = listen_to(c);
		if (o == OUT_GO && p[1].revents != 0)
			o = input(c);
	}
	if (o == OUT_LEFT && c->in_start < c->in_end)
		send_input(c);
	return o;
}

/* What the answer says; takes its socket. */
static int
granted(struct vmctl *ctl, struct console *c, const char *name,
    struct answer *a, const struct vmop_result *r)
{
	char *s;

	if (r->err != VMERR_OK) {
		if (c->again)
			return ST_FAILED; /* it ended meanwhile */
		return complain_result(ctl, name, r);
	}
	if ((c->sock = imsg_get_fd(&a->im)) == -1) {
		complain(ctl, name, "no console in the answer");
		return ST_FAILED;
	}
	if (r->text != NULL && r->text[0] != '\0' && !c->again) {
		s = result_text(r);
		fprintf(stderr, "%s\r\n", s);
		free(s);
	}
	return ST_DONE;
}

/* Get a socket; ST_DONE, or another status after a message. */
static int
attach(struct vmctl *ctl, struct console *c, char *name, uint32_t flags)
{
	struct vmop_id op = { .name = name, .flags = flags };
	struct vmop_result r;
	struct answer a;
	int rc;

	if ((rc = client_send_id(ctl, IMSG_CTL_CONSOLE_REQUEST, &op)) !=
		ST_DONE ||
	    (rc = client_recv(ctl, &a)) != ST_DONE)
		return rc;
	if (a.type != IMSG_CTL_CONSOLE_RESPONSE && a.type != IMSG_CTL_FAIL) {
		complain(ctl, name, "unexpected answer (%s)", msg_name(a.type));
		rc = ST_FAILED;
	} else if ((rc = answer_result(ctl, &a, &r)) == ST_DONE) {
		rc = granted(ctl, c, name, &a, &r);
		vmop_result_fini(&r);
	}
	answer_fini(&a);
	/* The console is a channel of its own. */
	client_close(ctl);
	return rc;
}

/* The process of `name', 0 if there is none, -1 if none will come. */
static int
process(struct vmctl *ctl, const char *name)
{
	struct vm_list l;
	int pid = -1;

	if (vm_list_get(ctl, name, 0, &l) == ST_DONE && l.n == 1 &&
	    l.vms[0].state != VMS_STOPPED && l.vms[0].state != VMS_WAITING)
		pid = l.vms[0].pid;
	vm_list_fini(&l);
	return pid;
}

/*
 * The console of process `old' was closed.  The new process when the guest
 * has reset itself, else -1.
 */
static int
come_back(struct vmctl *ctl, struct console *c, const char *name, int old)
{
	const struct timespec step = { 0, BACK_STEP * 1000000L };
	int pid, ms;

	for (ms = 0; ms < BACK_MS; ms += BACK_STEP) {
		if ((pid = process(ctl, name)) == -1)
			return -1;
		if (pid != 0 && pid != old)
			return pid;
		ppoll(NULL, 0, &step, &c->term.unblocked);
		if (term_signal != 0)
			return -1;
	}
	return -1;
}

/*
 * Attach again after a reset.  While the history is short we know where we
 * were in it and miss nothing.
 */
static int
attach_again(struct vmctl *ctl, struct console *c, char *name, uint32_t flags)
{
	int rc;

	fd_close(&c->sock);
	c->again = 1;
	c->in_start = c->in_end = 0;
	c->skip = 0;
	if (flags & VMOP_RUN)
		; /* of the new run all is new */
	else if (c->shown < RING_SIZE / 2)
		c->skip = c->shown;
	else
		flags &= ~(uint32_t)VMOP_HISTORY;
	if ((rc = attach(ctl, c, name, flags)) == ST_DONE && !c->stdin_open)
		shutdown(c->sock, SHUT_WR);
	return rc;
}

/* The words of runs too short to attach to, after a reset. */
static void
last_words(struct vmctl *ctl, struct console *c, char *name, uint32_t flags)
{
	flags = (flags & ~(uint32_t)VMOP_STEAL) | VMOP_READONLY;
	if (term_signal != 0 || c->shown >= RING_SIZE / 2 ||
	    (flags & VMOP_RUN) || process(ctl, name) > 0)
		return;
	c->stdin_open = 0;
	if (attach_again(ctl, c, name, flags) == ST_DONE)
		pump(c);
}

static int
serve(struct vmctl *ctl, struct console *c, char *name, uint32_t flags, int pid)
{
	enum outcome o;

	do {
		if ((o = pump(c)) == OUT_FAILED)
			return ST_FAILED;
		if (o == OUT_LEFT || pid <= 0)
			return ST_DONE;
		/* It may reset again before we are there. */
		do
			pid = come_back(ctl, c, name, pid);
		while (
		    pid != -1 && attach_again(ctl, c, name, flags) != ST_DONE);
	} while (pid != -1);
	last_words(ctl, c, name, flags);
	return ST_DONE;
}

int
console_run(struct vmctl *ctl, const char *name, uint32_t flags)
{
	struct console c = {
		.ctl = ctl,
		.sock = -1,
		.stdin_open = 1,
		.esc.bol = 1,
	};
	char *copy, *s;
	int pid, raw, rc;

	if ((copy = strdup(name)) == NULL)
		return ST_FAILED;
	c.name = copy;
	c.readonly = (flags & VMOP_READONLY) != 0;
	flags |= VMOP_HISTORY;
	pid = process(ctl, name);
	if (ctl->fd == -1 && pid == -1) {
		free(copy);
		return ST_NODAEMON; /* said so already */
	}
	if ((rc = attach(ctl, &c, copy, flags)) == ST_DONE) {
		s = safe(name);
		term_open(&c.term);
		raw = c.term.raw;
		if (raw)
			term_say("Connected to %s (~. leaves)\r\n", s);
		rc = serve(ctl, &c, copy, flags, pid);
		term_restore(&c.term);
		if (raw)
			term_say("\r\nDisconnected from %s\r\n", s);
		fd_close(&c.sock);
		free(s);
		term_close(&c.term);
	}
	free(copy);
	return rc;
}

int
cmd_console(struct vmctl *ctl, int argc, char **argv)
{
	const char *name;
	uint32_t flags = 0;
	int c;

	while ((c = next_opt(ctl, argc, argv)) != -1) {
		if (c == 'f')
			flags |= VMOP_STEAL;
		else if (c == 'r')
			flags |= VMOP_READONLY;
		else
			return ST_USAGE;
	}
	if ((name = one_operand(argc, argv)) == NULL ||
	    flags == (VMOP_STEAL | VMOP_READONLY))
		return ST_USAGE;
	return console_run(ctl, name, flags);
}
