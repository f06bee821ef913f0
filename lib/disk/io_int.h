#ifndef DISK_IO_INT_H
#define DISK_IO_INT_H

#include <sys/types.h>
#include <liburing.h>

#include "lib/disk/io.h"

/* Between io.c, which queues, and its two engines. */

enum io_kind {
	IO_READ,
	IO_WRITE,
	IO_SYNC,
	IO_FALLOCATE,
	IO_POLL,
	IO_WATCH
};

struct io_list {
	struct io_op *first;
	struct io_op **last;
};

struct io {
	unsigned int depth;
	unsigned int inflight; /* given to the engine */
	int is_ring;
	struct io_list queue; /* not yet given to it */
	/* The ring. */
	struct io_uring ring;
	uint8_t *here; /* for each file: is it written without the ring? */
	int flagged;   /* it says when there is work in the kernel */
	/* The fallback. */
	struct io_list polls;
	/* Both: the files. */
	int *fds;
	size_t nfds;
};

void io_list_init(struct io_list *l);
void io_list_add(struct io_list *l, struct io_op *op);
struct io_op *io_list_take(struct io_list *l);

/* Each returns what io_new() or io_run() does. */
int io_ring_init(struct io *io);
void io_ring_fini(struct io *io);
int io_ring_run(struct io *io, int wait);
int io_ring_ready(const struct io *io);
int io_sync_run(struct io *io, int wait);
/* Do a read, write, sync or fallocate here and now. */
int io_perform(int fd, const struct io_op *op);

#endif
