#ifndef DISK_ALLOC_INT_H
#define DISK_ALLOC_INT_H

#include "lib/disk/disk_int.h"

/*
 * Clusters of the top image: one machine, which does one thing at a time -
 * fill the pool, add a refcount block, a larger refcount table, or free -
 * step by step.  A step returns 1: go on with a->next, 0: wait, or -1 with
 * errno.
 */

#define RUNS_MAX  32
#define FREES_MAX 1024

/* Clusters in a row; numbers are offsets divided by the cluster size. */
struct run {
	uint64_t first;
	uint64_t n;
};

enum free_stage {
	FREE_HELD,    /* the entry that refers to it is being changed */
	FREE_NEW,     /* is changed in the file */
	FREE_SYNCING, /* fdatasync(2) is under way */
	FREE_READY    /* is changed on the disk */
};

struct freed {
	struct run run;
	enum free_stage stage;
	const struct task *owner;
};

struct alloc {
	struct waiter w;
	struct disk *d;
	int (*next)(struct alloc *a); /* NULL: idle */
	int (*after)(struct alloc *a);
	int running;
	int error;
	int closing;
	int filling; /* the pool; else freeing */
	int low;     /* fill the pool before it is empty */
	int enough;  /* no more for now */
	struct io_op op;
	struct xfer x;
	/* the refcount table */
	uint64_t ref_off;
	uint64_t ref_clusters;
	unsigned int order;
	unsigned int block_bits; /* refcounts in a block, as a power of 2 */
	/* the pool, and what is to become it */
	struct run pool[RUNS_MAX];
	unsigned int npool;
	uint64_t pool_n;
	struct run fill[RUNS_MAX];
	unsigned int nfill, filled;
	uint64_t fill_n;
	uint64_t target, target_max;
	uint64_t scan;	 /* where to look next */
	uint64_t fresh;	 /* zeros from this cluster on */
	uint64_t beyond; /* in use, but not in the file */
	unsigned int turn;
	struct iovec yield;
	uint8_t yield_byte;
	uint64_t eof; /* the file has this many whole clusters */
	struct waitq wait;
	/* a run that is made zero */
	struct run zero;
	uint64_t zero_pos;
	int no_punch, no_zero;
	/* a larger table */
	struct run grow;      /* all of it */
	uint64_t grow_blocks; /* the first of these are blocks */
	uint64_t grow_i;
	uint8_t *grow_buf; /* a page */
	/* frees */
	struct freed frees[FREES_MAX];
	unsigned int nfrees, reserved;
	struct run freeing, punch;
	struct waitq room;
	struct waiter sync;
	int sync_asked;
};

/* alloc.c */
void alloc_run(struct alloc *a);
/* Go on with `after' when an fdatasync(2) is done. */
int alloc_sync(struct alloc *a, int (*after)(struct alloc *a));
/* Go on with `after' when these are zeros, within the file. */
int alloc_zero(struct alloc *a, struct run r, int (*after)(struct alloc *a));
/* 1 if `c' is part of the header, the L1 or the refcount table. */
int alloc_is_table(const struct alloc *a, uint64_t c);
/* The machine's op as a continuation of it. */
void alloc_op_done(struct io_op *op, int res);

/* refcount.c */
uint64_t ref_get(const struct alloc *a, const uint8_t *page, uint64_t i);
void ref_set(const struct alloc *a, uint8_t *page, uint64_t i, uint64_t v);
/* Refcounts in a page; the offset of that of `c' in its block's page. */
uint64_t ref_per_page(const struct alloc *a);
/* The block of cluster `c': 1 (0: none), 0: wait, -1 with errno. */
int ref_block(struct alloc *a, uint64_t c, uint64_t *off);
/* Where in the file the page with the refcount of `c' begins. */
uint64_t ref_where(const struct alloc *a, uint64_t block, uint64_t c);
/* Bytes of the page that hold refcounts `i' to `j', both included. */
void ref_write(struct alloc *a, struct page *p, uint64_t where, uint64_t i,
    uint64_t j);
uint64_t ref_covered(const struct alloc *a); /* clusters the table reaches */
int ref_new_block(struct alloc *a);

/* fill the pool, after a block or a larger table was added */
int fill_scan(struct alloc *a);

/* grow.c */
int grow_begin(struct alloc *a);

/* free.c */
void free_begin(struct alloc *a);
int free_any_ready(const struct alloc *a);
int free_add(struct alloc *a, struct run r, enum free_stage stage,
    const struct task *owner);

#endif
