/*
 * Asynchronous I/O of a device process: the queue before the engines.  An
 * operation is one link in a list until io_run() gives it to the ring of
 * io_ring.c or the system calls of io_sync.c; what exceeds the depth stays
 * in the list.  Nothing is allocated after io_new().
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disk/io_int.h"

#define IO_DEPTH_MAX 4096

void
io_list_init(struct io_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

void
io_list_add(struct io_list *l, struct io_op *op)
{
	op->next = NULL;
	*l->last = op;
	l->last = &op->next;
}

struct io_op *
io_list_take(struct io_list *l)
{
	struct io_op *op = l->first;

	if (op != NULL && (l->first = op->next) == NULL)
		l->last = &l->first;
	return op;
}

struct io *
io_new(unsigned int depth, const int *fds, size_t nfds, int sync)
{
	struct io *io;

	if (depth == 0 || depth > IO_DEPTH_MAX || nfds == 0 || nfds > 1024) {
		errno = EINVAL;
		return NULL;
	}
	if ((io = calloc(1, sizeof(*io))) == NULL)
		return NULL;
	if ((io->fds = calloc(nfds, sizeof(*fds))) == NULL) {
		free(io);
		return NULL;
	}
	memcpy(io->fds, fds, nfds * sizeof(*fds));
	io->nfds = nfds;
	io->depth = depth;
	io_list_init(&io->queue);
	io_list_init(&io->polls);
	io->is_ring = !sync && io_ring_init(io) == 0;
	return io;
}

void
io_free(struct io *io)
{
	if (io == NULL)
		return;
	if (io->is_ring)
		io_ring_fini(io);
	free(io->fds);
	free(io);
}

int
io_is_ring(const struct io *io)
{
	return io->is_ring;
}

static void
io_rw(struct io *io, struct io_op *op, enum io_kind kind, int file,
    const struct iovec *iov, int niov, uint64_t off)
{
	op->kind = kind;
	op->file = (short)file;
	op->iov = iov;
	op->niov = niov;
	op->off = off;
	io_list_add(&io->queue, op);
}

void
io_readv(struct io *io, struct io_op *op, int file, const struct iovec *iov,
    int niov, uint64_t off)
{
	io_rw(io, op, IO_READ, file, iov, niov, off);
}

void
io_writev(struct io *io, struct io_op *op, int file, const struct iovec *iov,
    int niov, uint64_t off)
{
	io_rw(io, op, IO_WRITE, file, iov, niov, off);
}

void
io_sync(struct io *io, struct io_op *op, int file)
{
	op->kind = IO_SYNC;
	op->file = (short)file;
	io_list_add(&io->queue, op);
}

void
io_fallocate(struct io *io, struct io_op *op, int file, int mode, uint64_t off,
    uint64_t len)
{
	op->kind = IO_FALLOCATE;
	op->file = (short)file;
	op->mode = (short)mode;
	op->off = off;
	op->len = len;
	io_list_add(&io->queue, op);
}

static void
wait_for(struct io *io, struct io_op *op, enum io_kind kind, int file,
    int events)
{
	op->kind = kind;
	op->file = (short)file;
	op->mode = (short)events;
	io_list_add(&io->queue, op);
}

void
io_poll(struct io *io, struct io_op *op, int file)
{
	wait_for(io, op, IO_POLL, file, POLLIN);
}

void
io_poll_out(struct io *io, struct io_op *op, int file)
{
	wait_for(io, op, IO_POLL, file, POLLOUT);
}

void
io_watch(struct io *io, struct io_op *op, int file)
{
	wait_for(io, op, IO_WATCH, file, POLLIN);
}

int
io_ready(const struct io *io)
{
	return io->is_ring ? io_ring_ready(io) : -1;
}

int
io_run(struct io *io, int wait)
{
	return io->is_ring ? io_ring_run(io, wait) : io_sync_run(io, wait);
}
