/*
 * A pool of clusters for new data and tables of the top image.  Whatever is
 * in it has its reference counted and is zeros, both on the disk: it may be
 * entered in a table at any time, in any order with its data, and what is
 * in it at a power cut is only lost.  The pool is filled before it is
 * empty, by more each time, so that the fdatasync(2) it costs is rare.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disk/alloc_int.h"

#define TARGET_FIRST (1U << 20) /* bytes */
#define TARGET_LAST  (512U << 20)
#define TARGET_MIN   8U /* clusters */
#define TARGET_MAX   16384U
#define OFFSET_MAX   (1ULL << 55)
#define BEYOND_MAX   65536U /* clusters in use that are not in the file */
#define PAGES_A_TURN 256U   /* before others get theirs */

static void
alloc_wake(struct waiter *w, int error)
{
	struct alloc *a = (struct alloc *)w;

	a->error = error;
	alloc_run(a);
}

static void
sync_asked(struct waiter *w, int error)
{
	struct alloc *a = (struct alloc *)((char *)w -
	    offsetof(struct alloc, sync));

	a->sync_asked = 0;
	wake_all(&a->room, error);
}

/* How much is taken at a time: little of a small disk. */
static void
set_target(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t bytes = l->size;

	a->target = min64(TARGET_FIRST, bytes / 64) >> l->bits;
	a->target_max = min64(TARGET_LAST, bytes / 16) >> l->bits;
	a->target_max = min64(a->target_max, TARGET_MAX);
	if (a->target < TARGET_MIN)
		a->target = TARGET_MIN;
	if (a->target_max < a->target)
		a->target_max = a->target;
}

struct alloc *
alloc_new(struct disk *d, const struct qcow2_hdr *h)
{
	const struct layer *l = &d->layers[0];
	struct alloc *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->w.wake = alloc_wake;
	a->sync.wake = sync_asked;
	a->d = d;
	a->ref_off = h->ref_off;
	a->ref_clusters = h->ref_clusters;
	a->order = h->ref_order;
	a->block_bits = h->cluster_bits + 3 - h->ref_order;
	a->eof = l->file_size >> l->bits;
	a->fresh = (l->file_size + cluster_size(l) - 1) >> l->bits;
	set_target(a);
	TAILQ_INIT(&a->wait);
	TAILQ_INIT(&a->room);
	return a;
}

void
alloc_free(struct alloc *a)
{
	if (a == NULL)
		return;
	free(a->grow_buf);
	free(a);
}

int
alloc_is_table(const struct alloc *a, uint64_t c)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t l1 = l->l1_off >> l->bits, ref = a->ref_off >> l->bits;
	uint64_t l1_bytes = l->l1_size * 8ULL;

	return c == 0 ||
	    (c >= l1 && c - l1 < (l1_bytes + cluster_size(l) - 1) >> l->bits) ||
	    (c >= ref && c - ref < a->ref_clusters);
}

void
alloc_op_done(struct io_op *op, int res)
{
	struct alloc *a = (struct alloc *)((char *)op -
	    offsetof(struct alloc, op));

	alloc_wake(&a->w, res < 0 ? -res : 0);
}

static void
xfer_done(struct xfer *x, int error)
{
	struct alloc *a = (struct alloc *)((char *)x -
	    offsetof(struct alloc, x));

	alloc_wake(&a->w, error);
}

int
alloc_sync(struct alloc *a, int (*after)(struct alloc *a))
{
	a->next = after;
	sync_wait(a->d, &a->w);
	return 0;
}

/* The file is to reach to the end of the run. */
static int
zero_extend(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t end = a->zero.first + a->zero.n;

	a->next = a->after;
	if (a->fresh < end)
		a->fresh = end;
	if (a->eof >= end)
		return 1;
	a->eof = end;
	a->x.done = xfer_done;
	xfer_start(&a->x, a->d->io, l->file, 1, zero_iov, 1, 0, DISK_SECTOR,
	    (end << l->bits) - DISK_SECTOR);
	return 0;
}

static int zero_some(struct alloc *a);

static void
zero_tried(struct io_op *op, int res)
{
	struct alloc *a = (struct alloc *)((char *)op -
	    offsetof(struct alloc, op));

	if (res == -EOPNOTSUPP || res == -ENOSYS || res == -ENOTTY) {
		if (op->mode & FALLOC_FL_ZERO_RANGE)
			a->no_zero = 1;
		else
			a->no_punch = 1;
		a->next = zero_some;
		res = 0;
	}
	alloc_op_done(op, res);
}

/* What was in use once is made zero, in the best way the file can. */
static int
zero_some(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t off = a->zero.first << l->bits, end, len;
	int mode;

	end = min64(a->zero.first + a->zero.n, a->fresh) << l->bits;
	off += a->zero_pos;
	if (off >= end)
		return zero_extend(a);
	a->next = zero_extend;
	if (!a->no_punch || !a->no_zero) {
		mode = a->no_punch ? FALLOC_FL_ZERO_RANGE :
				     FALLOC_FL_PUNCH_HOLE;
		a->op.done = zero_tried;
		io_fallocate(a->d->io, &a->op, l->file,
		    mode | FALLOC_FL_KEEP_SIZE, off, end - off);
		return 0;
	}
	len = min64(end - off, ZERO_MAX);
	a->zero_pos += len;
	a->next = zero_some;
	a->x.done = xfer_done;
	xfer_start(&a->x, a->d->io, l->file, 1, zero_iov, ZERO_IOVS, 0, len,
	    off);
	return 0;
}

int
alloc_zero(struct alloc *a, struct run r, int (*after)(struct alloc *a))
{
	a->zero = r;
	a->zero_pos = 0;
	a->after = after;
	a->next = zero_some;
	return 1;
}

static int
fill_done(struct alloc *a)
{
	unsigned int i;

	for (i = 0; i < a->nfill; i++)
		a->pool[a->npool++] = a->fill[i];
	a->pool_n += a->fill_n;
	a->nfill = 0;
	a->fill_n = 0;
	a->target = min64(a->target * 2, a->target_max);
	a->next = NULL;
	a->low = 0;
	a->filling = 0;
	wake_all(&a->wait, 0);
	return 1;
}

static int
fill_zero(struct alloc *a)
{
	if (a->filled == a->nfill)
		return alloc_sync(a, fill_done);
	return alloc_zero(a, a->fill[a->filled++], fill_zero);
}

static int
fill_add(struct alloc *a, uint64_t c)
{
	struct run *last = a->nfill > 0 ? &a->fill[a->nfill - 1] : NULL;

	if (last != NULL && last->first + last->n == c) {
		last->n++;
	} else if (a->npool + a->nfill == RUNS_MAX) {
		return 0;
	} else {
		a->fill[a->nfill].first = c;
		a->fill[a->nfill++].n = 1;
	}
	a->fill_n++;
	return 1;
}

static int
fits(const struct alloc *a, uint64_t c)
{
	const struct layer *l = &a->d->layers[0];

	if (l->is_bdev)
		return c < l->file_size >> l->bits;
	return c < OFFSET_MAX >> l->bits;
}

/*
 * Take what is free in one page of a block.
 */
static int
fill_page(struct alloc *a, uint64_t block)
{
	uint64_t per = ref_per_page(a), where = ref_where(a, block, a->scan);
	uint64_t i = a->scan & (per - 1), lo = per, hi = 0;
	struct page *p;
	uint8_t *data;
	int full = 0;

	if ((p = cache_get(a->d, 0, where, &a->w)) == NULL)
		return 0;
	data = page_data(p, where, NULL);
	for (; i < per; i++, a->scan++) {
		full = a->fill_n >= a->target || !fits(a, a->scan);
		if (full)
			break;
		if (ref_get(a, data, i) != 0) {
			if (a->scan < a->eof || ++a->beyond < BEYOND_MAX)
				continue;
			errno = EIO; /* so many are not lost by accident */
			return -1;
		}
		if (alloc_is_table(a, a->scan)) {
			errno = EIO; /* the refcounts are wrong */
			return -1;
		}
		if ((full = !fill_add(a, a->scan)))
			break;
		ref_set(a, data, i, 1);
		lo = lo == per ? i : lo;
		hi = i;
	}
	a->enough = full;
	if (lo < per) {
		ref_write(a, p, where, lo, hi);
		return 0;
	}
	return 1;
}

/* Let others go on: this can take long. */
static int
fill_yield(struct alloc *a)
{
	a->turn = 0;
	a->yield.iov_base = &a->yield_byte;
	a->yield.iov_len = 1;
	a->x.done = xfer_done;
	xfer_start(&a->x, a->d->io, a->d->layers[0].file, 0, &a->yield, 1, 0, 1,
	    0);
	return 0;
}

/* Look for free clusters, and count a reference to each. */
int
fill_scan(struct alloc *a)
{
	uint64_t block;
	int rc;

	a->next = fill_scan;
	if (a->enough || a->fill_n >= a->target || !fits(a, a->scan)) {
		if (a->fill_n == 0) {
			errno = ENOSPC;
			return -1;
		}
		a->filled = 0;
		a->next = fill_zero;
		return 1;
	}
	if (++a->turn > PAGES_A_TURN)
		return fill_yield(a);
	if ((rc = ref_block(a, a->scan, &block)) != 1)
		return rc;
	if (block == 0) {
		if (a->fill_n > 0)
			a->enough = 1;
		else
			a->next = a->scan >= ref_covered(a) ? grow_begin :
							      ref_new_block;
		return 1;
	}
	return fill_page(a, block);
}

/* What is to be done next? */
static void
alloc_choose(struct alloc *a)
{
	if (a->pool_n > 0)
		wake_all(&a->wait, 0);
	if (!TAILQ_EMPTY(&a->wait) || a->low) {
		a->low = 0;
		a->enough = 0;
		a->filling = 1;
		a->next = fill_scan;
	} else {
		free_begin(a);
	}
}

/* What was counted is lost.  Those who wait now have waited in vain. */
static void
alloc_failed(struct alloc *a)
{
	int error = a->error, filling = a->filling;

	a->error = 0;
	a->next = NULL;
	a->low = 0;
	a->filling = 0;
	a->nfill = 0;
	a->fill_n = 0;
	if (filling)
		wake_all(&a->wait, error);
}

void
alloc_run(struct alloc *a)
{
	int rc;

	if (a->running)
		return;
	a->running = 1;
	do {
		rc = 1;
		if (a->error != 0)
			alloc_failed(a);
		if (a->next == NULL)
			alloc_choose(a);
		if (a->next == NULL)
			break;
		if ((rc = a->next(a)) == -1)
			a->error = errno;
	} while (rc != 0);
	a->running = 0;
}

int
alloc_take(struct disk *d, unsigned int want, uint64_t *host, unsigned int *got,
    struct waiter *w)
{
	struct alloc *a = d->alloc;
	struct run *r = &a->pool[0];

	if (a->pool_n == 0) {
		/* The next would be counted, and lost, like the last. */
		if ((errno = d->lost) != 0)
			return -1;
		wait_on(&a->wait, w);
		if (a->next == NULL)
			alloc_run(a);
		return 0;
	}
	*got = (unsigned int)min64(want, r->n);
	*host = r->first << d->layers[0].bits;
	r->first += *got;
	r->n -= *got;
	a->pool_n -= *got;
	if (r->n == 0)
		memmove(r, r + 1, --a->npool * sizeof(*r));
	a->low = !a->closing && d->lost == 0 && a->pool_n < a->target / 4 &&
	    a->npool < RUNS_MAX / 2;
	if (a->low && a->next == NULL)
		alloc_run(a);
	return 1;
}

int
alloc_finish(struct disk *d)
{
	struct alloc *a = d->alloc;

	a->closing = 1;
	while (a->npool > 0 &&
	    free_add(a, a->pool[a->npool - 1], FREE_READY, NULL))
		a->pool_n -= a->pool[--a->npool].n;
	if (a->next == NULL)
		alloc_run(a);
	return a->next == NULL && !free_any_ready(a);
}
