#ifndef DISK_LOOK_H
#define DISK_LOOK_H

#include <stdint.h>

#include "lib/disk/qcow2_hdr.h"

/*
 * A second reader of qcow2 images, in memory, for tests: is it sound, and
 * what does it show?
 */

#define FILE_MAX (16U << 20)

struct image {
	const uint8_t *file;
	uint64_t len;
	/* as it was before: compressed clusters are those of then */
	const uint8_t *orig;
	const uint8_t *first;	/* what it showed */
	const uint8_t *backing; /* what the layers below show */
};

struct look {
	struct qcow2_hdr h;
	uint64_t cs, ncl;
	uint8_t *refs;
	uint8_t *packed; /* has compressed data: may be counted more often */
	char why[128];
};

/*
 * 0, or -1 with a reason: something refers to what is not in the file, or is
 * not counted as it should be.  Clusters that nothing refers to are fine.
 */
int look(const struct image *im, struct look *l);
/* A sector; NULL: it makes no sense. */
const uint8_t *show(const struct image *im, const struct look *l, uint64_t off);

#endif
