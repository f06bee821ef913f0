/*
 * Device processes, seen from the vm process.
 *
 * The transport (virtio.c) is here, the queues are there.  What the guest
 * tells the transport comes in on vcpu threads; it is noted under a lock and
 * sent on by the main thread, which owns the channels.  A device that died
 * is reaped by vmm before its successor's channel arrives, so that from
 * then on nobody else touches the guest's buffers.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "lib/util/memfd.h"
#include "vmd/vm/devs_int.h"

#define BLK_QUEUES    4
#define BLK_QUEUE_MAX 128
#define SCSI_QUEUES   3
#define NET_QUEUE_MAX 1024

static const struct msg_hdr no_request = { 0, 0 };

/* --- their channels ------------------------------------------------------------ */

static void
dev_closed(struct peer *p, const char *why)
{
	struct vdev *v = peer_arg(p);

	if (why != NULL)
		vdev_failed(v, why);
	v->life = LIFE_NONE;
	v->peer = NULL;
	peer_free(p);
	/* How the first one ended vmm knows best: wait for its word. */
	if (!v->resetting && v->known)
		event_del(v->deadline);
	v->pausing = v->ending = 0;
	devs_settle(v->ds);
}

static void
dev_late(evutil_socket_t fd, short what, void *arg)
{
	struct vdev *v = arg;
	char text[64];

	if (v->life == LIFE_READY) {
		vdev_failed(v, "does not answer a reset");
		return;
	}
	if (v->life == LIFE_NONE && !v->known) {
		snprintf(text, sizeof(text), "%s ended before it was ready",
		    v->name);
		devs_report(v->ds, text);
	}
	if (v->life != LIFE_HELLO)
		return;
	vdev_failed(v, "is not ready in time");
	snprintf(text, sizeof(text), "%s is not ready in time", v->name);
	devs_report(v->ds, text);
}

static int
hello_fds(const struct vdev *v, int *fds)
{
	unsigned int i, n = 0, want = DEV_HELLO_FDS(v->conf.nqueues);
	int from[DEV_HELLO_FDS(DEV_MAXQUEUES)];

	from[n++] = v->ds->mem->fd;
	from[n++] = v->page_fd;
	for (i = 0; i < v->conf.nqueues; i++) {
		from[n++] = v->conf.kick[i];
		from[n++] = v->conf.call[i];
	}
	for (i = 0; i < want; i++)
		if ((fds[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3)) == -1) {
			while (i > 0)
				fd_close(&fds[--i]);
			return -1;
		}
	return 0;
}

static int
greet(struct vdev *v, uint32_t flags)
{
	int fds[DEV_HELLO_FDS(DEV_MAXQUEUES)];
	struct dev_hello h = { .flags = flags & DEVF_REPLACED,
		.nqueues = v->conf.nqueues,
		.queue_max = v->conf.queue_max,
		.page_size = (uint32_t)v->page_size,
		.mem = *v->ds->mem };
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_hello_put(b, &h) == -1 || hello_fds(v, fds) == -1) {
		ibuf_free(b);
		return -1;
	}
	return peer_send(v->peer, IMSG_DEVOP_HELLO, no_request, b, fds,
	    DEV_HELLO_FDS(v->conf.nqueues));
}

/* The one before, if any, was reaped. */
static void
bury(struct vdev *v)
{
	if (v->peer != NULL)
		peer_free(v->peer);
	v->peer = NULL;
	v->life = LIFE_NONE;
	if (!v->resetting)
		return;
	vdev_forget(v);
	vdev_reset_done(v);
}

static int
attach(struct vdev *v, int *fd, const struct dev_id *id)
{
	struct peer_conf conf = {
		.role = ROLE_DEVICE,
		.name = v->name,
		.msgs = vdev_msgs,
		.nmsgs = vdev_nmsgs,
		.closed = dev_closed,
		.arg = v,
	};
	int s = *fd;

	bury(v);
	v->run = id->run;
	*fd = -1;
	if ((v->peer = peer_new(v->ds->base, s, &conf)) == NULL ||
	    greet(v, id->flags) == -1) {
		vdev_failed(v, strerror(errno));
		return 0;
	}
	v->life = LIFE_HELLO;
	vdev_arm(v, v->ds->ready_ms);
	return 0;
}

int
devs_channel(struct devs *ds, struct msg *m)
{
	struct dev_id id;
	unsigned int i;
	int rc = -1;

	if (dev_id_get(&m->body, &id) == -1)
		return -1;
	if (wire_end(&m->body) == 0 && m->nfds == 1)
		for (i = 0; i < ds->n; i++)
			if (ds->devs[i].kind == (enum dev_kind)id.kind &&
			    ds->devs[i].idx == id.idx)
				rc = attach(&ds->devs[i], &m->fds[0], &id);
	dev_id_fini(&id);
	return rc;
}

/* --- set-up ---------------------------------------------------------------------- */

static int
new_eventfd(int *fd)
{
	return *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int
new_page(struct vdev *v)
{
	void *p;

	v->page_size = DEV_PAGE_SIZE(v->conf.nqueues, v->conf.queue_max);
	if ((v->page_fd = memfd_sealed("device", v->page_size)) == -1)
		return -1;
	p = mmap(NULL, v->page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    v->page_fd, 0);
	if (p == MAP_FAILED)
		return -1;
	v->page = p;
	v->conf.page = &v->page->virtio;
	return 0;
}

static int
new_fds(struct vdev *v)
{
	unsigned int i;

	for (i = 0; i < v->conf.nqueues; i++)
		if (new_eventfd(&v->conf.kick[i]) == -1 ||
		    new_eventfd(&v->conf.call[i]) == -1)
			return -1;
	if (new_eventfd(&v->conf.config_call) == -1 ||
	    new_eventfd(&v->conf.resample) == -1)
		return -1;
	v->deadline = event_new(v->ds->base, -1, 0, dev_late, v);
	if (v->deadline == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return new_page(v);
}

static int
add(struct devs *ds, enum dev_kind kind, unsigned int idx, unsigned int nqueues,
    unsigned int queue_max)
{
	struct vdev *v = &ds->devs[ds->n++];

	v->ds = ds;
	v->kind = kind;
	v->idx = idx;
	if (kind == DEV_VIOSCSI)
		snprintf(v->name, sizeof(v->name), "vioscsi");
	else
		snprintf(v->name, sizeof(v->name), "%s%u", dev_kind_name(kind),
		    idx);
	v->conf.name = v->name;
	v->conf.nqueues = nqueues;
	v->conf.queue_max = (uint16_t)queue_max;
	v->conf.backend.activate = vdev_on_activate;
	v->conf.backend.reset = vdev_on_reset;
	v->conf.backend.config_write = vdev_on_config_write;
	v->conf.backend.arg = v;
	switch (kind) {
	case DEV_VIOBLK:
		v->conf.slot = 4 + idx / 8;
		v->conf.func = idx % 8;
		v->conf.device = 2;
		v->conf.class = 0x010000;
		break;
	case DEV_VIONET:
		v->conf.slot = 8 + idx / 8;
		v->conf.func = idx % 8;
		v->conf.device = 1;
		v->conf.class = 0x020000;
		break;
	default:
		v->conf.slot = 2;
		v->conf.device = 8;
		v->conf.class = 0x010000;
		break;
	}
	return new_fds(v);
}

static int
add_all(struct devs *ds, const struct vm_spec *spec)
{
	unsigned int i, nq = spec->cpus;

	if (nq == 0)
		nq = 1;
	if (nq > BLK_QUEUES)
		nq = BLK_QUEUES;
	ds->devs = calloc(spec->ndisks + spec->nnics + 1, sizeof(*ds->devs));
	if (ds->devs == NULL)
		return -1;
	for (i = 0; i < spec->ndisks; i++)
		if (add(ds, DEV_VIOBLK, i, nq, BLK_QUEUE_MAX) == -1)
			return -1;
	for (i = 0; i < spec->nnics; i++)
		if (add(ds, DEV_VIONET, i, 2 * spec->nics[i].net.pairs + 1,
			NET_QUEUE_MAX) == -1)
			return -1;
	if (spec->cdrom != NULL)
		return add(ds, DEV_VIOSCSI, 0, SCSI_QUEUES, BLK_QUEUE_MAX);
	return 0;
}

struct devs *
devs_new(struct event_base *base, const struct vm_spec *spec,
    const struct gmem *mem, struct peer *up, const struct devs_ops *ops)
{
	struct devs *ds;

	/* Once made it lives as long as the process. */
	if ((ds = calloc(1, sizeof(*ds))) == NULL)
		return NULL;
	ds->base = base;
	ds->up = up;
	ds->mem = mem;
	ds->ops = *ops;
	ds->ready_ms = DEVS_READY_S * 1000;
	ds->reset_ms = DEVS_RESET_S * 1000;
	ds->pause_ms = DEVS_PAUSE_S * 1000;
	ds->shutdown_ms = DEVS_SHUTDOWN_S * 1000;
	pthread_mutex_init(&ds->lock, NULL);
	if (new_eventfd(&ds->wake) == -1 || add_all(ds, spec) == -1)
		return NULL;
	ds->wake_ev = event_new(base, ds->wake, EV_READ | EV_PERSIST,
	    devs_woken, ds);
	ds->deadline = event_new(base, -1, 0, devs_late, ds);
	if (ds->wake_ev == NULL || ds->deadline == NULL ||
	    event_add(ds->wake_ev, NULL) == -1) {
		errno = ENOMEM;
		return NULL;
	}
	return ds;
}

unsigned int
devs_count(const struct devs *ds)
{
	return ds->n;
}

int
devs_plug(struct devs *ds, const struct virtio_host *h)
{
	unsigned int i;

	for (i = 0; i < ds->n; i++) {
		struct vdev *v = &ds->devs[i];

		v->conf.features = v->features;
		v->conf.config_len = v->config_len;
		if ((v->virtio = virtio_new(h, &v->conf)) == NULL)
			return -1;
	}
	return 0;
}
