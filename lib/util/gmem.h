#ifndef UTIL_GMEM_H
#define UTIL_GMEM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Guest physical memory: a table of ranges over one mapped memfd.  Used by
 * the vm process, its boot loaders and, later, by device processes.
 * Thread-safe once set up: the table does not change.
 */

enum gmem_type {
	GMEM_RAM,
	GMEM_RESERVED,
	GMEM_MMIO
};

struct gmem_range {
	uint64_t gpa;
	uint64_t size;
	uint64_t offset; /* in the memfd; not for GMEM_MMIO */
	enum gmem_type type;
};

#define GMEM_MAXRANGES 16
#define GMEM_HUGE      (2ULL << 20) /* bytes of a huge page */

struct gmem {
	struct gmem_range ranges[GMEM_MAXRANGES]; /* ascending gpa */
	size_t nranges;
	int fd;	       /* memfd, sealed; -1 before gmem_map() */
	uint8_t *base; /* mapping of the whole memfd */
	size_t size;   /* of the memfd */
};

/*
 * Append a range; page-aligned, ascending, not overlapping.  0, or -1 with
 * errno EINVAL or ENOSPC.
 */
int gmem_add(struct gmem *g, uint64_t gpa, uint64_t size, enum gmem_type type);
/* Make and map the sealed memfd.  0, or -1 with errno. */
int gmem_create(struct gmem *g);
/*
 * Map the memory that another process has made, with the ranges added here;
 * takes `*fd'.  0, or -1 with errno, EINVAL: not sealed, or of another size.
 */
int gmem_attach(struct gmem *g, int *fd);
void gmem_fini(struct gmem *g);

/*
 * Address of `len' bytes at `gpa', or NULL with errno EFAULT unless all of
 * them lie in one backed range.  Overflow-safe.
 */
void *gmem_ptr(const struct gmem *g, uint64_t gpa, uint64_t len);
/* Copy; may straddle adjacent ranges.  0, or -1 with errno EFAULT. */
int
gmem_write(const struct gmem *g, uint64_t gpa, const void *buf, uint64_t len);
int gmem_read(const struct gmem *g, uint64_t gpa, void *buf, uint64_t len);
/* End of the RAM that begins at 1 MiB: the first address after it. */
uint64_t gmem_low_end(const struct gmem *g);

#endif
