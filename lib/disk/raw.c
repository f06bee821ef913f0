/*
 * A raw image, alone: its file or device is the disk.  In device processes.
 */

#include <errno.h>
#include <fcntl.h>

#include "lib/disk/disk_int.h"

static void
raw_xfer(struct xfer *x, int error)
{
	struct task *t = (struct task *)((char *)x - offsetof(struct task, x));

	task_done(t, error);
}

static void raw_zero(struct task *t);

static void
write_zeros_done(struct xfer *x, int error)
{
	struct task *t = (struct task *)((char *)x - offsetof(struct task, x));

	t->error = error;
	raw_zero(t);
}

static void
write_zeros(struct task *t)
{
	uint64_t n = min64(t->end - t->pos, ZERO_MAX);

	if (t->error != 0 || n == 0) {
		task_done(t, t->error);
		return;
	}
	t->x.done = write_zeros_done;
	xfer_start(&t->x, t->d->io, t->d->layers[0].file, 1, zero_iov,
	    ZERO_IOVS, 0, n, t->pos);
	t->pos += n;
}

static void
fallocated(struct io_op *op, int res)
{
	struct task *t = (struct task *)((char *)op -
	    offsetof(struct task, x.op));

	if (res == -EOPNOTSUPP || res == -ENOSYS || res == -ENOTTY) {
		if (op->mode & FALLOC_FL_ZERO_RANGE)
			t->d->no_zero = 1;
		else
			t->d->no_punch = 1;
		raw_zero(t);
	} else if (res == -EINVAL && t->r->op == DISK_ZERO) {
		write_zeros(t); /* not as the device divides itself */
	} else {
		task_done(t, -res);
	}
}

/* The best way that has not failed on this file. */
static void
raw_zero(struct task *t)
{
	struct disk *d = t->d;
	const struct disk_req *r = t->r;
	int mode = -1;

	if (r->op == DISK_ZERO && !d->no_zero)
		mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	else if ((r->op == DISK_DISCARD || r->unmap) && !d->no_punch)
		mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (mode != -1) {
		t->x.op.done = fallocated;
		io_fallocate(d->io, &t->x.op, d->layers[0].file, mode, r->off,
		    r->len);
	} else if (r->op == DISK_DISCARD) {
		task_done(t, EOPNOTSUPP);
	} else {
		write_zeros(t);
	}
}

void
raw_run(struct task *t)
{
	const struct disk_req *r = t->r;

	if (r->op == DISK_DISCARD || r->op == DISK_ZERO) {
		raw_zero(t);
		return;
	}
	t->x.done = raw_xfer;
	xfer_start(&t->x, t->d->io, t->d->layers[0].file, r->op == DISK_WRITE,
	    t->iov, t->niov, 0, r->len, r->off);
}
