/*
 * A larger refcount table, for when the file grows beyond what the present
 * one reaches.  Behind that nothing is in use: there come blocks that count
 * the new clusters, then the new table.  All of it is on the disk before
 * the header names it, and that before the old one is freed.
 *
 * qcow2 specification: "Host cluster management", "Header".
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disk/alloc_int.h"

#define HDR_REF 48 /* offset and clusters of the table, in the header */

static uint64_t
grow_off(const struct alloc *a)
{
	return (a->grow.first + a->grow_blocks) << a->d->layers[0].bits;
}

static int
grow_done(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	struct run old = { a->ref_off >> l->bits, a->ref_clusters };

	cache_drop(a->d, a->ref_off, a->ref_clusters << l->bits);
	a->ref_clusters = a->grow.n - a->grow_blocks;
	a->ref_off = grow_off(a);
	free_add(a, old, FREE_READY, NULL);
	a->next = fill_scan;
	return 1;
}

static int
grow_sync_header(struct alloc *a)
{
	return alloc_sync(a, grow_done);
}

static int
grow_header(struct alloc *a)
{
	uint64_t off = htobe64(grow_off(a));
	uint32_t n = htobe32((uint32_t)(a->grow.n - a->grow_blocks));
	struct page *p;
	uint8_t *data;

	a->next = grow_header;
	if ((p = cache_get(a->d, 0, 0, &a->w)) == NULL)
		return 0;
	data = page_data(p, HDR_REF, NULL);
	memcpy(data, &off, 8);
	memcpy(data + 8, &n, 4);
	page_write(p, HDR_REF, 12, &a->w);
	a->next = grow_sync_header;
	return 0;
}

static int
grow_sync_table(struct alloc *a)
{
	return alloc_sync(a, grow_header);
}

/* Entries of new blocks that are in the page of the table at `from'. */
static void
grow_enter(struct alloc *a, uint64_t from)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t first = ref_covered(a) >> a->block_bits, i, v;
	uint64_t per = cache_page_size(a->d) / 8;

	for (i = 0; i < a->grow_blocks; i++) {
		if ((first + i) * 8 < from || (first + i) * 8 >= from + per * 8)
			continue;
		v = htobe64((a->grow.first + i) << l->bits);
		memcpy(a->grow_buf + ((first + i) * 8 - from), &v, 8);
	}
}

/* One page of the table at a time; a->grow_i is its offset. */
static int
grow_table(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t size = (a->grow.n - a->grow_blocks) << l->bits;
	uint64_t ps = cache_page_size(a->d), where = grow_off(a) + a->grow_i;
	struct page *p;

	a->next = grow_table;
	if (a->grow_i >= size) {
		a->next = grow_sync_table;
		return 1;
	}
	memset(a->grow_buf, 0, ps);
	if (a->grow_i < a->ref_clusters << l->bits) {
		p = cache_get(a->d, 0, a->ref_off + a->grow_i, &a->w);
		if (p == NULL)
			return 0;
		memcpy(a->grow_buf, page_data(p, a->ref_off + a->grow_i, NULL),
		    ps);
	}
	grow_enter(a, a->grow_i);
	if ((p = cache_new_page(a->d, where, &a->w)) == NULL)
		return 0;
	memcpy(page_data(p, where, NULL), a->grow_buf, ps);
	page_write(p, where, ps, &a->w);
	a->grow_i += ps;
	return 0;
}

/* One page of the blocks at a time; a->grow_i is its first cluster. */
static int
grow_block(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t per = ref_per_page(a), n, i, where;
	uint64_t pages = cluster_size(l) / cache_page_size(a->d);
	struct page *p;

	a->next = grow_block;
	if (a->grow_i >= a->grow.n) {
		a->grow_i = 0;
		a->next = grow_table;
		return 1;
	}
	i = a->grow_i / per;
	where = ((a->grow.first + i / pages) << l->bits) +
	    i % pages * cache_page_size(a->d);
	if ((p = cache_new_page(a->d, where, &a->w)) == NULL)
		return 0;
	n = min64(per, a->grow.n - a->grow_i);
	for (i = 0; i < n; i++)
		ref_set(a, page_data(p, where, NULL), i, 1);
	ref_write(a, p, where, 0, n - 1);
	a->grow_i += per;
	return 0;
}

int
grow_begin(struct alloc *a)
{
	const struct layer *l = &a->d->layers[0];
	uint64_t cs = cluster_size(l), max = QCOW2_REFTABLE_MAX >> l->bits;
	uint64_t n = min64(a->ref_clusters * 2, max), blocks = 0, i;

	if (a->grow_buf == NULL &&
	    (a->grow_buf = malloc(cache_page_size(a->d))) == NULL)
		return -1;
	do {
		blocks++;
	} while (blocks + n > blocks << a->block_bits);
	a->grow.first = ref_covered(a);
	a->grow.n = blocks + n;
	a->grow_blocks = blocks;
	a->grow_i = 0;
	if (n == a->ref_clusters ||
	    a->grow.first + a->grow.n > n * (cs / 8) << a->block_bits ||
	    a->grow.first + a->grow.n > 1ULL << (55 - l->bits) || l->is_bdev) {
		errno = ENOSPC;
		return -1;
	}
	for (i = 0; i < a->grow.n; i++)
		if (alloc_is_table(a, a->grow.first + i)) {
			errno = EIO;
			return -1;
		}
	return alloc_zero(a, a->grow, grow_block);
}
