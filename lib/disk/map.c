/*
 * Where the bytes of a disk are: one layer of a chain, or the chain from a
 * layer down.  Tables are what anybody wrote: offsets are checked where
 * they are used, and reading any place of a file does no harm.
 *
 * qcow2 specification: "Cluster mapping".
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/disk/disk_int.h"

static int
broken(void)
{
	errno = EIO;
	return -1;
}

static uint64_t
entry_at(const uint8_t *p, size_t i)
{
	uint64_t v;

	memcpy(&v, p + i * sizeof(v), sizeof(v));
	return be64toh(v);
}

static enum ext_type
classify(const struct layer *l, uint64_t v)
{
	if (v & QCOW2_COMPRESSED)
		return EXT_COMP;
	if (l->version >= 3 && v & QCOW2_ZERO)
		return EXT_ZERO;
	return (v & QCOW2_OFFSET) == 0 ? EXT_NONE : EXT_DATA;
}

/* How many of `n' entries from `p' on go on as the first began. */
static size_t
run_length(const struct layer *l, const uint8_t *p, size_t n,
    enum ext_type type)
{
	uint64_t first = entry_at(p, 0), v;
	size_t i;

	if (type == EXT_COMP)
		return 1;
	for (i = 1; i < n; i++) {
		v = entry_at(p, i);
		if (type == EXT_DATA && v != first + i * cluster_size(l))
			break;
		if (classify(l, v) != type)
			break;
	}
	return i;
}

static int
map_l2(const struct layer *l, struct page *p, uint64_t where, uint64_t off,
    struct extent *e)
{
	uint64_t in = off & (cluster_size(l) - 1), table, want;
	uint8_t *data;
	size_t left;

	data = page_data(p, where, &left);
	table = cluster_size(l) - (where & (cluster_size(l) - 1));
	want = (in + e->len + cluster_size(l) - 1) >> l->bits;
	want = min64(want, min64(table, left) / 8);
	e->l2e = entry_at(data, 0);
	e->type = classify(l, e->l2e);
	e->len = min64(e->len,
	    (run_length(l, data, want, e->type) << l->bits) - in);
	e->copied = (e->l2e & QCOW2_COPIED) != 0;
	e->host = e->l2e;
	if (e->type == EXT_DATA) {
		e->host = e->l2e & QCOW2_OFFSET;
		if ((e->host & (cluster_size(l) - 1)) != 0)
			return broken();
		e->host += in;
	}
	return 1;
}

/* The L2 table of `off': into t->map.l2, or 0. */
static int
map_l1(struct task *t, const struct layer *l, size_t layer, uint64_t off)
{
	uint64_t i = off >> (2 * l->bits - 3), v;

	if (i >= l->l1_size)
		return broken();
	if (!cache_get64(t->d, layer, l->l1_off + i * 8, &v, &t->w))
		return 0;
	t->map.l2 = v & QCOW2_OFFSET;
	return (t->map.l2 & (cluster_size(l) - 1)) != 0 ? broken() : 1;
}

static int
map_layer(struct task *t, size_t layer, uint64_t off, struct extent *e)
{
	const struct layer *l = &t->d->layers[layer];
	uint64_t where, span;
	struct page *p;
	int rc;

	e->layer = layer;
	if (off >= l->size) {
		e->type = EXT_ZERO;
		return 1;
	}
	e->len = min64(e->len, l->size - off);
	if (!l->qcow2) {
		e->type = EXT_DATA;
		e->host = off;
		return 1;
	}
	if (t->map.l2 == 0 && (rc = map_l1(t, l, layer, off)) != 1)
		return rc;
	span = 1ULL << (2 * l->bits - 3);
	e->l2 = t->map.l2;
	e->l2e = 0;
	e->len = min64(e->len, span - (off & (span - 1)));
	if (e->l2 == 0) {
		e->type = EXT_NONE;
		return 1;
	}
	where = e->l2 + ((off & (span - 1)) >> l->bits) * 8;
	if ((p = cache_get(t->d, layer, where, &t->w)) == NULL)
		return 0;
	return map_l2(l, p, where, off, e);
}

/*
 * What was found before a wait stays true: tables never move, and layers
 * below the top do not change.
 */
static void
map_begin(struct task *t, size_t layer, uint64_t len)
{
	if (t->map.active)
		return;
	t->map.active = 1;
	t->map.layer = layer;
	t->map.len = len;
	t->map.l2 = 0;
}

int
map_top(struct task *t, uint64_t off, uint64_t len, struct extent *e)
{
	int rc;

	map_begin(t, 0, len);
	e->len = len;
	if ((rc = map_layer(t, 0, off, e)) != 0)
		t->map.active = 0;
	return rc;
}

int
map_chain(struct task *t, size_t layer, uint64_t off, uint64_t len,
    struct extent *e)
{
	int rc;

	map_begin(t, layer, len);
	for (; t->map.layer < t->d->nlayers; t->map.layer++) {
		e->len = t->map.len;
		if ((rc = map_layer(t, t->map.layer, off, e)) != 1) {
			t->map.active = rc == 0;
			return rc;
		}
		if (e->type != EXT_NONE) {
			t->map.active = 0;
			return 1;
		}
		t->map.len = e->len;
		t->map.l2 = 0;
	}
	t->map.active = 0;
	e->len = t->map.len;
	e->type = EXT_ZERO;
	return 1;
}
