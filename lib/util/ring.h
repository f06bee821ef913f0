#ifndef UTIL_RING_H
#define UTIL_RING_H

#include <stddef.h>
#include <stdint.h>

/*
 * The console history: the last RING_SIZE bytes of a VM's output in a memfd
 * that the parent makes and keeps while the VM is defined, and that each
 * run's vm process writes.  The reader trusts nothing in it: the position
 * is reduced modulo the size.
 */

#define RING_SIZE (256 * 1024)

struct ring;

/* A new memfd of the right size, sealed against resizing.  -1 with errno. */
int ring_create(void);
/* Map `fd' (stays the caller's).  NULL with errno; EINVAL: wrong size. */
struct ring *ring_map(int fd);
void ring_free(struct ring *r);
/* Append; one writer. */
void ring_write(struct ring *r, const void *buf, size_t len);
/* Total bytes ever written: a position for ring_read(). */
uint64_t ring_pos(const struct ring *r);
/*
 * Copy up to `len' bytes from position `*pos' on into `buf' and advance
 * `*pos'; bytes that are gone already are skipped.  Returns the count, 0 at
 * the end.
 */
size_t ring_read(const struct ring *r, uint64_t *pos, void *buf, size_t len);

#endif
