/*
 * A channel to another process: imsg on a stream socket, driven by libevent.
 *
 * Every process uses it for every other one.  Before a handler runs the
 * message has a known type, a sender that may send it, a header and no more
 * descriptors than its type allows; anything else ends the channel, and with
 * a less trusted peer nothing but the channel.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "proc/peer.h"

#define QUEUE_DEFAULT (16U << 20)
#define HANGUP_S      1	 /* how often one that is paused is looked at */
#define RETRY_MS      20 /* when too many descriptors are under way */
/*
 * Reads of peer_drain(), of 4 KiB and more: many times what a socket holds,
 * and done in milliseconds.
 */
#define DRAIN_READS 1024

struct peer {
	struct peer_conf conf;
	char *name;
	struct imsgbuf ib;
	struct event *rd;
	struct event *wr;
	struct event *retry;  /* writing, when the socket cannot tell when */
	struct event *hangup; /* while paused */
	struct event *rest;   /* of a message that has begun */
	struct event *end;    /* tells the owner, from the loop */
	void (*drained)(struct peer *p);
	const char *why; /* what was wrong, NULL: end of file */
	int ended;
	int paused;
	int busy; /* a handler runs */
	int gone; /* peer_free() while busy */
	time_t log_second;
	unsigned int log_lines; /* in that second */
	unsigned int log_dropped;
};

static void peer_read(int fd, short ev, void *arg);

static void
release(struct peer *p)
{
	struct event *evs[] = { p->rd, p->wr, p->retry, p->hangup, p->rest,
		p->end };
	size_t i;

	for (i = 0; i < sizeof(evs) / sizeof(evs[0]); i++)
		if (evs[i] != NULL)
			event_free(evs[i]);
	imsgbuf_clear(&p->ib);
	fd_close(&p->ib.fd);
	free(p->name);
	free(p);
}

void
peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	if (p->busy)
		p->gone = 1;
	else
		release(p);
}

static void
peer_ended(int fd, short ev, void *arg)
{
	struct peer *p = arg;

	if (p->conf.closed != NULL)
		p->conf.closed(p, p->why);
}

/* The channel is of no more use: tell the owner, once. */
static void
end(struct peer *p, const char *why)
{
	if (p->ended)
		return;
	p->ended = 1;
	p->why = why;
	event_del(p->rd);
	event_del(p->wr);
	event_del(p->retry);
	event_del(p->hangup);
	event_del(p->rest);
	event_active(p->end, EV_TIMEOUT, 0);
}

static void
want_write(struct peer *p)
{
	struct timeval tv = { .tv_sec = p->conf.write_timeout };

	if (event_add(p->wr, p->conf.write_timeout ? &tv : NULL) == -1)
		end(p, "no memory");
}

static void
write_failed(struct peer *p)
{
	const struct timeval tv = { .tv_usec = RETRY_MS * 1000 };

	if (errno == ETOOMANYREFS) {
		if (event_add(p->retry, &tv) == -1)
			end(p, "no memory");
		return;
	}
	/* If it is gone, reading finds what it still said, then EOF. */
	if (errno != EPIPE && errno != ECONNRESET)
		end(p, "cannot be written to");
}

static void
peer_write(int fd, short ev, void *arg)
{
	struct peer *p = arg;

	if (p->ended)
		return;
	if (ev & EV_TIMEOUT) {
		end(p, "does not read");
		return;
	}
	if (imsgbuf_write(&p->ib) == -1)
		write_failed(p);
	else if (imsgbuf_queuelen(&p->ib) > 0)
		want_write(p);
	else if (p->drained != NULL)
		p->drained(p);
}

static void
peer_retry(int fd, short ev, void *arg)
{
	peer_write(fd, EV_WRITE, arg);
}

static void
watch_hangup(struct peer *p)
{
	const struct timeval tv = { .tv_sec = HANGUP_S };

	if (event_add(p->hangup, &tv) == -1)
		end(p, "no memory");
}

/*
 * Has a paused one gone?  It is not read, so there is no EOF, and an event
 * for it would fire for what it sent as well.
 */
static void
peer_hangup(int fd, short ev, void *arg)
{
	struct peer *p = arg;
	struct pollfd pfd = { .fd = p->ib.fd, .events = POLLRDHUP };

	if (p->ended || !p->paused)
		return;
	if (poll(&pfd, 1, 0) == 1)
		end(p, NULL);
	else
		watch_hangup(p);
}

static const struct msg_handler *
find_handler(const struct peer *p, uint32_t type)
{
	size_t i;

	for (i = 0; i < p->conf.nmsgs; i++)
		if (p->conf.msgs[i].type == type &&
		    (p->conf.msgs[i].from & p->conf.role))
			return &p->conf.msgs[i];
	return NULL;
}

/* One message; NULL, or what is wrong with it. */
static const char *
handle(struct peer *p, struct imsg *im)
{
	const struct msg_handler *h;
	struct msg m = { .type = imsg_get_type(im) };
	int maxfds = msg_maxfds(m.type);

	if (maxfds == -1)
		return "unknown message";
	if ((h = find_handler(p, m.type)) == NULL)
		return "message not allowed";
	m.nfds = imsg_get_fds(im, &m.fds);
	if (m.nfds > (size_t)maxfds)
		return "too many descriptors";
	if (imsg_get_len(im) < MSG_HDR_LEN)
		return "short message";
	if (wire_get_u64(im->buf, &m.hdr.reqid) == -1 ||
	    wire_get_u64(im->buf, &m.hdr.conn) == -1 ||
	    ibuf_get_ibuf(im->buf, imsg_get_len(im), &m.body) == -1)
		return "short message";
	if (h->fn(p, &m) == -1)
		return "malformed message";
	if (ibuf_size(&m.body) > 0)
		return "message too long";
	return NULL;
}

/* The rest of a message is expected within its time. */
static void
expect_rest(struct peer *p)
{
	const struct timeval tv = { .tv_sec = p->conf.read_timeout };

	if (p->conf.read_timeout == 0)
		return;
	if (p->ib.rstart == p->ib.rend)
		event_del(p->rest);
	else if (!event_pending(p->rest, EV_TIMEOUT, NULL) &&
	    event_add(p->rest, &tv) == -1)
		end(p, "no memory");
}

static void
peer_rest(int fd, short ev, void *arg)
{
	struct peer *p = arg;

	if (p->paused)
		expect_rest(p); /* it may be there, only unread */
	else
		end(p, "message not finished");
}

static void
dispatch(struct peer *p)
{
	const char *why;
	struct imsg im;
	ssize_t n;

	while (!p->gone && !p->ended && !p->paused) {
		if ((n = imsg_get(&p->ib, &im)) == 0) {
			expect_rest(p);
			return;
		}
		if (n == -1) {
			end(p, "malformed stream");
			return;
		}
		event_del(p->rest);
		why = handle(p, &im);
		if (why != NULL && !p->gone) {
			log_debug("%s: %s: %s", p->name,
			    msg_name(imsg_get_type(&im)), why);
			end(p, why);
		}
		imsg_free(&im);
	}
}

/* Read once and dispatch: 1 if more may be there. */
static int
read_once(struct peer *p)
{
	size_t before = p->ib.rend - p->ib.rstart;
	int n, more;

	n = imsgbuf_read(&p->ib);
	more = n == 1 && p->ib.rend - p->ib.rstart != before;
	p->busy++;
	if (n == 1)
		dispatch(p);
	else if (n == 0 || errno == ECONNRESET)
		end(p, NULL);
	else
		end(p, "malformed stream");
	p->busy--;
	return more;
}

static void
peer_read(int fd, short ev, void *arg)
{
	struct peer *p = arg;

	if (p->ended || p->paused)
		return;
	/* First what was left when the peer was paused. */
	p->busy++;
	dispatch(p);
	p->busy--;
	if (!p->gone && !p->ended && !p->paused)
		read_once(p);
	if (p->gone && !p->busy)
		release(p);
}

void
peer_drain(struct peer *p)
{
	unsigned int n = 0;

	if (p == NULL || p->busy)
		return;
	/* One that lives may send faster than we read. */
	while (n++ < DRAIN_READS && !p->ended && !p->paused && !p->gone &&
	    read_once(p))
		;
	if (p->gone)
		release(p);
}

int
peer_has_ended(const struct peer *p)
{
	return p->ended;
}

struct peer *
peer_new(struct event_base *base, int fd, const struct peer_conf *conf)
{
	struct peer *p;
	int flags;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		fd_close(&fd);
		return NULL;
	}
	p->conf = *conf;
	imsgbuf_init(&p->ib, fd);
	if (!conf->no_fds)
		imsgbuf_allow_fdpass(&p->ib);
	if (p->conf.max_queue == 0)
		p->conf.max_queue = QUEUE_DEFAULT;
	if (p->conf.log_rate == 0)
		p->conf.log_rate = PEER_LOG_RATE;
	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    imsgbuf_set_maxsize(&p->ib, MSG_MAXSIZE) == -1)
		goto fail;
	p->name = strdup(conf->name);
	p->rd = event_new(base, fd, EV_READ | EV_PERSIST, peer_read, p);
	p->wr = event_new(base, fd, EV_WRITE, peer_write, p);
	p->retry = event_new(base, -1, 0, peer_retry, p);
	p->hangup = event_new(base, -1, 0, peer_hangup, p);
	p->rest = event_new(base, -1, 0, peer_rest, p);
	p->end = event_new(base, -1, 0, peer_ended, p);
	if (p->name == NULL || p->rd == NULL || p->wr == NULL ||
	    p->retry == NULL || p->hangup == NULL || p->rest == NULL ||
	    p->end == NULL || event_add(p->rd, NULL) == -1) {
		errno = ENOMEM;
		goto fail;
	}
	return p;
fail:
	release(p);
	return NULL;
}

void *
peer_arg(const struct peer *p)
{
	return p->conf.arg;
}

const char *
peer_name(const struct peer *p)
{
	return p->name;
}

enum role
peer_role(const struct peer *p)
{
	return p->conf.role;
}

int
peer_fd(const struct peer *p)
{
	return p->ib.fd;
}

size_t
peer_queued(const struct peer *p)
{
	struct peer *q;

	memcpy(&q, &p, sizeof(q));
	return imsgbuf_queuebytes(&q->ib);
}

void
peer_on_drained(struct peer *p, void (*fn)(struct peer *p))
{
	p->drained = fn;
}

static int
enqueue(struct peer *p, uint32_t type, struct msg_hdr hdr,
    const struct ibuf *body, int *fds, size_t nfds)
{
	struct ibuf *b;
	size_t len = body == NULL ? 0 : ibuf_size(body);

	if (p->ended) {
		errno = EPIPE;
		return -1;
	}
	if (len > MSG_MAXSIZE - IMSG_HEADER_SIZE - MSG_HDR_LEN) {
		errno = EMSGSIZE;
		return -1;
	}
	b = imsg_create(&p->ib, type, 0, 0, MSG_HDR_LEN + len);
	if (b == NULL)
		return -1;
	if (wire_put_u64(b, hdr.reqid) == -1 ||
	    wire_put_u64(b, hdr.conn) == -1 ||
	    (len > 0 && ibuf_add_ibuf(b, body) == -1) ||
	    imsg_set_fds(b, fds, nfds) == -1) {
		ibuf_free(b);
		return -1;
	}
	imsg_close(&p->ib, b);
	return 0;
}

int
peer_send(struct peer *p, uint32_t type, struct msg_hdr hdr, struct ibuf *body,
    int *fds, size_t nfds)
{
	size_t i;
	int rc;

	rc = enqueue(p, type, hdr, body, fds, nfds);
	for (i = 0; i < nfds; i++)
		fd_close(&fds[i]);
	ibuf_free(body);
	if (rc == -1)
		return -1;
	if (imsgbuf_queuebytes(&p->ib) > p->conf.max_queue) {
		end(p, "does not read");
		errno = EPIPE;
		return -1;
	}
	if (!event_pending(p->wr, EV_WRITE, NULL))
		want_write(p);
	return 0;
}

int
peer_result(struct peer *p, uint32_t type, struct msg_hdr hdr,
    const struct vmop_result *r)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return -1;
	if (vmop_result_put(b, r) == -1) {
		ibuf_free(b);
		return -1;
	}
	return peer_send(p, type, hdr, b, NULL, 0);
}

int
peer_fail(struct peer *p, const struct msg *m, uint32_t type, enum vmerr e,
    const char *fmt, ...)
{
	struct vmop_result r = { .err = e };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r.text = text;
	return peer_result(p, type, m->hdr, &r);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
peer_flush(struct peer *p, int ms)
{
	struct pollfd pfd = { .fd = p->ib.fd, .events = POLLOUT };
	int64_t left, until = now_ms() + ms;

	while (imsgbuf_queuelen(&p->ib) > 0) {
		if (imsgbuf_write(&p->ib) == -1)
			return -1;
		if (imsgbuf_queuelen(&p->ib) == 0)
			break;
		if ((left = until - now_ms()) <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (poll(&pfd, 1, (int)left) == -1 && errno != EINTR)
			return -1;
	}
	return 0;
}

void
peer_pause(struct peer *p, int paused)
{
	if (p->paused == paused || p->ended)
		return;
	p->paused = paused;
	if (paused) {
		event_del(p->rd);
		watch_hangup(p);
		return;
	}
	event_del(p->hangup);
	if (event_add(p->rd, NULL) == -1)
		end(p, "no memory");
	else
		event_active(p->rd, EV_READ, 0);
}

/* 1 if one more line may be written in this second. */
static int
log_allowed(struct peer *p)
{
	time_t now = (time_t)(now_ms() / 1000);

	if (now != p->log_second) {
		if (p->log_dropped > 0)
			log_warnx("%s: %u lines not logged", p->name,
			    p->log_dropped);
		p->log_second = now;
		p->log_lines = p->log_dropped = 0;
	}
	if (p->log_lines >= p->conf.log_rate) {
		p->log_dropped++;
		return 0;
	}
	p->log_lines++;
	return 1;
}

/*
 * LOG_EMERG reaches every terminal and LOG_CRIT is our own fatal(): what
 * comes from a guest or its files is neither, whatever it says.
 */
int
peer_log_prio(const struct peer *p, uint32_t prio)
{
	const uint32_t trusted = ROLE_PARENT | ROLE_CONTROL | ROLE_PRIV |
	    ROLE_VMM;
	uint32_t most = p->conf.role & trusted ? LOG_CRIT : LOG_ERR;

	return (int)(prio < most ? most : prio);
}

int
peer_log(struct peer *p, struct msg *m)
{
	struct log_line l;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	if (log_allowed(p))
		log_from(p->name, peer_log_prio(p, l.prio), l.text);
	log_line_fini(&l);
	return 0;
}
