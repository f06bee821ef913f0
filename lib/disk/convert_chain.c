/*
 * Reading images and their backing chains, blocking, for the offline tools:
 * in the sandboxed child of vmctl, on files that anybody may have written.
 * Memory is bounded: one L2 table a layer, one decompressed cluster.
 *
 * qcow2 specification: "Cluster mapping".
 */

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/convert.h"
#include "lib/disk/file.h"
#include "lib/disk/unpack.h"

#define NO_TABLE UINT64_MAX

struct layer {
	int fd;
	int qcow2;
	uint64_t size; /* of the disk */
	uint64_t file_size;
	struct qcow2_hdr h;
	uint64_t *l2;	 /* one table, big-endian */
	uint64_t l2_idx; /* of it, or NO_TABLE */
	int l2_none;	 /* there is none at that place */
};

struct image_chain {
	struct layer layers[IMAGE_LAYERS_MAX];
	size_t n;
	/* One compressed cluster. */
	struct unpack *unpack;
	uint8_t *plain;
	size_t plain_size;
	const struct layer *plain_layer;
	uint64_t plain_l2e;
	int failed; /* layer, or -1 */
	/* Where to complain. */
	char *why;
	size_t whylen;
};

enum kind {
	K_NONE, /* ask the layer below */
	K_ZERO,
	K_DATA,
	K_COMPRESSED
};

/* Bytes of one layer that are alike. */
struct extent {
	enum kind kind;
	uint64_t len;
	uint64_t pos; /* K_DATA: in the file; K_COMPRESSED: the L2 entry */
};

static int __attribute__((format(printf, 2, 3)))
bad(struct image_chain *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, c->whylen, fmt, ap);
	va_end(ap);
	errno = EIO;
	return -1;
}

struct image_chain *
image_chain_new(void)
{
	struct image_chain *c;

	if ((c = calloc(1, sizeof(*c))) != NULL)
		c->failed = -1;
	return c;
}

void
image_chain_free(struct image_chain *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->n; i++)
		free(c->layers[i].l2);
	unpack_free(c->unpack);
	free(c->plain);
	free(c);
}

int
image_chain_add(struct image_chain *c, int fd, int qcow2, char *why, size_t len)
{
	struct layer *l = &c->layers[c->n];
	off_t end;

	if (c->n == IMAGE_LAYERS_MAX) {
		snprintf(why, len, "more than %d images are chained",
		    IMAGE_LAYERS_MAX);
		errno = ELOOP;
		return -1;
	}
	c->failed = (int)c->n; /* until it is added */
	memset(l, 0, sizeof(*l));
	if ((end = lseek(fd, 0, SEEK_END)) == -1)
		return file_error(why, len, "cannot tell its size");
	l->fd = fd;
	l->qcow2 = qcow2;
	l->size = l->file_size = (uint64_t)end;
	l->l2_idx = NO_TABLE;
	if (qcow2) {
		if (qcow2_hdr_read(&l->h, fd, 0, why, len) == -1)
			return -1;
		l->size = l->h.size;
		if ((l->l2 = malloc(qcow2_cluster(&l->h))) == NULL)
			return file_error(why, len, "L2 table");
	}
	c->n++;
	c->failed = -1;
	return 0;
}

int
image_chain_failed(const struct image_chain *c)
{
	return c->failed;
}

const struct qcow2_hdr *
image_chain_last(const struct image_chain *c)
{
	const struct layer *l = &c->layers[c->n - 1];

	return c->n > 0 && l->qcow2 ? &l->h : NULL;
}

uint64_t
image_chain_size(const struct image_chain *c)
{
	return c->n == 0 ? 0 : c->layers[0].size;
}

/* Have the L2 table number `idx', or know that there is none. */
static int
want_l2(struct image_chain *c, struct layer *l, uint64_t idx)
{
	uint64_t cluster = qcow2_cluster(&l->h), e, off;

	if (l->l2_idx == idx)
		return 0;
	l->l2_idx = NO_TABLE;
	if (file_read(l->fd, &e, sizeof(e), l->h.l1_off + idx * 8) == -1)
		return file_error(c->why, c->whylen, "L1 table");
	e = be64toh(e);
	off = e & QCOW2_OFFSET;
	if (off % cluster != 0 || (e & ~(QCOW2_OFFSET | QCOW2_COPIED)) != 0)
		return bad(c, "L1 entry %llu is malformed: 0x%llx",
		    (unsigned long long)idx, (unsigned long long)e);
	if (off > l->file_size || (off != 0 && cluster > l->file_size - off))
		return bad(c,
		    "L1 entry %llu points beyond the end of the "
		    "file",
		    (unsigned long long)idx);
	l->l2_none = off == 0;
	if (off != 0 && file_read(l->fd, l->l2, cluster, off) == -1)
		return file_error(c->why, c->whylen, "L2 table");
	l->l2_idx = idx;
	return 0;
}

/* What an L2 entry says of its cluster. */
static int
decode(struct image_chain *c, const struct layer *l, uint64_t off, uint64_t e,
    struct extent *x)
{
	uint64_t cluster = qcow2_cluster(&l->h);
	uint64_t reserved = ~(QCOW2_OFFSET | QCOW2_COPIED | QCOW2_ZERO);
	unsigned long long at = off & ~(cluster - 1);

	x->kind = K_NONE;
	if (e & QCOW2_COMPRESSED) {
		x->kind = K_COMPRESSED;
		x->pos = e & ~QCOW2_COPIED;
		if (qcow2_comp_off(&l->h, e) >= l->file_size)
			return bad(c,
			    "the cluster of offset 0x%llx is beyond "
			    "the end of the file",
			    at);
		return 0;
	}
	if (e & reserved || (e & QCOW2_OFFSET) % cluster != 0 ||
	    (e & QCOW2_ZERO && l->h.version == 2))
		return bad(c,
		    "the L2 entry of offset 0x%llx is malformed: "
		    "0x%llx",
		    at, (unsigned long long)e);
	if (e & QCOW2_ZERO) {
		x->kind = K_ZERO;
	} else if ((x->pos = e & QCOW2_OFFSET) != 0) {
		if (x->pos >= l->file_size)
			return bad(c,
			    "the cluster of offset 0x%llx is beyond "
			    "the end of the file",
			    at);
		x->kind = K_DATA;
		x->pos += off % cluster;
	}
	return 0;
}

static int
map_qcow2(struct image_chain *c, struct layer *l, uint64_t off,
    struct extent *x)
{
	uint64_t cluster = qcow2_cluster(&l->h), n = cluster / 8, i, e;
	uint64_t idx = off >> qcow2_l1_bits(&l->h);
	struct extent next;

	if (want_l2(c, l, idx) == -1)
		return -1;
	if (l->l2_none) {
		x->kind = K_NONE;
		x->len = ((idx + 1) << qcow2_l1_bits(&l->h)) - off;
		return 0;
	}
	i = (off >> l->h.cluster_bits) % n;
	if (decode(c, l, off, be64toh(l->l2[i]), x) == -1)
		return -1;
	x->len = cluster - off % cluster;
	/* Join what follows if it is the same. */
	while (x->kind != K_COMPRESSED && ++i < n) {
		e = be64toh(l->l2[i]);
		if (decode(c, l, off + x->len, e, &next) == -1)
			break; /* complain when it is its turn */
		if (next.kind != x->kind ||
		    (x->kind == K_DATA && next.pos != x->pos + x->len))
			break;
		x->len += cluster;
	}
	return 0;
}

/* Where the file system knows of holes, they are zeros. */
static void
map_raw(const struct layer *l, uint64_t off, struct extent *x)
{
	off_t end;

	x->kind = K_DATA;
	x->pos = off;
	x->len = l->size - off;
	end = lseek(l->fd, (off_t)off, SEEK_DATA);
	if (end == -1 && errno == ENXIO)
		end = (off_t)l->size;
	if (end == -1)
		return; /* as for block devices */
	if ((uint64_t)end > off) {
		x->kind = K_ZERO;
	} else if ((end = lseek(l->fd, (off_t)off, SEEK_HOLE)) <= (off_t)off) {
		return;
	}
	if ((uint64_t)end - off < x->len)
		x->len = (uint64_t)end - off;
}

/* The first layer that knows of `off', and what it knows. */
static int
map(struct image_chain *c, uint64_t off, struct extent *x, struct layer **which)
{
	uint64_t len = UINT64_MAX;
	struct layer *l;
	size_t i;

	for (i = 0; i < c->n; i++) {
		l = *which = &c->layers[i];
		/* What is longer than its backing file reads zeros. */
		if (off >= l->size)
			break;
		if (!l->qcow2) {
			map_raw(l, off, x);
		} else if (map_qcow2(c, l, off, x) == -1) {
			c->failed = (int)i;
			return -1;
		}
		if (x->len > l->size - off)
			x->len = l->size - off;
		if (x->len < len)
			len = x->len;
		x->len = len;
		if (x->kind != K_NONE)
			return 0;
	}
	x->kind = K_ZERO;
	x->len = len;
	return 0;
}

int
image_chain_map(struct image_chain *c, uint64_t off, uint64_t *len, int *data,
    char *why, size_t whylen)
{
	struct layer *l;
	struct extent x;

	c->why = why;
	c->whylen = whylen;
	if (map(c, off, &x, &l) == -1)
		return -1;
	*len = x.len;
	*data = x.kind != K_ZERO;
	return 0;
}

/* Have the whole cluster of L2 entry `e' in c->plain. */
static int
decompress(struct image_chain *c, const struct layer *l, uint64_t e)
{
	uint64_t off = qcow2_comp_off(&l->h, e), len = qcow2_comp_len(&l->h, e);
	size_t cluster = qcow2_cluster(&l->h);
	uint8_t *in, *to;
	int rc;

	if (c->plain_layer == l && c->plain_l2e == e)
		return 0;
	c->plain_layer = NULL;
	if (len > l->file_size - off)
		len = l->file_size - off;
	if (c->plain_size < cluster) {
		if ((to = realloc(c->plain, cluster)) == NULL)
			return file_error(c->why, c->whylen, "cluster");
		c->plain = to;
		c->plain_size = cluster;
	}
	if ((c->unpack == NULL && (c->unpack = unpack_new()) == NULL) ||
	    (in = malloc(len)) == NULL)
		return file_error(c->why, c->whylen, "compressed cluster");
	if (file_read(l->fd, in, len, off) == -1) {
		file_error(c->why, c->whylen, "compressed cluster");
		free(in);
		return -1;
	}
	rc = unpack(c->unpack, l->h.zstd, in, len, c->plain, cluster);
	free(in);
	if (rc != 0)
		return bad(c, "the compressed cluster at 0x%llx is damaged",
		    (unsigned long long)off);
	c->plain_layer = l;
	c->plain_l2e = e;
	return 0;
}

static int
read_data(struct image_chain *c, const struct layer *l, const struct extent *x,
    uint64_t off, void *p, size_t n)
{
	if (x->kind == K_COMPRESSED) {
		if (decompress(c, l, x->pos) == -1)
			return -1;
		memcpy(p, c->plain + (off & (qcow2_cluster(&l->h) - 1)), n);
		return 0;
	}
	if (file_read(l->fd, p, n, x->pos) == -1)
		return file_error(c->why, c->whylen, "cannot read");
	return 0;
}

int
image_chain_read(struct image_chain *c, uint64_t off, void *buf, size_t len,
    char *why, size_t whylen)
{
	uint8_t *p = buf;
	struct layer *l;
	struct extent x;
	size_t n;

	c->why = why;
	c->whylen = whylen;
	for (; len > 0; p += n, off += n, len -= n) {
		n = len;
		if (off >= image_chain_size(c)) {
			memset(p, 0, n);
			continue;
		}
		if (map(c, off, &x, &l) == -1)
			return -1;
		if (x.len < n)
			n = (size_t)x.len;
		if (x.kind == K_ZERO) {
			memset(p, 0, n);
		} else if (read_data(c, l, &x, off, p, n) == -1) {
			c->failed = (int)(l - c->layers);
			return -1;
		}
	}
	return 0;
}
