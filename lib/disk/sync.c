/*
 * fdatasync(2) of the top image, for all who want one at a time: those who
 * ask while one is under way are served together by the next.
 *
 * Linux reports that it could not write something once for each open file,
 * and then takes the page for clean: the next fdatasync(2) says that all is
 * well, and may be that of another asker than the one whose data was lost.
 * So the first error stays until the image is closed: nobody, the guest
 * neither, is told of anything more that it is durable, and no cluster is
 * taken or freed in the belief that something before it is.  A reset of the
 * device is no reason to forget it: what the page cache shows is still not
 * what is on the disk.  We go on to ask the kernel, to save what can be.
 */

#include "lib/disk/disk_int.h"

static void sync_start(struct disk *d);

static void
sync_done(struct io_op *op, int res)
{
	struct disk *d = (struct disk *)((char *)op -
	    offsetof(struct disk, sync_op));

	d->syncing = 0;
	if (res < 0 && d->lost == 0)
		d->lost = -res;
	if (d->alloc != NULL)
		free_sync_end(d, d->lost);
	wake_all(&d->sync_now, d->lost);
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

int
disk_lost(const struct disk *d)
{
	return d->lost;
}

void
disk_set_lost(struct disk *d, int error)
{
	d->lost = error;
}

void
sync_wait(struct disk *d, struct waiter *w)
{
	wait_on(&d->sync_next, w);
	if (!d->syncing)
		sync_start(d);
}
