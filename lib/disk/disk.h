#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>
#include <sys/uio.h>

#include "lib/disk/io.h"

/*
 * A disk image and its backing chain: raw and qcow2, versions 2 and 3.
 * Everything in a file is hostile; nothing here opens a file or guesses a
 * format.  No metadata that a finished request needs is kept in memory
 * only.
 */

#define DISK_SECTOR 512

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	DISK_DISCARD,
	DISK_ZERO
};

struct disk;

/*
 * A request, the caller's again from done() on.  off and the sum of iov (or
 * len, for DISCARD and ZERO) are multiples of 512 and lie within the disk,
 * else EINVAL.  The bytes of a WRITE may change while it is done.
 */
struct disk_req {
	enum disk_op op;
	int unmap; /* DISK_ZERO: space may be given back */
	uint64_t off;
	uint64_t len; /* bytes */
	const struct iovec *iov;
	int niov;
	/* 0 or an errno; from disk_submit() or io_run() */
	void (*done)(struct disk_req *r, int error);
	/* private */
	TAILQ_ENTRY(disk_req) entry;
	void *priv;
};

/* One file of a chain: its index in the io, and its format. */
struct disk_layer {
	int file;
	int fd;
	int qcow2; /* else raw */
};

#define DISK_RDONLY 0x1

/*
 * Open a chain, layers[0] on top; the files stay the caller's.  Reads and
 * checks headers and tables.  NULL with errno and a sentence in `why'.
 */
struct disk *disk_open(struct io *io, const struct disk_layer *layers,
    size_t nlayers, unsigned int flags, char *why, size_t len);
/*
 * Flush and free; nothing may be in flight.  0, or -1 with errno, also if an
 * fdatasync(2) before has failed.
 */
int disk_close(struct disk *d);
/*
 * The errno with which an fdatasync(2) has failed, 0: none has; and what a
 * process that had the same image open before us knew of that.
 */
int disk_lost(const struct disk *d);
void disk_set_lost(struct disk *d, int error);
uint64_t disk_size(const struct disk *d); /* bytes, a multiple of 512 */
/* Preferred unit of a discard, in bytes; 0: cannot. */
uint64_t disk_discard_unit(const struct disk *d);

/*
 * Begin a request; at most as many at a time as the io has depth / 2.
 * FLUSH covers what was done before it was submitted.  Once an fdatasync(2)
 * of the image has failed, whoever had asked for it, all FLUSHes fail.
 */
void disk_submit(struct disk *d, struct disk_req *r);

#endif
