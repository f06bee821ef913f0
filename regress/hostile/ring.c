/*
 * Attempts of a device process through its ring, which is restricted: what
 * no system call gets it, the ring must not either.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef HOSTILE
#define HOSTILE
#endif
#include "lib/disk/io_int.h"
#include "lib/sandbox/hostile.h"
#include "regress/hostile/ring.h"

#define OURS 0x6f757273

static struct io_uring *ring;

void
hostile_ring(struct io *io)
{
	if (io->is_ring)
		ring = &io->ring;
}

static struct io_uring_sqe *
get(void)
{
	struct io_uring_sqe *sqe;

	if (ring == NULL || (sqe = io_uring_get_sqe(ring)) == NULL) {
		errno = ENXIO;
		return NULL;
	}
	return sqe;
}

/* The guest is quiet: the next that is done is this one. */
static long
outcome(struct io_uring_sqe *sqe, unsigned char flags)
{
	struct io_uring_cqe *cqe;
	int rc;

	sqe->flags |= flags;
	io_uring_sqe_set_data64(sqe, OURS);
	if ((rc = io_uring_submit_and_wait(ring, 1)) < 0 ||
	    (rc = io_uring_peek_cqe(ring, &cqe)) < 0) {
		errno = -rc;
		return -1;
	}
	/* Another's stays for the loop: no answer is none we expect. */
	if (io_uring_cqe_get_data64(cqe) != OURS) {
		errno = EBUSY;
		return -1;
	}
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	if (rc >= 0)
		return rc;
	errno = -rc;
	return -1;
}

long
ring_try_open(int pid)
{
	struct io_uring_sqe *sqe;

	if ((sqe = get()) == NULL)
		return -1;
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	return outcome(sqe, IOSQE_FIXED_FILE);
}

long
ring_try_connect(int pid)
{
	static const struct sockaddr sa = { .sa_family = AF_UNIX };
	struct io_uring_sqe *sqe;

	if ((sqe = get()) == NULL)
		return -1;
	io_uring_prep_connect(sqe, 0, &sa, sizeof(sa));
	return outcome(sqe, IOSQE_FIXED_FILE);
}

/* An operation that it may do, on a descriptor that was not registered. */
static char byte;

long
ring_try_read(int pid)
{
	struct io_uring_sqe *sqe;

	if ((sqe = get()) == NULL)
		return -1;
	io_uring_prep_read(sqe, STDIN_FILENO, &byte, 1, 0);
	return outcome(sqe, 0);
}

/* More files for it. */
long
ring_try_register(int pid)
{
	int fd = STDIN_FILENO;

	if (ring == NULL) {
		errno = ENXIO;
		return -1;
	}
	return syscall(SYS_io_uring_register, ring->ring_fd,
	    IORING_REGISTER_FILES, &fd, 1);
}
