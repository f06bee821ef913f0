/*
 * The connection of vmctl to vmd: imsg on a blocking stream socket.
 *
 * The daemon's process `control' is at the other end.  Every request has a
 * number of ours; answers to others are dropped.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "vmctl/vmctl.h"

int
client_connect(struct vmctl *ctl)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (ctl->fd != -1)
		return 0;
	if (strlen(ctl->socket) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, ctl->socket);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		fd_close(&fd);
		return -1;
	}
	if (imsgbuf_init(&ctl->ib, fd) == -1 ||
	    imsgbuf_set_maxsize(&ctl->ib, MSG_MAXSIZE) == -1) {
		fd_close(&fd);
		return -1;
	}
	imsgbuf_allow_fdpass(&ctl->ib);
	ctl->fd = fd;
	return 0;
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

static int
compose(struct vmctl *ctl, uint32_t type, const struct ibuf *body, int *fds,
    size_t nfds)
{
	struct ibuf *b;

	if ((b = imsg_create(&ctl->ib, type, 0, 0, MSG_HDR_LEN)) == NULL)
		return -1;
	if (wire_put_u64(b, ++ctl->reqid) == -1 || wire_put_u64(b, 0) == -1 ||
	    (body != NULL && ibuf_add_ibuf(b, body) == -1) ||
	    (nfds > 0 && imsg_set_fds(b, fds, nfds) == -1)) {
		ibuf_free(b);
		return -1;
	}
	imsg_close(&ctl->ib, b);
	return 0;
}

int
client_send(struct vmctl *ctl, uint32_t type, struct ibuf *body, int *fds,
    size_t nfds)
{
	int rc = ST_DONE;
	size_t i;

	if (client_connect(ctl) == -1)
		rc = lost(ctl, strerror(errno));
	else if (compose(ctl, type, body, fds, nfds) == -1) {
		complain(ctl, NULL, "request: %s", strerror(errno));
		rc = ST_FAILED;
	} else if (imsgbuf_flush(&ctl->ib) == -1)
		rc = lost(ctl, strerror(errno));
	for (i = 0; i < nfds; i++)
		fd_close(&fds[i]);
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
	return client_send(ctl, type, b, NULL, 0);
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
		if ((rc = imsgbuf_read(&ctl->ib)) == 0)
			return lost(ctl, "connection closed by vmd");
		if (rc == -1)
			return lost(ctl, strerror(errno));
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
	case IMSG_CTL_CONSOLE_RESPONSE:
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
