#ifndef DISK_UNPACK_H
#define DISK_UNPACK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Unpacking of compressed clusters: what they need of memory is made when
 * the first one is met, and used again.
 *
 * qcow2 specification: "Compressed Clusters Descriptor"; RFC 1951, RFC 8878.
 */

struct unpack;

/* NULL with errno. */
struct unpack *unpack_new(void);
/* NULL is fine. */
void unpack_free(struct unpack *u);
/*
 * One cluster of `outlen' bytes from at most `inlen'; what follows it there
 * is of no interest.  `zstd': else raw deflate.  0 or an errno: EIO if that
 * is not what it is.
 */
int unpack(struct unpack *u, int zstd, const uint8_t *in, size_t inlen,
    uint8_t *out, size_t outlen);

#endif
