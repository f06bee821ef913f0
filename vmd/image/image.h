#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "lib/proto/imginfo.h"

/*
 * The process image: says what one disk image is.
 */

/*
 * Look at `fd', a regular file or block device of this format (DISK_AUTO:
 * find out), which a guest will write or only read.  Fills `*i', with an
 * error in it if it cannot be used; the caller frees by image_info_fini().
 */
void image_inspect(int fd, enum disk_format format, int writable,
    struct image_info *i);

#endif
