/*
 * imsg: messages to be sent, imsg_init(3); see imsg.c for what they are on
 * the wire.  Used by every process.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/imsg/imsg.h"
#include "lib/imsg/imsg_int.h"

struct ibuf *
imsg_create(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    size_t len)
{
	struct imsg_hdr h = { .type = type, .peerid = id };
	struct ibuf *b;

	if (len > ib->maxsize - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return NULL;
	}
	h.pid = (uint32_t)(pid ? pid : ib->pid);
	if ((b = ibuf_dynamic(len + IMSG_HEADER_SIZE, ib->maxsize)) == NULL)
		return NULL;
	ibuf_add(b, &h, sizeof(h)); /* fits: just allocated */
	return b;
}

int
imsg_add(struct ibuf *msg, const void *data, size_t len)
{
	if (ibuf_add(msg, data, len) == -1) {
		ibuf_free(msg);
		return -1;
	}
	return (int)len;
}

/* A message has its count of descriptors behind its header from the start. */
int
imsg_set_fds(struct ibuf *msg, int *fds, size_t n)
{
	size_t body = msg->wpos - IMSG_HEADER_SIZE, i;
	uint32_t count = (uint32_t)n;
	int *copy;

	if (n == 0)
		return 0;
	if (n > IMSG_MAXFDS || msg->nfds > 0) {
		errno = EMFILE;
		return -1;
	}
	for (i = 0; i < n; i++) {
		if (fds[i] < 0) {
			errno = EBADF;
			return -1;
		}
	}
	if ((copy = malloc(n * sizeof(int))) == NULL)
		return -1;
	if (ibuf_add_zero(msg, IMSG_COUNT_SIZE) == -1) {
		free(copy);
		return -1;
	}
	memmove(msg->buf + IMSG_HEADER_SIZE + IMSG_COUNT_SIZE,
	    msg->buf + IMSG_HEADER_SIZE, body);
	memcpy(msg->buf + IMSG_HEADER_SIZE, &count, sizeof(count));
	for (i = 0; i < n; i++) {
		copy[i] = fds[i];
		fds[i] = -1;
	}
	msg->fds = copy;
	msg->nfds = n;
	return 0;
}

void
imsg_close(struct imsgbuf *ib, struct ibuf *msg)
{
	uint32_t len = (uint32_t)msg->wpos;

	if (msg->nfds > 0)
		len |= IMSG_FD_MARK;
	memcpy(msg->buf + offsetof(struct imsg_hdr, len), &len, sizeof(len));
	ibuf_close(&ib->w, msg);
}

int
imsg_composev(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid, int fd,
    const struct iovec *iov, int iovcnt)
{
	struct ibuf *b;
	size_t len = 0;
	int i;

	for (i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len > ib->maxsize) {
			errno = ERANGE;
			return -1;
		}
		len += iov[i].iov_len;
	}
	if ((b = imsg_create(ib, type, id, pid, len)) == NULL)
		return -1;
	for (i = 0; i < iovcnt; i++)
		if (imsg_add(b, iov[i].iov_base, iov[i].iov_len) == -1)
			return -1;
	if (fd != -1 && imsg_set_fds(b, &fd, 1) == -1) {
		ibuf_free(b);
		return -1;
	}
	imsg_close(ib, b);
	return 1;
}

int
imsg_compose(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid, int fd,
    const void *data, size_t len)
{
	struct iovec iov = { .iov_len = len };

	memcpy(&iov.iov_base, &data, sizeof(data));
	return imsg_composev(ib, type, id, pid, fd, &iov, 1);
}

/* Build and queue a message: a copy of `body', and its descriptors. */
static int
queue_ibuf(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    struct ibuf *body)
{
	struct ibuf *b;
	size_t i, n = 0;

	if ((b = imsg_create(ib, type, id, pid, ibuf_size(body))) == NULL)
		return -1;
	for (i = 0; i < body->nfds; i++)
		if (body->fds[i] != -1) /* not taken */
			body->fds[n++] = body->fds[i];
	body->nfds = n;
	if (ibuf_add_ibuf(b, body) == -1 ||
	    imsg_set_fds(b, body->fds, body->nfds) == -1) {
		ibuf_free(b);
		return -1;
	}
	imsg_close(ib, b);
	return 1;
}

int
imsg_compose_ibuf(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    struct ibuf *body)
{
	int rc;

	rc = queue_ibuf(ib, type, id, pid, body);
	ibuf_free(body);
	return rc;
}

int
imsg_forward(struct imsgbuf *ib, struct imsg *m)
{
	ibuf_rewind(m->buf);
	return queue_ibuf(ib, m->hdr.type, m->hdr.peerid, (pid_t)m->hdr.pid,
	    m->buf);
}

int
imsgbuf_write(struct imsgbuf *ib)
{
	return msgbuf_write(ib->fd, &ib->w);
}

int
imsgbuf_flush(struct imsgbuf *ib)
{
	while (imsgbuf_queuelen(ib) > 0)
		if (imsgbuf_write(ib) == -1)
			return -1;
	return 0;
}
