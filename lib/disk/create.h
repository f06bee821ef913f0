#ifndef DISK_CREATE_H
#define DISK_CREATE_H

#include <stddef.h>
#include <stdint.h>

/*
 * New images: raw, sparse; or qcow2 version 3 with clusters of 64 KiB and
 * refcounts of 16 bits.  Written once from the beginning to the end, into a
 * file that is empty and has no name yet; the header comes last.
 */

#define IMAGE_BLOCK 65536

struct image_spec {
	int qcow2; /* else raw */
	uint64_t size;
	const char *backing; /* name to be recorded, NULL: none; qcow2 only */
	int backing_qcow2;   /* its format, else raw */
};

struct image_new;

/*
 * Begin an image in `fd', which stays the caller's and is open for reading
 * and writing; `s' stays valid until image_new_free().  NULL with errno and
 * a sentence in `why' of `len' bytes, which stays in use, too.
 */
struct image_new *
image_new(int fd, const struct image_spec *s, char *why, size_t len);
/*
 * Store `len' bytes at `off': a multiple of IMAGE_BLOCK, above all earlier
 * ones.  `len' is a multiple as well unless it ends at the end of the image.
 * What is never written reads as zeros, or as the backing file.  0, or -1
 * with errno and a sentence.
 */
int
image_new_write(struct image_new *n, uint64_t off, const void *buf, size_t len);
/* Write the tables and have all on disk.  As above. */
int image_new_finish(struct image_new *n);
/* NULL is fine. */
void image_new_free(struct image_new *n);

#endif
