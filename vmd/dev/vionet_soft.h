#ifndef DEV_VIONET_SOFT_H
#define DEV_VIONET_SOFT_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a driver did not agree to do with frames of the host: checksums and
 * segmentation.  Frames are preceded by their header of 12 bytes; they come
 * from the kernel, but are not trusted to be well-formed.
 */

/* Is there something to do for the frame with header `p'? */
int net_soft_needed(const uint8_t *p, uint64_t features);

/*
 * Do it: `emit' is called for each frame that comes of it, in order, until
 * it returns not 0.  `len' bytes at `p' are changed; `seg' has room for as
 * many.  0, or -1 with errno EPROTO if it is no frame for that.
 */
int net_soft(uint8_t *p, size_t len, uint64_t features, uint8_t *seg,
    int (*emit)(void *arg, const uint8_t *p, size_t len), void *arg);

#endif
