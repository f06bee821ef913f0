/* See disk_fakeio.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/disk/io.h"
#include "regress/unit/disk_fakeio.h"
#include "regress/unit/disk_rig.h"

enum kind {
	READ,
	WRITE,
	SYNC,
	FALLOCATE
};

struct io {
	int fds[RIG_LAYERS];
	struct io_op **queue;
	size_t n, size;
};

struct fake fake;

void
fake_reset(void)
{
	size_t i;

	for (i = 0; i < fake.n; i++)
		free(fake.log[i].data);
	free(fake.log);
	memset(&fake, 0, sizeof(fake));
	fake.fail_after = -1;
}

struct io *
io_new(unsigned int depth, const int *fds, size_t nfds, int sync)
{
	struct io *io;

	if (nfds > RIG_LAYERS || (io = calloc(1, sizeof(*io))) == NULL)
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
add(struct io *io, struct io_op *op, enum kind kind, int file)
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
	add(io, op, READ, file);
}

void
io_writev(struct io *io, struct io_op *op, int file, const struct iovec *iov,
    int niov, uint64_t off)
{
	op->iov = iov;
	op->niov = niov;
	op->off = off;
	add(io, op, WRITE, file);
}

/* It covers what was done before it was asked for. */
void
io_sync(struct io *io, struct io_op *op, int file)
{
	op->len = fake.n;
	add(io, op, SYNC, file);
}

void
io_fallocate(struct io *io, struct io_op *op, int file, int mode, uint64_t off,
    uint64_t len)
{
	op->mode = (short)mode;
	op->off = off;
	op->len = len;
	add(io, op, FALLOCATE, file);
}

static struct fake_event *
record(enum fake_kind kind, uint64_t off, uint64_t len)
{
	struct fake_event *e;

	fake.clock++;
	if (fake.n == fake.size) {
		fake.size = fake.size * 2 + 64;
		fake.log = realloc(fake.log, fake.size * sizeof(*fake.log));
		if (fake.log == NULL)
			abort();
	}
	e = &fake.log[fake.n++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->clock = fake.clock;
	e->off = off;
	e->len = len;
	return e;
}

static int
one_in(int n)
{
	return n > 0 && rig_random() % (uint64_t)n == 0;
}

/* Of a transfer of `len' bytes, how many? */
static size_t
part(size_t len)
{
	if (len > 512 && one_in(fake.short_one_in))
		return 512 * (1 + rig_random() % (len / 512));
	return len;
}

static int
do_write(int fd, const struct io_op *op)
{
	size_t len = 0, at = 0, n;
	struct fake_event *e;
	uint8_t *data;
	int i;

	for (i = 0; i < op->niov; i++)
		len += op->iov[i].iov_len;
	if ((data = malloc(len + 1)) == NULL)
		abort();
	for (i = 0; i < op->niov; i++) {
		memcpy(data + at, op->iov[i].iov_base, op->iov[i].iov_len);
		at += op->iov[i].iov_len;
	}
	n = part(len);
	if (pwrite(fd, data, n, (off_t)op->off) != (ssize_t)n)
		abort();
	if (!fake.recording) {
		free(data);
		return (int)n;
	}
	e = record(FAKE_WRITE, op->off, n);
	e->data = data;
	return (int)n;
}

static int
do_read(int fd, const struct io_op *op)
{
	struct iovec iov = op->iov[0];

	if (!one_in(fake.short_one_in))
		return (int)preadv(fd, op->iov, op->niov, (off_t)op->off);
	iov.iov_len = part(iov.iov_len);
	return (int)preadv(fd, &iov, 1, (off_t)op->off);
}

static int
do_fallocate(int fd, const struct io_op *op)
{
	if (fake.no_punch ||
	    op->mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (fallocate(fd, op->mode, (off_t)op->off, (off_t)op->len) == -1)
		return -errno;
	if (fake.recording)
		record(FAKE_ZERO, op->off, op->len);
	return 0;
}

static int
do_sync(const struct io_op *op)
{
	if (fake.recording)
		record(FAKE_SYNC, 0, 0)->covers = op->len;
	return 0;
}

static int
perform(const struct io *io, const struct io_op *op)
{
	int fd = io->fds[op->file];

	if (op->kind == READ)
		return do_read(fd, op);
	fake.ops++;
	if (one_in(fake.fail_one_in) ||
	    (fake.fail_after >= 0 && fake.ops > (size_t)fake.fail_after))
		return rig_random() % 2 ? -EIO : -ENOSPC;
	if (op->kind == WRITE)
		return do_write(fd, op);
	return op->kind == SYNC ? do_sync(op) : do_fallocate(fd, op);
}

int
io_run(struct io *io, int wait)
{
	struct io_op *op;
	size_t i;

	if (io->n == 0)
		return 0;
	i = rig_random() % io->n;
	op = io->queue[i];
	io->queue[i] = io->queue[--io->n];
	op->done(op, perform(io, op));
	return 1;
}
