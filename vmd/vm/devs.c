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

#include "lib/proto/devmsg.h"
#include "lib/proto/devpage.h"
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/vm/devs.h"

#define BLK_QUEUES    4
#define BLK_QUEUE_MAX 128
#define SCSI_QUEUES   3
#define MAXWRITES     8

static const struct msg_hdr no_request = { 0, 0 };

enum life {
	LIFE_NONE,  /* no process */
	LIFE_HELLO, /* has our HELLO */
	LIFE_READY,
};

/* What vcpu threads noted. */
struct notes {
	int activate, reset;
	unsigned int nwrites;
	struct dev_order writes[MAXWRITES];
};

struct vdev {
	struct devs *ds;
	struct virtio_conf conf;
	char name[16];
	enum dev_kind kind;
	unsigned int idx;
	int page_fd;
	struct dev_page *page;
	size_t page_size;
	struct virtio *virtio;
	struct peer *peer;
	struct event *deadline;
	enum life life;
	int known; /* was ready once: the fields below are set */
	uint64_t features;
	unsigned int config_len;
	int on;	       /* the driver is up, as the device was told */
	int resetting; /* told, not answered */
	int pausing;   /* the same */
	int ending;    /* the same */
	uint64_t generation;
	struct dev_activate act; /* under the lock until it is sent */
	struct notes notes;	 /* under the lock */
};

struct devs {
	struct event_base *base;
	struct peer *up;
	const struct gmem *mem;
	struct devs_ops ops;
	pthread_mutex_t lock;
	int wake; /* eventfd: there are notes */
	struct event *wake_ev;
	struct event *deadline; /* of a pause or the end */
	int told;		/* ops.ready was called */
	int paused;
	int pausing, ending;
	unsigned int n;
	struct vdev *devs;
};

static void send_state(struct vdev *v);

/* --- words to devices ------------------------------------------------------ */

static void
failed(struct vdev *v, const char *why)
{
	struct dev_id id = { .kind = v->kind, .idx = v->idx };
	char text[128];
	struct ibuf *b;

	snprintf(text, sizeof(text), "%s", why);
	id.text = text;
	log_warnx("%s: %s", v->name, why);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_id_put(b, &id) == -1) {
		ibuf_free(b);
		return;
	}
	peer_send(v->ds->up, IMSG_VMDOP_DEVICE_FAILED, no_request, b, NULL, 0);
}

static void
tell(struct vdev *v, uint32_t type)
{
	if (v->life == LIFE_READY)
		peer_send(v->peer, type, no_request, NULL, NULL, 0);
}

static void
tell_order(struct vdev *v, uint32_t type, const struct dev_order *o)
{
	struct ibuf *b;

	if (v->life != LIFE_READY)
		return;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_order_put(b, o) == -1) {
		ibuf_free(b);
		failed(v, "no memory");
		return;
	}
	peer_send(v->peer, type, no_request, b, NULL, 0);
}

static void
tell_activate(struct vdev *v, uint32_t resume)
{
	struct ibuf *b;

	v->act.resume = resume;
	v->act.generation = v->generation;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_activate_put(b, &v->act) == -1) {
		ibuf_free(b);
		failed(v, "no memory");
		return;
	}
	peer_send(v->peer, IMSG_DEVOP_ACTIVATE, no_request, b, NULL, 0);
}

static void
arm(struct vdev *v, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	event_add(v->deadline, &tv);
}

/* --- what the guest did: vcpu threads -------------------------------------- */

static void
wake(struct devs *ds)
{
	uint64_t one = 1;

	/* An eventfd takes more of these than there can be. */
	if (write(ds->wake, &one, sizeof(one)) == -1)
		return;
}

static int
on_activate(void *arg, uint64_t features, const struct virtio_queue *q,
    unsigned int n)
{
	struct vdev *v = arg;
	unsigned int i;

	pthread_mutex_lock(&v->ds->lock);
	memset(&v->act, 0, sizeof(v->act));
	v->act.features = features;
	v->act.nqueues = n;
	for (i = 0; i < n; i++) {
		if (!q[i].enabled)
			continue;
		v->act.queues[i].size = q[i].size;
		v->act.queues[i].desc = q[i].desc;
		v->act.queues[i].avail = q[i].avail;
		v->act.queues[i].used = q[i].used;
	}
	v->notes.activate = 1;
	pthread_mutex_unlock(&v->ds->lock);
	wake(v->ds);
	return 0;
}

static int
on_reset(void *arg)
{
	struct vdev *v = arg;

	pthread_mutex_lock(&v->ds->lock);
	v->notes.reset = 1;
	pthread_mutex_unlock(&v->ds->lock);
	wake(v->ds);
	return 0;
}

/* The last value of each place counts; more places than these nobody has. */
static void
on_config_write(void *arg, unsigned int off, unsigned int size, uint32_t val)
{
	struct vdev *v = arg;
	struct notes *n = &v->notes;
	unsigned int i;

	pthread_mutex_lock(&v->ds->lock);
	for (i = 0; i < n->nwrites && n->writes[i].off != off; i++)
		;
	if (i < MAXWRITES) {
		n->writes[i] = (struct dev_order){ .off = off,
			.size = size,
			.val = val };
		if (i == n->nwrites)
			n->nwrites++;
	}
	pthread_mutex_unlock(&v->ds->lock);
	wake(v->ds);
}

/* --- and what becomes of it: main thread ------------------------------------ */

static void
begin_reset(struct vdev *v)
{
	struct dev_order o = { .generation = v->generation };

	v->on = 0;
	v->resetting = 1;
	/* Without a process: its successor's arrival is the end of it. */
	if (v->life != LIFE_READY)
		return;
	tell_order(v, IMSG_DEVOP_RESET, &o);
	arm(v, DEVS_RESET_S);
}

static void
pass_on(struct vdev *v, const struct notes *n)
{
	unsigned int i;

	for (i = 0; i < n->nwrites; i++)
		tell_order(v, IMSG_DEVOP_CONFIG_WRITE, &n->writes[i]);
	if (n->activate && n->reset) {
		/* It never heard of it. */
		virtio_reset_done(v->virtio);
		return;
	}
	if (n->activate) {
		v->generation++;
		v->on = 1;
		if (v->life == LIFE_READY)
			tell_activate(v, 0);
	}
	if (n->reset)
		begin_reset(v);
}

static void
woken(evutil_socket_t fd, short what, void *arg)
{
	struct devs *ds = arg;
	struct notes n;
	unsigned int i;
	uint64_t cnt;

	if (read(fd, &cnt, sizeof(cnt)) == -1)
		return;
	for (i = 0; i < ds->n; i++) {
		pthread_mutex_lock(&ds->lock);
		n = ds->devs[i].notes;
		memset(&ds->devs[i].notes, 0, sizeof(n));
		pthread_mutex_unlock(&ds->lock);
		pass_on(&ds->devs[i], &n);
	}
}

static void
finish_reset(struct vdev *v)
{
	v->resetting = 0;
	event_del(v->deadline);
	virtio_reset_done(v->virtio);
}

/* --- pause and end ----------------------------------------------------------- */

/* All have answered, or are gone. */
static void
settle(struct devs *ds)
{
	unsigned int i;

	for (i = 0; i < ds->n; i++)
		if (ds->devs[i].pausing || ds->devs[i].ending)
			return;
	if (ds->pausing) {
		ds->pausing = 0;
		event_del(ds->deadline);
		ds->ops.paused(ds->ops.arg, NULL);
	}
	if (ds->ending) {
		ds->ending = 0;
		event_del(ds->deadline);
		ds->ops.ended(ds->ops.arg);
	}
}

/* A pause that takes too long is given up; the end is the end. */
static void
late(evutil_socket_t fd, short what, void *arg)
{
	struct devs *ds = arg;
	char why[64] = "";
	unsigned int i;

	for (i = 0; i < ds->n; i++) {
		struct vdev *v = &ds->devs[i];

		if (v->pausing || v->ending) {
			snprintf(why, sizeof(why),
			    "%s: requests in flight "
			    "do not end",
			    v->name);
			log_warnx("%s", why);
		}
		v->pausing = v->ending = 0;
	}
	if (ds->pausing) {
		ds->pausing = 0;
		devs_resume(ds);
		ds->ops.paused(ds->ops.arg, why);
	} else if (ds->ending) {
		ds->ending = 0;
		ds->ops.ended(ds->ops.arg);
	}
}

static void
begin_deadline(struct devs *ds, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	event_add(ds->deadline, &tv);
}

void
devs_pause(struct devs *ds)
{
	const struct dev_order o = { 0 };
	unsigned int i;

	ds->pausing = ds->paused = 1;
	begin_deadline(ds, DEVS_PAUSE_S);
	for (i = 0; i < ds->n; i++) {
		struct vdev *v = &ds->devs[i];

		v->pausing = v->life == LIFE_READY;
		tell_order(v, IMSG_DEVOP_PAUSE, &o);
	}
	settle(ds);
}

void
devs_resume(struct devs *ds)
{
	unsigned int i;

	ds->paused = 0;
	for (i = 0; i < ds->n; i++)
		tell(&ds->devs[i], IMSG_DEVOP_RESUME);
}

void
devs_shutdown(struct devs *ds)
{
	unsigned int i;

	ds->ending = 1;
	ds->pausing = 0;
	begin_deadline(ds, DEVS_SHUTDOWN_S);
	for (i = 0; i < ds->n; i++) {
		struct vdev *v = &ds->devs[i];

		v->pausing = 0;
		v->ending = v->life == LIFE_READY;
		tell(v, IMSG_DEVOP_SHUTDOWN);
	}
	settle(ds);
}

/* --- what devices say --------------------------------------------------------- */

/* Once, when the last one is ready or one cannot be. */
static void
report_ready(struct devs *ds, const char *error)
{
	unsigned int i;

	if (ds->told)
		return;
	for (i = 0; i < ds->n && error == NULL; i++)
		if (!ds->devs[i].known)
			return;
	ds->told = 1;
	ds->ops.ready(ds->ops.arg, error);
}

/* The first of its kind: how the guest will see it. */
static int
learn(struct vdev *v, const struct dev_ready *r)
{
	char text[DEV_MAXCONFIG + 64];

	if (r->error != NULL) {
		snprintf(text, sizeof(text), "%s", r->error);
		report_ready(v->ds, text);
		return 0;
	}
	if (r->config_len > VIRTIO_CONFIG_MAX)
		return -1;
	v->features = r->features;
	v->config_len = r->config_len;
	v->known = 1;
	return 0;
}

static int
dev_is_ready(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);
	struct dev_ready r;
	int rc = -1;

	if (dev_ready_get(&m->body, &r) == -1)
		return -1;
	if (wire_end(&m->body) == -1 || v->life != LIFE_HELLO)
		goto out;
	event_del(v->deadline);
	if (!v->known)
		rc = learn(v, &r);
	else
		rc = r.error != NULL || r.features != v->features ||
			r.config_len != v->config_len ?
		    -1 :
		    0;
	if (rc == -1) {
		log_warnx("%s: %s", v->name,
		    r.error != NULL ? r.error : "is not what it was");
		goto out;
	}
	if (r.error != NULL)
		goto out;
	v->life = LIFE_READY;
	if (v->virtio != NULL)
		send_state(v);
	else
		report_ready(v->ds, NULL);
out:
	dev_ready_fini(&r);
	return rc;
}

/* To one that came later: what those before were told. */
static void
send_state(struct vdev *v)
{
	const struct dev_order o = { 0 };

	if (v->on)
		tell_activate(v, 1);
	if (v->ds->paused)
		tell_order(v, IMSG_DEVOP_PAUSE, &o);
	if (v->ds->ending) {
		v->ending = 1;
		tell(v, IMSG_DEVOP_SHUTDOWN);
	}
}

static int
dev_reset_done(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);
	struct dev_order o;

	if (dev_order_get(&m->body, &o) == -1 || wire_end(&m->body) == -1 ||
	    !v->resetting || o.generation != v->generation)
		return -1;
	finish_reset(v);
	return 0;
}

static int
dev_paused(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);
	struct dev_order o;

	if (dev_order_get(&m->body, &o) == -1 || wire_end(&m->body) == -1)
		return -1;
	v->pausing = 0;
	settle(v->ds);
	return 0;
}

static int
dev_config(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);

	if (wire_end(&m->body) == -1)
		return -1;
	if (v->virtio != NULL)
		virtio_config_changed(v->virtio);
	return 0;
}

static int
dev_broken(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);

	if (wire_end(&m->body) == -1)
		return -1;
	/* Not if it speaks of what was before a reset. */
	if (v->virtio != NULL && v->on)
		virtio_broken(v->virtio);
	return 0;
}

static int
dev_shutdown_done(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);
	struct dev_ready r;
	int rc;

	if (dev_ready_get(&m->body, &r) == -1)
		return -1;
	rc = wire_end(&m->body);
	if (r.error != NULL)
		log_warnx("%s: %s", v->name, r.error);
	dev_ready_fini(&r);
	v->ending = 0;
	settle(v->ds);
	return rc;
}

/* clang-format off */
static const struct msg_handler dev_msgs[] = {
	{ IMSG_DEVOP_READY,		ROLE_DEVICE, dev_is_ready },
	{ IMSG_DEVOP_RESET_DONE,	ROLE_DEVICE, dev_reset_done },
	{ IMSG_DEVOP_PAUSED,		ROLE_DEVICE, dev_paused },
	{ IMSG_DEVOP_CONFIG,		ROLE_DEVICE, dev_config },
	{ IMSG_DEVOP_BROKEN,		ROLE_DEVICE, dev_broken },
	{ IMSG_DEVOP_SHUTDOWN_DONE,	ROLE_DEVICE, dev_shutdown_done },
};
/* clang-format on */

/* --- their channels ------------------------------------------------------------ */

static void
dev_closed(struct peer *p, const char *why)
{
	struct vdev *v = peer_arg(p);

	if (why != NULL)
		failed(v, why);
	v->life = LIFE_NONE;
	v->peer = NULL;
	peer_free(p);
	if (!v->resetting)
		event_del(v->deadline);
	v->pausing = v->ending = 0;
	settle(v->ds);
}

static void
dev_late(evutil_socket_t fd, short what, void *arg)
{
	struct vdev *v = arg;
	char text[64];

	if (v->life == LIFE_READY) {
		failed(v, "does not answer a reset");
		return;
	}
	if (v->life != LIFE_HELLO)
		return;
	failed(v, "is not ready in time");
	snprintf(text, sizeof(text), "%s is not ready in time", v->name);
	report_ready(v->ds, text);
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
	/* Its record is of a time that is over. */
	memset((uint8_t *)v->page + DEV_PAGE_RECORDS, 0,
	    v->page_size - DEV_PAGE_RECORDS);
	finish_reset(v);
}

static int
attach(struct vdev *v, int *fd, uint32_t flags)
{
	struct peer_conf conf = {
		.role = ROLE_DEVICE,
		.name = v->name,
		.msgs = dev_msgs,
		.nmsgs = sizeof(dev_msgs) / sizeof(dev_msgs[0]),
		.closed = dev_closed,
		.arg = v,
	};
	int s = *fd;

	bury(v);
	*fd = -1;
	if ((v->peer = peer_new(v->ds->base, s, &conf)) == NULL ||
	    greet(v, flags) == -1) {
		failed(v, strerror(errno));
		return 0;
	}
	v->life = LIFE_HELLO;
	arm(v, DEVS_READY_S);
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
				rc = attach(&ds->devs[i], &m->fds[0], id.flags);
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
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *p;

	v->page_size = DEV_PAGE_SIZE(v->conf.nqueues, v->conf.queue_max);
	v->page_fd = memfd_create("device", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (v->page_fd == -1 ||
	    ftruncate(v->page_fd, (off_t)v->page_size) == -1 ||
	    fcntl(v->page_fd, F_ADD_SEALS, seals) == -1)
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
	v->conf.backend.activate = on_activate;
	v->conf.backend.reset = on_reset;
	v->conf.backend.config_write = on_config_write;
	v->conf.backend.arg = v;
	switch (kind) {
	case DEV_VIOBLK:
		v->conf.slot = 4 + idx / 8;
		v->conf.func = idx % 8;
		v->conf.device = 2;
		v->conf.class = 0x010000;
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
	ds->devs = calloc(spec->ndisks + 1, sizeof(*ds->devs));
	if (ds->devs == NULL)
		return -1;
	for (i = 0; i < spec->ndisks; i++)
		if (add(ds, DEV_VIOBLK, i, nq, BLK_QUEUE_MAX) == -1)
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
	pthread_mutex_init(&ds->lock, NULL);
	if (new_eventfd(&ds->wake) == -1 || add_all(ds, spec) == -1)
		return NULL;
	ds->wake_ev = event_new(base, ds->wake, EV_READ | EV_PERSIST, woken,
	    ds);
	ds->deadline = event_new(base, -1, 0, late, ds);
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
