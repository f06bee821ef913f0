#ifndef DISK_DISK_INT_H
#define DISK_DISK_INT_H

#include "lib/disk/disk.h"
#include "lib/disk/qcow2_hdr.h"

/*
 * Inside lib/disk.  One thread; nothing blocks.  A function that needs what
 * is not there queues the caller's `waiter' and returns 0; the caller is
 * woken later and looks again from where it was: lookups are repeated, not
 * resumed, so nothing found before a wait is taken for granted after it.
 */

#define DISK_LAYERS_MAX 16
#define ZERO_CHUNK	(64U << 10)
#define ZERO_IOVS	32
#define ZERO_MAX	((uint64_t)ZERO_CHUNK * ZERO_IOVS)

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	/* `error': 0 or the errno of what was waited for */
	void (*wake)(struct waiter *w, int error);
};
TAILQ_HEAD(waitq, waiter);

void wait_on(struct waitq *q, struct waiter *w);
/* Wake all that wait now; those that wait again stay for the next time. */
void wake_all(struct waitq *q, int error);

/* xfer.c: all of a range, however the kernel divides it. */
#define XFER_IOVS 16

struct xfer {
	struct io_op op;
	struct io *io;
	void (*done)(struct xfer *x, int error);
	const struct iovec *iov;
	int niov;
	int file;
	int write;
	uint64_t skip; /* where in iov */
	uint64_t off;  /* where in the file */
	uint64_t len;  /* what is left */
	struct iovec part[XFER_IOVS];
};

/*
 * `len' bytes of `iov' from its byte `skip' on, to or from `off'.  What is
 * behind the end of the file reads as zeros.  `x->done' is set by the
 * caller.
 */
void xfer_start(struct xfer *x, struct io *io, int file, int write,
    const struct iovec *iov, int niov, uint64_t skip, uint64_t len,
    uint64_t off);
void iov_zero(const struct iovec *iov, int niov, uint64_t skip, uint64_t len);
void iov_put(const struct iovec *iov, int niov, uint64_t skip,
    const uint8_t *buf, uint64_t len);
void iov_get(const struct iovec *iov, int niov, uint64_t skip, uint8_t *buf,
    uint64_t len);
/* ZERO_MAX bytes of zeros. */
extern struct iovec zero_iov[ZERO_IOVS];

struct layer {
	int file;
	int qcow2;
	int is_bdev;
	uint64_t size;	    /* of the disk it shows, bytes */
	uint64_t file_size; /* when it was opened */
	/* qcow2 */
	unsigned int version;
	unsigned int bits; /* of a cluster */
	unsigned int l1_size;
	uint64_t l1_off;
	int zstd;
	uint64_t autoclear;
};

/* What a piece of the disk is. */
enum ext_type {
	EXT_NONE, /* this layer has nothing */
	EXT_ZERO,
	EXT_DATA,
	EXT_COMP
};

struct extent {
	enum ext_type type;
	int copied; /* DATA: may be written in place */
	size_t layer;
	uint64_t host; /* in the file; COMP: the L2 entry */
	uint64_t len;  /* bytes; COMP: to the end of the cluster */
	uint64_t l2;   /* of the top: its L2 table, 0 if there is none */
	uint64_t l2e;  /* of the top: the first entry */
};

/* A lookup that may wait. */
struct mapper {
	int active;
	size_t layer;
	uint64_t len;
	uint64_t l2;
};

enum lock_mode {
	LOCK_NONE,
	LOCK_SHARED,
	LOCK_EXCL
};

enum alloc_state {
	AL_IDLE,
	AL_BENEATH,
	AL_TABLE,
	AL_TAKE,
	AL_HEAD,
	AL_DATA,
	AL_TAIL,
	AL_COMMIT,
	AL_WRITTEN
};

enum zero_state {
	ZERO_LOOK,
	ZERO_TABLE,
	ZERO_ENTER,
	ZERO_ENTERED
};

/* A request, or a read on behalf of one. */
struct task {
	TAILQ_ENTRY(task) entry; /* free, or in a list of locks */
	struct task *block;	 /* of the first of an allocation: the next */
	struct disk *d;
	struct disk_req *r;
	struct waiter w;
	struct xfer x;
	void (*run)(struct task *t);
	void (*finish)(struct task *t); /* instead of r->done() */
	int error;
	const struct iovec *iov;
	int niov;
	uint64_t iov_off; /* of the disk, where iov begins */
	uint64_t pos, end;
	uint64_t stop; /* where the present piece of it ends */
	struct mapper map;
	/* locks.c */
	enum lock_mode lock, want;
	int unlocked; /* works for one that has the lock */
	uint64_t seq;
	uint64_t lock_first, lock_last; /* clusters */
	/* write.c */
	enum alloc_state state;
	enum zero_state zero;
	int cow;	/* there is data that is kept or freed */
	uint64_t first; /* of the disk, a cluster's start */
	uint64_t host;	/* where it goes */
	unsigned int n; /* clusters */
	uint64_t part_end;
	uint64_t l2;	    /* its L2 table */
	uint64_t newtab;    /* a cluster that is to become one */
	uint64_t first_l2e; /* what is there */
	uint64_t copy_pos, copy_end;
	int merge; /* put the cluster together in memory */
	int both;  /* another completion comes before it goes on */
	struct bounce *bounce;
	struct task *parent; /* of a read for cow.c */
	unsigned int room;   /* reserved in the list of frees */
};
TAILQ_HEAD(taskq, task);

#define BOUNCE_SIZE (64U << 10)

struct bounce {
	struct bounce *next;
	struct iovec iov;
	uint8_t data[];
};

struct cache;
struct alloc;
struct comp;

struct disk {
	struct io *io;
	int rdonly;
	int failed; /* an errno: metadata makes no sense */
	int lost;   /* an errno: an fdatasync(2) has failed, see sync.c */
	uint64_t size;
	size_t nlayers;
	struct layer layers[DISK_LAYERS_MAX];
	struct taskq pool;
	struct task *blocks;
	struct taskq shared, excl, waiting;
	uint64_t seq;
	/* syncs */
	struct io_op sync_op;
	int syncing;
	struct waitq sync_now, sync_next;
	struct bounce *bounces;
	unsigned int nbounces;
	struct waitq bounce_wait;
	/* raw: what fallocate(2) of this file cannot do */
	int no_punch, no_zero;
	struct cache *cache;
	struct alloc *alloc;
	struct comp *comp;
};

/* disk.c */
struct task *task_new(struct disk *d, struct disk_req *r);
void task_done(struct task *t, int error);
void task_wake(struct waiter *w, int error);
/* The whole range of iov from `skip' on is at t->pos. */
uint64_t task_skip(const struct task *t);

/* raw.c */
void raw_run(struct task *t);

/*
 * sync.c: after an fdatasync(2) of the top that begins after now; an error
 * if that or one before it has failed.
 */
void sync_wait(struct disk *d, struct waiter *w);

/* locks.c: the clusters of [t->pos, t->end); 0: wait */
int lock_get(struct task *t, enum lock_mode mode);
void lock_put(struct task *t);

/* cache.c: metadata of all layers in pages, written through. */
struct page;

struct cache *cache_new(struct disk *d, size_t bytes);
void cache_free(struct cache *c);
/* The page of `off', loaded; its bytes, and how many from off on. */
struct page *
cache_get(struct disk *d, size_t layer, uint64_t off, struct waiter *w);
/* The same of new metadata of the top: all zeros, nothing is read. */
struct page *cache_new_page(struct disk *d, uint64_t off, struct waiter *w);
uint8_t *page_data(struct page *p, uint64_t off, size_t *left);
/* Bytes of it were changed: write them; `w' is woken when they are. */
void page_write(struct page *p, uint64_t off, size_t len, struct waiter *w);
/* 1 if all of it is in the file, else wait. */
int page_clean(struct page *p, struct waiter *w);
/* Forget what is cached of a part of the top. */
void cache_drop(struct disk *d, uint64_t off, uint64_t len);
int cache_get64(struct disk *d, size_t layer, uint64_t off, uint64_t *v,
    struct waiter *w);
size_t cache_page_size(const struct disk *d);

/* map.c; 1, 0: wait, -1 with errno */
int map_top(struct task *t, uint64_t off, uint64_t len, struct extent *e);
int map_chain(struct task *t, size_t layer, uint64_t off, uint64_t len,
    struct extent *e);

/* comp.c: 1 with the decompressed cluster */
uint64_t comp_off(const struct layer *l, uint64_t l2e);
uint64_t comp_len(const struct layer *l, uint64_t l2e);
int comp_get(struct task *t, const struct extent *e, const uint8_t **data);
void comp_free(struct comp *c);

/* read.c, write.c, zero.c */
void read_run(struct task *t);
void write_run(struct task *t);
void zero_run(struct task *t);
/*
 * 1 with the L2 table of t->first in t->l2, its L1 entry in the file; 0:
 * wait, -1 with errno.
 */
int table_get(struct task *t);
/* cow.c: t->copy_pos to t->copy_end from where it is into t->host; as above */
int cow_step(struct task *t);
void cow_end(struct task *t);

/* alloc.c */
struct alloc *alloc_new(struct disk *d, const struct qcow2_hdr *h);
void alloc_free(struct alloc *a);
/*
 * Up to `want' clusters in a row that are zeros, count one reference and
 * are on the disk so.  1, 0: wait, -1 with errno.
 */
int alloc_take(struct disk *d, unsigned int want, uint64_t *host,
    unsigned int *got, struct waiter *w);
/*
 * Room for `n' pieces to be freed; then free_hold() what is not to be used
 * when the change that is about to be written is in the file, which
 * free_release() says; what of the room was not used is given back.
 */
int free_reserve(struct task *t, unsigned int n);
/* What the L2 entry `l2e' refers to. */
void free_hold(struct task *t, uint64_t l2e);
void free_release(struct task *t);
/* The change did not happen, or perhaps did: they stay as they are. */
void free_cancel(struct task *t);
/* `n' clusters that were taken and that nothing refers to. */
void free_unused(struct disk *d, uint64_t host, unsigned int n);
/* Around an fdatasync(2). */
void free_sync_begin(struct disk *d);
void free_sync_end(struct disk *d, int error);
/* Give back what is not used; 1 when there is no more to do. */
int alloc_finish(struct disk *d);

static inline uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
cluster_size(const struct layer *l)
{
	return 1ULL << l->bits;
}

#endif
