#ifndef IMSG_IMSG_H
#define IMSG_IMSG_H

#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * Messages between processes on a stream socket: the interface of
 * imsg_init(3) and ibuf_add(3) of OpenBSD's libutil, and one extension: a
 * message may carry several descriptors (imsg_set_fds()).
 *
 * Nothing here trusts the other end.  All functions return 0 or -1 with
 * errno unless they say otherwise.  One thread per object.
 */

/* --- buffers ------------------------------------------------------------ */

struct ibuf {
	TAILQ_ENTRY(ibuf) entry;
	unsigned char *buf;
	size_t size; /* allocated */
	size_t max;  /* never grows beyond; 0: fixed view */
	size_t wpos;
	size_t rpos;
	int *fds; /* owned; taken ones are -1 */
	size_t nfds;
};

/* NULL with errno; free with ibuf_free(). */
struct ibuf *ibuf_open(size_t len);
/* Grows from `len' to at most `max' bytes. */
struct ibuf *ibuf_dynamic(size_t len, size_t max);
/* NULL is fine; closes descriptors that were not taken. */
void ibuf_free(struct ibuf *b);

/* ERANGE: beyond the maximum. */
int ibuf_add(struct ibuf *b, const void *data, size_t len);
int ibuf_add_ibuf(struct ibuf *b, const struct ibuf *from);
int ibuf_add_zero(struct ibuf *b, size_t len);
/* `s' and its NUL, padded with NULs to `len'; EOVERFLOW: does not fit. */
int ibuf_add_strbuf(struct ibuf *b, const char *s, size_t len);
/* Big-endian (n) and host order (h); EINVAL: value too large. */
int ibuf_add_n8(struct ibuf *b, uint64_t v);
int ibuf_add_n16(struct ibuf *b, uint64_t v);
int ibuf_add_n32(struct ibuf *b, uint64_t v);
int ibuf_add_n64(struct ibuf *b, uint64_t v);
int ibuf_add_h16(struct ibuf *b, uint64_t v);
int ibuf_add_h32(struct ibuf *b, uint64_t v);
int ibuf_add_h64(struct ibuf *b, uint64_t v);
/* Room for `len' more bytes, zeroed, valid until the next add; or NULL. */
void *ibuf_reserve(struct ibuf *b, size_t len);
/* Bytes [pos, pos+len) of what was written and not read, or NULL. */
void *ibuf_seek(struct ibuf *b, size_t pos, size_t len);
int ibuf_set(struct ibuf *b, size_t pos, const void *data, size_t len);
int ibuf_set_n8(struct ibuf *b, size_t pos, uint64_t v);
int ibuf_set_n16(struct ibuf *b, size_t pos, uint64_t v);
int ibuf_set_n32(struct ibuf *b, size_t pos, uint64_t v);
int ibuf_set_n64(struct ibuf *b, size_t pos, uint64_t v);
int ibuf_set_h16(struct ibuf *b, size_t pos, uint64_t v);
int ibuf_set_h32(struct ibuf *b, size_t pos, uint64_t v);
int ibuf_set_h64(struct ibuf *b, size_t pos, uint64_t v);

/* What is left to read, and how much; room left to write. */
void *ibuf_data(const struct ibuf *b);
size_t ibuf_size(const struct ibuf *b);
size_t ibuf_left(const struct ibuf *b);
/* Set ibuf_size() to `len', with zeros if that is more. */
int ibuf_truncate(struct ibuf *b, size_t len);
void ibuf_rewind(struct ibuf *b);

/* A view for reading; nothing is copied or owned. */
void ibuf_from_buffer(struct ibuf *b, void *data, size_t len);
void ibuf_from_ibuf(struct ibuf *b, const struct ibuf *from);

/* EBADMSG: fewer bytes are left; nothing is consumed then. */
int ibuf_get(struct ibuf *b, void *data, size_t len);
int ibuf_get_ibuf(struct ibuf *b, size_t len, struct ibuf *view);
int ibuf_get_n8(struct ibuf *b, uint8_t *v);
int ibuf_get_n16(struct ibuf *b, uint16_t *v);
int ibuf_get_n32(struct ibuf *b, uint32_t *v);
int ibuf_get_n64(struct ibuf *b, uint64_t *v);
int ibuf_get_h16(struct ibuf *b, uint16_t *v);
int ibuf_get_h32(struct ibuf *b, uint32_t *v);
int ibuf_get_h64(struct ibuf *b, uint64_t *v);
/* A string of `len' bytes up to its first NUL, allocated; or NULL. */
char *ibuf_get_string(struct ibuf *b, size_t len);
/* A field of ibuf_add_strbuf(); EOVERFLOW: no NUL in it. */
int ibuf_get_strbuf(struct ibuf *b, char *s, size_t len);
int ibuf_skip(struct ibuf *b, size_t len);

/* The first descriptor: is there one; take it (or -1); give one (or -1). */
int ibuf_fd_avail(struct ibuf *b);
int ibuf_fd_get(struct ibuf *b);
void ibuf_fd_set(struct ibuf *b, int fd);
/* Close those that were not taken; `b' has none then. */
void ibuf_close_fds(struct ibuf *b);

/* --- queues of buffers on their way out ---------------------------------- */

struct msgbuf {
	TAILQ_HEAD(, ibuf) bufs;
	size_t bytes;	 /* to be sent */
	uint32_t queued; /* buffers to be sent */
};

/* NULL with errno; or make one that is part of something else. */
struct msgbuf *msgbuf_new(void);
void msgbuf_init(struct msgbuf *mb);
/* NULL is fine. */
void msgbuf_free(struct msgbuf *mb);
/* Drop all that is queued, close its descriptors. */
void msgbuf_clear(struct msgbuf *mb);
/* Buffers, and bytes, waiting to be sent. */
uint32_t msgbuf_queuelen(struct msgbuf *mb);
size_t msgbuf_queuebytes(struct msgbuf *mb);
/*
 * Send what the socket takes now; 0, also when that is nothing.  -1 with
 * ETOOMANYREFS: too many descriptors of this user wait to be received
 * somewhere; nothing is lost, try again later.  poll(2) does not tell when.
 */
int msgbuf_write(int fd, struct msgbuf *mb);
/* Queue `b', which belongs to `mb' then. */
void ibuf_close(struct msgbuf *mb, struct ibuf *b);

/* --- messages ----------------------------------------------------------- */

#define IMSG_HEADER_SIZE 16
#define MAX_IMSGSIZE	 16384 /* unless imsgbuf_set_maxsize() */
#define IMSG_MAXFDS	 240   /* of one message; the kernel's is 253 */

struct imsg_hdr {
	uint32_t type;
	uint32_t len; /* with the header; bit 31: descriptors */
	uint32_t peerid;
	uint32_t pid;
};

struct imsg {
	struct imsg_hdr hdr; /* len without bit 31 and count */
	void *data;	     /* body, NULL if empty */
	struct ibuf *buf;    /* body, for reading */
};

struct imsg_fdset;

struct imsgbuf {
	struct msgbuf w;		 /* to be sent */
	TAILQ_HEAD(, imsg_fdset) fdsets; /* received, not claimed yet */
	size_t fdcount;			 /* of these */
	unsigned char *rbuf;
	size_t rsize;  /* allocated */
	size_t rstart; /* first byte not consumed */
	size_t rend;
	uint32_t maxsize;
	pid_t pid;
	int fd;
	int allow_fd;
};

/* `fd' stays the caller's. */
int imsgbuf_init(struct imsgbuf *ib, int fd);
void imsgbuf_allow_fdpass(struct imsgbuf *ib);
/* Largest message, with its header.  EINVAL: absurd. */
int imsgbuf_set_maxsize(struct imsgbuf *ib, uint32_t max);
/*
 * Receive once.  1: go on with imsg_get() (also when nothing was there and
 * `fd' is non-blocking), 0: end of file, -1: EBADMSG when descriptors were
 * lost or came without a message that announces them.
 */
int imsgbuf_read(struct imsgbuf *ib);
/* As msgbuf_write(). */
int imsgbuf_write(struct imsgbuf *ib);
/* Send all; `fd' must be blocking. */
int imsgbuf_flush(struct imsgbuf *ib);
/* Drop everything queued and received, close its descriptors. */
void imsgbuf_clear(struct imsgbuf *ib);
uint32_t imsgbuf_queuelen(struct imsgbuf *ib);
size_t imsgbuf_queuebytes(struct imsgbuf *ib);

/*
 * Take the next complete message.  Returns its length, 0 if there is none
 * yet, or -1: ERANGE for a size out of range, EBADMSG for descriptors that
 * do not match or that nothing announces; the connection is of no more use then.  Free with
 * imsg_free().  imsgbuf_get() returns 1 instead of the length.
 */
ssize_t imsg_get(struct imsgbuf *ib, struct imsg *m);
int imsgbuf_get(struct imsgbuf *ib, struct imsg *m);
/* Closes descriptors that were not taken. */
void imsg_free(struct imsg *m);

/* A view of what is left of the body; EBADMSG: nothing. */
int imsg_get_ibuf(struct imsg *m, struct ibuf *view);
/* The whole rest, which must be `len' bytes; the next `len' bytes. */
int imsg_get_data(struct imsg *m, void *data, size_t len);
int imsg_get_buf(struct imsg *m, void *data, size_t len);
int imsg_get_strbuf(struct imsg *m, char *s, size_t len);
/* Take the first descriptor, or -1. */
int imsg_get_fd(struct imsg *m);
uint32_t imsg_get_id(struct imsg *m);
size_t imsg_get_len(struct imsg *m);
pid_t imsg_get_pid(struct imsg *m);
uint32_t imsg_get_type(struct imsg *m);
/* All descriptors: an array that stays the message's; taken ones: -1. */
size_t imsg_get_fds(struct imsg *m, int **fds);

/* 1 on success, -1 with errno; `fd' (or -1) is taken on success only. */
int imsg_compose(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    int fd, const void *data, size_t len);
int imsg_composev(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    int fd, const struct iovec *iov, int iovcnt);
/* `body' is taken in every case, with those descriptors not taken yet. */
int imsg_compose_ibuf(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    struct ibuf *body);
/* Build one: create, add, close.  NULL with errno. */
struct ibuf *imsg_create(struct imsgbuf *ib, uint32_t type, uint32_t id,
    pid_t pid, size_t len);
/* Returns `len', or -1 with errno and `msg' freed. */
int imsg_add(struct ibuf *msg, const void *data, size_t len);
/*
 * Move `n' descriptors into `msg', from imsg_create(); leaves -1 in `fds'.
 * EMFILE: more than IMSG_MAXFDS, or a second time; EBADF: one of them is
 * negative.  After an error `fds' is untouched.
 */
int imsg_set_fds(struct ibuf *msg, int *fds, size_t n);
/* Queue `msg', which is gone afterwards. */
void imsg_close(struct imsgbuf *ib, struct ibuf *msg);
/*
 * Queue a copy of `m', with all of its body, also what was read already, and
 * those of its descriptors, which move, that were not taken.
 */
int imsg_forward(struct imsgbuf *ib, struct imsg *m);

#endif
