#ifndef VQ_TEST_H
#define VQ_TEST_H

/*
 * What the tests of queues share: a little guest memory, and the driver's
 * side of a queue in it.  The memory ends at a page nobody may touch.
 */
#include <sys/mman.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/virtio/vq.h"

#define NELEM(a)   (sizeof(a) / sizeof((a)[0]))

#define F_NEXT	   1
#define F_WRITE	   2
#define F_INDIRECT 4

#define PAGE	   4096UL

/* One range of `size' bytes at 0, in front of a guard page. */
static inline void
mem_make(struct gmem *g, size_t size)
{
	size_t room = (size + PAGE - 1) & ~(PAGE - 1);
	uint8_t *p;

	memset(g, 0, sizeof(*g));
	g->fd = -1;
	p = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + room, PAGE, PROT_NONE), 0);
	g->base = p + room - size;
	g->size = size;
	g->ranges[0].size = size;
	g->nranges = 1;
}

static inline void
mem_drop(struct gmem *g)
{
	size_t room = (g->size + PAGE - 1) & ~(PAGE - 1);

	munmap(g->base + g->size - room, room + PAGE);
	g->base = NULL;
}

static inline void
poke16(const struct gmem *g, uint64_t gpa, uint16_t v)
{
	memcpy(g->base + gpa, &v, sizeof(v));
}

static inline uint16_t
peek16(const struct gmem *g, uint64_t gpa)
{
	uint16_t v;

	memcpy(&v, g->base + gpa, sizeof(v));
	return v;
}

static inline uint32_t
peek32(const struct gmem *g, uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, g->base + gpa, sizeof(v));
	return v;
}

struct test_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* Into a table at `gpa'. */
static inline void
desc_put(const struct gmem *g, uint64_t gpa, unsigned int i,
    const struct test_desc *d)
{
	_Static_assert(sizeof(*d) == 16, "descriptor");
	memcpy(g->base + gpa + 16UL * i, d, sizeof(*d));
}

/* The driver offers `head'. */
static inline void
offer(const struct gmem *g, const struct vq_conf *c, uint16_t head)
{
	uint16_t idx = peek16(g, c->avail + 2);

	poke16(g, c->avail + 4 + 2UL * (idx & (c->size - 1)), head);
	poke16(g, c->avail + 2, idx + 1);
}

#endif
