/*
 * Metadata of the images of a chain, in pages of at most 4 KiB and never
 * more than a cluster of the top, found by file and offset.  A change is
 * written at once; changes made while a page is being written go together
 * in the next write of it.  So what is changed here must be fit to be on
 * the disk at any time from then on: the order of things is the callers'.
 */

#include <errno.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disk/disk_int.h"

#define PAGE_MAX 4096U

struct page {
	struct io_op op;
	struct iovec iov;
	TAILQ_ENTRY(page) lru;
	struct page *chain; /* of the hash table */
	struct disk *d;
	uint8_t *data;
	size_t layer;
	uint64_t off;
	size_t lo, hi; /* to be written, if lo < hi */
	int valid;     /* is in the hash table */
	int loading;
	int writing;
	struct waitq now;  /* for what is under way */
	struct waitq next; /* for the write after it */
};
TAILQ_HEAD(pageq, page);

struct cache {
	size_t psize;
	size_t npages; /* a power of 2 */
	struct page *pages;
	struct page **hash;
	uint8_t *data;
	struct pageq lru; /* first: used last */
	struct waitq full;
};

struct cache *
cache_new(struct disk *d, size_t bytes)
{
	struct cache *c;
	struct page *p;
	size_t i;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->psize = min64(PAGE_MAX, cluster_size(&d->layers[0]));
	for (c->npages = 64; c->npages < 256; c->npages *= 2)
		if (c->npages * c->psize >= bytes)
			break;
	TAILQ_INIT(&c->lru);
	TAILQ_INIT(&c->full);
	if ((c->pages = calloc(c->npages, sizeof(*c->pages))) == NULL ||
	    (c->hash = calloc(c->npages, sizeof(*c->hash))) == NULL ||
	    (c->data = malloc(c->npages * c->psize)) == NULL) {
		cache_free(c);
		return NULL;
	}
	for (i = 0; i < c->npages; i++) {
		p = &c->pages[i];
		p->d = d;
		p->data = c->data + i * c->psize;
		TAILQ_INIT(&p->now);
		TAILQ_INIT(&p->next);
		TAILQ_INSERT_TAIL(&c->lru, p, lru);
	}
	return c;
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	free(c->data);
	free(c->hash);
	free(c->pages);
	free(c);
}

size_t
cache_page_size(const struct disk *d)
{
	return d->cache->psize;
}

static struct page **
bucket(struct cache *c, size_t layer, uint64_t off)
{
	uint64_t h = (off / c->psize + layer) * 0x9e3779b97f4a7c15ULL;

	return &c->hash[(h >> 32) & (c->npages - 1)];
}

static struct page *
find(struct cache *c, size_t layer, uint64_t off)
{
	struct page *p = *bucket(c, layer, off);

	while (p != NULL && (p->off != off || p->layer != layer))
		p = p->chain;
	return p;
}

static void
forget(struct cache *c, struct page *p)
{
	struct page **link = bucket(c, p->layer, p->off);

	if (!p->valid)
		return;
	while (*link != p)
		link = &(*link)->chain;
	*link = p->chain;
	p->valid = 0;
	TAILQ_REMOVE(&c->lru, p, lru);
	TAILQ_INSERT_TAIL(&c->lru, p, lru);
}

static int
busy(const struct page *p)
{
	return p->loading || p->writing || p->lo < p->hi;
}

static struct page *
idle_page(struct cache *c)
{
	struct page *p;

	TAILQ_FOREACH_REVERSE(p, &c->lru, pageq, lru)
	if (!busy(p))
		return p;
	return NULL;
}

/* A page for something else, or NULL: all are busy. */
static struct page *
take(struct cache *c, size_t layer, uint64_t off, struct waiter *w)
{
	struct page **link, *p;

	if ((p = idle_page(c)) == NULL) {
		wait_on(&c->full, w);
		return NULL;
	}
	forget(c, p);
	p->layer = layer;
	p->off = off;
	p->lo = p->hi = 0;
	p->valid = 1;
	link = bucket(c, layer, off);
	p->chain = *link;
	*link = p;
	TAILQ_REMOVE(&c->lru, p, lru);
	TAILQ_INSERT_HEAD(&c->lru, p, lru);
	return p;
}

static void
load(struct page *p)
{
	struct disk *d = p->d;

	io_readv(d->io, &p->op, d->layers[p->layer].file, &p->iov, 1,
	    p->off + (d->cache->psize - p->iov.iov_len));
}

/* What is behind the end of the file is zero. */
static void
loaded(struct io_op *op, int res)
{
	struct page *p = (struct page *)op;
	struct cache *c = p->d->cache;

	if (res > 0 && (size_t)res < p->iov.iov_len) {
		p->iov.iov_base = (char *)p->iov.iov_base + res;
		p->iov.iov_len -= (size_t)res;
		load(p);
		return;
	}
	p->loading = 0;
	if (res == 0)
		memset(p->iov.iov_base, 0, p->iov.iov_len);
	if (res < 0)
		forget(c, p);
	wake_all(&p->now, res < 0 ? -res : 0);
	wake_all(&c->full, 0);
}

struct page *
cache_get(struct disk *d, size_t layer, uint64_t off, struct waiter *w)
{
	struct cache *c = d->cache;
	struct page *p;

	off &= ~(uint64_t)(c->psize - 1);
	if ((p = find(c, layer, off)) != NULL && !p->loading) {
		if (p != TAILQ_FIRST(&c->lru)) {
			TAILQ_REMOVE(&c->lru, p, lru);
			TAILQ_INSERT_HEAD(&c->lru, p, lru);
		}
		return p;
	}
	if (p == NULL) {
		if ((p = take(c, layer, off, w)) == NULL)
			return NULL;
		p->loading = 1;
		p->op.done = loaded;
		p->iov.iov_base = p->data;
		p->iov.iov_len = c->psize;
		load(p);
	}
	wait_on(&p->now, w);
	return NULL;
}

struct page *
cache_new_page(struct disk *d, uint64_t off, struct waiter *w)
{
	struct cache *c = d->cache;
	struct page *p;

	off &= ~(uint64_t)(c->psize - 1);
	if ((p = find(c, 0, off)) != NULL && busy(p)) {
		wait_on(p->lo < p->hi ? &p->next : &p->now, w);
		return NULL;
	}
	if (p == NULL && (p = take(c, 0, off, w)) == NULL)
		return NULL;
	memset(p->data, 0, c->psize);
	return p;
}

uint8_t *
page_data(struct page *p, uint64_t off, size_t *left)
{
	size_t at = off & (p->d->cache->psize - 1);

	if (left != NULL)
		*left = p->d->cache->psize - at;
	return p->data + at;
}

static void written(struct io_op *op, int res);

static void
store(struct page *p)
{
	struct disk *d = p->d;

	p->writing = 1;
	p->op.done = written;
	p->iov.iov_base = p->data + p->lo;
	p->iov.iov_len = p->hi - p->lo;
	p->lo = p->hi = 0;
	TAILQ_CONCAT(&p->now, &p->next, entry);
	io_writev(d->io, &p->op, d->layers[0].file, &p->iov, 1,
	    p->off + (uint64_t)((uint8_t *)p->iov.iov_base - p->data));
}

/* The file does not have what the page has: nobody shall see it. */
static void
write_failed(struct page *p, int error)
{
	forget(p->d->cache, p);
	p->lo = p->hi = 0;
	TAILQ_CONCAT(&p->now, &p->next, entry);
	wake_all(&p->now, error);
}

static void
written(struct io_op *op, int res)
{
	struct page *p = (struct page *)op;
	struct disk *d = p->d;
	struct waitq now = TAILQ_HEAD_INITIALIZER(now);

	if (res > 0 && (size_t)res < p->iov.iov_len) {
		p->iov.iov_base = (char *)p->iov.iov_base + res;
		p->iov.iov_len -= (size_t)res;
		io_writev(d->io, op, d->layers[0].file, &p->iov, 1,
		    p->off + (uint64_t)((uint8_t *)p->iov.iov_base - p->data));
		return;
	}
	p->writing = 0;
	if (res <= 0) {
		write_failed(p, res < 0 ? -res : EIO);
	} else {
		TAILQ_CONCAT(&now, &p->now, entry);
		if (p->lo < p->hi)
			store(p);
		wake_all(&now, 0);
	}
	wake_all(&d->cache->full, 0);
}

void
page_write(struct page *p, uint64_t off, size_t len, struct waiter *w)
{
	size_t at = off & (p->d->cache->psize - 1);

	if (p->lo == p->hi) {
		p->lo = at;
		p->hi = at + len;
	} else {
		p->lo = at < p->lo ? at : p->lo;
		p->hi = at + len > p->hi ? at + len : p->hi;
	}
	wait_on(&p->next, w);
	if (!p->writing)
		store(p);
}

int
page_clean(struct page *p, struct waiter *w)
{
	if (p->lo < p->hi)
		wait_on(&p->next, w);
	else if (p->writing)
		wait_on(&p->now, w);
	else
		return 1;
	return 0;
}

void
cache_drop(struct disk *d, uint64_t off, uint64_t len)
{
	struct cache *c = d->cache;
	struct page *p;
	size_t i;

	for (i = 0; i < c->npages; i++) {
		p = &c->pages[i];
		if (p->valid && p->layer == 0 && p->off >= off &&
		    p->off - off < len && !busy(p))
			forget(c, p);
	}
}

int
cache_get64(struct disk *d, size_t layer, uint64_t off, uint64_t *v,
    struct waiter *w)
{
	struct page *p;

	if ((p = cache_get(d, layer, off, w)) == NULL)
		return 0;
	memcpy(v, page_data(p, off, NULL), sizeof(*v));
	*v = be64toh(*v);
	return 1;
}
