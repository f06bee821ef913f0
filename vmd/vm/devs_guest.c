/*
 * What the guest does to its devices, on its way from vcpu threads to device
 * processes.
 *
 * The transport calls in on vcpu threads; it is noted under a lock, and the
 * main thread, which owns the channels, sends it on.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/vm/devs_int.h"

static const struct msg_hdr no_request = { 0, 0 };

/* --- words to devices ------------------------------------------------------ */

void
vdev_failed(struct vdev *v, const char *why)
{
	struct dev_id id = { .kind = v->kind, .idx = v->idx, .run = v->run };
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

void
vdev_tell(struct vdev *v, uint32_t type)
{
	if (v->life == LIFE_READY)
		peer_send(v->peer, type, no_request, NULL, NULL, 0);
}

void
vdev_order(struct vdev *v, uint32_t type, const struct dev_order *o)
{
	struct ibuf *b;

	if (v->life != LIFE_READY)
		return;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_order_put(b, o) == -1) {
		ibuf_free(b);
		vdev_failed(v, "no memory");
		return;
	}
	peer_send(v->peer, type, no_request, b, NULL, 0);
}

void
vdev_activate(struct vdev *v, uint32_t resume)
{
	struct ibuf *b;

	v->act.resume = resume;
	v->act.generation = v->generation;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_activate_put(b, &v->act) == -1) {
		ibuf_free(b);
		vdev_failed(v, "no memory");
		return;
	}
	peer_send(v->peer, IMSG_DEVOP_ACTIVATE, no_request, b, NULL, 0);
}

void
vdev_arm(struct vdev *v, unsigned int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000L };

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

int
vdev_on_activate(void *arg, uint64_t features, const struct virtio_queue *q,
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

int
vdev_on_reset(void *arg)
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
note_write(struct notes *n, const struct dev_order *o)
{
	unsigned int i;

	for (i = 0; i < n->nwrites && n->writes[i].off != o->off; i++)
		;
	if (i == MAXWRITES)
		return;
	n->writes[i] = *o;
	if (i == n->nwrites)
		n->nwrites++;
}

void
vdev_on_config_write(void *arg, unsigned int off, unsigned int size,
    uint32_t val)
{
	const struct dev_order o = { .off = off, .size = size, .val = val };
	struct vdev *v = arg;

	pthread_mutex_lock(&v->ds->lock);
	note_write(&v->notes, &o);
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
	v->held.nwrites = 0;
	switch (v->life) {
	case LIFE_NONE:
		/* Its successor's arrival is the end of it. */
		break;
	case LIFE_HELLO:
		/* Here is the successor, and it has no queues yet. */
		vdev_forget(v);
		vdev_reset_done(v);
		break;
	case LIFE_READY:
		vdev_order(v, IMSG_DEVOP_RESET, &o);
		vdev_arm(v, v->ds->reset_ms);
		break;
	}
}

void
vdev_writes(struct vdev *v, const struct notes *n)
{
	unsigned int i;

	for (i = 0; i < n->nwrites; i++)
		vdev_order(v, IMSG_DEVOP_CONFIG_WRITE, &n->writes[i]);
}

static void
pass_on(struct vdev *v, const struct notes *n)
{
	unsigned int i;

	if (n->activate && n->reset) {
		/* It never heard of it. */
		v->held.nwrites = 0;
		vdev_reset_done(v);
		return;
	}
	/* Kept until the reset: who knows what a device that dies has read? */
	for (i = 0; i < n->nwrites; i++)
		note_write(&v->held, &n->writes[i]);
	if (n->activate) {
		v->generation++;
		v->on = 1;
		if (v->life == LIFE_READY)
			vdev_activate(v, 0);
		/* It knows what was agreed on: a write may depend on that. */
		vdev_writes(v, &v->held);
	} else if (v->on) {
		vdev_writes(v, n);
	}
	if (n->reset)
		begin_reset(v);
}

void
devs_woken(evutil_socket_t fd, short what, void *arg)
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

void
vdev_forget(struct vdev *v)
{
	memset((uint8_t *)v->page + DEV_PAGE_RECORDS, 0,
	    v->page_size - DEV_PAGE_RECORDS);
}

void
vdev_reset_done(struct vdev *v)
{
	v->resetting = 0;
	/* What the guest wrote there is over, too. */
	virtio_page_write(&v->page->virtio, 0, v->config, v->config_len);
	if (v->life != LIFE_HELLO)
		event_del(v->deadline);
	virtio_reset_done(v->virtio);
}
