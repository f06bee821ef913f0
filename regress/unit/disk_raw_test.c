/*
 * Raw images over both engines: what a guest reads and writes, the ends of
 * the file, and what the file cannot do.
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

#include "lib/disk/disk.h"

#define SIZE (256 << 10)

struct rig {
	struct io *io;
	struct disk *d;
	int fd;
	int sync;
	char why[128];
};

struct one {
	struct disk_req r;
	int done;
	int error;
};

static void
one_done(struct disk_req *r, int error)
{
	struct one *o = (struct one *)r;

	o->done++;
	o->error = error;
}

static int
run(struct rig *g, struct one *o)
{
	o->done = 0;
	o->r.done = one_done;
	disk_submit(g->d, &o->r);
	while (!o->done)
		assert_int_not_equal(io_run(g->io, 1), -1);
	assert_int_equal(o->done, 1);
	return o->error;
}

static int
rw(struct rig *g, enum disk_op op, void *buf, size_t len, uint64_t off)
{
	struct iovec iov = { buf, len };
	struct one o = {
		.r = { .op = op, .off = off, .iov = &iov, .niov = 1 }
	};

	return run(g, &o);
}

static int
range(struct rig *g, enum disk_op op, uint64_t off, uint64_t len, int unmap)
{
	struct one o = {
		.r = { .op = op, .off = off, .len = len, .unmap = unmap }
	};

	return run(g, &o);
}

static int
make(void **state, int sync, unsigned int flags)
{
	static struct rig g;
	struct disk_layer l = { .file = 0 };
	char name[] = "/tmp/disk_raw_test.XXXXXX";

	memset(&g, 0, sizeof(g));
	*state = &g;
	g.sync = sync;
	if ((g.fd = mkostemp(name, O_CLOEXEC)) == -1 || unlink(name) == -1 ||
	    ftruncate(g.fd, SIZE + 300) == -1)
		return -1;
	l.fd = g.fd;
	if ((g.io = io_new(16, &g.fd, 1, sync)) == NULL)
		return -1;
	g.d = disk_open(g.io, &l, 1, flags, g.why, sizeof(g.why));
	return g.d == NULL ? -1 : 0;
}

static int
setup_ring(void **state)
{
	return make(state, 0, 0);
}

static int
setup_sync(void **state)
{
	return make(state, 1, 0);
}

static int
setup_rdonly(void **state)
{
	return make(state, 0, DISK_RDONLY);
}

static int
teardown(void **state)
{
	struct rig *g = *state;

	if (disk_close(g->d) == -1)
		return -1;
	io_free(g->io);
	close(g->fd);
	return 0;
}

static void
test_size(void **state)
{
	struct rig *g = *state;

	assert_int_equal(disk_size(g->d), SIZE);
	assert_true(disk_discard_unit(g->d) >= 512);
}

static void
test_rw(void **state)
{
	struct rig *g = *state;
	char a[1024], b[3000], c[4096], all[4024];
	struct iovec iov[3] = { { a, 1000 }, { b, 24 }, { b + 24, 3000 - 24 } };
	struct one o = {
		.r = { .op = DISK_WRITE, .off = 512, .iov = iov, .niov = 3 }
	};

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	iov[2].iov_len = 512 * 4 - 1024;
	assert_int_equal(run(g, &o), 0);
	assert_int_equal(rw(g, DISK_FLUSH, NULL, 0, 0), 0);
	assert_int_equal(pread(g->fd, all, 2048, 512), 2048);
	memset(c, 'a', 1000);
	memset(c + 1000, 'b', 1048);
	assert_memory_equal(all, c, 2048);
	memset(c, 0, sizeof(c));
	assert_int_equal(rw(g, DISK_READ, c, 4096, 0), 0);
	assert_int_equal(c[511], 0);
	assert_memory_equal(c + 512, all, 2048);
	assert_int_equal(c[2560], 0);
}

static void
test_bounds(void **state)
{
	struct rig *g = *state;
	char buf[1024] = "";

	assert_int_equal(rw(g, DISK_WRITE, buf, 512, SIZE - 512), 0);
	assert_int_equal(rw(g, DISK_WRITE, buf, 1024, SIZE - 512), EINVAL);
	assert_int_equal(rw(g, DISK_READ, buf, 512, SIZE), EINVAL);
	assert_int_equal(rw(g, DISK_READ, buf, 512, 1), EINVAL);
	assert_int_equal(rw(g, DISK_READ, buf, 511, 0), EINVAL);
	assert_int_equal(rw(g, DISK_READ, buf, 512, UINT64_MAX - 511), EINVAL);
	assert_int_equal(range(g, DISK_ZERO, 512, UINT64_MAX - 511, 0), EINVAL);
	assert_int_equal(range(g, DISK_DISCARD, 0, SIZE + 512, 0), EINVAL);
	assert_int_equal(rw(g, DISK_READ, buf, 0, 0), 0);
}

/* The file became shorter: zeros, and writing makes it longer. */
static void
test_short_file(void **state)
{
	struct rig *g = *state;
	char buf[2048];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(rw(g, DISK_WRITE, buf, 2048, 4096), 0);
	assert_int_equal(ftruncate(g->fd, 4096 + 700), 0);
	assert_int_equal(rw(g, DISK_READ, buf, 2048, 4096), 0);
	assert_int_equal(buf[699], 'x');
	assert_int_equal(buf[700], 0);
	assert_int_equal(buf[2047], 0);
	memset(buf, 'y', sizeof(buf));
	assert_int_equal(rw(g, DISK_READ, buf, 2048, SIZE - 2048), 0);
	assert_int_equal(buf[0], 0);
	memset(buf, 'z', sizeof(buf));
	assert_int_equal(rw(g, DISK_WRITE, buf, 512, SIZE - 512), 0);
	assert_int_equal(lseek(g->fd, 0, SEEK_END), SIZE);
}

static void
test_zero(void **state)
{
	struct rig *g = *state;
	static char buf[SIZE];
	size_t i;
	enum disk_op op;
	int unmap;

	for (op = DISK_DISCARD; op <= DISK_ZERO; op++)
		for (unmap = 0; unmap < 2; unmap++) {
			memset(buf, 'x', SIZE);
			assert_int_equal(rw(g, DISK_WRITE, buf, SIZE, 0), 0);
			assert_int_equal(range(g, op, 512, SIZE - 1024, unmap),
			    0);
			assert_int_equal(rw(g, DISK_READ, buf, SIZE, 0), 0);
			for (i = 512; i < SIZE - 512; i++)
				assert_int_equal(buf[i], 0);
			assert_int_equal(buf[511], 'x');
			assert_int_equal(buf[SIZE - 512], 'x');
		}
	assert_int_equal(lseek(g->fd, 0, SEEK_END), SIZE + 300);
}

/* A file in memory can punch holes, but has no ZERO_RANGE. */
static void
test_cannot(void **state)
{
	struct rig *g = *state;
	struct disk_layer l = { .file = 0 };
	struct rig m = { .sync = g->sync };
	static char buf[SIZE];

	m.fd = memfd_create("disk_raw_test", MFD_CLOEXEC);
	assert_int_not_equal(m.fd, -1);
	assert_int_equal(ftruncate(m.fd, SIZE), 0);
	l.fd = m.fd;
	assert_non_null(m.io = io_new(16, &m.fd, 1, g->sync));
	assert_non_null(m.d = disk_open(m.io, &l, 1, 0, m.why, 128));
	memset(buf, 'x', SIZE);
	assert_int_equal(rw(&m, DISK_WRITE, buf, SIZE, 0), 0);
	assert_int_equal(range(&m, DISK_ZERO, 0, SIZE / 2, 0), 0);
	assert_int_equal(range(&m, DISK_ZERO, SIZE / 2, 4096, 1), 0);
	assert_int_equal(range(&m, DISK_DISCARD, SIZE / 2 + 4096, 4096, 0), 0);
	assert_int_equal(rw(&m, DISK_READ, buf, SIZE, 0), 0);
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[SIZE / 2 + 8191], 0);
	assert_int_equal(buf[SIZE / 2 + 8192], 'x');
	assert_int_equal(disk_close(m.d), 0);
	io_free(m.io);
	close(m.fd);
}

static void
test_rdonly(void **state)
{
	struct rig *g = *state;
	char buf[512];

	assert_int_equal(rw(g, DISK_READ, buf, 512, 0), 0);
	assert_int_equal(rw(g, DISK_WRITE, buf, 512, 0), EROFS);
	assert_int_equal(range(g, DISK_DISCARD, 0, 512, 0), EROFS);
	assert_int_equal(range(g, DISK_ZERO, 0, 512, 0), EROFS);
	assert_int_equal(rw(g, DISK_FLUSH, NULL, 0, 0), 0);
	assert_int_equal(disk_discard_unit(g->d), 0);
}

static void
test_many(void **state)
{
	struct rig *g = *state;
	static char buf[64][4096], back[64 * 4096];
	struct iovec iov[64];
	struct one o[8];
	size_t i, j;

	for (i = 0; i < 64; i++) {
		memset(buf[i], (int)('0' + i), 4096);
		iov[i] = (struct iovec){ buf[i], 4096 };
	}
	memset(o, 0, sizeof(o));
	for (i = 0; i < 64; i += 8) {
		for (j = 0; j < 8; j++) {
			o[j].done = 0;
			o[j].r = (struct disk_req){ .op = DISK_WRITE,
				.off = (i + j) * 4096,
				.iov = &iov[i + j],
				.niov = 1,
				.done = one_done };
			disk_submit(g->d, &o[j].r);
		}
		for (j = 0; j < 8; j++) {
			while (!o[j].done)
				assert_int_not_equal(io_run(g->io, 1), -1);
			assert_int_equal(o[j].error, 0);
		}
	}
	assert_int_equal(rw(g, DISK_READ, back, sizeof(back), 0), 0);
	assert_memory_equal(back, buf, sizeof(back));
}

static void
test_refused(void **state)
{
	struct rig *g = *state;
	struct disk_layer l[17] = { { .file = 0 } };
	int p[2];

	l[0].fd = g->fd;
	l[1].fd = g->fd;
	assert_null(disk_open(g->io, l, 2, 0, g->why, sizeof(g->why)));
	assert_int_equal(errno, EINVAL);
	assert_string_equal(g->why, "a raw image has no backing file");
	assert_null(disk_open(g->io, l, 17, 0, g->why, sizeof(g->why)));
	assert_int_equal(errno, EINVAL);
	assert_null(disk_open(g->io, l, 0, 0, g->why, sizeof(g->why)));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	l[0].fd = p[0];
	assert_null(disk_open(g->io, l, 1, 0, g->why, sizeof(g->why)));
	close(p[0]);
	close(p[1]);
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
		RING(test_size),
		RING(test_rw),
		RING(test_bounds),
		RING(test_short_file),
		RING(test_zero),
		RING(test_cannot),
		RING(test_many),
		SYNC(test_rw),
		SYNC(test_bounds),
		SYNC(test_short_file),
		SYNC(test_zero),
		SYNC(test_cannot),
		SYNC(test_many),
		cmocka_unit_test_setup_teardown(test_rdonly, setup_rdonly,
		    teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup_rdonly,
		    teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disk_raw", tests, NULL, NULL);
}
