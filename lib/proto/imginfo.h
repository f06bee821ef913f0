#ifndef PROTO_IMGINFO_H
#define PROTO_IMGINFO_H

#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/vmspec.h"

/*
 * What the process image says of one disk image.  The file is hostile, and
 * so may be the process that has read it: the reader checks every field,
 * what they mean together is for the parent to decide.
 */

#define IMAGE_BACKING_MAX 1023 /* bytes; the qcow2 specification's limit */
#define IMAGE_ERROR_MAX	  512

/* Body of IMAGE_RESPONSE. */
struct image_info {
	enum disk_format format; /* DISK_RAW or DISK_QCOW2; AUTO: see error */
	uint64_t size;		 /* of the disk, bytes; up to INT64_MAX */
	char *backing;		 /* name of its backing file, or NULL */
	enum disk_format backing_format; /* DISK_AUTO: not declared */
	char *error;			 /* why it cannot be used, or NULL */
};
/* 0, or -1 with errno as in wire.h; image_info_fini() frees the strings. */
int image_info_put(struct ibuf *b, const struct image_info *i);
int image_info_get(struct ibuf *b, struct image_info *i);
void image_info_fini(struct image_info *i);

#endif
