/*
 * imsg: messages with descriptors on stream sockets, imsg_init(3).
 *
 * Used by every process; the bytes and descriptors that arrive may come
 * from a hostile one.  On the wire: a header of four 32-bit words (type,
 * length with the header, peer id, pid), then the body.  Bit 31 of the
 * length says that the body begins with a 32-bit count of descriptors,
 * which arrive with the message's first byte.
 *
 * One recvmsg(2) never returns the descriptors of two sendmsg(2) calls, so
 * every set received is bound to the next message that announces one.
 * Whatever does not match ends the connection.  imsg_send.c sends.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/imsg/imsg.h"
#include "lib/imsg/imsg_int.h"

#define KERNEL_MAXFDS 253
#define RBUF_FIRST    4096 /* grows to what a message needs */
#define MAX_FDSETS    8

struct imsg_fdset {
	TAILQ_ENTRY(imsg_fdset) entry;
	size_t n;
	int fds[];
};

static void
close_all(int *fds, size_t n)
{
	int saved_errno = errno;
	size_t i;

	for (i = 0; i < n; i++)
		if (fds[i] != -1)
			close(fds[i]);
	errno = saved_errno;
}

int
imsgbuf_init(struct imsgbuf *ib, int fd)
{
	memset(ib, 0, sizeof(*ib));
	msgbuf_init(&ib->w);
	TAILQ_INIT(&ib->fdsets);
	ib->maxsize = MAX_IMSGSIZE;
	ib->pid = getpid();
	ib->fd = fd;
	return 0;
}

void
imsgbuf_allow_fdpass(struct imsgbuf *ib)
{
	ib->allow_fd = 1;
}

int
imsgbuf_set_maxsize(struct imsgbuf *ib, uint32_t max)
{
	if (max < IMSG_HEADER_SIZE + IMSG_COUNT_SIZE || max > INT32_MAX / 2) {
		errno = EINVAL;
		return -1;
	}
	ib->maxsize = max;
	return 0;
}

static void
drop_fdset(struct imsgbuf *ib)
{
	struct imsg_fdset *set = TAILQ_FIRST(&ib->fdsets);

	TAILQ_REMOVE(&ib->fdsets, set, entry);
	ib->fdcount--;
	close_all(set->fds, set->n);
	free(set);
}

void
imsgbuf_clear(struct imsgbuf *ib)
{
	msgbuf_clear(&ib->w);
	while (!TAILQ_EMPTY(&ib->fdsets))
		drop_fdset(ib);
	free(ib->rbuf);
	ib->rbuf = NULL;
	ib->rsize = ib->rstart = ib->rend = 0;
}

uint32_t
imsgbuf_queuelen(struct imsgbuf *ib)
{
	return msgbuf_queuelen(&ib->w);
}

size_t
imsgbuf_queuebytes(struct imsgbuf *ib)
{
	return msgbuf_queuebytes(&ib->w);
}

/* --- receiving -------------------------------------------------------- */

/* The header at the front of what was received; 0 if not there yet. */
static int
peek_header(const struct imsgbuf *ib, struct imsg_hdr *h)
{
	if (ib->rend - ib->rstart < IMSG_HEADER_SIZE)
		return 0;
	memcpy(h, ib->rbuf + ib->rstart, IMSG_HEADER_SIZE);
	return 1;
}

static int
header_ok(const struct imsgbuf *ib, const struct imsg_hdr *h)
{
	uint32_t len = h->len & ~IMSG_FD_MARK;
	uint32_t least = IMSG_HEADER_SIZE;

	if (h->len & IMSG_FD_MARK)
		least += IMSG_COUNT_SIZE;
	if (len < least || len > ib->maxsize) {
		errno = ERANGE;
		return 0;
	}
	return 1;
}

/* Room to receive: enough for the message that has begun. */
static int
make_room(struct imsgbuf *ib)
{
	struct imsg_hdr h;
	unsigned char *p;
	size_t want = RBUF_FIRST;

	if (ib->rstart > 0) {
		memmove(ib->rbuf, ib->rbuf + ib->rstart, ib->rend - ib->rstart);
		ib->rend -= ib->rstart;
		ib->rstart = 0;
	}
	if (peek_header(ib, &h)) {
		if (!header_ok(ib, &h))
			return -1;
		if ((h.len & ~IMSG_FD_MARK) > want)
			want = h.len & ~IMSG_FD_MARK;
	}
	if (want <= ib->rsize)
		return 0;
	if ((p = realloc(ib->rbuf, want)) == NULL)
		return -1;
	ib->rbuf = p;
	ib->rsize = want;
	return 0;
}

/* Keep the descriptors of `cmsg' for a message that announces them. */
static int
keep_fds(struct imsgbuf *ib, const struct cmsghdr *cmsg)
{
	struct imsg_fdset *set;
	size_t len = cmsg->cmsg_len - CMSG_LEN(0);
	int fds[KERNEL_MAXFDS];

	if (len > sizeof(fds)) /* cannot be: the buffer is smaller */
		len = sizeof(fds);
	memcpy(fds, CMSG_DATA(cmsg), len);
	if (ib->fdcount >= MAX_FDSETS || len > IMSG_MAXFDS * sizeof(int) ||
	    (set = malloc(sizeof(*set) + len)) == NULL) {
		close_all(fds, len / sizeof(int));
		errno = EBADMSG;
		return -1;
	}
	set->n = len / sizeof(int);
	memcpy(set->fds, fds, len);
	TAILQ_INSERT_TAIL(&ib->fdsets, set, entry);
	ib->fdcount++;
	return 0;
}

static int
take_control(struct imsgbuf *ib, struct msghdr *mh)
{
	struct cmsghdr *c;
	int rc = 0;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    keep_fds(ib, c) == -1)
			rc = -1;
	if (mh->msg_flags & MSG_CTRUNC) {
		errno = EBADMSG;
		rc = -1;
	}
	return rc;
}

int
imsgbuf_read(struct imsgbuf *ib)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int) * KERNEL_MAXFDS)];
	} control;
	struct msghdr mh = { 0 };
	struct iovec iov;
	ssize_t n;

	if (make_room(ib) == -1)
		return -1;
	if (ib->rend == ib->rsize)
		return 1; /* full of messages not taken yet */
	iov.iov_base = ib->rbuf + ib->rend;
	iov.iov_len = ib->rsize - ib->rend;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	if (ib->allow_fd) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
	}
	while ((n = recvmsg(ib->fd, &mh, MSG_CMSG_CLOEXEC)) == -1) {
		if (errno == EAGAIN)
			return 1;
		if (errno != EINTR)
			return -1;
	}
	if (take_control(ib, &mh) == -1)
		return -1;
	ib->rend += (size_t)n;
	return n == 0 ? 0 : 1;
}

/* The descriptors that the message announces; `count' is from the wire. */
static int
claim_fds(struct imsgbuf *ib, struct ibuf *b, uint32_t count)
{
	struct imsg_fdset *set = TAILQ_FIRST(&ib->fdsets);

	if (set == NULL || count == 0 || count > IMSG_MAXFDS ||
	    set->n != count) {
		errno = EBADMSG;
		return -1;
	}
	if ((b->fds = malloc(count * sizeof(int))) == NULL)
		return -1;
	memcpy(b->fds, set->fds, count * sizeof(int));
	b->nfds = count;
	TAILQ_REMOVE(&ib->fdsets, set, entry);
	ib->fdcount--;
	free(set);
	return 0;
}

/*
 * There is no complete message.  Descriptors come with the first byte of the
 * one that announces them, so at most one set may be here already, and only
 * for a message that has begun; `h' is its header if that is all there.
 */
static int
incomplete(const struct imsgbuf *ib, const struct imsg_hdr *h)
{
	size_t least = 0, most = ib->rstart < ib->rend;

	if (h != NULL)
		least = most = (h->len & IMSG_FD_MARK) != 0;
	if (ib->fdcount < least || ib->fdcount > most) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

ssize_t
imsg_get(struct imsgbuf *ib, struct imsg *m)
{
	struct imsg_hdr h;
	struct ibuf *b;
	const unsigned char *body;
	uint32_t count, len;

	if (!peek_header(ib, &h))
		return incomplete(ib, NULL);
	if (!header_ok(ib, &h))
		return -1;
	len = h.len & ~IMSG_FD_MARK;
	if (ib->rend - ib->rstart < len)
		return incomplete(ib, &h);
	body = ib->rbuf + ib->rstart + IMSG_HEADER_SIZE;
	ib->rstart += len;
	len -= IMSG_HEADER_SIZE;
	if ((b = ibuf_dynamic(0, len ? len : 1)) == NULL)
		return -1;
	if (h.len & IMSG_FD_MARK) {
		memcpy(&count, body, sizeof(count));
		body += IMSG_COUNT_SIZE;
		len -= IMSG_COUNT_SIZE;
		if (claim_fds(ib, b, count) == -1)
			goto fail;
	}
	if (ibuf_add(b, body, len) == -1)
		goto fail;
	if (ib->rstart == ib->rend)
		ib->rstart = ib->rend = 0;
	m->hdr = h;
	m->hdr.len = len + IMSG_HEADER_SIZE;
	m->buf = b;
	m->data = len ? b->buf : NULL;
	return (ssize_t)m->hdr.len;
fail:
	ibuf_free(b);
	return -1;
}

int
imsgbuf_get(struct imsgbuf *ib, struct imsg *m)
{
	ssize_t n = imsg_get(ib, m);

	return n > 0 ? 1 : (int)n;
}

void
imsg_free(struct imsg *m)
{
	ibuf_free(m->buf);
	m->buf = NULL;
	m->data = NULL;
}

int
imsg_get_ibuf(struct imsg *m, struct ibuf *view)
{
	if (ibuf_size(m->buf) == 0) {
		errno = EBADMSG;
		return -1;
	}
	return ibuf_get_ibuf(m->buf, ibuf_size(m->buf), view);
}

int
imsg_get_data(struct imsg *m, void *data, size_t len)
{
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_size(m->buf) != len) {
		errno = EBADMSG;
		return -1;
	}
	return ibuf_get(m->buf, data, len);
}

int
imsg_get_buf(struct imsg *m, void *data, size_t len)
{
	return ibuf_get(m->buf, data, len);
}

int
imsg_get_strbuf(struct imsg *m, char *s, size_t len)
{
	return ibuf_get_strbuf(m->buf, s, len);
}

int
imsg_get_fd(struct imsg *m)
{
	return ibuf_fd_get(m->buf);
}

size_t
imsg_get_fds(struct imsg *m, int **fds)
{
	*fds = m->buf->fds;
	return m->buf->nfds;
}

uint32_t
imsg_get_id(struct imsg *m)
{
	return m->hdr.peerid;
}

size_t
imsg_get_len(struct imsg *m)
{
	return ibuf_size(m->buf);
}

pid_t
imsg_get_pid(struct imsg *m)
{
	return (pid_t)m->hdr.pid;
}

uint32_t
imsg_get_type(struct imsg *m)
{
	return m->hdr.type;
}
