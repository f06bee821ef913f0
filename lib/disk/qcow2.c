/* Until qcow2 images can be read: disk_open() refuses them. */

#include <errno.h>
#include <stdlib.h>

#include "lib/disk/disk_int.h"

struct alloc *
alloc_new(struct disk *d, const struct qcow2_hdr *h)
{
	errno = ENOTSUP;
	return NULL;
}

struct cache *
cache_new(struct disk *d, size_t bytes)
{
	errno = ENOTSUP;
	return NULL;
}

void
cache_free(struct cache *c)
{
}
void
comp_free(struct comp *c)
{
}
void
alloc_free(struct alloc *a)
{
}
int
open_autoclear(struct disk *d)
{
	return 0;
}
void
read_run(struct task *t)
{
	task_done(t, ENOTSUP);
}
void
write_run(struct task *t)
{
	task_done(t, ENOTSUP);
}
void
zero_run(struct task *t)
{
	task_done(t, ENOTSUP);
}
void
lock_put(struct task *t)
{
}
int
alloc_finish(struct disk *d)
{
	return 1;
}
void
free_sync_begin(struct disk *d)
{
}
void
free_sync_end(struct disk *d, int error)
{
}
