#ifndef DISK_IO_H
#define DISK_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Asynchronous I/O of a device process, and its event loop: a ring
 * (io_uring) over a fixed set of registered files, restricted to the few
 * operations below; where the kernel refuses one, preadv2(2) and poll(2)
 * under the same interface.  One thread.
 */

struct io;

/*
 * One operation, embedded in the caller's own; the caller's from done() on,
 * ours before.  `res' is the count of bytes, 0, or a negated errno.
 */
struct io_op {
	void (*done)(struct io_op *op, int res);
	/* private */
	uint64_t off, len;
	const struct iovec *iov;
	struct io_op *next;
	int niov;
	short kind, file, mode;
};

/*
 * An engine for at most `depth' operations at a time on `fds', which stay
 * the caller's and are named by their index from then on.  Make it before
 * the system call filter; io_run() then needs io_uring_enter(2), and
 * pwritev2(2) for writes to files and block devices.
 * `sync': use no ring even if there is one.  NULL with errno.
 */
struct io *io_new(unsigned int depth, const int *fds, size_t nfds, int sync);
/* Nothing may be in flight.  NULL is fine. */
void io_free(struct io *io);
/* 1 if it is a ring. */
int io_is_ring(const struct io *io);

/*
 * Queue one operation; `iov' stays valid and unchanged until done().  A
 * short read or write is reported as such.
 */
void io_readv(struct io *io, struct io_op *op, int file,
    const struct iovec *iov, int niov, uint64_t off);
void io_writev(struct io *io, struct io_op *op, int file,
    const struct iovec *iov, int niov, uint64_t off);
/* fdatasync(2). */
void io_sync(struct io *io, struct io_op *op, int file);
/* fallocate(2). */
void io_fallocate(struct io *io, struct io_op *op, int file, int mode,
    uint64_t off, uint64_t len);
/* Done once the file is readable, or has ended. */
void io_poll(struct io *io, struct io_op *op, int file);
/* The same for writable. */
void io_poll_out(struct io *io, struct io_op *op, int file);
/*
 * Done each time something comes into the file, from now on for ever: with
 * a ring once for what comes meanwhile, whether it is read or not; without
 * one as long as something is there.  After an error it is over.
 */
void io_watch(struct io *io, struct io_op *op, int file);

/*
 * Submit what is queued, wait for at least one completion if `wait', and
 * call done() of all that have completed; these may queue more.  Returns
 * how many completed, or -1 with errno.
 */
int io_run(struct io *io, int wait);

/*
 * Without a system call: may io_run() find something to do without waiting?
 * -1 if nobody can tell.
 */
int io_ready(const struct io *io);

#endif
