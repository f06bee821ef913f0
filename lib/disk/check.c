/*
 * Check of a qcow2 image.  Runs in the sandboxed child of vmctl, on a file
 * that anybody may have written.
 *
 * All tables are walked once for each window of clusters: header, L1 and L2
 * tables, refcounts, snapshots, bitmaps.  Only the first walk complains.
 *
 * qcow2 specification: "Cluster mapping", "Snapshots", "Bitmaps".
 */

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/check_int.h"
#include "lib/disk/file.h"

#define WINDOW	       (64ULL << 20)  /* clusters */
#define SNAP_L1_MAX    (128ULL << 20) /* entries of all snapshots */
#define SNAP_EXTRA_MAX 65536U
#define BITMAP_TABLE   (1U << 27) /* entries */
#define L1_PIECE       4096	  /* entries */

void
check_corrupt(struct check *c, const char *fmt, ...)
{
	char line[160];
	va_list ap;

	if (!c->first)
		return;
	c->res->corruptions++;
	if (c->lines++ >= IMAGE_CHECK_LINES)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	c->how->say(c->how->arg, line);
}

int
check_error(struct check *c, const char *what)
{
	return file_error(c->why, c->whylen, what);
}

int
check_read(struct check *c, void *buf, size_t len, uint64_t off,
    const char *what)
{
	return file_read(c->fd, buf, len, off) == -1 ? check_error(c, what) : 0;
}

/*
 * The COPIED flag says that the refcount is 1.  1 if it was added to `*e',
 * as it has to be where a refcount was lowered, 0, or -1.
 */
static int
check_copied(struct check *c, uint64_t *e, const char *what)
{
	uint64_t ref, off = *e & QCOW2_OFFSET;

	if (c->stale_ok || (!c->first && !c->add_flags))
		return 0;
	if (refs_get(c, off >> c->h.cluster_bits, &ref) == -1)
		return -1;
	if ((ref == 1) == ((*e & QCOW2_COPIED) != 0))
		return 0;
	if (c->add_flags && ref == 1) {
		*e |= QCOW2_COPIED;
		return 1;
	}
	check_corrupt(c, "%s at 0x%llx has refcount %llu, its entry says %s",
	    what, (unsigned long long)off, (unsigned long long)ref,
	    *e & QCOW2_COPIED ? "1" : "something else");
	return 0;
}

/* An entry for a compressed cluster. */
static void
walk_compressed(struct check *c, uint64_t e, int active)
{
	uint64_t off = qcow2_comp_off(&c->h, e), len = qcow2_comp_len(&c->h, e);

	if (active && c->first)
		c->res->compressed++;
	if (e & QCOW2_COPIED)
		check_corrupt(c,
		    "compressed cluster at 0x%llx is marked as "
		    "not shared",
		    (unsigned long long)off);
	refs_add(c, off, len, 0, "compressed cluster");
}

/* As check_copied(). */
static int
walk_entry(struct check *c, uint64_t *e, int active)
{
	uint64_t off = *e & QCOW2_OFFSET, flags = QCOW2_COPIED;

	if (*e & QCOW2_COMPRESSED) {
		walk_compressed(c, *e, active);
		return 0;
	}
	if (c->h.version != 2)
		flags |= QCOW2_ZERO;
	if (*e & ~(QCOW2_OFFSET | flags)) {
		check_corrupt(c, "malformed L2 entry 0x%llx",
		    (unsigned long long)*e);
		return 0;
	}
	if (off == 0)
		return 0;
	if (active && c->first)
		c->res->data++;
	if (refs_add(c, off, qcow2_cluster(&c->h), 1, "data cluster") == -1)
		return 0;
	return active ? check_copied(c, e, "data cluster") : 0;
}

static int
walk_l2(struct check *c, uint64_t *l2, uint64_t off, int active)
{
	uint64_t i, e, cluster = qcow2_cluster(&c->h);
	int rc, changed = 0;

	if (check_read(c, l2, cluster, off, "L2 table") == -1)
		return -1;
	for (i = 0; i < cluster / 8; i++) {
		if (l2[i] == 0)
			continue;
		e = be64toh(l2[i]);
		if ((rc = walk_entry(c, &e, active)) == -1)
			return -1;
		if (rc == 1) {
			l2[i] = htobe64(e);
			changed = 1;
		}
	}
	if (changed && file_write(c->fd, l2, cluster, off) == -1)
		return check_error(c, "cannot write an L2 table");
	return 0;
}

/*
 * Entry of an L1 table, which is at `pos'; `*budget' tables may still be
 * read.
 */
static int
walk_l1_entry(struct check *c, uint64_t e, uint64_t pos, uint64_t *l2,
    uint64_t *budget, int active)
{
	uint64_t off = e & QCOW2_OFFSET, be;
	int rc = 0;

	if (e & ~(QCOW2_OFFSET | QCOW2_COPIED)) {
		check_corrupt(c, "malformed L1 entry 0x%llx",
		    (unsigned long long)e);
		return 0;
	}
	if (off == 0 || *budget == 0)
		return 0;
	if (--*budget == 0) {
		check_corrupt(c,
		    "an L1 table refers to more tables than the "
		    "file has clusters");
		return 0;
	}
	if (refs_add(c, off, qcow2_cluster(&c->h), 1, "L2 table") == -1)
		return 0;
	if (active && (rc = check_copied(c, &e, "L2 table")) == -1)
		return -1;
	be = htobe64(e);
	if (rc == 1 && file_write(c->fd, &be, sizeof(be), pos) == -1)
		return check_error(c, "cannot write the L1 table");
	return walk_l2(c, l2, off, active);
}

static int
walk_l1(struct check *c, uint64_t off, uint64_t n, int active)
{
	uint64_t piece[L1_PIECE], i, now, budget = c->nclusters + 1;
	uint64_t *l2;
	int rc = -1;

	if (refs_add(c, off, n * 8, 1, "L1 table") == -1)
		return 0;
	if ((l2 = malloc(qcow2_cluster(&c->h))) == NULL)
		return check_error(c, "L2 table");
	for (i = 0; i < n; i++) {
		if (i % L1_PIECE == 0) {
			now = n - i < L1_PIECE ? n - i : L1_PIECE;
			if (check_read(c, piece, now * 8, off + i * 8,
				"L1 table") == -1)
				goto out;
			if (active)
				c->how->progress(c->how->arg,
				    c->lo + i * (c->hi - c->lo) / n,
				    c->nclusters);
		}
		if (walk_l1_entry(c, be64toh(piece[i % L1_PIECE]), off + i * 8,
			l2, &budget, active) == -1)
			goto out;
	}
	rc = 0;
out:
	free(l2);
	return rc;
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint64_t
round8(uint64_t n)
{
	return (n + 7) & ~7ULL;
}

static int
walk_snapshots(struct check *c)
{
	uint64_t off = c->h.snapshots_off, total = 0, l1;
	uint8_t s[40];
	uint32_t i;

	for (i = 0; i < c->h.nsnapshots; i++) {
		if (check_read(c, s, sizeof(s), off, "snapshot table") == -1)
			return -1;
		l1 = get32(s + 8);
		total += l1;
		if (get32(s + 36) > SNAP_EXTRA_MAX || l1 > QCOW2_L1_MAX / 8 ||
		    total > SNAP_L1_MAX || off >= c->file_size) {
			check_corrupt(c, "snapshot %u is malformed", i);
			return 0;
		}
		off += round8(
		    40ULL + get32(s + 36) + get16(s + 12) + get16(s + 14));
		if (walk_l1(c, get64(s), l1, 0) == -1)
			return -1;
	}
	refs_add(c, c->h.snapshots_off, off - c->h.snapshots_off, 1,
	    "snapshot table");
	return 0;
}

/* The table of a bitmap and its clusters. */
static int
walk_bitmap(struct check *c, uint64_t off, uint32_t n)
{
	uint64_t piece[512], e, cluster = qcow2_cluster(&c->h);
	uint32_t i, now;

	if (refs_add(c, off, n * 8ULL, 1, "bitmap table") == -1)
		return 0;
	for (i = 0; i < n; i++) {
		if (i % 512 == 0) {
			now = n - i < 512 ? n - i : 512;
			if (check_read(c, piece, now * 8UL, off + i * 8ULL,
				"bitmap table") == -1)
				return -1;
		}
		e = be64toh(piece[i % 512]);
		if (e & ~(QCOW2_OFFSET | 1) || (e & 1 && e != 1))
			check_corrupt(c, "malformed bitmap entry 0x%llx",
			    (unsigned long long)e);
		else if (e > 1)
			refs_add(c, e, cluster, 1, "bitmap");
	}
	return 0;
}

static int
walk_bitmaps(struct check *c)
{
	uint64_t off = c->h.bitmaps_off, end = off + c->h.bitmaps_len;
	uint64_t len, total = 0;
	uint8_t e[24];
	uint32_t i;

	if (c->h.nbitmaps == 0)
		return 0;
	refs_add(c, off, c->h.bitmaps_len, 1, "bitmap directory");
	for (i = 0; i < c->h.nbitmaps; i++, off += len) {
		if (end - off < sizeof(e))
			break;
		if (check_read(c, e, sizeof(e), off, "bitmap directory") == -1)
			return -1;
		len = round8(24ULL + get16(e + 18) + get32(e + 20));
		total += get32(e + 8);
		if (len > end - off || total > BITMAP_TABLE)
			break;
		if (walk_bitmap(c, get64(e), get32(e + 8)) == -1)
			return -1;
	}
	if (i != c->h.nbitmaps)
		check_corrupt(c, "bitmap %u is malformed", i);
	return 0;
}

/* All that refers to clusters of the window. */
static int
walk(struct check *c)
{
	refs_add(c, 0, 1, 1, "header");
	refs_add_own(c);
	if (walk_l1(c, c->h.l1_off, c->h.l1_size, 1) == -1)
		return -1;
	return walk_snapshots(c) == -1 || walk_bitmaps(c) == -1 ? -1 : 0;
}

/* Everything, window after window; FIX_* or 0. */
static int
round_of(struct check *c, unsigned int fix)
{
	uint64_t lo;

	if (fix == 0) {
		c->res->leaks = 0;
		c->res->data = 0;
		c->res->compressed = 0;
	}
	for (lo = 0; lo < c->nclusters; lo = c->hi) {
		c->first = lo == 0 && fix == 0;
		refs_window(c, lo);
		if (walk(c) == -1)
			return -1;
		/* From here on each cluster is seen once. */
		c->first = 1;
		refs_sole(c, 0, 1, "header");
		refs_sole(c, c->h.l1_off, c->h.l1_size * 8ULL, "L1 table");
		refs_sole_own(c);
		if (refs_compare(c, fix) == -1)
			return -1;
	}
	return 0;
}

/*
 * Free what is leaked: first refcounts, then the flags of what is not shared
 * any more, which are true at any time.
 */
static int
repair(struct check *c)
{
	if (round_of(c, FIX_LEAKS) == -1)
		return -1;
	if (fdatasync(c->fd) == -1)
		return check_error(c, "cannot write");
	c->add_flags = 1;
	c->first = 0;
	return walk_l1(c, c->h.l1_off, c->h.l1_size, 1);
}

/*
 * Refcounts anew for an image that was not closed, then a check of all that
 * could not be checked without them.
 */
static int
renew(struct check *c)
{
	if (refs_fill(c) == -1 || round_of(c, FIX_STALE) == -1)
		return -1;
	if (fdatasync(c->fd) == -1)
		return check_error(c, "cannot write");
	c->stale_ok = 0;
	return round_of(c, 0);
}

/* The bits that say something is wrong go last, when all else is on disk. */
static int
finish(struct check *c)
{
	uint64_t bits = c->h.incompat & ~(QCOW2_DIRTY | QCOW2_CORRUPT);

	if (fdatasync(c->fd) == -1)
		return check_error(c, "cannot write");
	if (bits == c->h.incompat)
		return 0;
	bits = htobe64(bits);
	if (file_write(c->fd, &bits, sizeof(bits), 72) == -1 ||
	    fdatasync(c->fd) == -1)
		return check_error(c, "cannot write the header");
	return 0;
}

static int
check_all(struct check *c)
{
	struct image_check *r = c->res;

	if (refs_open(c) == -1 || round_of(c, 0) == -1)
		return -1;
	if (c->stale_ok && r->stale == 0 && r->corruptions == 0) {
		/* All refcounts are right: then the flags must be. */
		c->stale_ok = 0;
		if (round_of(c, 0) == -1)
			return -1;
	}
	if (!(c->how->flags & IMAGE_CHECK_REPAIR) || r->corruptions != 0)
		return 0;
	if (r->stale != 0 && renew(c) == -1)
		return -1;
	if (r->corruptions != 0)
		return 0;
	if (r->leaks != 0 && repair(c) == -1)
		return -1;
	return finish(c);
}

int
image_check(int fd, const struct image_check_how *how, struct image_check *res,
    char *why, size_t len)
{
	struct image_check_how h = *how;
	struct check c = { .fd = fd, .how = &h, .res = res, .first = 1 };
	int rc, saved_errno;
	off_t end;

	memset(res, 0, sizeof(*res));
	c.why = why;
	c.whylen = len;
	if (qcow2_hdr_read(&c.h, fd, QCOW2_FOR_CHECK, why, len) == -1)
		return -1;
	if ((end = lseek(fd, 0, SEEK_END)) == -1)
		return check_error(&c, "cannot tell its size");
	c.file_size = (uint64_t)end;
	c.nclusters = c.file_size >> c.h.cluster_bits;
	if (c.file_size % qcow2_cluster(&c.h) != 0)
		c.nclusters++;
	res->clusters = c.nclusters;
	res->dirty = (c.h.incompat & QCOW2_DIRTY) != 0;
	res->corrupt = (c.h.incompat & QCOW2_CORRUPT) != 0;
	c.stale_ok = res->dirty;
	if (h.window == 0)
		h.window = WINDOW;
	rc = check_all(&c);
	saved_errno = errno;
	refs_close(&c);
	errno = saved_errno;
	return rc;
}
