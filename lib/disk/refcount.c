/*
 * Reference counts of a qcow2 image: one of 1 to 64 bits for each cluster,
 * in blocks of one cluster, which a table names.  A new block describes its
 * first cluster, which it is itself; it is on the disk before the table
 * names it.
 *
 * qcow2 specification: "Host cluster management".
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/disk/alloc_int.h"

uint64_t
ref_get(const struct alloc *a, const uint8_t *page, uint64_t i)
{
	unsigned int bits = 1U << a->order, n;
	uint64_t v = 0;

	if (bits < 8)
		return page[i * bits / 8] >> (i * bits % 8) &
		    ((1U << bits) - 1);
	page += i * (bits / 8);
	for (n = 0; n < bits / 8; n++)
		v = v << 8 | page[n];
	return v;
}

void
ref_set(const struct alloc *a, uint8_t *page, uint64_t i, uint64_t v)
{
	unsigned int bits = 1U << a->order, n, shift = i * bits % 8;

	if (bits < 8) {
		page += i * bits / 8;
		*page = (uint8_t)((*page & ~(((1U << bits) - 1) << shift)) |
		    v << shift);
		return;
	}
	page += i * (bits / 8);
	for (n = bits / 8; n > 0; n--, v >>= 8)
		page[n - 1] = (uint8_t)v;
}

uint64_t
ref_per_page(const struct alloc *a)
{
	return cache_page_size(a->d) * 8 >> a->order;
}

uint64_t
ref_covered(const struct alloc *a)
{
	uint64_t cs = cluster_size(&a->d->layers[0]);

	return a->ref_clusters * (cs / 8) << a->block_bits;
}

int
ref_block(struct alloc *a, uint64_t c, uint64_t *off)
{
	uint64_t cs = cluster_size(&a->d->layers[0]), v;

	if (c >= ref_covered(a)) {
		*off = 0;
		return 1;
	}
	if (!cache_get64(a->d, 0, a->ref_off + (c >> a->block_bits) * 8, &v,
		&a->w))
		return 0;
	*off = v & QCOW2_REF_OFFSET;
	if ((*off & (cs - 1)) != 0) {
		errno = EIO;
		return -1;
	}
	return 1;
}

uint64_t
ref_where(const struct alloc *a, uint64_t block, uint64_t c)
{
	uint64_t in = c & ((1ULL << a->block_bits) - 1);

	return block + in / ref_per_page(a) * cache_page_size(a->d);
}

void
ref_write(struct alloc *a, struct page *p, uint64_t where, uint64_t i,
    uint64_t j)
{
	uint64_t from = (i << a->order) / 8, to = (j << a->order) / 8;
	unsigned int last = a->order < 3 ? 1 : 1U << (a->order - 3);

	page_write(p, where + from, to - from + last, &a->w);
}

/* The table may name the block now: it is on the disk. */
static int
block_link(struct alloc *a)
{
	unsigned int bits = a->d->layers[0].bits;
	uint64_t where = a->ref_off + (a->scan >> a->block_bits) * 8, v;
	struct page *p;

	a->next = block_link;
	if ((p = cache_get(a->d, 0, where, &a->w)) == NULL)
		return 0;
	v = htobe64(a->scan >> a->block_bits << a->block_bits << bits);
	memcpy(page_data(p, where, NULL), &v, 8);
	page_write(p, where, 8, &a->w);
	a->next = fill_scan;
	return 0;
}

static int
block_sync(struct alloc *a)
{
	return alloc_sync(a, block_link);
}

static int
block_fill(struct alloc *a)
{
	uint64_t c = a->scan >> a->block_bits << a->block_bits, where;
	struct page *p;

	a->next = block_fill;
	where = c << a->d->layers[0].bits;
	if ((p = cache_new_page(a->d, where, &a->w)) == NULL)
		return 0;
	ref_set(a, page_data(p, where, NULL), 0, 1);
	ref_write(a, p, where, 0, 0);
	a->next = block_sync;
	return 0;
}

/* Nothing counts what is at a->scan yet. */
int
ref_new_block(struct alloc *a)
{
	struct run r = { a->scan >> a->block_bits << a->block_bits, 1 };

	if (alloc_is_table(a, r.first)) {
		errno = EIO;
		return -1;
	}
	cache_drop(a->d, r.first << a->d->layers[0].bits,
	    cluster_size(&a->d->layers[0]));
	return alloc_zero(a, r, block_fill);
}
