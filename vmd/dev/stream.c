/*
 * Frames on a stream socket.  In a network device of a user-mode interface;
 * passt(1) is the other end.
 *
 * Much is read at a time.  A process that takes our place loses what is in
 * our memory, but must know how much of which frame we had: that fits into
 * one word, which is written after each read and write.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "vmd/dev/stream.h"

#define FRAME_MIN 14
#define READS	  2    /* at most, for one frame */
#define IOVS	  1023 /* the kernel takes one more */

/*
 * `where': bytes that are missing of the frame that is being read, or those
 * of its length that are there and how many; bytes missing of the frame that
 * is being written.
 */
#define W_IN(w)	  ((uint32_t)(w)&0xffffff)
#define W_NLEN(w) ((unsigned int)((w) >> 24) & 3)
#define W_OUT(w)  ((uint32_t)((w) >> 32) & 0xffffff)
#define W_IS_LEN  (1ULL << 31)
#define W_MAX	  (STREAM_LEN + STREAM_FRAME)

static uint32_t
get_len(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return ntohl(n);
}

/* Where the other end would have to go on if we were gone. */
static void
remember(struct stream *s)
{
	size_t n = s->end - s->part, i;
	uint64_t w = 0;

	if (s->skip > 0)
		w = s->skip;
	else if (n >= STREAM_LEN)
		w = STREAM_LEN + get_len(s->in + s->part) - n;
	else if (n > 0)
		for (i = 0, w = W_IS_LEN | n << 24; i < n; i++)
			w |= (uint64_t)s->in[s->part + i] << (8 * i);
	s->where = w | (uint64_t)(s->rest_end - s->rest) << 32;
}

void
stream_init(struct stream *s, int fd, uint64_t where)
{
	size_t i, n;

	s->fd = fd;
	s->first = s->part = s->end = 0;
	s->skip = 0;
	s->rest = s->rest_end = 0;
	s->drops = 0;
	s->ended = 0;
	if (where & W_IS_LEN) {
		n = W_NLEN(where);
		for (i = 0; i < n; i++)
			s->in[s->end++] = (uint8_t)(where >> (8 * i));
	} else if (W_IN(where) <= W_MAX) {
		s->skip = W_IN(where);
	}
	/* Zeros for what we do not know: no frame that anybody takes. */
	if (W_OUT(where) <= W_MAX) {
		s->rest_end = W_OUT(where);
		memset(s->out, 0, s->rest_end);
	}
	remember(s);
}

static int
over(struct stream *s)
{
	s->ended = 1;
	errno = EPIPE;
	return -1;
}

/* --- reading ----------------------------------------------------------- */

/* Skip what is to be skipped, and find the end of the last whole frame. */
static int
parse(struct stream *s)
{
	size_t n = s->end - s->part;
	uint32_t len;

	if (s->skip > 0) {
		n = n < s->skip ? n : s->skip;
		s->skip -= (uint32_t)n;
		s->first = s->part += n;
	}
	while (s->end - s->part >= STREAM_LEN) {
		len = get_len(s->in + s->part);
		if (len > STREAM_FRAME)
			return over(s);
		if (s->end - s->part - STREAM_LEN < len)
			break;
		s->part += STREAM_LEN + len;
	}
	return 0;
}

/* 0, or -1. */
static int
read_more(struct stream *s)
{
	struct iovec iov;
	ssize_t n;

	/* There are no whole frames: what is left is a part of one. */
	memmove(s->in, s->in + s->part, s->end - s->part);
	s->end -= s->part;
	s->first = s->part = 0;
	iov.iov_base = s->in + s->end;
	iov.iov_len = sizeof(s->in) - s->end;
	if ((n = readv(s->fd, &iov, 1)) == -1)
		return errno == EAGAIN || errno == EINTR ? -1 : over(s);
	if (n == 0)
		return over(s);
	s->end += (size_t)n;
	if (parse(s) == -1)
		return -1;
	remember(s);
	return 0;
}

static int send_rest(struct stream *s);

ssize_t
stream_read(struct stream *s, const uint8_t **frame)
{
	uint32_t len;
	int reads = 0;

	if (s->ended)
		return over(s);
	send_rest(s);
	for (;;) {
		while (s->first < s->part) {
			len = get_len(s->in + s->first);
			*frame = s->in + s->first + STREAM_LEN;
			s->first += STREAM_LEN + len;
			if (len >= FRAME_MIN)
				return (ssize_t)len;
			s->drops++;
		}
		/* Who sends nothing that is a frame does not keep us here. */
		if (reads++ == READS) {
			errno = EAGAIN;
			return -1;
		}
		if (read_more(s) == -1)
			return -1;
	}
}

/* --- writing ----------------------------------------------------------- */

static ssize_t
send_iov(struct stream *s, struct iovec *iov, int niov)
{
	const struct msghdr mh = {
		.msg_iov = iov,
		.msg_iovlen = (size_t)niov,
	};
	ssize_t n;

	n = sendmsg(s->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		return over(s);
	return n;
}

/* 0 if nothing is left, or -1. */
static int
send_rest(struct stream *s)
{
	struct iovec iov = { s->out + s->rest, s->rest_end - s->rest };
	ssize_t n;

	if (iov.iov_len == 0)
		return 0;
	if ((n = send_iov(s, &iov, 1)) == -1)
		return -1;
	s->rest += (size_t)n;
	remember(s);
	if (s->rest == s->rest_end)
		return 0;
	errno = EAGAIN;
	return -1;
}

/* Keep what is behind the first `sent' bytes. */
static void
keep(struct stream *s, const struct iovec *iov, int niov, size_t sent)
{
	size_t n;
	int i;

	s->rest = s->rest_end = 0;
	for (i = 0; i < niov; i++) {
		n = iov[i].iov_len;
		if (sent >= n) {
			sent -= n;
			continue;
		}
		memcpy(s->out + s->rest_end, (char *)iov[i].iov_base + sent,
		    n - sent);
		s->rest_end += n - sent;
		sent = 0;
	}
	remember(s);
}

int
stream_write(struct stream *s, const struct iovec *iov, int niov)
{
	struct iovec all[IOVS + 1];
	uint32_t be;
	size_t len = 0;
	ssize_t n;
	int i;

	if (s->ended)
		return over(s);
	for (i = 0; i < niov && i < IOVS; i++) {
		all[i + 1] = iov[i];
		len += iov[i].iov_len;
		if (len > STREAM_FRAME)
			break;
	}
	if (i < niov || len > STREAM_FRAME) {
		errno = EMSGSIZE;
		return -1;
	}
	if (send_rest(s) == -1)
		return -1;
	be = htonl((uint32_t)len);
	all[0].iov_base = &be;
	all[0].iov_len = sizeof(be);
	if ((n = send_iov(s, all, niov + 1)) == -1)
		return -1;
	if ((size_t)n < STREAM_LEN + len)
		keep(s, all, niov + 1, (size_t)n);
	return 0;
}
