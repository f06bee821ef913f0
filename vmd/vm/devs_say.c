/*
 * What device processes say, and pause and end of all of them.  They are
 * the less trusted side: a message that is not in order costs one its life.
 */

#include <stdio.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/vm/devs_int.h"

/* --- pause and end ----------------------------------------------------------- */

/* All have answered, or are gone. */
void
devs_settle(struct devs *ds)
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
void
devs_late(evutil_socket_t fd, short what, void *arg)
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
begin_deadline(struct devs *ds, unsigned int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000L };

	event_add(ds->deadline, &tv);
}

void
devs_pause(struct devs *ds)
{
	const struct dev_order o = { .generation = ++ds->npauses };
	unsigned int i;

	ds->pausing = ds->paused = 1;
	begin_deadline(ds, ds->pause_ms);
	for (i = 0; i < ds->n; i++) {
		struct vdev *v = &ds->devs[i];

		v->pausing = v->life == LIFE_READY;
		vdev_order(v, IMSG_DEVOP_PAUSE, &o);
	}
	devs_settle(ds);
}

void
devs_resume(struct devs *ds)
{
	unsigned int i;

	ds->paused = 0;
	for (i = 0; i < ds->n; i++)
		vdev_tell(&ds->devs[i], IMSG_DEVOP_RESUME);
}

void
devs_shutdown(struct devs *ds)
{
	unsigned int i;

	ds->ending = 1;
	ds->pausing = 0;
	begin_deadline(ds, ds->shutdown_ms);
	for (i = 0; i < ds->n; i++) {
		struct vdev *v = &ds->devs[i];

		v->pausing = 0;
		v->ending = v->life == LIFE_READY;
		vdev_tell(v, IMSG_DEVOP_SHUTDOWN);
	}
	devs_settle(ds);
}

/* --- what devices say --------------------------------------------------------- */

/* Once, when the last one is ready or one cannot be. */
void
devs_report(struct devs *ds, const char *error)
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
		devs_report(v->ds, text);
		return 0;
	}
	if (r->config_len > VIRTIO_CONFIG_MAX)
		return -1;
	v->features = r->features;
	v->config_len = r->config_len;
	memcpy(v->config, r->config, r->config_len);
	v->known = 1;
	return 0;
}

/* To one that came later: what those before were told. */
static void
send_state(struct vdev *v)
{
	const struct dev_order o = { .generation = v->ds->npauses };

	/* First, so that it does not begin what it should not. */
	if (v->ds->paused) {
		v->pausing = v->ds->pausing;
		vdev_order(v, IMSG_DEVOP_PAUSE, &o);
	}
	if (v->on) {
		vdev_activate(v, 1);
		vdev_writes(v, &v->held);
	}
	if (v->ds->ending) {
		v->ending = 1;
		vdev_tell(v, IMSG_DEVOP_SHUTDOWN);
	}
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
		devs_report(v->ds, NULL);
out:
	dev_ready_fini(&r);
	return rc;
}

static int
dev_reset_done(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);
	struct dev_order o;

	if (dev_order_get(&m->body, &o) == -1 || wire_end(&m->body) == -1 ||
	    v->life != LIFE_READY || !v->resetting ||
	    o.generation != v->generation)
		return -1;
	vdev_reset_done(v);
	return 0;
}

static int
dev_paused(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);
	struct dev_order o;

	if (dev_order_get(&m->body, &o) == -1 || wire_end(&m->body) == -1 ||
	    v->life != LIFE_READY || o.generation == 0 ||
	    o.generation > v->ds->npauses)
		return -1;
	/* It may be late, and another pause under way. */
	if (o.generation != v->ds->npauses)
		return 0;
	v->pausing = 0;
	devs_settle(v->ds);
	return 0;
}

static int
dev_config(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);

	if (wire_end(&m->body) == -1 || v->life != LIFE_READY)
		return -1;
	if (v->virtio != NULL)
		virtio_config_changed(v->virtio);
	return 0;
}

static int
dev_broken(struct peer *p, struct msg *m)
{
	struct vdev *v = peer_arg(p);

	if (wire_end(&m->body) == -1 || v->life != LIFE_READY)
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
	int rc = -1;

	if (dev_ready_get(&m->body, &r) == -1)
		return -1;
	if (wire_end(&m->body) == -1 || !v->ending)
		goto out;
	rc = 0;
	if (r.error != NULL)
		log_warnx("%s: %s", v->name, r.error);
	v->ending = 0;
	devs_settle(v->ds);
out:
	dev_ready_fini(&r);
	return rc;
}

/* clang-format off */
const struct msg_handler vdev_msgs[] = {
	{ IMSG_DEVOP_READY,		ROLE_DEVICE, dev_is_ready },
	{ IMSG_DEVOP_RESET_DONE,	ROLE_DEVICE, dev_reset_done },
	{ IMSG_DEVOP_PAUSED,		ROLE_DEVICE, dev_paused },
	{ IMSG_DEVOP_CONFIG,		ROLE_DEVICE, dev_config },
	{ IMSG_DEVOP_BROKEN,		ROLE_DEVICE, dev_broken },
	{ IMSG_DEVOP_SHUTDOWN_DONE,	ROLE_DEVICE, dev_shutdown_done },
};
/* clang-format on */
const size_t vdev_nmsgs = sizeof(vdev_msgs) / sizeof(vdev_msgs[0]);
