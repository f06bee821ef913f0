/*
 * The parent's side of opening files: a process for each, with a deadline.
 * What it opens is decided in opener.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/helper.h"
#include "vmd/parent/opener.h"

struct opening {
	struct helper *helper;
	open_done done;
	void *arg;
	int fd; /* the answer */
	char *why;
};

static void
opening_free(struct opening *o)
{
	fd_close(&o->fd);
	free(o->why);
	free(o);
}

void
open_cancel(struct opening *o)
{
	if (o == NULL)
		return;
	helper_cancel(o->helper);
	opening_free(o);
}

static void
opening_done(void *arg, enum helper_end end)
{
	struct opening *o = arg;
	int fd = o->fd;

	o->fd = -1;
	if (end != HELPER_ANSWERED) {
		fd_close(&fd);
		o->done(o->arg, -1,
		    end == HELPER_LATE ? "open timed out" : "the opener died");
	} else if (fd != -1) {
		o->done(o->arg, fd, NULL);
	} else {
		o->done(o->arg, -1,
		    o->why != NULL ? o->why : "cannot be opened");
	}
	opening_free(o);
}

static int
opening_response(struct peer *p, struct msg *m)
{
	struct opening *o = helper_arg(peer_arg(p));
	struct vmop_result r;

	if (o->fd != -1 || o->why != NULL)
		return -1; /* one answer is enough */
	if (vmop_result_get(&m->body, &r) == -1)
		return -1;
	if (m->nfds == 1 && r.err == VMERR_OK) {
		o->fd = m->fds[0];
		m->fds[0] = -1;
	}
	if (r.text != NULL)
		o->why = strdup(r.text);
	vmop_result_fini(&r);
	helper_answered(peer_arg(p));
	return 0;
}

static const struct msg_handler opening_msgs[] = {
	{ IMSG_OPEN_RESPONSE, ROLE_OPENER, opening_response },
	{ IMSG_CTL_LOG, ROLE_OPENER, helper_log },
	{ IMSG_CTL_READY, ROLE_OPENER, helper_ready },
};

static int
send_job(struct opening *o, const struct open_msg *m)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return -1;
	if (open_msg_put(b, m) == -1) {
		ibuf_free(b);
		return -1;
	}
	return helper_send(o->helper, IMSG_OPEN_REQUEST, b, NULL);
}

struct opening *
open_start(struct parent *p, const struct open_msg *m, open_done done,
    void *arg)
{
	struct helper_conf c = {
		.name = "opener",
		.role = ROLE_OPENER,
		.kind = PROC_OPENER,
		.msgs = opening_msgs,
		.nmsgs = sizeof(opening_msgs) / sizeof(opening_msgs[0]),
		.done = opening_done,
	};
	struct opening *o;

	if (m->path[0] != '/') {
		errno = EINVAL;
		return NULL;
	}
	if ((o = calloc(1, sizeof(*o))) == NULL)
		return NULL;
	o->done = done;
	o->arg = arg;
	o->fd = -1;
	c.arg = o;
	c.uid = m->who->uid;
	if ((o->helper = helper_start(p, &c)) == NULL) {
		opening_free(o);
		return NULL;
	}
	if (send_job(o, m) == -1) {
		open_cancel(o);
		return NULL;
	}
	return o;
}
