/*
 * Reading from a qcow2 image and what is below it, piece by piece: a piece
 * is what lies in a row in one file and goes there straight from the
 * guest's memory.  In device processes.
 */

#include <errno.h>

#include "lib/disk/disk_int.h"

static void
read_piece(struct xfer *x, int error)
{
	struct task *t = (struct task *)((char *)x - offsetof(struct task, x));

	t->error = error;
	t->pos = t->part_end;
	read_run(t);
}

/* 1 if the piece is done, 0: wait, -1 with errno. */
static int
read_extent(struct task *t, const struct extent *e)
{
	const struct layer *l = &t->d->layers[e->layer];
	const uint8_t *data;
	int rc;

	t->part_end = t->pos + e->len;
	if (e->type == EXT_DATA) {
		t->x.done = read_piece;
		xfer_start(&t->x, t->d->io, l->file, 0, t->iov, t->niov,
		    task_skip(t), e->len, e->host);
		return 0;
	}
	if (e->type == EXT_COMP) {
		if ((rc = comp_get(t, e, &data)) != 1)
			return rc;
		iov_put(t->iov, t->niov, task_skip(t),
		    data + (t->pos & (cluster_size(l) - 1)), e->len);
	} else {
		iov_zero(t->iov, t->niov, task_skip(t), e->len);
	}
	t->pos = t->part_end;
	return 1;
}

void
read_run(struct task *t)
{
	struct extent e;
	int rc = 1;

	if (!t->unlocked && t->lock == LOCK_NONE && !lock_get(t, LOCK_SHARED))
		return;
	while (t->error == 0 && t->pos < t->end) {
		if ((rc = map_chain(t, 0, t->pos, t->end - t->pos, &e)) == 1)
			rc = read_extent(t, &e);
		if (rc == 0)
			return;
		if (rc == -1)
			t->error = errno;
	}
	task_done(t, t->error);
}
