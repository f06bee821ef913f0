/*
 * A network device without its process, for tests of its files.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "regress/unit/vionet_fake.h"

static void __attribute__((noreturn)) die(void)
{
	abort();
}

static struct fake *
fake(struct dev *d)
{
	return (struct fake *)d;
}

/* --- what dev.c does ---------------------------------------------------------- */

void
dev_begin(struct dev *d)
{
	d->busy++;
}

void
dev_end(struct dev *d, struct dev_vq *q, uint16_t head, uint32_t len)
{
	d->busy--;
	if (vq_push(&q->vq, head, len) == -1)
		die();
	q->dirty = 1;
}

void
dev_count(struct dev *d, enum dev_stat s, uint64_t n)
{
	d->page->stats[s] += n;
}

void
dev_config_changed(struct dev *d)
{
}

void
dev_work(struct dev *d, struct dev_vq *q)
{
	if (q->on && d->ops->queue(d, q) == -1)
		d->broken = 1;
}

/* --- a host ------------------------------------------------------------------- */

static int
host_open(struct net *n, uint64_t *features, char why[DEV_WHYLEN])
{
	*features = NET_F(VIRTIO_NET_F_CSUM) | NET_F(VIRTIO_NET_F_GUEST_CSUM) |
	    NET_F(VIRTIO_NET_F_HOST_TSO4) | NET_F(VIRTIO_NET_F_HOST_TSO6) |
	    NET_F(VIRTIO_NET_F_GUEST_TSO4) | NET_F(VIRTIO_NET_F_GUEST_TSO6) |
	    NET_F(NET_HOST_USO) | NET_F(NET_GUEST_USO4) | NET_F(NET_GUEST_USO6);
	*features &= ~fake(n->d)->without;
	return 0;
}

static ssize_t
host_read(struct net *n, unsigned int pair, const struct iovec *iov, int niov)
{
	struct fake *f = fake(n->d);
	struct fake_frame *g;
	unsigned int i;

	for (i = f->taken; i < f->nin && f->in_pair[i] != pair; i++)
		;
	if (i == f->nin) {
		errno = EAGAIN;
		return -1;
	}
	g = &f->in[i];
	vq_iov_put(iov, (size_t)niov, 0, g->data, g->len);
	if (i == f->taken)
		f->taken++;
	else
		f->in_pair[i] = UINT32_MAX;
	return (ssize_t)g->len;
}

static ssize_t
host_write(struct net *n, unsigned int pair, const struct iovec *iov, int niov)
{
	struct fake *f = fake(n->d);
	struct fake_frame *g = &f->out[f->nout % FAKE_FRAMES];

	if (f->out_errno != 0) {
		errno = f->out_errno;
		return -1;
	}
	g->len = vq_iov_get(iov, (size_t)niov, 0, g->data, sizeof(g->data));
	f->nout++;
	return (ssize_t)g->len;
}

static void
host_watch(struct net *n, unsigned int pair)
{
	fake(n->d)->watched |= 1U << pair;
}

const struct net_backend net_tap = {
	.open = host_open,
	.read = host_read,
	.write = host_write,
	.watch = host_watch,
};

/* Nothing here is about streams. */
const struct net_backend net_stream = {
	.open = host_open,
	.read = host_read,
	.write = host_write,
	.watch = host_watch,
};

void
fake_in(struct fake *f, unsigned int pair, const void *p, size_t len)
{
	if (f->nin == FAKE_FRAMES || len > NET_BUF)
		die();
	memcpy(f->in[f->nin].data, p, len);
	f->in[f->nin].len = len;
	f->in_pair[f->nin++] = pair;
	if (f->watched & 1U << pair) {
		f->watched &= ~(1U << pair);
		watch_begin(&f->watch, &f->d.mem, FAKE_MEM);
		net_readable(f->d.priv, pair);
		watch_end(&f->watch);
	}
}

/* --- a guest ------------------------------------------------------------------ */

struct vq_conf
fake_conf(struct fake *f, unsigned int q)
{
	uint64_t at = FAKE_RINGS + q * FAKE_STRIDE;
	struct vq_conf c = { .mem = &f->d.mem,
		.size = FAKE_QUEUE,
		.desc = at,
		.avail = at + 0x4000,
		.used = at + 0x8000,
		.features = f->d.features,
		.inflight = f->records[q],
		.dirty = &f->d.dirty };

	return c;
}

int
fake_open(struct fake *f, const struct net_conf *conf)
{
	struct dev *d = &f->d;
	unsigned int i;
	int fd;

	d->ops = &vionet_ops;
	d->page = &f->page;
	d->start.kind = DEV_VIONET;
	d->start.net = *conf;
	d->nqueues = 2 * conf->pairs + 1;
	for (i = 0; i < conf->pairs; i++) {
		fd = 1000 + (int)i; /* never used */
		if (fdlist_add(&d->fds, FD_TAP, 0, i, &fd) == -1)
			die();
	}
	if (gmem_add(&d->mem, 0, FAKE_MEM, GMEM_RAM) == -1)
		die();
	d->mem.fd = -1;
	d->mem.base = mmap(NULL, FAKE_MEM, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d->mem.base == MAP_FAILED)
		die();
	for (i = 0; i < d->nqueues; i++) {
		f->records[i] = calloc(1, vq_inflight_size(FAKE_QUEUE));
		if (f->records[i] == NULL)
			die();
	}
	if (d->ops->open(d, &f->ready, f->why) == -1)
		return -1;
	virtio_page_write(&f->page.virtio, 0, f->ready.config,
	    f->ready.config_len);
	return 0;
}

void
fake_activate(struct fake *f, uint64_t features, int resume)
{
	struct dev *d = &f->d;
	struct vq_conf c;
	unsigned int i;

	d->dirty = (struct vq_dirty){ f->watch.on ? watch_mark : NULL,
		&f->watch };
	d->features = features;
	d->resumed = resume;
	d->broken = 0;
	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *v = &d->queues[i];

		if (!resume)
			vq_inflight_clear(f->records[i], FAKE_QUEUE);
		c = fake_conf(f, i);
		v->dev = d;
		v->n = i;
		v->on = 1;
		if (vq_init(&v->vq, &c) == -1)
			die();
	}
	if (d->ops->activate(d) == -1)
		die();
	d->active = 1;
}

static int
run_one(struct fake *f, struct dev_vq *q)
{
	struct dev *d = &f->d;
	int rounds = 0;

	do {
		if (d->ops->queue(d, q) == -1)
			return -1;
		if (d->busy != 0 || ++rounds > 100000)
			die();
		vq_publish(&q->vq);
	} while (d->ops->waits(d, q) || d->ops->rest(d, q));
	return 0;
}

int
fake_run(struct fake *f)
{
	struct dev *d = &f->d;
	unsigned int i, pass;

	watch_begin(&f->watch, &d->mem, FAKE_MEM);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < d->nqueues; i++)
			if (d->queues[i].on && run_one(f, &d->queues[i]) == -1)
				d->broken = 1;
	watch_end(&f->watch);
	return d->broken ? -1 : 0;
}

void
fake_reset(struct fake *f)
{
	unsigned int i;

	f->d.active = f->d.broken = 0;
	for (i = 0; i < f->d.nqueues; i++)
		f->d.queues[i].on = 0;
}

void
fake_close(struct fake *f)
{
	unsigned int i;

	fake_reset(f);
	f->d.ops->close(&f->d);
	munmap(f->d.mem.base, FAKE_MEM);
	for (i = 0; i < f->d.nqueues; i++)
		free(f->records[i]);
	f->d.fds.n = 0;
}
