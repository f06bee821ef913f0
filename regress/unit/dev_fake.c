/*
 * A device without its process, for tests of device files.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util/fdlist.h"
#include "regress/unit/dev_fake.h"

static void __attribute__((noreturn)) die(void)
{
	abort();
}

void
dev_begin(struct dev *d)
{
	d->busy++;
}

void
dev_end(struct dev *d, struct dev_vq *q, uint16_t head, uint32_t len)
{
	struct fake *f = (struct fake *)d;

	d->busy--;
	f->ended++;
	f->state_at_end = d->page->state[0];
	if (d->resetting)
		return;
	if (vq_push(&q->vq, head, len) == -1)
		d->broken = 1;
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

int
fake_open(struct fake *f, const struct dev_ops *ops, const int *fds,
    unsigned int nfds, uint32_t flags, uint32_t qcow2)
{
	return fake_open_again(f, ops, fds, nfds, flags, qcow2, NULL);
}

int
fake_open_again(struct fake *f, const struct dev_ops *ops, const int *fds,
    unsigned int nfds, uint32_t flags, uint32_t qcow2,
    const struct dev_page *page)
{
	struct dev *d = &f->d;
	enum fd_kind kind = ops->kind == DEV_VIOSCSI ? FD_CDROM : FD_DISK;
	unsigned int i;
	int fd;

	memset(f, 0, sizeof(*f));
	d->ops = ops;
	d->page = &f->page;
	if (page != NULL) {
		f->page = *page;
		d->hello.flags = DEVF_REPLACED;
	}
	d->nqueues = ops->kind == DEV_VIOSCSI ? 3 : 1;
	d->start.kind = ops->kind;
	d->start.flags = flags;
	d->start.layers = nfds;
	d->start.qcow2 = qcow2;
	for (i = 0; i < nfds; i++) {
		fd = fds[i];
		if (fdlist_add(&d->fds, kind, 0, i, &fd) == -1)
			die();
	}
	f->record = calloc(1, vq_inflight_size(FAKE_QUEUE));
	if (f->record == NULL || gmem_add(&d->mem, 0, FAKE_MEM, GMEM_RAM) == -1)
		die();
	d->mem.fd = -1;
	d->mem.base = mmap(NULL, FAKE_MEM, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d->mem.base == MAP_FAILED ||
	    (d->io = io_new(2 + 4 * FAKE_QUEUE, fds, nfds, 1)) == NULL)
		die();
	if (ops->open(d, &f->ready, f->why) == -1)
		return -1;
	if (page == NULL)
		virtio_page_write(&f->page.virtio, 0, f->ready.config,
		    f->ready.config_len);
	return 0;
}

void
fake_activate(struct fake *f, unsigned int q, uint64_t features)
{
	struct dev *d = &f->d;
	struct dev_vq *v = &d->queues[q];
	struct vq_conf c = { .mem = &d->mem,
		.size = FAKE_QUEUE,
		.desc = FAKE_DESC,
		.avail = FAKE_AVAIL,
		.used = FAKE_USED,
		.features = features,
		.inflight = f->record,
		.dirty = &d->dirty };

	vq_inflight_clear(f->record, FAKE_QUEUE);
	v->dev = d;
	v->n = q;
	v->on = 1;
	d->dirty = (struct vq_dirty){ f->watch.on ? watch_mark : NULL,
		&f->watch };
	d->features = features;
	d->active = 1;
	if (vq_init(&v->vq, &c) == -1 ||
	    (d->ops->activate != NULL && d->ops->activate(d) == -1))
		die();
}

int
fake_run(struct fake *f)
{
	struct dev *d = &f->d;
	unsigned int i;
	int rc = 0;

	watch_begin(&f->watch, &d->mem, FAKE_MEM);
	for (i = 0; i < d->nqueues; i++) {
		struct dev_vq *q = &d->queues[i];

		if (!q->on)
			continue;
		do {
			if (d->ops->queue(d, q) == -1)
				rc = -1;
			while (d->busy > 0)
				if (io_run(d->io, 1) == -1)
					die();
			vq_publish(&q->vq);
		} while (rc == 0 && vq_kick_on(&q->vq));
	}
	watch_end(&f->watch);
	return rc;
}

void
fake_reset(struct fake *f)
{
	struct dev *d = &f->d;
	unsigned int i;

	d->resetting = 1;
	watch_begin(&f->watch, &d->mem, FAKE_MEM);
	while (d->busy > 0)
		if (io_run(d->io, 1) == -1)
			die();
	watch_end(&f->watch);
	d->resetting = d->active = d->broken = 0;
	for (i = 0; i < d->nqueues; i++)
		d->queues[i].on = 0;
}

void
fake_close(struct fake *f)
{
	fake_reset(f);
	if (f->d.priv != NULL)
		f->d.ops->close(&f->d);
	io_free(f->d.io);
	fdlist_close(&f->d.fds);
	munmap(f->d.mem.base, FAKE_MEM);
	free(f->record);
}
