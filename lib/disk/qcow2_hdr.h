#ifndef DISK_QCOW2_HDR_H
#define DISK_QCOW2_HDR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The header of a qcow2 image: parsed from hostile bytes and checked as far
 * as it and the size of the file tell.  What it points to (L1, refcounts) is
 * not read here.
 */

#define QCOW2_MAGIC	   0x514649fbU
#define QCOW2_V2_LEN	   72
#define QCOW2_V3_LEN	   104
#define QCOW2_HDR_MAX	   (2U << 20) /* the largest first cluster */
#define QCOW2_BACKING_MAX  1023
#define QCOW2_L1_MAX	   (32U << 20)		 /* bytes */
#define QCOW2_REFTABLE_MAX (8U << 20)		 /* bytes */
#define QCOW2_SIZE_MAX	   ((uint64_t)INT64_MAX) /* of the disk, bytes */

/* Incompatible features. */
#define QCOW2_DIRTY	  (1ULL << 0)
#define QCOW2_CORRUPT	  (1ULL << 1)
#define QCOW2_DATA_FILE	  (1ULL << 2)
#define QCOW2_COMPRESSION (1ULL << 3)
#define QCOW2_EXT_L2	  (1ULL << 4)
/* Compatible ones. */
#define QCOW2_LAZY (1ULL << 0)
/* Those that a writer who does not know them clears. */
#define QCOW2_BITMAPS  (1ULL << 0)
#define QCOW2_RAW_DATA (1ULL << 1)

/* Entries of the tables. */
#define QCOW2_OFFSET	 0x00fffffffffffe00ULL /* L1, and L2 of plain data */
#define QCOW2_REF_OFFSET 0xfffffffffffffe00ULL /* refcount table */
#define QCOW2_COPIED	 (1ULL << 63)
#define QCOW2_COMPRESSED (1ULL << 62) /* L2 */
#define QCOW2_ZERO	 (1ULL << 0)  /* L2, version 3 */

enum qcow2_backing {
	QCOW2_BACKING_NONE,
	QCOW2_BACKING_ANY, /* the format is not declared */
	QCOW2_BACKING_RAW,
	QCOW2_BACKING_QCOW2
};

/* All in host order; what version 2 lacks has its implied value. */
struct qcow2_hdr {
	uint32_t version; /* 2 or 3 */
	uint32_t length;  /* of the header, bytes */
	uint32_t cluster_bits;
	uint64_t size;	  /* of the disk, bytes; any number */
	uint32_t l1_size; /* entries, at least what `size' needs */
	uint64_t l1_off;
	uint64_t ref_off; /* refcount table */
	uint32_t ref_clusters;
	uint32_t ref_order; /* a refcount has 1 << ref_order bits */
	uint32_t nsnapshots;
	uint64_t snapshots_off;
	uint64_t incompat;
	uint64_t compat;
	uint64_t autoclear;
	uint8_t zstd;	   /* clusters are compressed with zstd, else deflate */
	uint32_t nbitmaps; /* 0 unless QCOW2_BITMAPS is set */
	uint64_t bitmaps_off;
	uint64_t bitmaps_len; /* of the directory, bytes */
	enum qcow2_backing backing_fmt;
	char backing[QCOW2_BACKING_MAX + 1]; /* bytes of the name as it is */
};

/* What the image is wanted for. */
#define QCOW2_FOR_WRITE 0x1 /* refuse snapshots */
#define QCOW2_FOR_CHECK 0x2 /* take dirty and corrupt ones */

/* Do these first bytes of a file say qcow2?  A raw disk may as well. */
int qcow2_probe(const void *buf, size_t len);
/*
 * Parse the first `len' bytes of a file of `file_size' bytes: its first
 * cluster, or all if it is shorter.  `flags' is QCOW2_FOR_*.  Returns 0, or
 * -1 with errno EINVAL (malformed) or ENOTSUP and a sentence, without
 * newline, in `why'; names in it are printable.
 */
int qcow2_hdr_parse(struct qcow2_hdr *h, const void *buf, size_t len,
    uint64_t file_size, unsigned int flags, char *why, size_t whylen);
/*
 * The same for `fd', a regular file or block device; takes memory for one
 * cluster meanwhile.  Also errno of lseek(2), pread(2), malloc(3).
 */
int qcow2_hdr_read(struct qcow2_hdr *h, int fd, unsigned int flags, char *why,
    size_t whylen);

static inline uint64_t
qcow2_cluster(const struct qcow2_hdr *h)
{
	return 1ULL << h->cluster_bits;
}

/* Bytes of the disk that one L1 entry stands for, as a power of 2. */
static inline unsigned int
qcow2_l1_bits(const struct qcow2_hdr *h)
{
	return h->cluster_bits + h->cluster_bits - 3;
}

/* Of the L2 entry of a compressed cluster: where, and its most bytes. */
static inline uint64_t
qcow2_comp_off(const struct qcow2_hdr *h, uint64_t l2e)
{
	return l2e & ((1ULL << (62 - (h->cluster_bits - 8))) - 1);
}

static inline uint64_t
qcow2_comp_len(const struct qcow2_hdr *h, uint64_t l2e)
{
	unsigned int x = 62 - (h->cluster_bits - 8);
	uint64_t n = (l2e & (QCOW2_COMPRESSED - 1)) >> x;

	return (n + 1) * 512 - (qcow2_comp_off(h, l2e) & 511);
}

#endif
