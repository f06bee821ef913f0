/*
 * Images as a disk: opening a chain, and what every request goes through
 * before raw.c, read.c, write.c or zero.c does it.  In device processes,
 * which get the files open; requests come from the guest and are checked
 * here once more.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disk/disk_int.h"

#define TASKS_AT_ONCE 16 /* are allocated together */
#define HDR_AUTOCLEAR 88 /* where it is in the file */
#define CACHE_BYTES   (256U << 10)

void
wait_on(struct waitq *q, struct waiter *w)
{
	TAILQ_INSERT_TAIL(q, w, entry);
}

void
wake_all(struct waitq *q, int error)
{
	struct waitq now = TAILQ_HEAD_INITIALIZER(now);
	struct waiter *w;

	TAILQ_CONCAT(&now, q, entry);
	while ((w = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, w, entry);
		w->wake(w, error);
	}
}

static int __attribute__((format(printf, 4, 5)))
refuse(int err, char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	errno = err;
	return -1;
}

static int
open_qcow2(struct disk *d, struct layer *l, int fd, int top, char *why,
    size_t len)
{
	unsigned int flags = top && !d->rdonly ? QCOW2_FOR_WRITE : 0;
	struct qcow2_hdr *h;
	int rc = -1;

	if ((h = malloc(sizeof(*h))) == NULL)
		return refuse(errno, why, len, "%s", strerror(errno));
	if (qcow2_hdr_read(h, fd, flags, why, len) == -1)
		goto out;
	l->version = h->version;
	l->bits = h->cluster_bits;
	l->l1_size = h->l1_size;
	l->l1_off = h->l1_off;
	l->zstd = h->zstd;
	l->autoclear = h->autoclear;
	l->size = h->size;
	if (top && !d->rdonly && (d->alloc = alloc_new(d, h)) == NULL) {
		refuse(errno, why, len, "%s", strerror(errno));
		goto out;
	}
	rc = 0;
out:
	free(h);
	return rc;
}

static int
open_layer(struct disk *d, size_t i, const struct disk_layer *from, char *why,
    size_t len)
{
	struct layer *l = &d->layers[i];
	struct stat st;
	off_t end;

	if (fstat(from->fd, &st) == -1 ||
	    (end = lseek(from->fd, 0, SEEK_END)) == -1)
		return refuse(errno, why, len, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(EINVAL, why, len,
		    "neither a file nor a block device");
	l->file = from->file;
	l->is_bdev = S_ISBLK(st.st_mode);
	l->qcow2 = from->qcow2;
	l->file_size = (uint64_t)end;
	l->size = (uint64_t)end;
	return l->qcow2 ? open_qcow2(d, l, from->fd, i == 0, why, len) : 0;
}

static int
open_all(struct disk *d, const struct disk_layer *layers, size_t n, char *why,
    size_t len)
{
	for (; d->nlayers < n; d->nlayers++) {
		if (d->nlayers > 0 && !d->layers[d->nlayers - 1].qcow2)
			return refuse(EINVAL, why, len,
			    "a raw image has no backing file");
		if (open_layer(d, d->nlayers, &layers[d->nlayers], why, len) ==
		    -1)
			return -1;
	}
	d->size = d->layers[0].size & ~(uint64_t)(DISK_SECTOR - 1);
	if (d->layers[0].qcow2 &&
	    (d->cache = cache_new(d, CACHE_BYTES)) == NULL)
		return refuse(errno, why, len, "%s", strerror(errno));
	return 0;
}

static void
disk_free(struct disk *d)
{
	struct bounce *b;
	struct task *t;

	while ((b = d->bounces) != NULL) {
		d->bounces = b->next;
		free(b);
	}
	while ((t = d->blocks) != NULL) {
		d->blocks = t->block;
		free(t);
	}
	comp_free(d->comp);
	alloc_free(d->alloc);
	cache_free(d->cache);
	free(d);
}

struct waiting {
	struct waiter w;
	struct xfer x;
	int done;
	int error;
};

static void
waiting_wake(struct waiter *w, int error)
{
	struct waiting *c = (struct waiting *)w;

	c->done = 1;
	c->error = error;
}

static int
sync_and_wait(struct disk *d)
{
	struct waiting c = { .w.wake = waiting_wake };

	sync_wait(d, &c.w);
	while (!c.done)
		if (io_run(d->io, 1) == -1)
			return errno;
	return c.error;
}

static void
xfer_wake(struct xfer *x, int error)
{
	struct waiting *c = (struct waiting *)((char *)x -
	    offsetof(struct waiting, x));

	waiting_wake(&c->w, error);
}

/* Bits of features that say: who writes without knowing me clears me. */
static int
open_autoclear(struct disk *d)
{
	struct waiting c = { .x.done = xfer_wake };
	uint8_t zeros[8] = { 0 };
	struct iovec iov = { zeros, sizeof(zeros) };

	if (d->rdonly || !d->layers[0].qcow2 || d->layers[0].autoclear == 0)
		return 0;
	xfer_start(&c.x, d->io, d->layers[0].file, 1, &iov, 1, 0, sizeof(zeros),
	    HDR_AUTOCLEAR);
	while (!c.done)
		if (io_run(d->io, 1) == -1)
			return -1;
	if (c.error == 0)
		c.error = sync_and_wait(d);
	errno = c.error;
	return c.error == 0 ? 0 : -1;
}

struct disk *
disk_open(struct io *io, const struct disk_layer *layers, size_t nlayers,
    unsigned int flags, char *why, size_t len)
{
	struct disk *d;
	int saved_errno;

	why[0] = '\0';
	if (nlayers == 0 || nlayers > DISK_LAYERS_MAX) {
		refuse(EINVAL, why, len, "a chain of %zu images", nlayers);
		return NULL;
	}
	if ((d = calloc(1, sizeof(*d))) == NULL) {
		refuse(errno, why, len, "%s", strerror(errno));
		return NULL;
	}
	d->io = io;
	d->rdonly = (flags & DISK_RDONLY) != 0;
	TAILQ_INIT(&d->pool);
	TAILQ_INIT(&d->shared);
	TAILQ_INIT(&d->excl);
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->sync_now);
	TAILQ_INIT(&d->sync_next);
	TAILQ_INIT(&d->bounce_wait);
	if (open_all(d, layers, nlayers, why, len) == -1 ||
	    open_autoclear(d) == -1) {
		saved_errno = errno;
		if (why[0] == '\0')
			refuse(saved_errno, why, len, "%s",
			    strerror(saved_errno));
		disk_free(d);
		errno = saved_errno;
		return NULL;
	}
	return d;
}

int
disk_close(struct disk *d)
{
	int error = 0;

	if (d == NULL)
		return 0;
	if (!d->rdonly) {
		error = sync_and_wait(d);
		while (d->alloc != NULL && !alloc_finish(d))
			if (io_run(d->io, 1) == -1)
				break;
	}
	disk_free(d);
	errno = error;
	return error == 0 ? 0 : -1;
}

uint64_t
disk_size(const struct disk *d)
{
	return d->size;
}

uint64_t
disk_discard_unit(const struct disk *d)
{
	if (d->rdonly)
		return 0;
	return d->layers[0].qcow2 ? cluster_size(&d->layers[0]) : 4096;
}

static int
more_tasks(struct disk *d)
{
	struct task *t;
	size_t i;

	if ((t = calloc(TASKS_AT_ONCE, sizeof(*t))) == NULL)
		return -1;
	t->block = d->blocks;
	d->blocks = t;
	for (i = 0; i < TASKS_AT_ONCE; i++)
		TAILQ_INSERT_TAIL(&d->pool, &t[i], entry);
	return 0;
}

void
task_wake(struct waiter *w, int error)
{
	struct task *t = (struct task *)((char *)w - offsetof(struct task, w));

	if (error != 0 && t->error == 0)
		t->error = error;
	if (t->both)
		t->both = 0;
	else
		t->run(t);
}

/* What stays from one use to the next are `block' and the buffers in `x'. */
struct task *
task_new(struct disk *d, struct disk_req *r)
{
	struct task *t;

	if (TAILQ_EMPTY(&d->pool) && more_tasks(d) == -1)
		return NULL;
	t = TAILQ_FIRST(&d->pool);
	TAILQ_REMOVE(&d->pool, t, entry);
	t->d = d;
	t->r = r;
	t->w.wake = task_wake;
	t->finish = NULL;
	t->error = 0;
	t->map.active = 0;
	t->lock = LOCK_NONE;
	t->want = LOCK_NONE;
	t->seq = d->seq++;
	t->state = AL_IDLE;
	t->zero = ZERO_LOOK;
	t->room = 0;
	t->unlocked = 0;
	t->both = 0;
	t->newtab = 0;
	t->bounce = NULL;
	return t;
}

/* The request may be submitted again from done(). */
void
task_done(struct task *t, int error)
{
	struct disk_req *r = t->r;
	struct disk *d = t->d;

	lock_put(t);
	TAILQ_INSERT_HEAD(&d->pool, t, entry);
	if (t->finish != NULL)
		t->finish(t);
	else
		r->done(r, error);
}

uint64_t
task_skip(const struct task *t)
{
	return t->pos - t->iov_off;
}

static int
check(const struct disk *d, struct disk_req *r)
{
	uint64_t len = 0;
	int i;

	if (r->op == DISK_FLUSH)
		return 0;
	if (r->op != DISK_READ && d->rdonly)
		return EROFS;
	if (r->op == DISK_READ || r->op == DISK_WRITE) {
		for (i = 0; i < r->niov; i++) {
			if (r->iov[i].iov_len > d->size - len)
				return EINVAL;
			len += r->iov[i].iov_len;
		}
		r->len = len;
	}
	if (r->off % DISK_SECTOR != 0 || r->len % DISK_SECTOR != 0 ||
	    r->off > d->size || r->len > d->size - r->off)
		return EINVAL;
	return 0;
}

static void
flush_run(struct task *t)
{
	task_done(t, t->error);
}

static void
begin(struct task *t)
{
	static void (*const run[])(struct task *) = {
		[DISK_READ] = read_run,
		[DISK_WRITE] = write_run,
		[DISK_DISCARD] = zero_run,
		[DISK_ZERO] = zero_run,
	};
	struct disk_req *r = t->r;

	t->iov = r->iov;
	t->niov = r->niov;
	t->iov_off = r->off;
	t->pos = r->off;
	t->end = r->off + r->len;
	t->stop = t->end;
	t->run = t->d->layers[0].qcow2 ? run[r->op] : raw_run;
	t->run(t);
}

void
disk_submit(struct disk *d, struct disk_req *r)
{
	struct task *t;
	int error;

	if ((error = check(d, r)) != 0 ||
	    (r->op != DISK_FLUSH && r->len == 0) ||
	    (r->op == DISK_FLUSH && d->rdonly)) {
		r->done(r, error);
	} else if ((t = task_new(d, r)) == NULL) {
		r->done(r, ENOMEM);
	} else if (r->op == DISK_FLUSH) {
		t->run = flush_run;
		sync_wait(d, &t->w);
	} else {
		begin(t);
	}
}
