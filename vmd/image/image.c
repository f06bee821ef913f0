/*
 * image: a process that looks at one disk image and ends.
 *
 * Started by the parent for each image whose format is to be found out or
 * whose header names another file.  It has an empty root, no capability and
 * a filter that lets it read what it was given and answer; an image that
 * breaks it gains an answer, which the parent takes for what it is worth.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/qcow2_hdr.h"
#include "lib/proto/imginfo.h"
#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/util/log.h"
#include "vmd/image/image.h"
#include "vmd/roles.h"

#define FLUSH_MS 1000
#define SECTOR	 512

/* Its format by its first bytes, or DISK_AUTO with errno. */
static enum disk_format
detect(int fd)
{
	uint8_t first[QCOW2_V2_LEN];
	ssize_t n;

	if ((n = pread(fd, first, sizeof(first), 0)) == -1)
		return DISK_AUTO;
	return qcow2_probe(first, (size_t)n) ? DISK_QCOW2 : DISK_RAW;
}

static int
raw(int fd, struct image_info *i, char *why, size_t len)
{
	off_t size;

	if ((size = lseek(fd, 0, SEEK_END)) == -1)
		return -1;
	i->format = DISK_RAW;
	i->size = (uint64_t)size & ~(uint64_t)(SECTOR - 1);
	return 0;
}

static int
qcow2(int fd, int writable, struct image_info *i, char *why, size_t len)
{
	static const enum disk_format formats[] = {
		[QCOW2_BACKING_NONE] = DISK_AUTO,
		[QCOW2_BACKING_ANY] = DISK_AUTO,
		[QCOW2_BACKING_RAW] = DISK_RAW,
		[QCOW2_BACKING_QCOW2] = DISK_QCOW2,
	};
	static struct qcow2_hdr h;

	if (qcow2_hdr_read(&h, fd, writable ? QCOW2_FOR_WRITE : 0, why, len) ==
	    -1)
		return -1;
	i->format = DISK_QCOW2;
	i->size = h.size;
	if (h.backing_fmt == QCOW2_BACKING_NONE)
		return 0;
	i->backing_format = formats[h.backing_fmt];
	return (i->backing = strdup(h.backing)) == NULL ? -1 : 0;
}

void
image_inspect(int fd, enum disk_format format, int writable,
    struct image_info *i)
{
	char why[IMAGE_ERROR_MAX] = "";
	int rc = -1;

	memset(i, 0, sizeof(*i));
	errno = 0;
	if (format == DISK_AUTO)
		format = detect(fd);
	if (format == DISK_QCOW2)
		rc = qcow2(fd, writable, i, why, sizeof(why));
	else if (format == DISK_RAW)
		rc = raw(fd, i, why, sizeof(why));
	if (rc == 0)
		return;
	if (why[0] == '\0')
		snprintf(why, sizeof(why), "%s", strerror(errno));
	image_info_fini(i);
	i->error = strdup(why);
}

static int
image_request(struct peer *p, struct msg *m)
{
	struct image_info i;
	uint32_t format, writable;
	struct ibuf *b;

	if (wire_get_u32(&m->body, &format) == -1 ||
	    wire_get_u32(&m->body, &writable) == -1 ||
	    wire_end(&m->body) == -1 || m->nfds != 1 ||
	    format >= DISK_FORMAT_MAX)
		return -1;
	hostile_hold(m->fds[0]);
	image_inspect(m->fds[0], (enum disk_format)format, writable != 0, &i);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    image_info_put(b, &i) == -1)
		_exit(1);
	if (peer_send(p, IMSG_IMAGE_RESPONSE, m->hdr, b, NULL, 0) == -1 ||
	    peer_flush(p, FLUSH_MS) == -1)
		_exit(1);
	_exit(0);
}

static const struct msg_handler image_msgs[] = {
	{ IMSG_IMAGE_REQUEST, ROLE_PARENT, image_request },
};

int
image_main(const struct proc_args *a)
{
	struct event_base *base;

	proc_init(a);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	proc_drop(VMD_USER, NULL, 0);
	if ((base = event_base_new()) == NULL)
		fatal("event_base_new");
	if (proc_up(base, ROLE_PARENT, image_msgs, 1, NULL) == NULL)
		fatal("channel");
	proc_confine("image");
	event_base_dispatch(base);
	return 1;
}
