/*
 * The ring of a device process: io_uring over registered files.  It is made
 * disabled, restricted to the operations below on registered files, and
 * then enabled, so that whoever takes over the process gains no system call
 * through it.  At most two kernel workers of each kind stand behind it.
 *
 * io_uring_register(2), IORING_REGISTER_RESTRICTIONS.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/disk/io_int.h"

#define IO_WORKERS 2
#define NELEM(a)   (sizeof(a) / sizeof((a)[0]))

static const uint8_t allowed[] = {
	IORING_OP_READ,
	IORING_OP_READV,
	IORING_OP_WRITE,
	IORING_OP_WRITEV,
	IORING_OP_FSYNC,
	IORING_OP_FALLOCATE,
	IORING_OP_POLL_ADD,
};

static int
restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction res[NELEM(allowed) + 1];
	size_t i;

	memset(res, 0, sizeof(res));
	for (i = 0; i < NELEM(allowed); i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = allowed[i];
	}
	res[i].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	res[i].sqe_flags = IOSQE_FIXED_FILE;
	return io_uring_register_restrictions(ring, res, NELEM(res));
}

/* A ring with one of several sets of flags; an old kernel knows fewer. */
static int
make_ring(struct io *io)
{
	static const unsigned int tries[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int e = -EINVAL;
	size_t i;

	for (i = 0; i < NELEM(tries) && e == -EINVAL; i++)
		e = io_uring_queue_init(io->depth, &io->ring,
		    IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | tries[i]);
	return e;
}

int
io_ring_init(struct io *io, const int *fds, size_t nfds)
{
	unsigned int workers[2] = { IO_WORKERS, IO_WORKERS };
	int e;

	if ((e = make_ring(io)) < 0) {
		errno = -e;
		return -1;
	}
	if ((e = io_uring_register_files(&io->ring, fds, (unsigned)nfds)) < 0 ||
	    (e = io_uring_register_iowq_max_workers(&io->ring, workers)) < 0 ||
	    (e = restrict_ring(&io->ring)) < 0 ||
	    (e = io_uring_enable_rings(&io->ring)) < 0) {
		io_uring_queue_exit(&io->ring);
		errno = -e;
		return -1;
	}
	return 0;
}

void
io_ring_fini(struct io *io)
{
	io_uring_queue_exit(&io->ring);
}

/* One buffer needs no vector to be copied in. */
static void
prep_rw(struct io_uring_sqe *sqe, const struct io_op *op)
{
	const struct iovec *v = op->iov;
	unsigned int n = (unsigned int)op->niov;

	if (op->kind == IO_READ && n == 1 && v->iov_len <= INT32_MAX)
		io_uring_prep_read(sqe, op->file, v->iov_base,
		    (unsigned int)v->iov_len, op->off);
	else if (op->kind == IO_READ)
		io_uring_prep_readv(sqe, op->file, v, n, op->off);
	else if (n == 1 && v->iov_len <= INT32_MAX)
		io_uring_prep_write(sqe, op->file, v->iov_base,
		    (unsigned int)v->iov_len, op->off);
	else
		io_uring_prep_writev(sqe, op->file, v, n, op->off);
}

static void
prep(struct io_uring_sqe *sqe, struct io_op *op)
{
	switch (op->kind) {
	case IO_SYNC:
		io_uring_prep_fsync(sqe, op->file, IORING_FSYNC_DATASYNC);
		break;
	case IO_FALLOCATE:
		io_uring_prep_fallocate(sqe, op->file, op->mode, (off_t)op->off,
		    (off_t)op->len);
		break;
	case IO_POLL:
		io_uring_prep_poll_add(sqe, op->file, POLLIN);
		break;
	default:
		prep_rw(sqe, op);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, op);
}

static void
give(struct io *io)
{
	struct io_uring_sqe *sqe;

	while (io->queue.first != NULL && io->inflight < io->depth &&
	    (sqe = io_uring_get_sqe(&io->ring)) != NULL) {
		prep(sqe, io_list_take(&io->queue));
		io->inflight++;
	}
}

static int
reap(struct io *io)
{
	struct io_uring_cqe *cqe;
	struct io_op *op;
	int n = 0, res;

	while (io_uring_peek_cqe(&io->ring, &cqe) == 0 && cqe != NULL) {
		op = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&io->ring, cqe);
		io->inflight--;
		n++;
		if (op->kind == IO_POLL && res > 0)
			res = 0;
		op->done(op, res);
	}
	return n;
}

int
io_ring_run(struct io *io, int wait)
{
	int e, n;

	do {
		give(io);
		if (io->inflight == 0)
			return 0;
		e = wait ? io_uring_submit_and_wait(&io->ring, 1) :
			   io_uring_submit_and_get_events(&io->ring);
		if (e < 0 && e != -EINTR && e != -EAGAIN && e != -EBUSY) {
			errno = -e;
			return -1;
		}
		n = reap(io);
	} while (n == 0 && wait);
	return n;
}
