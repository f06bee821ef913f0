/*
 * fdatasync(2) of the top image, for all who want one at a time: those who
 * ask while one is under way are served together by the next.
 */

#include "lib/disk/disk_int.h"

static void sync_start(struct disk *d);

static void
sync_done(struct io_op *op, int res)
{
	struct disk *d = (struct disk *)((char *)op -
	    offsetof(struct disk, sync_op));

	d->syncing = 0;
	if (d->alloc != NULL)
		free_sync_end(d, -res);
	wake_all(&d->sync_now, -res);
	if (!d->syncing && !TAILQ_EMPTY(&d->sync_next))
		sync_start(d);
}

static void
sync_start(struct disk *d)
{
	TAILQ_CONCAT(&d->sync_now, &d->sync_next, entry);
	d->syncing = 1;
	if (d->alloc != NULL)
		free_sync_begin(d);
	d->sync_op.done = sync_done;
	io_sync(d->io, &d->sync_op, d->layers[0].file);
}

void
sync_wait(struct disk *d, struct waiter *w)
{
	wait_on(&d->sync_next, w);
	if (!d->syncing)
		sync_start(d);
}
