/*
 * Writing to a qcow2 image.  A piece that is there is overwritten in place;
 * else clusters are taken, written and entered.  In device processes.
 *
 * Nothing is entered that may not be: what is taken has its reference
 * count, and zeros in it, on the disk already (alloc.c).  So where the disk
 * read as zeros before, data and L2 entry may reach the disk in any order:
 * zeros or the new data is what a power cut leaves.  Where there was data,
 * the new cluster with what was copied is on the disk before its entry is
 * written, by an fdatasync(2) that all who wait for one share.  That cannot
 * be put off: an entry that is there before its cluster would show zeros in
 * place of data that had been flushed, nothing but fdatasync(2) orders the
 * two, and an entry that waits in memory goes with this process, though its
 * write was acknowledged.  What was entered before is freed when the new
 * entry is on the disk.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/disk/disk_int.h"

#define FREES_AT_ONCE 32

static uint64_t
top_cluster(const struct task *t)
{
	return cluster_size(&t->d->layers[0]);
}

static uint64_t
l2_where(const struct task *t, uint64_t off)
{
	const struct layer *l = &t->d->layers[0];
	uint64_t i = (off >> l->bits) & (cluster_size(l) / 8 - 1);

	return t->l2 + i * 8;
}

/* Does the piece begin and end with the clusters it is in? */
static int
is_full(const struct task *t, uint64_t end)
{
	return (t->pos & (top_cluster(t) - 1)) == 0 &&
	    ((end & (top_cluster(t) - 1)) == 0 || end == t->d->layers[0].size);
}

/* What is there is kept, or must be on the disk until the new data is. */
static void
set_cow(struct task *t, int cow, uint64_t len)
{
	uint64_t cs = top_cluster(t), n;

	t->cow = cow;
	n = (len + cs - 1) / cs;
	if (n < t->n)
		t->n = (unsigned int)n;
	if (cow && !is_full(t, min64(t->stop, t->first + t->n * cs))) {
		n = (t->stop - t->pos) / cs;
		if (t->pos != t->first || n == 0)
			n = 1;
		t->n = (unsigned int)min64(t->n, n);
	}
	t->state = AL_TABLE;
}

/* The mapping of t->pos on is not one to write to: begin to change it. */
static void
alloc_begin(struct task *t, const struct extent *e)
{
	uint64_t cs = top_cluster(t), i, per_page;
	uint64_t len = e->len + (t->pos & (cs - 1));

	t->first = t->pos & ~(cs - 1);
	t->l2 = e->l2;
	t->first_l2e = e->l2e;
	t->newtab = 0;
	t->merge = 0;
	i = (t->first / cs) & (cs / 8 - 1);
	per_page = cache_page_size(t->d) / 8;
	t->n = (unsigned int)(per_page - i % per_page);
	if (e->type == EXT_NONE && t->d->nlayers > 1) {
		t->n = (unsigned int)min64(t->n, (len + cs - 1) / cs);
		t->state = AL_BENEATH;
	} else {
		set_cow(t, e->type == EXT_DATA || e->type == EXT_COMP, len);
	}
}

/* Nothing here: what do the layers below have? */
static int
alloc_beneath(struct task *t)
{
	uint64_t cs = top_cluster(t), len;
	struct extent e;
	int rc;

	len = min64(t->n * cs, t->d->layers[0].size - t->first);
	if ((rc = map_chain(t, 1, t->first, len, &e)) != 1)
		return rc;
	if (e.type == EXT_ZERO && (e.len >= cs || e.len == len))
		set_cow(t, 0, e.len == len ? len : e.len & ~(cs - 1));
	else
		set_cow(t, 1, e.len > cs ? e.len & ~(cs - 1) : cs);
	return 1;
}

static int
has_host(uint64_t l2e)
{
	return (l2e & (QCOW2_COMPRESSED | QCOW2_OFFSET)) != 0;
}

static int
alloc_table(struct task *t)
{
	int rc;

	if ((rc = table_get(t)) == 1)
		t->state = AL_TAKE;
	return rc;
}

static int
alloc_get(struct task *t)
{
	uint64_t cs = top_cluster(t);
	unsigned int want;
	int rc;

	want = (unsigned int)min64(t->n, (t->stop - t->first + cs - 1) / cs);
	if (t->first_l2e != 0) {
		want = (unsigned int)min64(want, FREES_AT_ONCE);
		if (t->room == 0 && (rc = free_reserve(t, want)) != 1)
			return rc;
		want = (unsigned int)min64(want, t->room);
	}
	if ((rc = alloc_take(t->d, want, &t->host, &t->n, &t->w)) != 1)
		return rc;
	t->part_end = min64(t->stop, t->first + t->n * cs);
	t->copy_pos = t->first;
	t->copy_end = t->cow ? t->pos : t->first;
	t->state = AL_HEAD;
	return 1;
}

/* Small clusters are put together in memory, for one write. */
static int
alloc_head(struct task *t)
{
	uint64_t cs = top_cluster(t);
	int rc;

	if (t->cow && !t->merge && cs <= BOUNCE_SIZE &&
	    !is_full(t, t->part_end)) {
		t->merge = 1;
		t->copy_pos = t->first;
		t->copy_end = min64(t->first + cs, t->d->layers[0].size);
	}
	if ((rc = cow_step(t)) == 1)
		t->state = t->merge ? AL_TAIL : AL_DATA;
	return rc;
}

static void
data_written(struct xfer *x, int error)
{
	struct task *t = (struct task *)((char *)x - offsetof(struct task, x));

	task_wake(&t->w, error);
}

/* What the clusters are from now on.  It may be on the disk at any time. */
static void
enter(struct task *t, struct page *p, uint64_t where)
{
	uint8_t *data = page_data(p, where, NULL);
	unsigned int i;
	uint64_t v;

	for (i = 0; i < t->n; i++) {
		memcpy(&v, data + i * 8, 8);
		if (has_host(be64toh(v)))
			free_hold(t, be64toh(v));
		v = htobe64((t->host + i * top_cluster(t)) | QCOW2_COPIED);
		memcpy(data + i * 8, &v, 8);
	}
	t->state = AL_WRITTEN;
	page_write(p, where, t->n * 8UL, &t->w);
}

/* Where all was zero the data and the entry are written together. */
static int
alloc_data(struct task *t)
{
	uint64_t end, where = l2_where(t, t->first);
	struct page *p;

	if (!t->cow) {
		if ((p = cache_get(t->d, 0, where, &t->w)) == NULL)
			return 0;
		t->both = 1;
		enter(t, p, where);
	} else {
		t->copy_pos = t->copy_end = t->part_end;
		end = min64(t->first + t->n * top_cluster(t),
		    t->d->layers[0].size);
		if (end > t->part_end)
			t->copy_end = end;
		t->state = AL_TAIL;
	}
	t->x.done = data_written;
	xfer_start(&t->x, t->d->io, t->d->layers[0].file, 1, t->iov, t->niov,
	    task_skip(t), t->part_end - t->pos, t->host + (t->pos - t->first));
	return 0;
}

/* The new cluster is to be on the disk before its entry is written. */
static int
alloc_tail(struct task *t)
{
	int rc;

	if ((rc = cow_step(t)) != 1)
		return rc;
	cow_end(t);
	t->state = AL_COMMIT;
	sync_wait(t->d, &t->w);
	return 0;
}

static int
alloc_commit(struct task *t)
{
	uint64_t where = l2_where(t, t->first);
	struct page *p;

	if ((p = cache_get(t->d, 0, where, &t->w)) == NULL)
		return 0;
	enter(t, p, where);
	return 0;
}

static int
alloc_written(struct task *t)
{
	free_release(t);
	t->pos = t->part_end;
	t->state = AL_IDLE;
	return 1;
}

static int
alloc_step(struct task *t)
{
	static int (*const step[])(struct task *) = {
		[AL_BENEATH] = alloc_beneath,
		[AL_TABLE] = alloc_table,
		[AL_TAKE] = alloc_get,
		[AL_HEAD] = alloc_head,
		[AL_DATA] = alloc_data,
		[AL_TAIL] = alloc_tail,
		[AL_COMMIT] = alloc_commit,
		[AL_WRITTEN] = alloc_written,
	};

	return step[t->state](t);
}

/* What was taken is free again, unless it may have been entered. */
static void
alloc_fail(struct task *t)
{
	if (t->state >= AL_HEAD && t->state <= AL_COMMIT)
		free_unused(t->d, t->host, t->n);
	if (t->newtab != 0)
		free_unused(t->d, t->newtab, 1);
	free_cancel(t);
	cow_end(t);
	t->state = AL_IDLE;
}

static void
piece_written(struct xfer *x, int error)
{
	struct task *t = (struct task *)((char *)x - offsetof(struct task, x));

	t->error = error;
	t->pos = t->part_end;
	write_run(t);
}

/* 1: go on, 0: wait, -1 with errno. */
static int
write_piece(struct task *t)
{
	struct extent e;
	int rc;

	if (t->lock == LOCK_NONE && !lock_get(t, LOCK_SHARED))
		return 0;
	if ((rc = map_top(t, t->pos, t->stop - t->pos, &e)) != 1)
		return rc;
	if (e.type == EXT_DATA && e.copied) {
		t->part_end = t->pos + e.len;
		t->x.done = piece_written;
		xfer_start(&t->x, t->d->io, t->d->layers[0].file, 1, t->iov,
		    t->niov, task_skip(t), e.len, e.host);
		return 0;
	}
	if (t->lock != LOCK_EXCL) {
		lock_put(t);
		if (!lock_get(t, LOCK_EXCL))
			return 0;
	}
	alloc_begin(t, &e);
	return 1;
}

/* Of a request to write, or of a piece that zero.c has written. */
void
write_run(struct task *t)
{
	int rc;

	while (t->error == 0 && (t->pos < t->stop || t->state != AL_IDLE)) {
		if (t->state != AL_IDLE)
			rc = alloc_step(t);
		else
			rc = write_piece(t);
		if (rc == 0)
			return;
		if (rc == -1)
			t->error = errno;
	}
	if (t->error != 0)
		alloc_fail(t);
	if (t->error != 0 || t->stop == t->end) {
		task_done(t, t->error);
	} else {
		t->run = zero_run;
		zero_run(t);
	}
}
