#ifndef DISK_CONVERT_H
#define DISK_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/disk/create.h"
#include "lib/disk/qcow2_hdr.h"

/*
 * Reading an image with its backing chain, offline and blocking, knowing
 * what is not there, and copying it into a new one.
 */

#define IMAGE_LAYERS_MAX 16

struct image_chain;

/* NULL with errno.  Frees no descriptors. */
struct image_chain *image_chain_new(void);
void image_chain_free(struct image_chain *c);
/*
 * Append a layer below those there are; `fd' stays the caller's.  What the
 * next one must be says image_chain_last(); a raw one, or one without a
 * backing file, ends it.  0, or -1 with errno and a sentence; the chain is
 * as before then.
 */
int image_chain_add(struct image_chain *c, int fd, int qcow2, char *why,
    size_t len);
/* The header of the lowest layer; NULL if it is raw. */
const struct qcow2_hdr *image_chain_last(const struct image_chain *c);
/*
 * After a failure: the number of the layer that it was about, 0 is the top;
 * -1 if no layer was.
 */
int image_chain_failed(const struct image_chain *c);
/* The size of the top layer, in bytes. */
uint64_t image_chain_size(const struct image_chain *c);
/*
 * From `off' on, below the size: how many bytes are alike, at least one.
 * `*data' is 0 if they are zeros for sure.  0 or -1 with errno and a
 * sentence.
 */
int image_chain_map(struct image_chain *c, uint64_t off, uint64_t *len,
    int *data, char *why, size_t whylen);
/* Read `len' bytes; beyond the size are zeros.  As above. */
int image_chain_read(struct image_chain *c, uint64_t off, void *buf, size_t len,
    char *why, size_t whylen);

/* Called now and then while something long runs. */
typedef void (*image_progress)(void *arg, uint64_t done, uint64_t total);

/*
 * Copy all of `c', which is complete, into a new image; blocks of zeros
 * are left out.  0, or -1 with errno and a sentence in `why', which is that
 * of `n'.
 */
int image_convert(struct image_chain *c, struct image_new *n, uint64_t size,
    image_progress progress, void *arg, char *why, size_t len);

#endif
