#ifndef CONTROL_CONTROL_INT_H
#define CONTROL_CONTROL_INT_H

#include <sys/types.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "vmd/control/control.h"

/*
 * What the files of control share.
 */

struct request {
	RB_ENTRY(request) entry;
	TAILQ_ENTRY(request) of_conn;
	uint64_t id;	/* ours */
	uint64_t reqid; /* the client's */
	struct conn *conn;
	int console; /* the client's end, or -1 */
};
RB_HEAD(requests, request);
TAILQ_HEAD(request_list, request);

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct control *control;
	struct peer *peer;
	uint64_t nr;
	uid_t uid; /* for the limit only */
	struct request_list requests;
	unsigned int nrequests;
	unsigned int nconsoles; /* ever */
};

struct control {
	struct event_base *base;
	struct peer *up;
	int fd; /* listening, or -1 */
	struct event *accept_ev;
	struct event *retry_ev;
	TAILQ_HEAD(, conn) conns;
	unsigned int nconns;
	uint64_t next_conn;
	uint64_t next_request;
	struct requests requests;
	int choked; /* no client is read until the parent has caught up */
};

/* --- control.c --------------------------------------------------------- */

extern const struct msg_handler control_client_msgs[];
extern const size_t control_nclient_msgs;
void control_request_free(struct control *c, struct request *r);

/* --- conn.c ------------------------------------------------------------ */

/* Read this client now, or not? */
void conn_flow(struct conn *cn);
/* Who filled the queue comes last when clients are read again. */
void conn_last(struct conn *cn);
void conn_free(struct conn *cn);
/* Queue something for the parent; all is taken in every case. */
int conn_send_up(struct control *c, uint32_t type, struct msg_hdr h,
    struct ibuf *b, int *fds, size_t nfds);
void conn_parent_drained(struct peer *up);
/* The listening socket: IMSG_CTL_SOCKET. */
int conn_socket(struct peer *p, struct msg *m);
/* Try to accept again: event_new(3). */
void conn_retry(int fd, short ev, void *arg);

#endif
