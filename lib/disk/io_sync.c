/*
 * The fallback where the kernel has no io_uring for us: each operation is
 * one system call in io_run(), in the order of the queue; only waiting for
 * a file to become readable waits for others.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "lib/disk/io_int.h"

#define POLLS_MAX 64 /* files looked at at a time */

static ssize_t
call(const struct io_op *op, int fd)
{
	switch (op->kind) {
	case IO_READ:
		return preadv2(fd, op->iov, op->niov, (off_t)op->off, 0);
	case IO_WRITE:
		return pwritev2(fd, op->iov, op->niov, (off_t)op->off, 0);
	case IO_SYNC:
		return fdatasync(fd);
	default:
		return fallocate(fd, op->mode, (off_t)op->off, (off_t)op->len);
	}
}

int
io_perform(int fd, const struct io_op *op)
{
	ssize_t n;

	do {
		n = call(op, fd);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? -errno : (int)n;
}

/*
 * Perform what is queued now, but not what done() adds: the files that are
 * polled get their turn.
 */
static int
perform_all(struct io *io)
{
	struct io_list todo = io->queue;
	struct io_op *op, *next;
	int n = 0;

	io_list_init(&io->queue);
	for (op = todo.first; op != NULL; op = next) {
		next = op->next;
		if (op->file < 0 || (size_t)op->file >= io->nfds) {
			op->done(op, -EBADF);
		} else if (op->kind == IO_POLL || op->kind == IO_WATCH) {
			io_list_add(&io->polls, op);
			continue;
		} else {
			op->done(op, io_perform(io->fds[op->file], op));
		}
		n++;
	}
	return n;
}

/*
 * Those behind the first POLLS_MAX come when these are done.  ppoll(2), not
 * poll(2): when we are stopped and continued the kernel starts that again
 * by restart_syscall(2), which our filters do not have.
 */
static int
poll_all(struct io *io, int wait)
{
	static const struct timespec now;
	struct pollfd pfd[POLLS_MAX];
	struct io_list all = io->polls;
	struct io_op *op, *next;
	nfds_t i = 0, n = 0;
	int done = 0, res;

	for (op = all.first; op != NULL && n < POLLS_MAX; op = op->next, n++) {
		pfd[n].fd = io->fds[op->file];
		pfd[n].events = op->mode;
		pfd[n].revents = 0;
	}
	if (n == 0)
		return 0;
	if (ppoll(pfd, n, wait ? NULL : &now, NULL) == -1)
		return errno == EINTR ? 0 : -1;
	io_list_init(&io->polls);
	for (op = all.first; op != NULL; op = next, i++) {
		next = op->next;
		if (i < n && pfd[i].revents != 0) {
			done++;
			res = pfd[i].revents & POLLNVAL ? -EBADF : 0;
			if (op->kind == IO_WATCH && res == 0)
				io_list_add(&io->polls, op);
			op->done(op, res);
		} else {
			io_list_add(&io->polls, op);
		}
	}
	return done;
}

int
io_sync_run(struct io *io, int wait)
{
	int n, m;

	do {
		n = perform_all(io);
		if (io->queue.first == NULL && io->polls.first == NULL)
			return n;
		m = poll_all(io, wait && n == 0);
		if (m == -1)
			return -1;
		n += m;
	} while (n == 0 && wait);
	return n;
}
