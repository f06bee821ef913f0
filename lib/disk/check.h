#ifndef DISK_CHECK_H
#define DISK_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/disk/convert.h"
#include "lib/disk/qcow2_hdr.h"

/*
 * Check of a qcow2 image that nobody uses: what refers to each cluster is
 * counted and compared with its refcount.  Memory is bounded, whatever the
 * image says: large files are looked at in parts.
 */

struct image_check {
	uint64_t corruptions; /* what may lose or mix up data */
	uint64_t leaks;	      /* clusters that nothing refers to, before */
	uint64_t leaks_fixed;
	uint64_t stale;	   /* refcounts that are too low, if dirty, before */
	uint64_t clusters; /* of the file */
	uint64_t data;	   /* clusters with data, of the disk */
	uint64_t compressed;
	int dirty;   /* it was not closed, before */
	int corrupt; /* it is marked so */
};

#define IMAGE_CHECK_REPAIR 0x1 /* free leaks, make refcounts anew if dirty */

/* One problem, a line without newline; at most IMAGE_CHECK_LINES of them. */
typedef void (*image_say)(void *arg, const char *line);
#define IMAGE_CHECK_LINES 20

struct image_check_how {
	unsigned int flags;
	image_say say;
	image_progress progress;
	void *arg;
	/* Clusters that are counted at a time; 0: what is usual. */
	uint64_t window;
};

/*
 * Check `fd', open for writing as well if it is to be repaired; that is done
 * only if there are no corruptions.  An image that was dirty or marked
 * corrupt is not afterwards.
 * 0 if the check could be made, whatever it found; -1 with errno and a
 * sentence.
 */
int image_check(int fd, const struct image_check_how *how,
    struct image_check *res, char *why, size_t len);

#endif
