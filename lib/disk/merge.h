#ifndef DISK_MERGE_H
#define DISK_MERGE_H

#include <sys/queue.h>

#include "lib/disk/disk.h"

/*
 * Reads, and writes, of bytes that follow one another are one for the host:
 * a guest that streams makes requests of some 128 KiB, and each costs as much
 * as copying a good part of that.  One thread.
 *
 * Requests are held until merge_release().  Those that were joined are done
 * when all of them are; if that fails each is tried by itself, so that an
 * error is that of its own bytes.
 */
#define MERGE_REQS 32
#define MERGE_IOVS 256

struct joint;

struct merge {
	struct disk *disk;
	LIST_HEAD(, joint) joints; /* on their way */
	struct disk_req *held[MERGE_REQS];
	unsigned int n;
	int niov; /* of all */
};

void merge_init(struct merge *m, struct disk *d);

/* A READ or WRITE: as disk_submit(), at merge_release() at the latest. */
void merge_add(struct merge *m, struct disk_req *r);
void merge_release(struct merge *m);

#endif
