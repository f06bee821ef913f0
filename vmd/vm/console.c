/*
 * The serial console of a guest; see console.h.  Main thread of the vm
 * process, except console_output() and console_room(), which vcpu threads
 * call with the bus lock held: they touch the ring and two flags and then
 * wake the main thread.  The console's lock is taken inside the bus lock,
 * never around it.
 */
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/vminfo.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "lib/util/ring.h"
#include "vmd/vm/console.h"
#include "vmd/vm/device.h"

enum kind {
	PORT_TTY,
	PORT_LOG,
	PORT_SOCKET
};

/* One place that output goes to, and input may come from. */
struct port {
	TAILQ_ENTRY(port) entry;
	struct console *console;
	enum kind kind;
	int fd;
	uint64_t pos;  /* in the ring */
	uint64_t size; /* of the log */
	int writer;
	int eof;	       /* sends nothing any more */
	struct event *rd, *wr; /* not for the log */
};

struct console {
	struct event_base *base;
	struct uart *uart;
	TAILQ_HEAD(, port) ports;
	unsigned int nsockets;

	pthread_mutex_t lock; /* the ring */
	struct ring *ring;
	uint64_t start; /* position where this run began */

	atomic_int woken;
	int wake;
	struct event *wake_ev;

	uint8_t in[1024]; /* read, not taken by the UART yet */
	size_t in_len;
};

static void port_pump(struct port *p);
static void port_read(evutil_socket_t fd, short what, void *arg);

/* --- ports ------------------------------------------------------------ */

static void
port_free(struct port *p)
{
	if (p == NULL)
		return;
	if (p->rd != NULL)
		event_free(p->rd);
	if (p->wr != NULL)
		event_free(p->wr);
	fd_close(&p->fd);
	free(p);
}

static void
port_drop(struct port *p)
{
	TAILQ_REMOVE(&p->console->ports, p, entry);
	if (p->kind == PORT_SOCKET)
		p->console->nsockets--;
	port_free(p);
}

static void
port_writable(evutil_socket_t fd, short what, void *arg)
{
	port_pump(arg);
}

/* Takes `*fd' on success. */
static struct port *
port_new(struct console *c, enum kind kind, int *fd)
{
	struct port *p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->console = c;
	p->kind = kind;
	p->fd = -1;
	if (kind != PORT_LOG) {
		p->rd = event_new(c->base, *fd, EV_READ | EV_PERSIST, port_read,
		    p);
		p->wr = event_new(c->base, *fd, EV_WRITE, port_writable, p);
		if (p->rd == NULL || p->wr == NULL ||
		    event_add(p->rd, NULL) == -1) {
			port_free(p);
			errno = ENOMEM;
			return NULL;
		}
	}
	p->fd = *fd;
	*fd = -1;
	TAILQ_INSERT_TAIL(&c->ports, p, entry);
	return p;
}

/* --- output ----------------------------------------------------------- */

static ssize_t
port_write(struct port *p, const uint8_t *buf, size_t len)
{
	struct iovec iov = { .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (p->kind != PORT_SOCKET)
		return write(p->fd, buf, len);
	/* Not O_NONBLOCK: the other end could turn that off. */
	iov.iov_base = (void *)(uintptr_t)buf;
	return sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Room left in the log, saying once when there is none. */
static size_t
log_limit(struct port *p, size_t len)
{
	uint64_t left = CONSOLE_LOG_MAX - p->size;

	if (p->size >= CONSOLE_LOG_MAX)
		return 0;
	if (len < left)
		return len;
	log_warnx("console log has reached %llu MB and ends here",
	    CONSOLE_LOG_MAX >> 20);
	return (size_t)left;
}

/* Write what the port takes now.  -1 if it is broken. */
static int
port_copy(struct port *p)
{
	struct console *c = p->console;
	uint8_t buf[4096];
	size_t len, want;
	ssize_t n;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		len = ring_read(c->ring, &p->pos, buf, sizeof(buf));
		pthread_mutex_unlock(&c->lock);
		if (len == 0)
			return 0;
		want = p->kind == PORT_LOG ? log_limit(p, len) : len;
		if (want == 0)
			continue; /* a full log swallows the rest */
		if ((n = port_write(p, buf, want)) == -1) {
			p->pos -= len;
			return errno == EAGAIN || errno == EINTR ? 1 : -1;
		}
		p->size += (uint64_t)n;
		p->pos -= want - (size_t)n;
		if ((size_t)n < want)
			return 1;
	}
}

static void
port_pump(struct port *p)
{
	switch (port_copy(p)) {
	case -1:
		if (p->kind != PORT_SOCKET)
			log_warn("console %s",
			    p->kind == PORT_LOG ? "log" : "tty");
		port_drop(p);
		break;
	case 1:
		if (p->wr != NULL)
			event_add(p->wr, NULL);
		break;
	default:
		break;
	}
}

static void
pump_all(struct console *c)
{
	struct port *p, *next;

	for (p = TAILQ_FIRST(&c->ports); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->wr == NULL || !event_pending(p->wr, EV_WRITE, NULL))
			port_pump(p);
	}
}

/* --- input ------------------------------------------------------------ */

static int
may_type(const struct port *p)
{
	return !p->eof && (p->kind == PORT_TTY || p->writer);
}

/* Read from those who type only while nothing waits for the UART. */
static void
input_gate(struct console *c)
{
	struct port *p;

	TAILQ_FOREACH(p, &c->ports, entry) {
		if (p->rd == NULL || p->eof)
			continue;
		if (c->in_len > 0 && may_type(p))
			event_del(p->rd);
		else
			event_add(p->rd, NULL);
	}
}

static void
input_flush(struct console *c)
{
	size_t n;

	if (c->in_len == 0 || c->uart == NULL)
		return;
	n = uart_input(c->uart, c->in, c->in_len);
	memmove(c->in, c->in + n, c->in_len - n);
	c->in_len -= n;
	input_gate(c);
}

static ssize_t
port_recv(struct port *p, uint8_t *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (p->kind == PORT_TTY)
		return read(p->fd, buf, len);
	return recvmsg(p->fd, &m, MSG_DONTWAIT);
}

/* Whether somebody is left at the other end of a socket. */
static int
port_alive(const struct port *p)
{
	struct msghdr m = { 0 };

	return sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) != -1 ||
	    errno == EAGAIN || errno == EINTR;
}

/* End of input; one that only looks on may stay. */
static void
port_eof(struct port *p)
{
	p->eof = 1;
	p->writer = 0;
	event_del(p->rd);
	if (p->kind == PORT_SOCKET && !port_alive(p))
		port_drop(p);
}

static void
port_read(evutil_socket_t fd, short what, void *arg)
{
	struct port *p = arg;
	struct console *c = p->console;
	uint8_t junk[256];
	ssize_t n;

	if (!may_type(p))
		n = port_recv(p, junk, sizeof(junk));
	else if (c->in_len > 0)
		return; /* two typed at once; gate follows */
	else
		n = port_recv(p, c->in, sizeof(c->in));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		port_eof(p);
		return;
	}
	if (may_type(p)) {
		c->in_len = (size_t)n;
		input_flush(c);
		input_gate(c);
	}
}

/* --- vcpu threads ----------------------------------------------------- */

static void
wake(struct console *c)
{
	uint64_t one = 1;

	if (atomic_exchange(&c->woken, 1) == 0 &&
	    write(c->wake, &one, sizeof(one)) == -1)
		atomic_store(&c->woken, 0);
}

void
console_output(void *arg, const uint8_t *buf, size_t len)
{
	struct console *c = arg;

	pthread_mutex_lock(&c->lock);
	ring_write(c->ring, buf, len);
	pthread_mutex_unlock(&c->lock);
	wake(c);
}

void
console_room(void *arg)
{
	wake(arg);
}

static void
woken(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		log_warn("console");
	atomic_store(&c->woken, 0);
	input_flush(c);
	pump_all(c);
}

/* --- life ------------------------------------------------------------- */

struct console *
console_new(struct event_base *base, int ring, int tty, int logfd)
{
	struct console *c;
	struct stat st;
	struct port *p;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	TAILQ_INIT(&c->ports);
	pthread_mutex_init(&c->lock, NULL);
	c->base = base;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake == -1 || (c->ring = ring_map(ring)) == NULL)
		goto fail;
	c->start = ring_pos(c->ring);
	c->wake_ev = event_new(base, c->wake, EV_READ | EV_PERSIST, woken, c);
	if (c->wake_ev == NULL || event_add(c->wake_ev, NULL) == -1)
		goto fail;
	if (tty != -1) {
		if (fcntl(tty, F_SETFL, O_RDWR | O_NONBLOCK) == -1 ||
		    (p = port_new(c, PORT_TTY, &tty)) == NULL)
			goto fail;
		p->pos = ring_pos(c->ring);
	}
	if (logfd != -1) {
		if (fstat(logfd, &st) == -1 ||
		    (p = port_new(c, PORT_LOG, &logfd)) == NULL)
			goto fail;
		p->size = (uint64_t)st.st_size;
		p->pos = ring_pos(c->ring);
	}
	return c;
fail:
	fd_close(&tty);
	fd_close(&logfd);
	console_free(c);
	return NULL;
}

void
console_uart(struct console *c, struct uart *u)
{
	c->uart = u;
}

/* Those whose other end went away while they only looked on. */
static void
sweep(struct console *c)
{
	struct port *p, *next;

	for (p = TAILQ_FIRST(&c->ports); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->kind == PORT_SOCKET && !port_alive(p))
			port_drop(p);
	}
}

static uint64_t
now(struct console *c)
{
	uint64_t pos;

	pthread_mutex_lock(&c->lock);
	pos = ring_pos(c->ring);
	pthread_mutex_unlock(&c->lock);
	return pos;
}

static int
become_writer(struct console *c, struct port *me, int steal)
{
	static const char note[] =
	    "\r\n[another console types now; this one only looks on]\r\n";
	struct port *p;

	TAILQ_FOREACH(p, &c->ports, entry) {
		if (!p->writer)
			continue;
		if (!steal)
			return 0;
		p->writer = 0;
		if (port_write(p, (const uint8_t *)note, sizeof(note) - 1) ==
		    -1)
			log_debug("console: writer replaced");
	}
	me->writer = 1;
	return 1;
}

int
console_attach(struct console *c, int *fd, uint32_t flags)
{
	struct port *p;
	int writer = 0;

	/* One that is gone takes no place and holds no role. */
	sweep(c);
	if (c->nsockets >= CONSOLE_MAX) {
		errno = EMFILE;
		return -1;
	}
	if ((p = port_new(c, PORT_SOCKET, fd)) == NULL)
		return -1;
	c->nsockets++;
	if (flags & VMOP_RUN)
		p->pos = c->start;
	else
		p->pos = flags & VMOP_HISTORY ? 0 : now(c);
	if (!(flags & VMOP_READONLY))
		writer = become_writer(c, p, flags & VMOP_STEAL);
	input_gate(c);
	port_pump(p);
	return writer;
}

void
console_free(struct console *c)
{
	struct port *p;

	if (c == NULL)
		return;
	while ((p = TAILQ_FIRST(&c->ports)) != NULL) {
		port_copy(p);
		port_drop(p);
	}
	if (c->wake_ev != NULL)
		event_free(c->wake_ev);
	fd_close(&c->wake);
	ring_free(c->ring);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
