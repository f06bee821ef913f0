/*
 * The connection of vmctl to vmd: imsg on a blocking stream socket.
 *
 * The daemon's process `control' is at the other end.  Every request has a
 * number of ours; answers to others are dropped.  The daemon takes
 * connections even when nobody serves them, so every wait has a deadline.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "vmctl/vmctl.h"

unsigned int client_patience_s = 30;

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
client_patience(struct vmctl *ctl, unsigned int seconds)
{
	if (!ctl->patience_given)
		ctl->patience_s = seconds;
}

/* When patience ends; -1: never. */
static int64_t
deadline(const struct vmctl *ctl)
{
	if (ctl->patience_s == 0)
		return -1;
	return now_ms() + (int64_t)ctl->patience_s * 1000;
}

/* Wait until there is something to read; -1 with errno. */
static int
readable(const struct vmctl *ctl, int64_t end)
{
	struct pollfd pfd = { .fd = ctl->fd, .events = POLLIN };
	int64_t left = -1;
	int n;

	do {
		if (end != -1 && (left = end - now_ms()) < 0)
			left = 0;
		n = poll(&pfd, 1, left > INT_MAX ? INT_MAX : (int)left);
	} while (n == -1 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

void
client_close(struct vmctl *ctl)
{
	if (ctl->fd == -1)
		return;
	imsgbuf_clear(&ctl->ib);
	fd_close(&ctl->fd);
}

/* The connection is of no more use. */
static int
lost(struct vmctl *ctl, const char *why)
{
	complain(ctl, NULL, "%s: %s", ctl->socket, why);
	client_close(ctl);
	return ST_NODAEMON;
}

/* The same, after a call that set errno. */
static int
lost_errno(struct vmctl *ctl)
{
	if (errno != ETIMEDOUT)
		return lost(ctl, strerror(errno));
	lost(ctl, "vmd does not answer");
	return ST_TIMEOUT;
}

/* -1 with errno.  A queue that stays full blocks connect(2). */
static int
connect_socket(const struct vmctl *ctl)
{
	const struct timeval tv = {
		.tv_sec = ctl->patience_given ? ctl->patience_s :
						client_patience_s,
	};
	const char *path = ctl->socket;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	fd_close(&fd);
	return -1;
}

int
client_try(struct vmctl *ctl)
{
	int fd;

	if (ctl->fd != -1)
		return 0;
	if ((fd = connect_socket(ctl)) == -1)
		return -1;
	if (imsgbuf_init(&ctl->ib, fd) == -1 ||
	    imsgbuf_set_maxsize(&ctl->ib, MSG_MAXSIZE) == -1) {
		fd_close(&fd);
		return -1;
	}
	imsgbuf_allow_fdpass(&ctl->ib);
	ctl->fd = fd;
	return 0;
}

int
client_connect(struct vmctl *ctl)
{
	return client_try(ctl) == 0 ? ST_DONE : lost_errno(ctl);
}

/* Write all of it, in time. */
static int
flush(struct vmctl *ctl)
{
	int64_t end = deadline(ctl);

	while (imsgbuf_queuelen(&ctl->ib) > 0) {
		if (imsgbuf_write(&ctl->ib) == -1)
			return -1;
		if (imsgbuf_queuelen(&ctl->ib) > 0 && end != -1 &&
		    now_ms() >= end) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
	return 0;
}

static int
compose(struct vmctl *ctl, uint32_t type, const struct ibuf *body)
{
	struct ibuf *b;

	if ((b = imsg_create(&ctl->ib, type, 0, 0, MSG_HDR_LEN)) == NULL)
		return -1;
	if (wire_put_u64(b, ++ctl->reqid) == -1 || wire_put_u64(b, 0) == -1 ||
	    (body != NULL && ibuf_add_ibuf(b, body) == -1)) {
		ibuf_free(b);
		return -1;
	}
	imsg_close(&ctl->ib, b);
	return 0;
}

int
client_send(struct vmctl *ctl, uint32_t type, struct ibuf *body)
{
	int rc;

	if ((rc = client_connect(ctl)) != ST_DONE)
		;
	else if (compose(ctl, type, body) == -1) {
		complain(ctl, NULL, "request: %s", strerror(errno));
		rc = ST_FAILED;
	} else if (flush(ctl) == -1)
		rc = lost_errno(ctl);
	ibuf_free(body);
	return rc;
}

int
client_send_id(struct vmctl *ctl, uint32_t type, const struct vmop_id *op)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vmop_id_put(b, op) == -1) {
		complain(ctl, NULL, "request: %s", strerror(errno));
		ibuf_free(b);
		return ST_FAILED;
	}
	return client_send(ctl, type, b);
}

/* 1: `a' answers the latest request, 0: it does not, -1: malformed. */
static int
is_answer(const struct vmctl *ctl, struct answer *a)
{
	uint64_t reqid, conn;
	int *fds;

	a->type = imsg_get_type(&a->im);
	if (a->type == IMSG_NONE || a->type >= IMSG_TYPE_MAX ||
	    imsg_get_len(&a->im) < MSG_HDR_LEN ||
	    (int)imsg_get_fds(&a->im, &fds) > msg_maxfds(a->type))
		return -1;
	if (wire_get_u64(a->im.buf, &reqid) == -1 ||
	    wire_get_u64(a->im.buf, &conn) == -1)
		return -1;
	/* What is left, also when that is nothing. */
	ibuf_from_ibuf(&a->body, a->im.buf);
	return reqid == ctl->reqid;
}

int
client_recv(struct vmctl *ctl, struct answer *a)
{
	int64_t end = deadline(ctl);
	ssize_t n;
	int rc;

	for (;;) {
		if ((n = imsg_get(&ctl->ib, &a->im)) == -1)
			return lost(ctl, "malformed answer");
		if (n > 0) {
			if ((rc = is_answer(ctl, a)) == 1)
				return ST_DONE;
			imsg_free(&a->im);
			if (rc == -1)
				return lost(ctl, "malformed answer");
			continue;
		}
		if (readable(ctl, end) == -1)
			return lost_errno(ctl);
		if ((rc = imsgbuf_read(&ctl->ib)) == 0)
			return lost(ctl, "connection closed by vmd");
		if (rc == -1)
			return lost_errno(ctl);
	}
}

void
answer_fini(struct answer *a)
{
	imsg_free(&a->im);
}

int
answer_result(struct vmctl *ctl, struct answer *a, struct vmop_result *r)
{
	if (vmop_result_get(&a->body, r) == 0) {
		if (wire_end(&a->body) == 0)
			return ST_DONE;
		vmop_result_fini(r);
	}
	complain(ctl, NULL, "malformed answer (%s)", msg_name(a->type));
	return ST_FAILED;
}

/* Does `type' carry a vmop_result? */
static int
has_result(uint32_t type)
{
	switch (type) {
	case IMSG_CTL_OK:
	case IMSG_CTL_FAIL:
	case IMSG_CTL_BREAK_RESPONSE:
	case IMSG_CTL_CONSOLE_RESPONSE:
	case IMSG_CTL_AUDIT_END:
	case IMSG_VMDOP_START_VM_RESPONSE:
	case IMSG_VMDOP_TERMINATE_VM_RESPONSE:
	case IMSG_VMDOP_TERMINATE_VM_EVENT:
	case IMSG_VMDOP_PAUSE_VM_RESPONSE:
	case IMSG_VMDOP_UNPAUSE_VM_RESPONSE:
	case IMSG_VMDOP_GET_INFO_VM_END_DATA:
		return 1;
	default:
		return 0;
	}
}

int
client_ask(struct vmctl *ctl, uint32_t type, const struct vmop_id *op,
    uint32_t *answer, struct vmop_result *r)
{
	struct answer a;
	int rc;

	memset(r, 0, sizeof(*r));
	if ((rc = client_send_id(ctl, type, op)) != ST_DONE ||
	    (rc = client_recv(ctl, &a)) != ST_DONE)
		return rc;
	if (!has_result(a.type)) {
		complain(ctl, NULL, "unexpected answer (%s)", msg_name(a.type));
		rc = ST_FAILED;
	} else
		rc = answer_result(ctl, &a, r);
	if (answer != NULL)
		*answer = a.type;
	answer_fini(&a);
	return rc;
}
