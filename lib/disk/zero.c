/*
 * Discarding and zeroing in a qcow2 image: whole clusters by their L2
 * entries, the rest by writing zeros.  A discard leaves alone what it does
 * not cover as a whole.  In device processes.
 *
 * Version 2 cannot say that a cluster is zero where a layer below has data:
 * there zeros are written, and a discard does nothing.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/disk/disk_int.h"

#define ENTRIES_AT_ONCE 128

static const struct layer *
top(const struct task *t)
{
	return &t->d->layers[0];
}

/* Write zeros up to `stop', then come back. */
static int
zero_write(struct task *t, uint64_t stop)
{
	t->iov = zero_iov;
	t->niov = ZERO_IOVS;
	t->iov_off = t->pos;
	t->stop = min64(stop, t->pos + ZERO_MAX);
	t->run = write_run;
	write_run(t);
	return 0;
}

/* How many whole clusters begin at t->pos; the last may be cut by the end. */
static uint64_t
whole_clusters(const struct task *t)
{
	uint64_t cs = cluster_size(top(t));

	if ((t->pos & (cs - 1)) != 0)
		return 0;
	if (t->end == t->d->size)
		return (t->end - t->pos + cs - 1) / cs;
	return (t->end - t->pos) / cs;
}

static int
no_flag(const struct task *t)
{
	return top(t)->version < 3 &&
	    (t->d->nlayers > 1 || (t->r->op == DISK_ZERO && !t->r->unmap));
}

/* What is zero is skipped; decide about the rest. */
static int
zero_look(struct task *t)
{
	uint64_t cs = cluster_size(top(t)), n, per_page;
	struct extent e;
	int rc;

	if ((rc = map_chain(t, 0, t->pos, t->end - t->pos, &e)) != 1)
		return rc;
	n = whole_clusters(t);
	if (e.type == EXT_ZERO &&
	    (n == 0 || e.len >= min64(cs, t->end - t->pos))) {
		t->pos += n == 0 || t->pos + e.len == t->end ?
		    e.len :
		    e.len & ~(cs - 1);
		return 1;
	}
	if (t->r->op == DISK_DISCARD && (n == 0 || no_flag(t))) {
		t->pos = min64(t->end, (t->pos + cs) & ~(cs - 1));
		return 1;
	}
	if (n == 0)
		return zero_write(t,
		    min64(t->pos + e.len,
			min64(t->end, (t->pos + cs) & ~(cs - 1))));
	if (no_flag(t))
		return zero_write(t, t->pos + e.len);
	per_page = cache_page_size(t->d) / 8;
	n = min64(n, per_page - ((t->pos / cs) & (per_page - 1)));
	t->n = (unsigned int)min64(n, ENTRIES_AT_ONCE);
	t->first = t->pos;
	t->zero = ZERO_TABLE;
	return 1;
}

static int
zero_table(struct task *t)
{
	int rc;

	if ((rc = table_get(t)) != 1)
		return rc;
	if ((rc = free_reserve(t, t->n)) == 1)
		t->zero = ZERO_ENTER;
	return rc;
}

static uint64_t
new_entry(const struct task *t, uint64_t old)
{
	if (top(t)->version >= 3 && t->r->op == DISK_ZERO && !t->r->unmap &&
	    (old & QCOW2_COPIED) && !(old & QCOW2_COMPRESSED))
		return old | QCOW2_ZERO;
	return t->d->nlayers > 1 ? QCOW2_ZERO : 0;
}

static int
zero_enter(struct task *t)
{
	uint64_t cs = cluster_size(top(t)), where, old, v;
	struct page *p;
	unsigned int i;
	uint8_t *data;

	where = t->l2 + ((t->first / cs) & (cs / 8 - 1)) * 8;
	if ((p = cache_get(t->d, 0, where, &t->w)) == NULL)
		return 0;
	data = page_data(p, where, NULL);
	for (i = 0; i < t->n; i++) {
		memcpy(&old, data + i * 8, 8);
		old = be64toh(old);
		v = new_entry(t, old);
		if (!(v & QCOW2_OFFSET))
			free_hold(t, old);
		v = htobe64(v);
		memcpy(data + i * 8, &v, 8);
	}
	t->zero = ZERO_ENTERED;
	page_write(p, where, t->n * 8UL, &t->w);
	return 0;
}

static int
zero_entered(struct task *t)
{
	free_release(t);
	t->pos = min64(t->end, t->first + t->n * cluster_size(top(t)));
	t->zero = ZERO_LOOK;
	return 1;
}

void
zero_run(struct task *t)
{
	static int (*const step[])(struct task *) = {
		[ZERO_LOOK] = zero_look,
		[ZERO_TABLE] = zero_table,
		[ZERO_ENTER] = zero_enter,
		[ZERO_ENTERED] = zero_entered,
	};
	int rc;

	if (t->lock == LOCK_NONE && !lock_get(t, LOCK_EXCL))
		return;
	while (t->error == 0 && t->pos < t->end) {
		if ((rc = step[t->zero](t)) == 0)
			return;
		if (rc == -1)
			t->error = errno;
	}
	if (t->newtab != 0)
		free_unused(t->d, t->newtab, 1);
	free_cancel(t);
	task_done(t, t->error);
}
