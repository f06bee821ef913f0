#ifndef DEV_STREAM_H
#define DEV_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * Frames on a stream socket, each after its length as 32 bits, big-endian:
 * what passt(1) speaks.  The other end is trusted with nothing: a length
 * that no frame has is the end of the stream.  One thread.
 */

#define STREAM_LEN   4
#define STREAM_FRAME 65553 /* bytes at most: 65535, Ethernet and a tag */
#define STREAM_BUF   (128 * 1024)

struct stream {
	int fd; /* not blocking; the caller's */
	/* What was read: whole frames from `first', then a part of one. */
	size_t first, part, end;
	uint32_t skip; /* bytes to come that belong to a frame that is lost */
	/* What is left of a frame that was sent in part. */
	size_t rest, rest_end;
	uint64_t drops; /* frames too short to be any */
	uint64_t where; /* for the next process, see stream_init() */
	uint8_t in[STREAM_BUF];
	uint8_t out[STREAM_LEN + STREAM_FRAME];
	int ended;
};

/*
 * Begin, at the start of a frame both ways or, after another process has
 * used the socket, where it was: `where' is what that had in `where' last,
 * 0: nobody was before.  What it had begun is lost, but nothing more.
 */
void stream_init(struct stream *s, int fd, uint64_t where);
/*
 * The next frame: its length, at least 14, and its bytes in `*frame', valid
 * until the next call.  -1 with errno: EAGAIN there is none; EPIPE the
 * stream has ended, or is none of frames, for good.
 */
ssize_t stream_read(struct stream *s, const uint8_t **frame);
/*
 * Send a frame, all of it or nothing: what is not taken at once is kept, and
 * sent by the next call of this or stream_read().  0, or -1 with errno:
 * EAGAIN full, EMSGSIZE, EPIPE as above.
 */
int stream_write(struct stream *s, const struct iovec *iov, int niov);

#endif
