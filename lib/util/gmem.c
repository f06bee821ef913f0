/*
 * Guest physical memory: a table of ranges over one sealed memfd.  The
 * addresses asked for come from the guest or from a kernel file; nothing
 * outside the table is ever returned.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util/gmem.h"
#include "lib/util/memfd.h"

#define PAGE_MASK 0xfffULL
#define LOW_RAM	  (1ULL << 20)

int
gmem_add(struct gmem *g, uint64_t gpa, uint64_t size, enum gmem_type type)
{
	struct gmem_range *r;
	uint64_t end = 0;

	if (g->nranges == GMEM_MAXRANGES) {
		errno = ENOSPC;
		return -1;
	}
	if (g->nranges > 0) {
		r = &g->ranges[g->nranges - 1];
		end = r->gpa + r->size;
	}
	if (size == 0 || (gpa & PAGE_MASK) || (size & PAGE_MASK) || gpa < end ||
	    gpa > UINT64_MAX - size) {
		errno = EINVAL;
		return -1;
	}
	r = &g->ranges[g->nranges++];
	r->gpa = gpa;
	r->size = size;
	r->type = type;
	r->offset = 0;
	if (type != GMEM_MMIO) {
		/* Nothing is ever written into what is left out. */
		r->offset = g->size + ((gpa - g->size) & (GMEM_HUGE - 1));
		g->size = r->offset + size;
	}
	return 0;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* `size' bytes of addresses that begin where a huge page may; or NULL. */
static uint8_t *
reserve(size_t size)
{
	size_t all = size + GMEM_HUGE, before;
	uint8_t *p;

	p = mmap(NULL, all, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p & (GMEM_HUGE - 1);
	if (before > 0)
		munmap(p, before);
	munmap(p + before + size, all - before - size);
	return p + before;
}

/*
 * An address, its place in the memfd and the guest's address are the same
 * within a huge page, so that it can be one for all.
 */
static int
map(struct gmem *g)
{
	uint8_t *p;

	if ((p = reserve(g->size)) == NULL)
		return -1;
	if (mmap(p, g->size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED | MAP_NORESERVE, g->fd,
		0) == MAP_FAILED) {
		munmap(p, g->size);
		return -1;
	}
	madvise(p, g->size, MADV_DONTDUMP);
	/* For administrators who allow it for shared memory. */
	madvise(p, g->size, MADV_HUGEPAGE);
	g->base = p;
	return 0;
}

int
gmem_attach(struct gmem *g, int *fd)
{
	struct stat st;
	int seals;

	g->base = NULL;
	g->fd = *fd;
	*fd = -1;
	if (fstat(g->fd, &st) == -1 ||
	    (seals = fcntl(g->fd, F_GET_SEALS)) == -1)
		goto fail;
	/* One that shrinks would kill us with SIGBUS. */
	if ((uint64_t)st.st_size != g->size || (seals & SEALS) != SEALS) {
		errno = EINVAL;
		goto fail;
	}
	if (map(g) == 0)
		return 0;
fail:
	gmem_fini(g);
	return -1;
}

int
gmem_create(struct gmem *g)
{
	g->base = NULL;
	if ((g->fd = memfd_sealed("guest", g->size)) == -1)
		return -1;
	if (map(g) == 0)
		return 0;
	gmem_fini(g);
	return -1;
}

void
gmem_fini(struct gmem *g)
{
	int saved_errno = errno;

	if (g->base != NULL)
		munmap(g->base, g->size);
	g->base = NULL;
	if (g->fd != -1)
		close(g->fd);
	g->fd = -1;
	errno = saved_errno;
}

/* The backed range that holds `gpa', or NULL with errno. */
static const struct gmem_range *
lookup(const struct gmem *g, uint64_t gpa)
{
	const struct gmem_range *r;
	size_t i;

	for (i = 0; i < g->nranges; i++) {
		r = &g->ranges[i];
		if (gpa >= r->gpa && gpa - r->gpa < r->size) {
			if (r->type == GMEM_MMIO)
				break;
			return r;
		}
	}
	errno = EFAULT;
	return NULL;
}

void *
gmem_ptr(const struct gmem *g, uint64_t gpa, uint64_t len)
{
	const struct gmem_range *r;

	if (g->base == NULL || (r = lookup(g, gpa)) == NULL ||
	    len > r->size - (gpa - r->gpa)) {
		errno = EFAULT;
		return NULL;
	}
	return g->base + r->offset + (gpa - r->gpa);
}

/*
 * Of `len' bytes at `gpa' those from `off' on that lie in one range: their
 * address and count, or NULL with errno.
 */
static void *
piece(const struct gmem *g, uint64_t gpa, uint64_t off, uint64_t len,
    uint64_t *n)
{
	const struct gmem_range *r;

	if (gpa > UINT64_MAX - off || (r = lookup(g, gpa + off)) == NULL) {
		errno = EFAULT;
		return NULL;
	}
	*n = r->size - (gpa + off - r->gpa);
	if (*n > len - off)
		*n = len - off;
	return gmem_ptr(g, gpa + off, *n);
}

int
gmem_write(const struct gmem *g, uint64_t gpa, const void *buf, uint64_t len)
{
	uint64_t off, n;
	void *p;

	for (off = 0; off < len; off += n) {
		if ((p = piece(g, gpa, off, len, &n)) == NULL)
			return -1;
		memcpy(p, (const uint8_t *)buf + off, n);
	}
	return 0;
}

int
gmem_read(const struct gmem *g, uint64_t gpa, void *buf, uint64_t len)
{
	uint64_t off, n;
	const void *p;

	for (off = 0; off < len; off += n) {
		if ((p = piece(g, gpa, off, len, &n)) == NULL)
			return -1;
		memcpy((uint8_t *)buf + off, p, n);
	}
	return 0;
}

uint64_t
gmem_low_end(const struct gmem *g)
{
	const struct gmem_range *r;
	size_t i;

	for (i = 0; i < g->nranges; i++) {
		r = &g->ranges[i];
		if (r->type == GMEM_RAM && r->gpa <= LOW_RAM &&
		    r->gpa + r->size > LOW_RAM)
			return r->gpa + r->size;
	}
	return 0;
}
