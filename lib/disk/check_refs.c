/*
 * The refcounts of a qcow2 image that is being checked: those that the
 * image has, and those that were counted.
 *
 * qcow2 specification: "Host cluster management".
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/check_int.h"
#include "lib/disk/file.h"

/* Memory for the counts of a window. */
static int
have_window(struct check *c)
{
	uint16_t *refs;

	c->window = c->nclusters < c->how->window ? c->nclusters :
						    c->how->window;
	if ((refs = reallocarray(c->refs, c->window, sizeof(*refs))) == NULL)
		return check_error(c, "memory");
	c->refs = refs;
	return 0;
}

int
refs_open(struct check *c)
{
	uint64_t bytes = (uint64_t)c->h.ref_clusters << c->h.cluster_bits, i;

	c->table_len = bytes / 8;
	c->block_idx = NO_BLOCK;
	c->table = malloc(bytes);
	c->block = malloc(qcow2_cluster(&c->h));
	if (c->table == NULL || c->block == NULL)
		return check_error(c, "refcount table");
	if (check_read(c, c->table, bytes, c->h.ref_off, "refcount table") ==
	    -1)
		return -1;
	for (i = 0; i < c->table_len; i++)
		c->table[i] = be64toh(c->table[i]);
	return have_window(c);
}

void
refs_close(struct check *c)
{
	free(c->table);
	free(c->block);
	free(c->refs);
}

void
refs_window(struct check *c, uint64_t lo)
{
	uint64_t n = c->window;

	c->lo = lo;
	c->hi = c->nclusters - lo < n ? c->nclusters : lo + n;
	memset(c->refs, 0, (c->hi - c->lo) * sizeof(*c->refs));
}

int
refs_add(struct check *c, uint64_t off, uint64_t len, int whole,
    const char *what)
{
	uint64_t i, end;

	if (len == 0)
		return 0;
	if (whole && off % qcow2_cluster(&c->h) != 0) {
		check_corrupt(c,
		    "%s at 0x%llx is not at the beginning of a "
		    "cluster",
		    what, (unsigned long long)off);
		return -1;
	}
	end = (off + (len - 1)) >> c->h.cluster_bits;
	if (off + (len - 1) < off || end >= c->nclusters) {
		check_corrupt(c, "%s at 0x%llx is beyond the end of the file",
		    what, (unsigned long long)off);
		return -1;
	}
	i = off >> c->h.cluster_bits;
	if (i < c->lo)
		i = c->lo;
	if (end >= c->hi)
		end = c->hi - 1;
	for (; i <= end && i < c->hi; i++)
		if (c->refs[i - c->lo] < REF_TOP)
			c->refs[i - c->lo]++;
	return 0;
}

void
refs_add_own(struct check *c)
{
	uint64_t cluster = qcow2_cluster(&c->h), i;

	refs_add(c, c->h.ref_off, c->table_len * 8, 1, "refcount table");
	for (i = 0; i < c->table_len; i++) {
		if (c->table[i] == 0)
			continue;
		if (c->table[i] & ~QCOW2_REF_OFFSET) {
			check_corrupt(c,
			    "refcount table entry %llu is "
			    "malformed: 0x%llx",
			    (unsigned long long)i,
			    (unsigned long long)c->table[i]);
			c->table[i] = 0;
		} else if (refs_add(c, c->table[i], cluster, 1,
			       "refcount block") == -1) {
			/* Never read it, nor write. */
			c->table[i] = 0;
		}
	}
}

void
refs_sole(struct check *c, uint64_t off, uint64_t len, const char *what)
{
	uint64_t i = off >> c->h.cluster_bits, end;

	end = len == 0 ? i : ((off + (len - 1)) >> c->h.cluster_bits) + 1;
	for (; i < end; i++)
		if (i >= c->lo && i < c->hi && c->refs[i - c->lo] > 1)
			check_corrupt(c,
			    "%s at 0x%llx is used for something "
			    "else as well",
			    what, (unsigned long long)off);
}

void
refs_sole_own(struct check *c)
{
	uint64_t i;

	refs_sole(c, c->h.ref_off, c->table_len * 8, "refcount table");
	for (i = 0; i < c->table_len; i++)
		if (c->table[i] != 0)
			refs_sole(c, c->table[i], qcow2_cluster(&c->h),
			    "refcount block");
}

static unsigned int
block_bits(const struct check *c)
{
	return c->h.cluster_bits + 3 - c->h.ref_order;
}

static int
flush_block(struct check *c)
{
	if (!c->block_changed)
		return 0;
	c->block_changed = 0;
	if (file_write(c->fd, c->block, qcow2_cluster(&c->h),
		c->table[c->block_idx]) == -1)
		return check_error(c, "cannot write refcounts");
	return 0;
}

/* Have block `idx'.  1, 0 if there is none, or -1. */
static int
want_block(struct check *c, uint64_t idx)
{
	if (idx >= c->table_len || c->table[idx] == 0)
		return 0;
	if (c->block_idx == idx)
		return 1;
	if (flush_block(c) == -1)
		return -1;
	c->block_idx = NO_BLOCK;
	if (check_read(c, c->block, qcow2_cluster(&c->h), c->table[idx],
		"refcount block") == -1)
		return -1;
	c->block_idx = idx;
	return 1;
}

/* Entry `i' of the block; the low bits of a byte come first. */
static uint64_t
entry_get(const struct check *c, uint64_t i)
{
	unsigned int bits = 1U << c->h.ref_order, shift;
	const uint8_t *p = c->block;
	uint64_t v = 0;

	if (bits < 8) {
		shift = (unsigned int)(i * bits % 8);
		return p[i * bits / 8] >> shift & ((1U << bits) - 1);
	}
	memcpy((uint8_t *)&v + 8 - bits / 8, p + i * (bits / 8), bits / 8);
	return be64toh(v);
}

static void
entry_set(struct check *c, uint64_t i, uint64_t v)
{
	unsigned int bits = 1U << c->h.ref_order, shift, mask;
	uint8_t *p = c->block;

	c->block_changed = 1;
	if (bits < 8) {
		shift = (unsigned int)(i * bits % 8);
		mask = ((1U << bits) - 1) << shift;
		p[i * bits / 8] = (uint8_t)((p[i * bits / 8] & ~mask) |
		    ((unsigned int)v << shift & mask));
		return;
	}
	v = htobe64(v);
	memcpy(p + i * (bits / 8), (uint8_t *)&v + 8 - bits / 8, bits / 8);
}

int
refs_get(struct check *c, uint64_t cluster, uint64_t *ref)
{
	uint64_t idx = cluster >> block_bits(c);
	int rc;

	*ref = 0;
	if ((rc = want_block(c, idx)) == 1)
		*ref = entry_get(c, cluster & ((1ULL << block_bits(c)) - 1));
	return rc == -1 ? -1 : 0;
}

/* The largest refcount there can be. */
static uint64_t
ref_max(const struct check *c)
{
	return c->h.ref_order == 6 ? UINT64_MAX :
				     (1ULL << (1U << c->h.ref_order)) - 1;
}

static void
too_low(struct check *c, uint64_t i, uint64_t ref, int have, unsigned int fix)
{
	uint64_t n = c->refs[i - c->lo];

	if (have && fix & FIX_STALE)
		entry_set(c, i & ((1ULL << block_bits(c)) - 1), n);
	else if (c->stale_ok && n <= ref_max(c))
		c->res->stale++;
	else
		check_corrupt(c,
		    "cluster %llu has refcount %llu and is used "
		    "%llu times",
		    (unsigned long long)i, (unsigned long long)ref,
		    (unsigned long long)n);
}

static void
compare(struct check *c, uint64_t i, int have, unsigned int fix)
{
	uint64_t in = i & ((1ULL << block_bits(c)) - 1);
	uint64_t ref = have ? entry_get(c, in) : 0, n = c->refs[i - c->lo];

	if (ref == n || (n == REF_TOP && ref > n))
		return;
	if (ref < n) {
		too_low(c, i, ref, have, fix);
	} else if (fix & FIX_LEAKS) {
		entry_set(c, in, n);
		c->res->leaks_fixed++;
	} else {
		c->res->leaks++;
	}
}

int
refs_compare(struct check *c, unsigned int fix)
{
	uint64_t i, last = NO_BLOCK;
	int have = 0;

	for (i = c->lo; i < c->hi; i++) {
		if (i >> block_bits(c) != last) {
			last = i >> block_bits(c);
			if ((have = want_block(c, last)) == -1)
				return -1;
		}
		if (have || c->refs[i - c->lo] != 0)
			compare(c, i, have, fix);
	}
	return flush_block(c);
}

/* As it is on disk. */
static int
write_table(struct check *c)
{
	uint64_t i;
	int rc;

	for (i = 0; i < c->table_len; i++)
		c->table[i] = htobe64(c->table[i]);
	rc = file_write(c->fd, c->table, c->table_len * 8, c->h.ref_off);
	for (i = 0; i < c->table_len; i++)
		c->table[i] = be64toh(c->table[i]);
	return rc == -1 ? check_error(c, "cannot write refcounts") : 0;
}

int
refs_fill(struct check *c)
{
	uint64_t i, before = c->nclusters;

	for (i = 0; i << block_bits(c) < c->nclusters; i++) {
		if (i == c->table_len) {
			errno = ENOSPC;
			return check_error(c, "refcount table");
		}
		if (c->table[i] == 0)
			c->table[i] = c->nclusters++ << c->h.cluster_bits;
	}
	if (c->nclusters == before)
		return 0;
	c->file_size = c->nclusters << c->h.cluster_bits;
	if (ftruncate(c->fd, (off_t)c->file_size) == -1 ||
	    fdatasync(c->fd) == -1)
		return check_error(c, "cannot make it larger");
	return write_table(c) == -1 ? -1 : have_window(c);
}
