#ifndef VM_MMIO_H
#define VM_MMIO_H

#include <stdint.h>

#include "vmd/vm/device.h"

/*
 * Devices in guest physical memory: the windows of PCI BARs.  Accesses come
 * from vcpu threads and are made with the bus lock held, one lock for
 * ports and memory.  Nobody home: all ones are read, a write is dropped.
 */

/*
 * `size' is 1, 2, 4 or 8 and the access lies inside the window, at any
 * alignment.
 */
struct mmio_ops {
	const char *name;
	uint64_t (*read)(void *dev, uint64_t off, unsigned int size);
	void (*write)(void *dev, uint64_t off, unsigned int size, uint64_t val);
};

#define MMIO_MAXWINDOWS 256
#define MMIO_NOWHERE	UINT64_MAX

/* Where a PCI device's memory may be; as the ACPI tables tell the guest. */
#define MMIO_LOW      0xc0000000ULL
#define MMIO_LOW_END  0xe0000000ULL
#define MMIO_HIGH     0xf0000000ULL
#define MMIO_HIGH_END 0xfec00000ULL

struct mmio;
/* Uses `b' for its lock.  NULL with errno. */
struct mmio *mmio_new(struct bus *b);
void mmio_free(struct mmio *m);

/*
 * A window of `len' bytes, nowhere yet; `ops' must outlive it.  Its number,
 * or -1 with errno ENOSPC.
 */
int
mmio_add(struct mmio *m, const struct mmio_ops *ops, void *dev, uint64_t len);
void mmio_del(struct mmio *m, int window);
/*
 * Move a window; bus lock held once the guest runs.  Outside of the ranges
 * above it is nowhere.  Where windows overlap the one with the lowest
 * number answers.  Returns where it is, or MMIO_NOWHERE.
 */
uint64_t mmio_move(struct mmio *m, int window, uint64_t gpa);
/*
 * An address for a window of `size' bytes (a power of two), from MMIO_LOW
 * up, each once; MMIO_NOWHERE when there is none left.
 */
uint64_t mmio_place(struct mmio *m, uint64_t size);

/* One access; vcpu threads.  Takes the bus lock. */
uint64_t mmio_bus_read(struct mmio *m, uint64_t gpa, unsigned int size);
void
mmio_bus_write(struct mmio *m, uint64_t gpa, unsigned int size, uint64_t val);

#endif
