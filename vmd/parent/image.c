/*
 * The parent's side of looking into disk images: a process for each, with a
 * deadline.  What it says is checked again by whoever asked.
 */
#include <sched.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "lib/proto/wire.h"
#include "vmd/parent/helper.h"
#include "vmd/parent/image.h"

struct imaging {
	struct helper *helper;
	image_done done;
	void *arg;
	int there; /* the answer */
	struct image_info info;
};

static void
imaging_free(struct imaging *i)
{
	image_info_fini(&i->info);
	free(i);
}

void
image_cancel(struct imaging *i)
{
	if (i == NULL)
		return;
	helper_cancel(i->helper);
	imaging_free(i);
}

static void
imaging_done(void *arg, enum helper_end end)
{
	struct imaging *i = arg;

	if (end != HELPER_ANSWERED) {
		i->done(i->arg, NULL,
		    end == HELPER_LATE ? "reading its header timed out" :
					 "the process reading it died");
	} else if (i->info.error != NULL) {
		i->done(i->arg, NULL, i->info.error);
	} else {
		i->done(i->arg, &i->info, NULL);
	}
	imaging_free(i);
}

static int
imaging_response(struct peer *p, struct msg *m)
{
	struct imaging *i = helper_arg(peer_arg(p));

	if (i->there || image_info_get(&m->body, &i->info) == -1)
		return -1;
	i->there = 1;
	helper_answered(peer_arg(p));
	return 0;
}

static const struct msg_handler imaging_msgs[] = {
	{ IMSG_IMAGE_RESPONSE, ROLE_IMAGE, imaging_response },
	{ IMSG_CTL_LOG, ROLE_IMAGE, helper_log },
	{ IMSG_CTL_READY, ROLE_IMAGE, helper_ready },
};

static int
send_job(struct imaging *i, int fd, enum disk_format format, int writable)
{
	struct ibuf *b;
	int copy;

	if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1)
		return -1;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    wire_put_u32(b, format) == -1 ||
	    wire_put_u32(b, writable != 0) == -1) {
		ibuf_free(b);
		fd_close(&copy);
		return -1;
	}
	return helper_send(i->helper, IMSG_IMAGE_REQUEST, b, &copy);
}

struct imaging *
image_start(struct parent *p, int fd, enum disk_format format, int writable,
    image_done done, void *arg)
{
	struct helper_conf c = {
		.name = "image",
		.role = ROLE_IMAGE,
		.kind = PROC_IMAGE,
		.msgs = imaging_msgs,
		.nmsgs = sizeof(imaging_msgs) / sizeof(imaging_msgs[0]),
		/* Whom it cannot name it cannot signal. */
		.flags = CLONE_NEWPID,
		.done = imaging_done,
	};
	struct imaging *i;

	if ((i = calloc(1, sizeof(*i))) == NULL)
		return NULL;
	i->done = done;
	i->arg = arg;
	c.arg = i;
	if ((i->helper = helper_start(p, &c)) == NULL) {
		imaging_free(i);
		return NULL;
	}
	if (send_job(i, fd, format, writable) == -1) {
		image_cancel(i);
		return NULL;
	}
	return i;
}
