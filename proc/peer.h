#ifndef PROC_PEER_H
#define PROC_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/msg.h"
#include "lib/proto/vmerr.h"
#include "lib/proto/vminfo.h"

struct event_base;

/*
 * A channel to another process: imsg on a stream socket, read and written
 * by libevent, dispatched by the receiver's table.  Main thread only.
 */

/* Who sits at the other end; a bit each, so that a row may name several. */
enum role {
	ROLE_PARENT = 0x01,
	ROLE_CONTROL = 0x02,
	ROLE_PRIV = 0x04,
	ROLE_VMM = 0x08,
	ROLE_VM = 0x10,
	ROLE_DEVICE = 0x20,
	ROLE_CLIENT = 0x40,
	ROLE_OPENER = 0x80,
	ROLE_IMAGE = 0x100,
};

/* A message in a handler's hands; valid until the handler returns. */
struct msg {
	uint32_t type;
	struct msg_hdr hdr;
	struct ibuf body; /* what follows the header */
	int *fds;	  /* taken ones are set to -1, others closed */
	size_t nfds;
};

struct peer;

/*
 * Handle `m'.  Returns 0, or -1 if the message was bad (a failed getter,
 * left-over bytes): the peer is then closed as broken.
 */
struct msg_handler {
	uint32_t type;
	uint32_t from; /* roles that may send it */
	int (*fn)(struct peer *p, struct msg *m);
};

struct peer_conf {
	enum role role;	  /* of the other end */
	const char *name; /* for the log, copied */
	const struct msg_handler *msgs;
	size_t nmsgs;
	/*
	 * Called once from the loop when the channel ended: `why' is NULL for
	 * end of file, else what the peer did wrong.  The callee calls
	 * peer_free(), then or later.
	 */
	void (*closed)(struct peer *p, const char *why);
	void *arg;
	size_t max_queue; /* bytes unsent before it is closed; 0: 16 MiB */
	unsigned int write_timeout; /* seconds without progress; 0: none */
	unsigned int log_rate;	    /* lines a second; 0: PEER_LOG_RATE */
	unsigned int read_timeout;  /* seconds for one message; 0: none */
	/*
	 * 1: the other end may send no descriptors: one that does is broken.
	 * Closing what it sent could take as long as it likes.
	 */
	int no_fds;
};

/* Takes `fd' (made non-blocking, close-on-exec).  NULL with errno. */
struct peer *
peer_new(struct event_base *base, int fd, const struct peer_conf *conf);
void peer_free(struct peer *p); /* NULL is fine */
void *peer_arg(const struct peer *p);
const char *peer_name(const struct peer *p);
enum role peer_role(const struct peer *p);
int peer_fd(const struct peer *p);
/* Bytes waiting to be sent. */
size_t peer_queued(const struct peer *p);
/* Call `fn' from the loop whenever all is sent; it must not free the peer. */
void peer_on_drained(struct peer *p, void (*fn)(struct peer *p));

/*
 * Queue a message.  `body' (may be NULL; from ibuf_dynamic()) is freed, the
 * `nfds' descriptors are taken, in every case.  Returns 0, or -1 with errno
 * (EMSGSIZE, ENOMEM, EPIPE after the channel ended).
 */
int peer_send(struct peer *p, uint32_t type, struct msg_hdr hdr,
    struct ibuf *body, int *fds, size_t nfds);
/* As above, with the one struct as body. */
int peer_result(struct peer *p, uint32_t type, struct msg_hdr hdr,
    const struct vmop_result *r);
/* Answer `m' with an error and a formatted text; `type' of the answer. */
int peer_fail(struct peer *p, const struct msg *m, uint32_t type, enum vmerr e,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/*
 * Read and dispatch what has arrived, without blocking: what a process that
 * has ended still had to say.  All that a socket holds, but not for ever if
 * the other end goes on sending; the loop reads what is left.
 */
void peer_drain(struct peer *p);
/* 1 if the channel has ended, also when closed() is still to be called. */
int peer_has_ended(const struct peer *p);
/*
 * A CTL_LOG message of the other end: write it to our own log under the
 * peer's name, at most PEER_LOG_RATE lines a second; what is beyond is
 * counted and the count logged.  A msg_handler.
 */
#define PEER_LOG_RATE 20
int peer_log(struct peer *p, struct msg *m);
/*
 * How urgent a line of the other end may be at most: LOG_ERR, or LOG_CRIT of
 * a process that has no guest, if it says `prio'.
 */
int peer_log_prio(const struct peer *p, uint32_t prio);
/* Send what is queued now, blocking at most `ms'.  0, or -1 with errno. */
int peer_flush(struct peer *p, int ms);
/* Stop and resume reading; an end is noticed within a second meanwhile. */
void peer_pause(struct peer *p, int paused);

#endif
