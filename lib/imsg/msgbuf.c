/*
 * msgbuf: a queue of finished messages on its way into a stream socket, each
 * with the descriptors that travel with its first byte; ibuf_add(3).
 *
 * Used by every process.  A message with descriptors always begins a
 * sendmsg(2) call of its own: that is how the receiver tells which one they
 * belong to.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/imsg/imsg.h"

#define MAX_IOV 64

void
msgbuf_init(struct msgbuf *mb)
{
	TAILQ_INIT(&mb->bufs);
	mb->bytes = 0;
	mb->queued = 0;
}

struct msgbuf *
msgbuf_new(void)
{
	struct msgbuf *mb;

	if ((mb = malloc(sizeof(*mb))) != NULL)
		msgbuf_init(mb);
	return mb;
}

void
msgbuf_free(struct msgbuf *mb)
{
	if (mb == NULL)
		return;
	msgbuf_clear(mb);
	free(mb);
}

static void
drop_first(struct msgbuf *mb)
{
	struct ibuf *b = TAILQ_FIRST(&mb->bufs);

	TAILQ_REMOVE(&mb->bufs, b, entry);
	mb->bytes -= ibuf_size(b);
	mb->queued--;
	ibuf_free(b);
}

void
msgbuf_clear(struct msgbuf *mb)
{
	while (!TAILQ_EMPTY(&mb->bufs))
		drop_first(mb);
}

uint32_t
msgbuf_queuelen(struct msgbuf *mb)
{
	return mb->queued;
}

size_t
msgbuf_queuebytes(struct msgbuf *mb)
{
	return mb->bytes;
}

void
ibuf_close(struct msgbuf *mb, struct ibuf *b)
{
	TAILQ_INSERT_TAIL(&mb->bufs, b, entry);
	mb->bytes += ibuf_size(b);
	mb->queued++;
}

/* Gather queued messages up to the next one with descriptors. */
static int
gather(const struct msgbuf *mb, struct iovec *iov)
{
	struct ibuf *b;
	int n = 0;

	TAILQ_FOREACH(b, &mb->bufs, entry) {
		if (n == MAX_IOV || (n > 0 && b->nfds > 0))
			break;
		iov[n].iov_base = ibuf_data(b);
		iov[n].iov_len = ibuf_size(b);
		n++;
	}
	return n;
}

static void
attach_fds(struct msghdr *mh, const struct ibuf *b, struct cmsghdr *c)
{
	mh->msg_control = c;
	mh->msg_controllen = CMSG_SPACE(b->nfds * sizeof(int));
	c->cmsg_len = CMSG_LEN(b->nfds * sizeof(int));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(c), b->fds, b->nfds * sizeof(int));
}

/* `n' bytes were sent, and with the first one the first one's descriptors. */
static void
consume(struct msgbuf *mb, size_t n)
{
	struct ibuf *b = TAILQ_FIRST(&mb->bufs);

	ibuf_close_fds(b);
	while (n > 0 && (b = TAILQ_FIRST(&mb->bufs)) != NULL) {
		if (n < ibuf_size(b)) {
			b->rpos += n;
			mb->bytes -= n;
			return;
		}
		n -= ibuf_size(b);
		drop_first(mb);
	}
}

int
msgbuf_write(int fd, struct msgbuf *mb)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int) * IMSG_MAXFDS)];
	} control;
	struct iovec iov[MAX_IOV];
	struct ibuf *b;
	ssize_t n;

	while ((b = TAILQ_FIRST(&mb->bufs)) != NULL) {
		struct msghdr mh = { .msg_iov = iov };

		mh.msg_iovlen = (size_t)gather(mb, iov);
		if (b->nfds > 0) {
			memset(&control, 0, sizeof(control));
			attach_fds(&mh, b, &control.hdr);
		}
		if ((n = sendmsg(fd, &mh, MSG_NOSIGNAL)) == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == ENOBUFS)
				return 0;
			return -1;
		}
		consume(mb, (size_t)n);
	}
	return 0;
}
