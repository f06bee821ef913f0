/*
 * The queues of a device process: kicked, worked on, shown to the guest.
 * As long as it pays the process looks for work by itself and the guest need
 * not kick.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/dev/dev_int.h"

void
dev_begin(struct dev *d)
{
	d->busy++;
}

void
dev_end(struct dev *d, struct dev_vq *q, uint16_t head, uint32_t len)
{
	d->busy--;
	/* After a reset nobody wants to know. */
	if (d->resetting)
		return;
	if (vq_push(&q->vq, head, len) == -1)
		dev_broken(d, q->n);
	else
		q->dirty++;
}

void
dev_publish(struct dev *d)
{
	uint64_t one = 1;
	unsigned int i;

	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];
		int wanted;

		if (q->dirty == 0)
			continue;
		wanted = vq_publish(&q->vq);
		lone_answered(&q->lone, q->dirty, wanted);
		q->dirty = 0;
		if (!wanted)
			continue;
		virtio_isr_set(&d->page->virtio, VIRTIO_ISR_QUEUE);
		/* Full: it has been told often enough. */
		if (write(q->call, &one, sizeof(one)) == -1 && errno != EAGAIN)
			fatal("call");
	}
}

static int
may_work(const struct dev *d)
{
	return d->active && !d->paused && !d->pausing && !d->broken &&
	    !d->ending;
}

/* As long as it is awake the guest need not kick, if that is good for it. */
void
dev_work(struct dev *d, struct dev_vq *q)
{
	int lone = q->lone.on && d->ops->answers;

	if (!q->on || !may_work(d))
		return;
	if (!lone)
		vq_kick_off(&q->vq);
	q->fresh = !q->awake && d->ops->answers;
	q->awake = 1;
	if (d->ops->queue(d, q) == -1)
		dev_broken(d, q->n);
	else if (lone)
		vq_kick_on(&q->vq);
}

static int
waits(struct dev *d, struct dev_vq *q)
{
	return d->ops->waits == NULL ? vq_waits(&q->vq) : d->ops->waits(d, q);
}

static int
last_look(struct dev *d, struct dev_vq *q)
{
	return d->ops->rest == NULL ? vq_kick_on(&q->vq) : d->ops->rest(d, q);
}

/* Has the guest or the kernel something for us? */
static int
found(void *arg)
{
	struct dev *d = arg;
	unsigned int i;

	for (i = 0; i < d->nqueues; i++)
		if (d->queues[i].awake && waits(d, &d->queues[i]))
			return 1;
	return io_ready(d->io) != 0;
}

/* Does it pay to look for a while before we let the guest kick again? */
static int
look(struct dev *d)
{
	unsigned int i;

	for (i = 0; i < d->nqueues; i++)
		if (d->queues[i].awake)
			break;
	if (i == d->nqueues || !may_work(d) || io_ready(d->io) == -1)
		return 0;
	return spin_wait(&d->spin, found, d);
}

int
dev_rest(struct dev *d, int n)
{
	unsigned int i;
	int idle = 1;

	if (n == 0)
		n = look(d);
	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		if (!q->awake)
			continue;
		if (!q->on || !may_work(d)) {
			q->awake = 0;
			continue;
		}
		if (n == 0 && !last_look(d, q)) {
			q->awake = 0;
			continue;
		}
		idle = 0;
		/* Those first begun are shown before the others are. */
		if (q->fresh) {
			q->fresh = 0;
			continue;
		}
		dev_work(d, q);
	}
	return idle;
}

void
dev_work_all(struct dev *d)
{
	unsigned int i;

	for (i = 0; i < d->nqueues; i++)
		dev_work(d, &d->queues[i]);
}

void
dev_kicked(struct io_op *op, int res)
{
	struct dev_vq *q = (struct dev_vq *)((char *)op -
	    offsetof(struct dev_vq, polled));
	uint64_t n;

	if (res < 0)
		fatalx("kick: %s", strerror(-res));
	/* The ring tells of each kick; nobody looks at their number. */
	if (!io_is_ring(q->dev->io) && read(q->kick, &n, sizeof(n)) == -1 &&
	    errno != EAGAIN)
		fatal("kick");
	dev_work(q->dev, q);
}

/* The chains that the one before us had taken, then the others. */
static int
start_queues(struct dev *d, const struct dev_activate *a)
{
	struct vq_conf c = { .mem = &d->mem,
		.features = a->features,
		.dirty = &d->dirty };
	unsigned int i;

	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		q->on = i < a->nqueues && a->queues[i].size != 0;
		q->awake = 0;
		/* Perhaps it died with an interrupt on its lips. */
		lone_init(&q->lone);
		q->dirty = q->on && a->resume;
		if (!q->on)
			continue;
		if (a->queues[i].size > d->hello.queue_max)
			fatalx("queue %u: size", i);
		c.size = a->queues[i].size;
		c.desc = a->queues[i].desc;
		c.avail = a->queues[i].avail;
		c.used = a->queues[i].used;
		c.inflight = q->record;
		if (!a->resume)
			vq_inflight_clear(q->record, c.size);
		if (vq_init(&q->vq, &c) == -1) {
			log_warn("queue %u", i);
			q->on = q->dirty = 0;
			return -1;
		}
	}
	return 0;
}

void
dev_activate(struct dev *d, struct ibuf *body)
{
	struct dev_activate a;

	if (dev_activate_get(body, &a) == -1 || wire_end(body) == -1 ||
	    a.nqueues > d->nqueues)
		fatalx("bad ACTIVATE");
	if (d->active || d->resetting)
		fatalx("ACTIVATE while active");
	d->features = a.features;
	d->generation = a.generation;
	d->resumed = a.resume != 0;
	if (start_queues(d, &a) == -1 ||
	    (d->ops->activate != NULL && d->ops->activate(d) == -1)) {
		dev_broken(d, 0);
		return;
	}
	d->active = 1;
	dev_work_all(d);
}
