/*
 * The engine of asynchronous I/O, as a ring and as its fallback: the same
 * tests for both, on a file in memory and on pipes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/disk/io_int.h"

#define DEPTH 8

/* Files 0 and 1 of the engine: memory, and the end of a pipe. */
struct rig {
	struct io *io;
	int mem;
	int pipe[2];
};

struct one {
	struct io_op op;
	int done;
	int res;
};

static void
one_done(struct io_op *op, int res)
{
	struct one *o = (struct one *)op;

	o->done++;
	o->res = res;
}

static int
rig_init(struct rig *r, int sync)
{
	int fds[2];

	if ((r->mem = memfd_create("disk_io_test", MFD_CLOEXEC)) == -1 ||
	    pipe2(r->pipe, O_CLOEXEC) == -1)
		return -1;
	fds[0] = r->mem;
	fds[1] = r->pipe[0];
	if ((r->io = io_new(DEPTH, fds, 2, sync)) == NULL)
		return -1;
	return 0;
}

static int
setup_ring(void **state)
{
	static struct rig r;

	*state = &r;
	return rig_init(&r, 0);
}

static int
setup_sync(void **state)
{
	static struct rig r;

	*state = &r;
	return rig_init(&r, 1);
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	io_free(r->io);
	close(r->mem);
	close(r->pipe[0]);
	close(r->pipe[1]);
	return 0;
}

static int
finish(struct rig *r, struct one *o)
{
	while (!o->done)
		assert_int_not_equal(io_run(r->io, 1), -1);
	assert_int_equal(o->done, 1);
	return o->res;
}

/* If the kernel has a ring for us, so has the engine. */
static void
need_ring(const struct rig *r)
{
	struct io_uring ring;

	if (!io_is_ring(r->io) && io_uring_queue_init(8, &ring, 0) < 0)
		skip();
	assert_int_equal(io_is_ring(r->io), 1);
}

static void
test_engine(void **state)
{
	need_ring(*state);
}

static void
test_fallback(void **state)
{
	struct rig *r = *state;

	assert_int_equal(io_is_ring(r->io), 0);
}

static void
test_rw(void **state)
{
	struct rig *r = *state;
	char a[] = "first", b[] = "second", buf[32];
	struct iovec w[2] = { { a, 5 }, { b, 6 } };
	struct iovec v = { buf, sizeof(buf) };
	struct one o = { .op.done = one_done };

	io_writev(r->io, &o.op, 0, w, 2, 100);
	assert_int_equal(finish(r, &o), 11);
	o.done = 0;
	io_writev(r->io, &o.op, 0, w, 1, 0);
	assert_int_equal(finish(r, &o), 5);
	o.done = 0;
	io_readv(r->io, &o.op, 0, &v, 1, 98);
	assert_int_equal(finish(r, &o), 13); /* short: the file ends */
	assert_memory_equal(buf, "\0\0firstsecond", 13);
	w[0] = (struct iovec){ buf, 3 };
	w[1] = (struct iovec){ buf + 3, 4 };
	o.done = 0;
	io_readv(r->io, &o.op, 0, w, 2, 100);
	assert_int_equal(finish(r, &o), 7);
	assert_memory_equal(buf, "firstse", 7);
	o.done = 0;
	io_readv(r->io, &o.op, 0, &v, 1, 1 << 20);
	assert_int_equal(finish(r, &o), 0);
}

static void
test_sync_fallocate(void **state)
{
	struct rig *r = *state;
	char buf[8192];
	struct iovec v = { buf, sizeof(buf) };
	struct one o = { .op.done = one_done };

	memset(buf, 'x', sizeof(buf));
	io_writev(r->io, &o.op, 0, &v, 1, 0);
	assert_int_equal(finish(r, &o), sizeof(buf));
	o.done = 0;
	io_sync(r->io, &o.op, 0);
	assert_int_equal(finish(r, &o), 0);
	o.done = 0;
	io_fallocate(r->io, &o.op, 0,
	    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
	assert_int_equal(finish(r, &o), 0);
	o.done = 0;
	io_readv(r->io, &o.op, 0, &v, 1, 0);
	assert_int_equal(finish(r, &o), sizeof(buf));
	assert_int_equal(buf[4095], 'x');
	assert_int_equal(buf[4096], 0);
	assert_int_equal(buf[8191], 0);
}

/* Errors are the kernel's. */
static void
test_errors(void **state)
{
	struct rig *r = *state;
	char buf[8];
	struct iovec v = { buf, sizeof(buf) };
	struct iovec bad = { (void *)(uintptr_t)4096, 512 };
	struct one o = { .op.done = one_done };

	io_writev(r->io, &o.op, 1, &v, 1, 0);
	assert_true(finish(r, &o) < 0);
	o.done = 0;
	io_readv(r->io, &o.op, 2, &v, 1, 0);
	assert_int_equal(finish(r, &o), -EBADF);
	o.done = 0;
	assert_int_equal(ftruncate(r->mem, 4096), 0);
	io_readv(r->io, &o.op, 0, &bad, 1, 0);
	assert_int_equal(finish(r, &o), -EFAULT);
	o.done = 0;
	io_fallocate(r->io, &o.op, 0, 0x7000, 0, 4096);
	assert_int_equal(finish(r, &o), -EOPNOTSUPP);
}

static void
test_poll(void **state)
{
	struct rig *r = *state;
	char buf[8] = "";
	struct iovec v = { buf, sizeof(buf) };
	struct one p = { .op.done = one_done }, o = { .op.done = one_done };

	io_poll(r->io, &p.op, 1);
	assert_int_equal(io_run(r->io, 0), 0);
	/* Others go on meanwhile. */
	io_writev(r->io, &o.op, 0, &v, 1, 0);
	assert_int_equal(finish(r, &o), 8);
	assert_int_equal(p.done, 0);
	assert_int_equal(write(r->pipe[1], "!", 1), 1);
	assert_int_equal(finish(r, &p), 0);
	assert_int_equal(read(r->pipe[0], buf, 1), 1);
	p.done = 0;
	io_poll(r->io, &p.op, 1);
	assert_int_equal(io_run(r->io, 0), 0);
	close(r->pipe[1]); /* its end counts */
	assert_int_equal(finish(r, &p), 0);
	r->pipe[1] = dup(r->pipe[0]);
}

/* Told each time, without asking again. */
static void
test_watch(void **state)
{
	struct rig *r = *state;
	struct one w = { .op.done = one_done };
	char byte;
	int i;

	io_watch(r->io, &w.op, 1);
	assert_int_equal(io_run(r->io, 0), 0);
	for (i = 0; i < 100; i++) {
		assert_int_equal(write(r->pipe[1], "!", 1), 1);
		assert_int_equal(finish(r, &w), 0);
		assert_int_equal(read(r->pipe[0], &byte, 1), 1);
		w.done = 0;
		assert_int_equal(io_run(r->io, 0), 0);
		assert_int_equal(w.done, 0);
	}
}

/* What is not read is told of once, and what comes then again. */
static void
test_watch_unread(void **state)
{
	struct rig *r = *state;
	struct one w = { .op.done = one_done };
	int i;

	io_watch(r->io, &w.op, 1);
	for (i = 0; i < 100; i++) {
		w.done = 0;
		assert_int_equal(write(r->pipe[1], "!", 1), 1);
		assert_int_equal(finish(r, &w), 0);
		assert_int_equal(io_run(r->io, 0), 0);
	}
}

static void
test_ready(void **state)
{
	struct rig *r = *state;
	char buf[8] = "";
	struct iovec v = { buf, sizeof(buf) };
	struct one p = { .op.done = one_done }, o = { .op.done = one_done };

	assert_int_equal(io_ready(r->io), 0);
	io_poll(r->io, &p.op, 1);
	assert_int_equal(io_ready(r->io), 1);
	assert_int_equal(io_run(r->io, 0), 0);
	assert_int_equal(io_ready(r->io), 0);
	assert_int_equal(write(r->pipe[1], "!", 1), 1);
	assert_int_equal(io_ready(r->io), 1);
	assert_int_equal(io_run(r->io, 0), 1);
	assert_int_equal(p.done, 1);
	assert_int_equal(io_ready(r->io), 0);
	/* A write to a file is done at once. */
	io_writev(r->io, &o.op, 0, &v, 1, 0);
	assert_int_equal(io_run(r->io, 0), 1);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.res, 8);
}

static void
test_ready_unknown(void **state)
{
	struct rig *r = *state;

	assert_int_equal(io_ready(r->io), -1);
}

/* An operation that queues itself again until it has been done `left' times. */
struct chain {
	struct io_op op;
	struct io *io;
	struct iovec v;
	int left;
	char byte;
};

static void
chain_done(struct io_op *op, int res)
{
	struct chain *c = (struct chain *)op;

	assert_int_equal(res, 1);
	if (--c->left > 0)
		io_writev(c->io, op, 0, &c->v, 1, (uint64_t)c->left);
}

/* More at a time than the depth, each queuing more. */
static void
test_many(void **state)
{
	struct rig *r = *state;
	struct chain c[DEPTH * 5];
	size_t i, left;
	int n, total = 0;

	for (i = 0; i < DEPTH * 5; i++) {
		c[i] = (struct chain){ .io = r->io, .left = 20, .byte = 'c' };
		c[i].op.done = chain_done;
		c[i].v = (struct iovec){ &c[i].byte, 1 };
		io_writev(r->io, &c[i].op, 0, &c[i].v, 1, 100 + i);
	}
	do {
		assert_int_not_equal(n = io_run(r->io, 1), -1);
		total += n;
		for (i = left = 0; i < DEPTH * 5; i++)
			left += (size_t)c[i].left;
	} while (left > 0);
	assert_int_equal(total, DEPTH * 5 * 20);
	assert_int_equal(io_run(r->io, 1), 0); /* nothing: does not wait */
}

static void
test_refused(void **state)
{
	int fd = -1, zero = 0;

	assert_null(io_new(0, &zero, 1, 1));
	assert_int_equal(errno, EINVAL);
	assert_null(io_new(1U << 20, &zero, 1, 1));
	assert_int_equal(errno, EINVAL);
	assert_null(io_new(8, &fd, 0, 1));
	assert_int_equal(errno, EINVAL);
	io_free(NULL);
}

static int
raw_sqe(struct rig *r, uint8_t opcode, int fd, uint8_t flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->io->ring);
	struct io_uring_cqe *cqe;
	int res;

	assert_non_null(sqe);
	io_uring_prep_rw(opcode, sqe, fd, "/dev/null", 0, 0);
	sqe->flags = flags;
	assert_int_equal(io_uring_submit_and_wait(&r->io->ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&r->io->ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&r->io->ring, cqe);
	return res;
}

/* Who has the ring gets nothing else through it. */
static void
test_restricted(void **state)
{
	struct rig *r = *state;

	need_ring(r);
	assert_int_equal(raw_sqe(r, IORING_OP_OPENAT, AT_FDCWD, 0), -EACCES);
	assert_int_equal(raw_sqe(r, IORING_OP_SOCKET, 1, 0), -EACCES);
	assert_int_equal(raw_sqe(r, IORING_OP_WRITE, r->mem, 0), -EACCES);
	assert_int_equal(raw_sqe(r, IORING_OP_CONNECT, 0, IOSQE_FIXED_FILE),
	    -EACCES);
	assert_int_equal(raw_sqe(r, IORING_OP_WRITE, 0, IOSQE_FIXED_FILE), 0);
	assert_int_equal(io_uring_register_files(&r->io->ring, &r->mem, 1),
	    -EACCES);
}

int
main(void)
{
#define RING(t)                                                                \
	{                                                                      \
		"ring: " #t, t, setup_ring, teardown, NULL                     \
	}
#define SYNC(t)                                                                \
	{                                                                      \
		"fallback: " #t, t, setup_sync, teardown, NULL                 \
	}
	const struct CMUnitTest tests[] = {
		RING(test_engine),
		RING(test_rw),
		RING(test_sync_fallocate),
		RING(test_errors),
		RING(test_poll),
		RING(test_watch),
		RING(test_watch_unread),
		RING(test_ready),
		RING(test_many),
		RING(test_restricted),
		SYNC(test_fallback),
		SYNC(test_rw),
		SYNC(test_sync_fallocate),
		SYNC(test_errors),
		SYNC(test_poll),
		SYNC(test_watch),
		SYNC(test_ready_unknown),
		SYNC(test_many),
		cmocka_unit_test(test_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disk_io", tests, NULL, NULL);
}
