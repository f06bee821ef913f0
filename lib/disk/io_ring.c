/*
 * The ring of a device process: io_uring over registered files.  It is made
 * disabled, restricted to the operations below on registered files, and
 * then enabled, so that whoever takes over the process gains no system call
 * through it.  At most two kernel workers of each kind stand behind it.
 *
 * What is written to files and block devices goes into the page cache, and
 * that the ring leaves to a worker with most file systems: two more switches
 * for each write, when the copy itself takes a microsecond.  So these writes
 * are done here, until they have taken so long (the kernel makes a process
 * wait that dirties more than the disk takes) that the others of the round
 * had better wait elsewhere.
 *
 * io_uring_register(2), IORING_REGISTER_RESTRICTIONS.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <x86intrin.h>

#include "lib/disk/io_int.h"

#define IO_WORKERS 2
#define HERE_TICKS (1U << 24) /* of the TSC: 4 to 16 ms */
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

/* Which files are to be written here? */
static int
find_here(struct io *io)
{
	struct stat st;
	size_t i;

	if ((io->here = calloc(io->nfds, 1)) == NULL)
		return -ENOMEM;
	for (i = 0; i < io->nfds; i++)
		io->here[i] = fstat(io->fds[i], &st) == 0 &&
		    (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
	return 0;
}

/* A ring with one of several sets of flags; an old kernel knows fewer. */
static int
make_ring(struct io *io)
{
	static const unsigned int tries[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		    IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int e = -EINVAL;
	size_t i;

	for (i = 0; i < NELEM(tries) && e == -EINVAL; i++)
		e = io_uring_queue_init(io->depth, &io->ring,
		    IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | tries[i]);
	io->flagged = (io->ring.flags & IORING_SETUP_TASKRUN_FLAG) != 0;
	return e;
}

void
io_ring_fini(struct io *io)
{
	io_uring_queue_exit(&io->ring);
	free(io->here);
	io->here = NULL;
}

int
io_ring_init(struct io *io)
{
	unsigned int workers[2] = { IO_WORKERS, IO_WORKERS };
	int e;

	if ((e = make_ring(io)) < 0) {
		errno = -e;
		return -1;
	}
	if ((e = io_uring_register_files(&io->ring, io->fds,
		 (unsigned int)io->nfds)) < 0 ||
	    (e = io_uring_register_iowq_max_workers(&io->ring, workers)) < 0 ||
	    (e = restrict_ring(&io->ring)) < 0 || (e = find_here(io)) < 0 ||
	    (e = io_uring_enable_rings(&io->ring)) < 0) {
		io_ring_fini(io);
		errno = -e;
		return -1;
	}
	return 0;
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
		io_uring_prep_poll_add(sqe, op->file, (unsigned int)op->mode);
		break;
	case IO_WATCH:
		io_uring_prep_poll_multishot(sqe, op->file, POLLIN);
		break;
	default:
		prep_rw(sqe, op);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, op);
}

/* Is it to be done here?  `begin' is when the first of this round was. */
static int
is_here(const struct io *io, const struct io_op *op, uint64_t *begin)
{
	uint64_t now;

	if (op->kind != IO_WRITE || op->file < 0 ||
	    (size_t)op->file >= io->nfds || !io->here[op->file])
		return 0;
	now = __rdtsc();
	if (*begin == 0)
		*begin = now;
	return now - *begin < HERE_TICKS;
}

/* How many were done here. */
static int
give(struct io *io)
{
	struct io_uring_sqe *sqe;
	struct io_op *op;
	uint64_t begin = 0;
	int n = 0;

	while ((op = io->queue.first) != NULL) {
		if (is_here(io, op, &begin)) {
			io_list_take(&io->queue);
			op->done(op, io_perform(io->fds[op->file], op));
			n++;
			continue;
		}
		if (io->inflight >= io->depth ||
		    (sqe = io_uring_get_sqe(&io->ring)) == NULL)
			break;
		prep(sqe, io_list_take(&io->queue));
		io->inflight++;
	}
	return n;
}

/* The next completion, if there is one: without a look into the kernel. */
static struct io_uring_cqe *
first(struct io *io)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&io->ring, head, cqe) return cqe;
	return NULL;
}

static int
reap(struct io *io)
{
	struct io_uring_cqe *cqe;
	struct io_op *op;
	int n = 0, res, more;

	while ((cqe = first(io)) != NULL) {
		op = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		more = (cqe->flags & IORING_CQE_F_MORE) != 0;
		io_uring_cqe_seen(&io->ring, cqe);
		n++;
		if (!more)
			io->inflight--;
		if ((op->kind == IO_POLL || op->kind == IO_WATCH) && res > 0)
			res = 0;
		if (op->kind == IO_WATCH && !more && res == 0)
			io_list_add(&io->queue, op);
		op->done(op, res);
	}
	return n;
}

/* Does the kernel have something for us, or we for it? */
static int
must_enter(const struct io *io)
{
	unsigned int flags = __atomic_load_n(io->ring.sq.kflags,
	    __ATOMIC_RELAXED);

	return !io->flagged || io_uring_sq_ready(&io->ring) > 0 ||
	    (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

int
io_ring_ready(const struct io *io)
{
	if (!io->flagged)
		return -1;
	return io->queue.first != NULL || io_uring_cq_ready(&io->ring) > 0 ||
	    must_enter(io);
}

int
io_ring_run(struct io *io, int wait)
{
	int e, n;

	do {
		n = give(io);
		if (io->inflight == 0)
			return n;
		e = 0;
		if (wait && n == 0)
			e = io_uring_submit_and_wait(&io->ring, 1);
		else if (must_enter(io))
			e = io_uring_submit_and_get_events(&io->ring);
		if (e < 0 && e != -EINTR && e != -EAGAIN && e != -EBUSY) {
			errno = -e;
			return -1;
		}
		n += reap(io);
	} while (n == 0 && wait);
	return n;
}
