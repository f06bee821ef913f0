/*
 * The header of a qcow2 image, from bytes that anybody may have written: in
 * the processes that look at an image for the daemon, in device processes,
 * and in vmctl.  Everything is checked before it is used, and each refusal
 * has a sentence of its own.
 *
 * qcow2 specification: "Header".
 */

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/qcow2_hdr_int.h"

#define NAME_ENTRY    48 /* of the feature name table */
#define SNAPSHOTS_MAX 65536U
#define SNAPSHOT_MIN  40 /* bytes of the shortest snapshot */
#define BITMAP_MIN    24 /* bytes of the shortest directory entry */

int
qcow2_refuse(struct input *in, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(in->why, in->whylen, fmt, ap);
	va_end(ap);
	errno = err;
	return -1;
}

int
qcow2_probe(const void *buf, size_t len)
{
	static const uint8_t magic[4] = { 'Q', 'F', 'I', 0xfb };

	return len >= sizeof(magic) && memcmp(buf, magic, sizeof(magic)) == 0;
}

/* The fields of all versions. */
static int
get_fields(struct qcow2_hdr *h, struct input *in)
{
	if (!qcow2_probe(in->buf, in->len))
		return qcow2_refuse(in, EINVAL, "not a qcow2 image");
	if (in->len < QCOW2_V2_LEN)
		return qcow2_refuse(in, EINVAL,
		    "the file ends within the header, after %zu bytes",
		    in->len);
	h->version = get32(in, 4);
	h->cluster_bits = get32(in, 20);
	h->size = get64(in, 24);
	h->l1_size = get32(in, 36);
	h->l1_off = get64(in, 40);
	h->ref_off = get64(in, 48);
	h->ref_clusters = get32(in, 56);
	h->nsnapshots = get32(in, 60);
	h->snapshots_off = get64(in, 64);
	h->length = QCOW2_V2_LEN;
	h->ref_order = 4;
	if (h->version != 2 && h->version != 3)
		return qcow2_refuse(in, ENOTSUP, "version %u is not supported",
		    h->version);
	if (h->cluster_bits < 9 || h->cluster_bits > 21)
		return qcow2_refuse(in, EINVAL,
		    "clusters of 2^%u bytes: only 2^9 "
		    "to 2^21 are possible",
		    h->cluster_bits);
	if (in->len > qcow2_cluster(h))
		in->len = qcow2_cluster(h);
	return 0;
}

static int
get_compression(struct qcow2_hdr *h, struct input *in)
{
	unsigned int type = h->length > 104 ? in->buf[104] : 0;
	int bit = (h->incompat & QCOW2_COMPRESSION) != 0;

	if (type > 1)
		return qcow2_refuse(in, ENOTSUP,
		    "compression type %u is not supported", type);
	if (bit != (type != 0))
		return qcow2_refuse(in, EINVAL,
		    "compression type %u contradicts "
		    "the incompatible feature bit 3, which is %d",
		    type, bit);
	h->zstd = type == 1;
	return 0;
}

/* What version 3 adds. */
static int
get_v3(struct qcow2_hdr *h, struct input *in)
{
	if (h->version == 2)
		return 0;
	if (in->len < QCOW2_V3_LEN)
		return qcow2_refuse(in, EINVAL,
		    "the file ends within the header, after %zu bytes",
		    in->len);
	h->incompat = get64(in, 72);
	h->compat = get64(in, 80);
	h->autoclear = get64(in, 88);
	h->ref_order = get32(in, 96);
	h->length = get32(in, 100);
	if (h->length < QCOW2_V3_LEN)
		return qcow2_refuse(in, EINVAL,
		    "a header of %u bytes is too short for version 3",
		    h->length);
	if (h->length % 8 != 0)
		return qcow2_refuse(in, EINVAL,
		    "the length of the header, %u, is no multiple of 8",
		    h->length);
	if (h->length > qcow2_cluster(h))
		return qcow2_refuse(in, EINVAL,
		    "a header of %u bytes does not fit the first cluster",
		    h->length);
	if (h->length > in->len)
		return qcow2_refuse(in, EINVAL,
		    "the file ends within the header, after %zu bytes",
		    in->len);
	if (h->ref_order > 6)
		return qcow2_refuse(in, EINVAL,
		    "refcounts of 2^%u bits: only 1 to 64 are possible",
		    h->ref_order);
	return get_compression(h, in);
}

/* The name of the backing file, which ends the extensions. */
static int
get_backing(struct qcow2_hdr *h, struct input *in)
{
	uint64_t off = get64(in, 8);
	uint32_t len = get32(in, 16);

	in->ext_end = in->len;
	if (off == 0)
		return 0;
	if (len > QCOW2_BACKING_MAX)
		return qcow2_refuse(in, EINVAL,
		    "the name of the backing file has "
		    "%u bytes, at most %d are possible",
		    len, QCOW2_BACKING_MAX);
	if (off < h->length)
		return qcow2_refuse(in, EINVAL,
		    "the name of the backing file "
		    "overlaps the header");
	if (off > qcow2_cluster(h) || len > qcow2_cluster(h) - off)
		return qcow2_refuse(in, EINVAL,
		    "the name of the backing file is "
		    "not within the first cluster");
	if (off > in->len || len > in->len - off)
		return qcow2_refuse(in, EINVAL,
		    "the name of the backing file is "
		    "beyond the end of the file");
	in->ext_end = off;
	if (memchr(in->buf + off, '\0', len) != NULL)
		return qcow2_refuse(in, EINVAL,
		    "the name of the backing file contains a NUL");
	memcpy(h->backing, in->buf + off, len);
	if (len > 0)
		h->backing_fmt = QCOW2_BACKING_ANY;
	return 0;
}

/* What the image itself calls the incompatible feature `bit'. */
static void
feature_name(const struct input *in, unsigned int bit, char *name, size_t len)
{
	const uint8_t *e = in->names;
	size_t n = in->nameslen / NAME_ENTRY;

	name[0] = '\0';
	for (; n > 0; n--, e += NAME_ENTRY)
		if (e[0] == 0 && e[1] == bit)
			qcow2_printable(name, len, e + 2, NAME_ENTRY - 2);
}

static int
check_features(const struct qcow2_hdr *h, struct input *in, unsigned int flags)
{
	const uint64_t known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_DATA_FILE |
	    QCOW2_COMPRESSION | QCOW2_EXT_L2;
	uint64_t unknown = h->incompat & ~known;
	char name[NAME_ENTRY];
	unsigned int bit;

	if (unknown != 0) {
		bit = (unsigned int)__builtin_ctzll(unknown);
		feature_name(in, bit, name, sizeof(name));
		return qcow2_refuse(in, ENOTSUP,
		    "incompatible feature bit %u%s%s%s is not supported", bit,
		    name[0] == '\0' ? "" : " (", name,
		    name[0] == '\0' ? "" : ")");
	}
	if (h->incompat & QCOW2_DATA_FILE)
		return qcow2_refuse(in, ENOTSUP,
		    "external data files are not supported");
	if (h->incompat & QCOW2_EXT_L2)
		return qcow2_refuse(in, ENOTSUP,
		    "extended L2 entries are not supported");
	if (flags & QCOW2_FOR_CHECK)
		return 0;
	if (h->incompat & QCOW2_CORRUPT)
		return qcow2_refuse(in, EINVAL, "the image is marked corrupt");
	if (h->incompat & QCOW2_DIRTY)
		return qcow2_refuse(in, EINVAL,
		    "the image was not closed and needs repair");
	return 0;
}

static int
check_kind(const struct qcow2_hdr *h, struct input *in, unsigned int flags)
{
	uint32_t crypt = get32(in, 32);

	if (crypt > 2)
		return qcow2_refuse(in, EINVAL,
		    "encryption method %u is unknown", crypt);
	if (crypt != 0)
		return qcow2_refuse(in, ENOTSUP,
		    "encryption (%s) is not supported",
		    crypt == 1 ? "AES" : "LUKS");
	if (h->nsnapshots > SNAPSHOTS_MAX)
		return qcow2_refuse(in, EINVAL,
		    "%u snapshots: at most %u are "
		    "possible",
		    h->nsnapshots, SNAPSHOTS_MAX);
	if (h->nsnapshots != 0 && flags & QCOW2_FOR_WRITE)
		return qcow2_refuse(in, ENOTSUP,
		    "images with internal snapshots "
		    "can only be read");
	if (h->size > QCOW2_SIZE_MAX)
		return qcow2_refuse(in, EINVAL,
		    "a size of %llu bytes is too large: at most %llu",
		    (unsigned long long)h->size,
		    (unsigned long long)QCOW2_SIZE_MAX);
	return 0;
}

/* A table in the file: the header is the first of them. */
struct area {
	const char *name;
	uint64_t off;
	uint64_t len;
};

static int
check_area(struct input *in, const struct qcow2_hdr *h, const struct area *a)
{
	if (a->len == 0)
		return 0;
	if (a->off % qcow2_cluster(h) != 0)
		return qcow2_refuse(in, EINVAL,
		    "the %s at 0x%llx is not at the beginning of a cluster",
		    a->name, (unsigned long long)a->off);
	if (a->off > in->file_size || a->len > in->file_size - a->off)
		return qcow2_refuse(in, EINVAL,
		    "the %s at 0x%llx is beyond the end of the file", a->name,
		    (unsigned long long)a->off);
	return 0;
}

static int
overlap(const struct area *a, const struct area *b)
{
	return a->len != 0 && b->len != 0 && a->off < b->off + b->len &&
	    b->off < a->off + a->len;
}

static int
check_areas(struct input *in, const struct qcow2_hdr *h)
{
	const struct area areas[] = {
		{ "header", 0, in->len },
		{ "L1 table", h->l1_off, h->l1_size * 8ULL },
		{ "refcount table", h->ref_off,
		    (uint64_t)h->ref_clusters << h->cluster_bits },
		{ "snapshot table", h->snapshots_off,
		    (uint64_t)h->nsnapshots * SNAPSHOT_MIN },
		{ "bitmap directory", h->bitmaps_off, h->bitmaps_len },
	};
	const size_t n = sizeof(areas) / sizeof(areas[0]);
	size_t i, j;

	for (i = 0; i < n; i++) {
		if (check_area(in, h, &areas[i]) == -1)
			return -1;
		for (j = 0; j < i; j++)
			if (overlap(&areas[i], &areas[j]))
				return qcow2_refuse(in, EINVAL,
				    "the %s overlaps the %s", areas[i].name,
				    areas[j].name);
	}
	return 0;
}

static int
check_tables(const struct qcow2_hdr *h, struct input *in)
{
	unsigned int bits = qcow2_l1_bits(h);
	uint64_t need = h->size >> bits;

	if (h->size & ((1ULL << bits) - 1))
		need++;
	if (h->l1_size > QCOW2_L1_MAX / 8 || need > QCOW2_L1_MAX / 8)
		return qcow2_refuse(in, EINVAL,
		    "an L1 table of %llu entries is "
		    "too large: at most %u",
		    (unsigned long long)(need > h->l1_size ? need : h->l1_size),
		    QCOW2_L1_MAX / 8);
	if (h->l1_size < need)
		return qcow2_refuse(in, EINVAL,
		    "an L1 table of %u entries is too "
		    "small, the size needs %llu",
		    h->l1_size, (unsigned long long)need);
	if (h->ref_clusters == 0)
		return qcow2_refuse(in, EINVAL, "there is no refcount table");
	if (h->ref_clusters > QCOW2_REFTABLE_MAX >> h->cluster_bits)
		return qcow2_refuse(in, EINVAL,
		    "a refcount table of %u clusters is too large: at most %u",
		    h->ref_clusters, QCOW2_REFTABLE_MAX >> h->cluster_bits);
	if (h->nbitmaps != 0 &&
	    (h->bitmaps_len < (uint64_t)h->nbitmaps * BITMAP_MIN ||
		h->bitmaps_len > (64U << 20)))
		return qcow2_refuse(in, EINVAL,
		    "a directory of %llu bytes is not "
		    "one of %u bitmaps",
		    (unsigned long long)h->bitmaps_len, h->nbitmaps);
	return check_areas(in, h);
}

int
qcow2_hdr_parse(struct qcow2_hdr *h, const void *buf, size_t len,
    uint64_t file_size, unsigned int flags, char *why, size_t whylen)
{
	struct input in = {
		.buf = buf,
		.len = len,
		.file_size = file_size,
		.why = why,
		.whylen = whylen,
	};
	int bad;

	memset(h, 0, sizeof(*h));
	if (get_fields(h, &in) == -1 || get_v3(h, &in) == -1 ||
	    get_backing(h, &in) == -1)
		return -1;
	/* What follows a feature we lack may look wrong: name that first. */
	bad = qcow2_exts(h, &in);
	if (check_features(h, &in, flags) == -1 || bad == -1)
		return -1;
	if (h->backing[0] == '\0')
		h->backing_fmt = QCOW2_BACKING_NONE;
	if (check_kind(h, &in, flags) == -1)
		return -1;
	return check_tables(h, &in);
}

/* Bytes at the beginning of a file; how many, or -1 with errno. */
static ssize_t
read_start(int fd, uint8_t *buf, size_t len)
{
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		n = pread(fd, buf + got, len - got, (off_t)got);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int
qcow2_hdr_read(struct qcow2_hdr *h, int fd, unsigned int flags, char *why,
    size_t whylen)
{
	uint8_t first[QCOW2_V3_LEN], *buf = NULL;
	size_t want = QCOW2_V3_LEN;
	int rc = -1, saved_errno;
	uint32_t bits;
	ssize_t n;
	off_t end;

	if ((end = lseek(fd, 0, SEEK_END)) == -1 ||
	    (n = read_start(fd, first, sizeof(first))) == -1)
		goto fail;
	if (n >= 24 && qcow2_probe(first, (size_t)n)) {
		memcpy(&bits, first + 20, sizeof(bits));
		bits = be32toh(bits);
		if (bits >= 9 && bits <= 21)
			want = 1UL << bits;
	}
	if ((buf = malloc(want)) == NULL ||
	    (n = read_start(fd, buf, want)) == -1)
		goto fail;
	rc = qcow2_hdr_parse(h, buf, (size_t)n, (uint64_t)end, flags, why,
	    whylen);
	saved_errno = errno;
	free(buf);
	errno = saved_errno;
	return rc;
fail:
	saved_errno = errno;
	snprintf(why, whylen, "%s", strerror(saved_errno));
	free(buf);
	errno = saved_errno;
	return -1;
}
