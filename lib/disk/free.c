/*
 * Clusters that an image no longer uses.  What referred to them has been
 * changed: first in the file, then, when fdatasync(2) says so, on the disk;
 * only then is the reference count lowered, the space given back, and the
 * cluster used for something else.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/disk/alloc_int.h"

int
free_add(struct alloc *a, struct run r, enum free_stage stage,
    const struct task *owner)
{
	struct freed *f = &a->frees[a->nfrees];

	if (a->nfrees > 0) {
		f--;
		if (f->stage == stage && f->owner == owner &&
		    f->run.first + f->run.n == r.first) {
			f->run.n += r.n;
			return 1;
		}
		f++;
	}
	if (a->nfrees == FREES_MAX)
		return 0;
	f->run = r;
	f->stage = stage;
	f->owner = owner;
	a->nfrees++;
	return 1;
}

static void
set_stage(struct alloc *a, enum free_stage from, enum free_stage to,
    const struct task *owner)
{
	unsigned int i;

	for (i = 0; i < a->nfrees; i++)
		if (a->frees[i].stage == from &&
		    (owner == NULL || a->frees[i].owner == owner)) {
			a->frees[i].stage = to;
			a->frees[i].owner = NULL;
		}
}

static void
drop(struct alloc *a, enum free_stage stage, const struct task *owner)
{
	unsigned int i = 0;

	while (i < a->nfrees)
		if (a->frees[i].stage == stage &&
		    (owner == NULL || a->frees[i].owner == owner))
			a->frees[i] = a->frees[--a->nfrees];
		else
			i++;
	wake_all(&a->room, 0);
}

int
free_reserve(struct task *t, unsigned int n)
{
	struct alloc *a = t->d->alloc;

	if (t->room > 0)
		return 1;
	if (a->nfrees + a->reserved + n > FREES_MAX - RUNS_MAX) {
		wait_on(&a->room, &t->w);
		if (!a->sync_asked) {
			a->sync_asked = 1;
			sync_wait(t->d, &a->sync);
		}
		return 0;
	}
	a->reserved += n;
	t->room = n;
	return 1;
}

/* A cluster, or those that a compressed one is in. */
void
free_hold(struct task *t, uint64_t l2e)
{
	const struct layer *l = &t->d->layers[0];
	struct alloc *a = t->d->alloc;
	uint64_t off = l2e & QCOW2_OFFSET, len = cluster_size(l);
	struct run r;

	if (l2e & QCOW2_COMPRESSED) {
		off = comp_off(l, l2e);
		len = comp_len(l, l2e);
	} else if (off == 0) {
		return;
	}
	r.first = off >> l->bits;
	r.n = ((off + len - 1) >> l->bits) - r.first + 1;
	free_add(a, r, FREE_HELD, t);
}

static void
unreserve(struct task *t)
{
	t->d->alloc->reserved -= t->room;
	t->room = 0;
}

void
free_release(struct task *t)
{
	struct alloc *a = t->d->alloc;

	if (t->room == 0)
		return;
	unreserve(t);
	set_stage(a, FREE_HELD, FREE_NEW, t);
	wake_all(&a->room, 0);
}

void
free_cancel(struct task *t)
{
	if (t->room == 0)
		return;
	unreserve(t);
	drop(t->d->alloc, FREE_HELD, t);
}

void
free_unused(struct disk *d, uint64_t host, unsigned int n)
{
	struct run r = { host >> d->layers[0].bits, n };

	free_add(d->alloc, r, FREE_READY, NULL);
}

void
free_sync_begin(struct disk *d)
{
	set_stage(d->alloc, FREE_NEW, FREE_SYNCING, NULL);
}

/* After an error nobody knows what is on the disk: they are lost. */
void
free_sync_end(struct disk *d, int error)
{
	struct alloc *a = d->alloc;

	if (error != 0) {
		drop(a, FREE_SYNCING, NULL);
		return;
	}
	set_stage(a, FREE_SYNCING, FREE_READY, NULL);
	if (a->next == NULL)
		alloc_run(a);
}

static int free_some(struct alloc *a);

static void
punched(struct io_op *op, int res)
{
	/* It need not give back anything. */
	alloc_op_done(op, 0);
}

static int
free_punch(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t n = a->punch.n;

	a->next = free_some;
	if (n == 0 || a->no_punch)
		return 1;
	a->punch.n = 0;
	a->op.done = punched;
	io_fallocate(a->d->io, &a->op, l->file,
	    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	    a->punch.first << l->bits, n << l->bits);
	return 0;
}

/* One less for each in a page, up to a gap in what becomes free. */
static void
free_page(struct alloc *a, struct page *p, uint64_t where)
{
	uint64_t per = ref_per_page(a), c, i,
		 first = a->freeing.first & (per - 1);
	uint8_t *data = page_data(p, where, NULL);
	uint64_t v;

	a->punch.n = 0;
	for (i = first; i < per && a->freeing.n > 0; i++) {
		c = a->freeing.first++;
		a->freeing.n--;
		v = ref_get(a, data, i);
		if (v == 0 || alloc_is_table(a, c))
			continue;
		ref_set(a, data, i, v - 1);
		if (v > 1)
			continue;
		if (c < a->scan)
			a->scan = c;
		if (a->punch.n > 0 && a->punch.first + a->punch.n != c)
			a->punch.n = 0; /* stays allocated in the file */
		if (a->punch.n++ == 0)
			a->punch.first = c;
	}
	a->next = free_punch;
	ref_write(a, p, where, first, i - 1);
}

static int
free_some(struct alloc *a)
{
	uint64_t block, per_block = 1ULL << a->block_bits, skip, where;
	struct page *p;
	int rc;

	a->next = free_some;
	if (a->freeing.n == 0) {
		a->next = NULL;
		return 1;
	}
	if ((rc = ref_block(a, a->freeing.first, &block)) != 1)
		return rc;
	if (block == 0) {
		skip = per_block - (a->freeing.first & (per_block - 1));
		skip = min64(skip, a->freeing.n);
		a->freeing.first += skip;
		a->freeing.n -= skip;
		return 1;
	}
	where = ref_where(a, block, a->freeing.first);
	if ((p = cache_get(a->d, 0, where, &a->w)) == NULL)
		return 0;
	free_page(a, p, where);
	return 0;
}

int
free_any_ready(const struct alloc *a)
{
	unsigned int i;

	for (i = 0; i < a->nfrees; i++)
		if (a->frees[i].stage == FREE_READY)
			return 1;
	return 0;
}

/* Take one that is ready off the list, if there is one. */
void
free_begin(struct alloc *a)
{
	unsigned int i;

	for (i = 0; i < a->nfrees; i++)
		if (a->frees[i].stage == FREE_READY)
			break;
	if (i == a->nfrees)
		return;
	a->freeing = a->frees[i].run;
	a->frees[i] = a->frees[--a->nfrees];
	a->next = free_some;
	wake_all(&a->room, 0);
}
