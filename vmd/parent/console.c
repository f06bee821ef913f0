/*
 * Attaching to a console, in the parent.  A running VM's process serves it;
 * for a stopped one the history is written into the socket right here.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "lib/util/ring.h"
#include "vmd/parent/parent.h"

/* Room in the socket for all of the history, overhead included. */
#define SNDBUF (4 * RING_SIZE)

/* Write what is in the ring; never waits. */
static int
send_history(const struct vm *v, int fd)
{
	const int size = SNDBUF;
	struct ring *r;
	uint64_t pos = 0;
	char buf[16384];
	size_t n;

	if (v->ring == -1)
		return 0;
	if ((r = ring_map(v->ring)) == NULL)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ==
	    -1)
		log_debug("console: socket buffer stays small");
	while ((n = ring_read(r, &pos, buf, sizeof(buf))) > 0 &&
	    pos <= ring_pos(r))
		if (send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
			break;
	ring_free(r);
	return 0;
}

static enum vmerr
stopped(struct vm *v, const struct msg *m)
{
	const struct vmop_result r = {
		.id = v->spec->id,
		.name = v->spec->name,
	};

	if (send_history(v, m->fds[0]) == -1)
		return VMERR_FAILED;
	answer(v->parent, &m->hdr, answer_type(m->type), &r);
	return VMERR_OK;
}

int
parent_console_request(struct peer *peer, struct msg *m)
{
	struct vmop_id op;
	struct vm *v;
	enum vmerr e;

	if (m->nfds != 1)
		return -1; /* control makes the socket, not its client */
	if ((v = request_vm(peer, m, &op)) == NULL)
		return 0;
	if (v->launched)
		e = request_forward(v, m, op.flags, &m->fds[0]);
	else
		e = stopped(v, m);
	if (e != VMERR_OK)
		answer_fail(v->parent, &m->hdr, answer_type(m->type), e, "%s",
		    vmerr_text(e));
	vmop_id_fini(&op);
	return 0;
}

/* As typed on a serial line: SysRq of Linux, the debugger of BSD. */
int
parent_break(struct peer *peer, struct msg *m)
{
	enum vmerr e = VMERR_NOTRUNNING;
	struct vmop_id op;
	struct vm *v;

	if ((v = request_vm(peer, m, &op)) == NULL)
		return 0;
	if (v->state == VMS_RUNNING || v->state == VMS_PAUSED)
		e = request_forward(v, m, 0, NULL);
	if (e != VMERR_OK)
		answer_fail(v->parent, &m->hdr, answer_type(m->type), e, "%s",
		    vmerr_text(e));
	vmop_id_fini(&op);
	return 0;
}
