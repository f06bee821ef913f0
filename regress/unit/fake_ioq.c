/* See fake_ioq.h. */

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "regress/unit/fake_ioq.h"

#define FILES 16

struct io {
	int fds[FILES];
	struct io_op **queue;
	size_t n, size;
};

struct io *
io_new(unsigned int depth, const int *fds, size_t nfds, int sync)
{
	struct io *io;

	if (nfds > FILES || (io = calloc(1, sizeof(*io))) == NULL)
		return NULL;
	memcpy(io->fds, fds, nfds * sizeof(*fds));
	return io;
}

void
io_free(struct io *io)
{
	if (io == NULL)
		return;
	free(io->queue);
	free(io);
}

static void
add(struct io *io, struct io_op *op, enum fake_op kind, int file)
{
	op->kind = kind;
	op->file = (short)file;
	if (io->n == io->size) {
		io->size = io->size * 2 + 16;
		io->queue = realloc(io->queue, io->size * sizeof(*io->queue));
		if (io->queue == NULL)
			abort();
	}
	io->queue[io->n++] = op;
}

void
io_readv(struct io *io, struct io_op *op, int file, const struct iovec *iov,
    int niov, uint64_t off)
{
	op->iov = iov;
	op->niov = niov;
	op->off = off;
	add(io, op, OP_READ, file);
}

void
io_writev(struct io *io, struct io_op *op, int file, const struct iovec *iov,
    int niov, uint64_t off)
{
	op->iov = iov;
	op->niov = niov;
	op->off = off;
	add(io, op, OP_WRITE, file);
}

/* It covers what was done before it was asked for. */
void
io_sync(struct io *io, struct io_op *op, int file)
{
	op->len = fake_changes();
	add(io, op, OP_SYNC, file);
}

void
io_fallocate(struct io *io, struct io_op *op, int file, int mode, uint64_t off,
    uint64_t len)
{
	op->mode = (short)mode;
	op->off = off;
	op->len = len;
	add(io, op, OP_FALLOCATE, file);
}

int
io_run(struct io *io, int wait)
{
	struct io_op *op;
	size_t i;

	if (io->n == 0)
		return 0;
	i = fake_dice(io->n);
	op = io->queue[i];
	io->queue[i] = io->queue[--io->n];
	op->done(op, fake_do(io->fds[op->file], op));
	return 1;
}

uint8_t *
fake_data(const struct io_op *op, size_t *len)
{
	size_t at = 0;
	uint8_t *data;
	int i;

	*len = 0;
	for (i = 0; i < op->niov; i++)
		*len += op->iov[i].iov_len;
	if ((data = malloc(*len + 1)) == NULL)
		abort();
	for (i = 0; i < op->niov; i++) {
		memcpy(data + at, op->iov[i].iov_base, op->iov[i].iov_len);
		at += op->iov[i].iov_len;
	}
	return data;
}
