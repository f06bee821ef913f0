/*
 * What is on both sides of the data in a new cluster is copied from where
 * it is now, through one of a few buffers.  And L2 tables: a new one is a
 * cluster of zeros, so its L1 entry may be written at once.
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disk/disk_int.h"

#define BOUNCES 4

static int
bounce_get(struct task *t)
{
	struct disk *d = t->d;

	if ((t->bounce = d->bounces) != NULL) {
		d->bounces = t->bounce->next;
		return 1;
	}
	if (d->nbounces == BOUNCES) {
		wait_on(&d->bounce_wait, &t->w);
		return 0;
	}
	t->bounce = malloc(sizeof(*t->bounce) + BOUNCE_SIZE);
	if (t->bounce == NULL)
		return -1;
	d->nbounces++;
	t->bounce->iov.iov_base = t->bounce->data;
	return 1;
}

void
cow_end(struct task *t)
{
	struct disk *d = t->d;

	if (t->bounce == NULL)
		return;
	t->bounce->next = d->bounces;
	d->bounces = t->bounce;
	t->bounce = NULL;
	wake_all(&d->bounce_wait, 0);
}

static void
copy_written(struct xfer *x, int error)
{
	struct task *t = (struct task *)((char *)x - offsetof(struct task, x));

	t->error = error;
	t->copy_pos += t->bounce->iov.iov_len;
	t->run(t);
}

static void
copy_read(struct task *child)
{
	struct task *t = child->parent;
	struct iovec *iov = &t->bounce->iov;

	if (child->error != 0) {
		t->error = child->error;
		t->run(t);
		return;
	}
	if (t->merge)
		iov_get(t->iov, t->niov, task_skip(t),
		    t->bounce->data + (t->pos - t->first),
		    t->part_end - t->pos);
	t->x.done = copy_written;
	xfer_start(&t->x, t->d->io, t->d->layers[0].file, 1, iov, 1, 0,
	    iov->iov_len, t->host + (t->copy_pos - t->first));
}

int
cow_step(struct task *t)
{
	struct task *child;
	int rc;

	if (t->copy_pos == t->copy_end)
		return 1;
	if (t->bounce == NULL && (rc = bounce_get(t)) != 1)
		return rc;
	if ((child = task_new(t->d, NULL)) == NULL)
		return -1;
	t->bounce->iov.iov_len = min64(t->copy_end - t->copy_pos, BOUNCE_SIZE);
	child->parent = t;
	child->unlocked = 1;
	child->finish = copy_read;
	child->run = read_run;
	child->iov = &t->bounce->iov;
	child->niov = 1;
	child->iov_off = child->pos = t->copy_pos;
	child->end = t->copy_pos + t->bounce->iov.iov_len;
	read_run(child);
	return 0; /* `t' may be done already */
}

/* Enter the new table, or find that somebody else was faster. */
static int
table_enter(struct task *t, uint64_t where)
{
	struct page *p;
	uint64_t v;

	if ((p = cache_get(t->d, 0, where, &t->w)) == NULL)
		return 0;
	memcpy(&v, page_data(p, where, NULL), 8);
	v = be64toh(v);
	if ((v & QCOW2_OFFSET) != 0) {
		if (t->newtab != 0)
			free_unused(t->d, t->newtab, 1);
		t->newtab = 0;
		t->l2 = v & QCOW2_OFFSET;
		if (!(v & QCOW2_COPIED)) {
			errno = EIO; /* shared, without a snapshot */
			return -1;
		}
		return page_clean(p, &t->w);
	}
	if (t->newtab == 0)
		return 2;
	v = htobe64(t->newtab | QCOW2_COPIED);
	memcpy(page_data(p, where, NULL), &v, 8);
	t->newtab = 0;
	page_write(p, where, 8, &t->w);
	return 0;
}

int
table_get(struct task *t)
{
	const struct layer *l = &t->d->layers[0];
	uint64_t where = l->l1_off + (t->first >> (2 * l->bits - 3)) * 8;
	unsigned int one;
	int rc;

	if ((rc = table_enter(t, where)) != 2)
		return rc;
	rc = alloc_take(t->d, 1, &t->newtab, &one, &t->w);
	return rc == 1 ? table_enter(t, where) : rc;
}
