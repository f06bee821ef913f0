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
	IO_POLL
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
	/* The fallback. */
	struct io_list polls;
	int *fds;
	size_t nfds;
};

void io_list_init(struct io_list *l);
void io_list_add(struct io_list *l, struct io_op *op);
struct io_op *io_list_take(struct io_list *l);

/* Each returns what io_new() or io_run() does. */
int io_ring_init(struct io *io, const int *fds, size_t nfds);
void io_ring_fini(struct io *io);
int io_ring_run(struct io *io, int wait);
int io_sync_init(struct io *io, const int *fds, size_t nfds);
void io_sync_fini(struct io *io);
int io_sync_run(struct io *io, int wait);

#endif
