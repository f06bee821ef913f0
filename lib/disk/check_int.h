#ifndef DISK_CHECK_INT_H
#define DISK_CHECK_INT_H

#include "lib/disk/check.h"

/* A check: between check.c, which walks, and check_refs.c, which counts. */

struct check {
	int fd;
	const struct image_check_how *how;
	struct image_check *res;
	struct qcow2_hdr h;
	uint64_t file_size;
	uint64_t nclusters; /* of the file, also the last one if it is short */
	unsigned int lines; /* said */
	int first;	    /* the pass that complains */
	int stale_ok;	    /* refcounts may be too low: nothing lost */
	int add_flags;	    /* the pass that adds COPIED flags */
	/* Counts of the clusters lo to hi - 1, at most REF_TOP each. */
	uint16_t *refs;
	uint64_t lo, hi;
	uint64_t window; /* most of them */
	/* The refcount table, in host order, and one block. */
	uint64_t *table;
	uint64_t table_len; /* entries */
	uint8_t *block;
	uint64_t block_idx; /* of it, or NO_BLOCK */
	int block_changed;
	char *why;
	size_t whylen;
};

#define REF_TOP	 UINT16_MAX
#define NO_BLOCK UINT64_MAX

/* A problem, counted and said unless c->first is 0. */
void check_corrupt(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* As file_error(). */
int check_error(struct check *c, const char *what);
int check_read(struct check *c, void *buf, size_t len, uint64_t off,
    const char *what);

/* Read the refcount table, have memory for counts.  0 or -1. */
int refs_open(struct check *c);
void refs_close(struct check *c);
/* Forget the counts; the clusters from `lo' on are next. */
void refs_window(struct check *c, uint64_t lo);
/*
 * `what' uses these bytes: count them.  `whole': it begins at a cluster,
 * else it is a corruption.  0 if they are within the file, else -1 after a
 * complaint, nothing is counted.
 */
int refs_add(struct check *c, uint64_t off, uint64_t len, int whole,
    const char *what);
/* Count the refcount table and its blocks. */
void refs_add_own(struct check *c);
/* Complain about clusters of the window that are counted more than once. */
void refs_sole(struct check *c, uint64_t off, uint64_t len, const char *what);
void refs_sole_own(struct check *c);
/* The refcount that the image has for a cluster.  0 or -1. */
int refs_get(struct check *c, uint64_t cluster, uint64_t *ref);
/* Compare the window, and correct what `fix' says instead.  0 or -1. */
#define FIX_LEAKS 0x1
#define FIX_STALE 0x2
int refs_compare(struct check *c, unsigned int fix);
/*
 * Have a block of refcounts, zeros if it is new, for every cluster; the file
 * grows.  0 or -1.
 */
int refs_fill(struct check *c);

#endif
