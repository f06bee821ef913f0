#ifndef UTIL_MEMFD_H
#define UTIL_MEMFD_H

#include <stdint.h>

/*
 * Memory that processes share: `size' zeros in a memfd of that name, which
 * can neither shrink nor grow and, where the kernel knows how (Linux 6.3),
 * never be executed.  A descriptor, close-on-exec, or -1 with errno.
 */
int memfd_sealed(const char *name, uint64_t size);

#endif
