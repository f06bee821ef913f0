/*
 * New images.  Runs in the sandboxed child of vmctl, which was given the
 * empty file.
 *
 * A qcow2 image is laid out as header, L1 table, refcount table, then L2
 * tables and data in the order they come, then refcount blocks.  Only one
 * L2 table is kept in memory: guest addresses ascend.
 */

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/create.h"
#include "lib/disk/file.h"
#include "lib/disk/qcow2_hdr.h"

#define CLUSTER	     ((uint64_t)IMAGE_BLOCK)
#define CLUSTER_BITS 16
#define L2_ENTRIES   (CLUSTER / 8)
#define L1_BITS	     (CLUSTER_BITS + CLUSTER_BITS - 3)
#define REF_ENTRIES  (CLUSTER / 2) /* of a refcount block */
#define NO_L2	     UINT64_MAX
#define EXT_BACKING  0xe2792acaU

struct image_new {
	int fd;
	const struct image_spec *spec;
	char *why;
	size_t whylen;
	/* qcow2 */
	uint64_t next; /* first free cluster */
	uint64_t l1_size;
	uint64_t ref_off;
	uint64_t ref_clusters;
	uint64_t *l1;	 /* on disk order */
	uint64_t *l2;	 /* the current one, on disk order */
	uint64_t l2_idx; /* of it, or NO_L2 */
	uint64_t l2_off;
};

static uint64_t
ceil_div(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static int
too_large(struct image_new *n, const char *what, uint64_t limit)
{
	snprintf(n->why, n->whylen,
	    "a size of %llu bytes is too large: %sat most %llu",
	    (unsigned long long)n->spec->size, what, (unsigned long long)limit);
	errno = EFBIG;
	return -1;
}

/* Where the tables go; they have the size that a full image needs. */
static int
lay_out(struct image_new *n)
{
	uint64_t l1_clusters, most, blocks;

	n->l1_size = ceil_div(n->spec->size, 1ULL << L1_BITS);
	if (n->l1_size > QCOW2_L1_MAX / 8)
		return too_large(n, "an L1 table reaches ",
		    (uint64_t)QCOW2_L1_MAX / 8 << L1_BITS);
	if (n->l1_size == 0)
		n->l1_size = 1; /* a table has a cluster */
	l1_clusters = ceil_div(n->l1_size * 8, CLUSTER);
	/* Data, L2 tables, L1, header; and 1/1024 for refcounts. */
	most = ceil_div(n->spec->size, CLUSTER) + n->l1_size + l1_clusters + 2;
	blocks = ceil_div(most + most / 1024 + 1, REF_ENTRIES);
	n->ref_clusters = ceil_div(blocks * 8, CLUSTER);
	if (n->ref_clusters > QCOW2_REFTABLE_MAX / CLUSTER)
		return too_large(n, "with metadata, refcounts reach ",
		    (uint64_t)QCOW2_REFTABLE_MAX / 8 * REF_ENTRIES * CLUSTER);
	n->ref_off = (1 + l1_clusters) * CLUSTER;
	n->next = 1 + l1_clusters + n->ref_clusters;
	n->l2_idx = NO_L2;
	n->l1 = calloc(l1_clusters, CLUSTER);
	n->l2 = calloc(1, CLUSTER);
	if (n->l1 == NULL || n->l2 == NULL)
		return file_error(n->why, n->whylen, "new image");
	return 0;
}

static int
begin(struct image_new *n)
{
	const struct image_spec *s = n->spec;

	if (s->size > QCOW2_SIZE_MAX)
		return too_large(n, "", QCOW2_SIZE_MAX);
	if (s->backing != NULL &&
	    (!s->qcow2 || strlen(s->backing) > QCOW2_BACKING_MAX)) {
		snprintf(n->why, n->whylen,
		    "the name of the base is longer than %d bytes",
		    QCOW2_BACKING_MAX);
		errno = ENAMETOOLONG;
		return -1;
	}
	if (s->qcow2)
		return lay_out(n);
	if (ftruncate(n->fd, (off_t)s->size) == -1)
		return file_error(n->why, n->whylen, "cannot set its size");
	return 0;
}

struct image_new *
image_new(int fd, const struct image_spec *s, char *why, size_t len)
{
	struct image_new *n;

	if ((n = calloc(1, sizeof(*n))) == NULL) {
		file_error(why, len, "new image");
		return NULL;
	}
	n->fd = fd;
	n->spec = s;
	n->why = why;
	n->whylen = len;
	if (begin(n) == -1) {
		image_new_free(n);
		return NULL;
	}
	return n;
}

void
image_new_free(struct image_new *n)
{
	int saved_errno = errno;

	if (n == NULL)
		return;
	free(n->l1);
	free(n->l2);
	free(n);
	errno = saved_errno;
}

static int
put(struct image_new *n, const void *buf, size_t len, uint64_t off)
{
	if (file_write(n->fd, buf, len, off) == -1)
		return file_error(n->why, n->whylen, "cannot write");
	return 0;
}

static int
flush_l2(struct image_new *n)
{
	if (n->l2_idx == NO_L2)
		return 0;
	n->l1[n->l2_idx] = htobe64(n->l2_off | QCOW2_COPIED);
	n->l2_idx = NO_L2;
	return put(n, n->l2, CLUSTER, n->l2_off);
}

/* Have the L2 table for guest offset `off'. */
static int
want_l2(struct image_new *n, uint64_t off)
{
	uint64_t idx = off >> L1_BITS;

	if (n->l2_idx == idx)
		return 0;
	if (flush_l2(n) == -1)
		return -1;
	memset(n->l2, 0, CLUSTER);
	n->l2_idx = idx;
	n->l2_off = n->next++ * CLUSTER;
	return 0;
}

/* One after the other, as many as lie in one L2 table at a time. */
static int
write_qcow2(struct image_new *n, uint64_t off, const uint8_t *buf, size_t len)
{
	static const uint8_t zeros[IMAGE_BLOCK];
	uint64_t first, i, idx;
	size_t now, pad;

	while (len > 0) {
		if (want_l2(n, off) == -1)
			return -1;
		now = (1ULL << L1_BITS) - (off & ((1ULL << L1_BITS) - 1));
		if (now > len)
			now = len;
		first = n->next;
		idx = (off >> CLUSTER_BITS) % L2_ENTRIES;
		for (i = 0; i < ceil_div(now, CLUSTER); i++)
			n->l2[idx + i] = htobe64(
			    n->next++ * CLUSTER | QCOW2_COPIED);
		pad = (size_t)((n->next - first) * CLUSTER) - now;
		if (put(n, buf, now, first * CLUSTER) == -1 ||
		    put(n, zeros, pad, first * CLUSTER + now) == -1)
			return -1;
		off += now;
		buf += now;
		len -= now;
	}
	return 0;
}

int
image_new_write(struct image_new *n, uint64_t off, const void *buf, size_t len)
{
	if (off % IMAGE_BLOCK != 0 || off > n->spec->size ||
	    len > n->spec->size - off ||
	    (len % IMAGE_BLOCK != 0 && off + len != n->spec->size)) {
		errno = EINVAL;
		return file_error(n->why, n->whylen, "new image");
	}
	if (n->spec->qcow2)
		return write_qcow2(n, off, buf, len);
	return put(n, buf, len, off);
}

/* Every cluster so far has one reference, and so have the blocks. */
static int
put_refcounts(struct image_new *n)
{
	uint64_t blocks = 0, want, i, j, used;
	uint64_t *table;
	uint16_t *block;
	int rc = -1;

	while ((want = ceil_div(n->next + blocks, REF_ENTRIES)) > blocks)
		blocks = want;
	used = n->next + blocks;
	table = calloc(n->ref_clusters, CLUSTER);
	block = malloc(CLUSTER);
	if (table == NULL || block == NULL) {
		file_error(n->why, n->whylen, "new image");
		goto out;
	}
	for (i = 0; i < blocks; i++) {
		table[i] = htobe64((n->next + i) * CLUSTER);
		for (j = 0; j < REF_ENTRIES; j++)
			block[j] = htobe16(i * REF_ENTRIES + j < used);
		if (put(n, block, CLUSTER, (n->next + i) * CLUSTER) == -1)
			goto out;
	}
	rc = put(n, table, n->ref_clusters * CLUSTER, n->ref_off);
out:
	free(table);
	free(block);
	return rc;
}

static void
be32(uint8_t *h, size_t off, uint32_t v)
{
	v = htobe32(v);
	memcpy(h + off, &v, sizeof(v));
}

static void
be64(uint8_t *h, size_t off, uint64_t v)
{
	v = htobe64(v);
	memcpy(h + off, &v, sizeof(v));
}

/* The backing file's format, the end of extensions, and its name. */
static void
put_backing(const struct image_spec *s, uint8_t *h)
{
	const char *fmt = s->backing_qcow2 ? "qcow2" : "raw";
	size_t off = QCOW2_V3_LEN;

	be32(h, off, EXT_BACKING);
	be32(h, off + 4, (uint32_t)strlen(fmt));
	memcpy(h + off + 8, fmt, strlen(fmt));
	off += 24; /* both of them */
	be64(h, 8, off);
	be32(h, 16, (uint32_t)strlen(s->backing));
	memcpy(h + off, s->backing, strlen(s->backing));
}

static int
put_header(struct image_new *n)
{
	uint8_t h[QCOW2_V3_LEN + 32 + QCOW2_BACKING_MAX] = { 0 };

	be32(h, 0, QCOW2_MAGIC);
	be32(h, 4, 3);
	be32(h, 20, CLUSTER_BITS);
	be64(h, 24, n->spec->size);
	be32(h, 36, (uint32_t)n->l1_size);
	be64(h, 40, CLUSTER);
	be64(h, 48, n->ref_off);
	be32(h, 56, (uint32_t)n->ref_clusters);
	be32(h, 96, 4);
	be32(h, 100, QCOW2_V3_LEN);
	if (n->spec->backing != NULL)
		put_backing(n->spec, h);
	return put(n, h, sizeof(h), 0);
}

int
image_new_finish(struct image_new *n)
{
	size_t l1_len;

	if (n->spec->qcow2) {
		l1_len = n->ref_off - CLUSTER;
		if (flush_l2(n) == -1 || put_refcounts(n) == -1 ||
		    put(n, n->l1, l1_len, CLUSTER) == -1 || put_header(n) == -1)
			return -1;
	}
	if (fdatasync(n->fd) == -1)
		return file_error(n->why, n->whylen, "cannot write");
	return 0;
}
