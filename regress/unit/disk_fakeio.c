/* See disk_fakeio.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "regress/unit/disk_fakeio.h"
#include "regress/unit/disk_rig.h"
#include "regress/unit/fake_ioq.h"

struct fake fake;

void
fake_reset(void)
{
	size_t i;

	for (i = 0; i < fake.n; i++)
		free(fake.log[i].data);
	free(fake.log);
	memset(&fake, 0, sizeof(fake));
}

size_t
fake_changes(void)
{
	return fake.n;
}

uint64_t
fake_dice(uint64_t n)
{
	return rig_random() % n;
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
	size_t len, n;
	struct fake_event *e;
	uint8_t *data = fake_data(op, &len);

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

/* Less often than other changes: after that no flush succeeds. */
static int
sync_fails(void)
{
	if (fake.fail_syncs > 0) {
		fake.fail_syncs--;
		return 1;
	}
	return one_in(fake.fail_one_in) && one_in(2);
}

static int
do_sync(const struct io_op *op)
{
	struct fake_event *e;
	int failed = sync_fails();

	if (fake.recording) {
		e = record(FAKE_SYNC, 0, 0);
		e->covers = failed ? 0 : op->len;
		e->failed = failed;
	}
	return failed ? -EIO : 0;
}

int
fake_do(int fd, const struct io_op *op)
{
	if (op->kind == OP_READ)
		return do_read(fd, op);
	fake.ops++;
	if (op->kind == OP_SYNC)
		return do_sync(op);
	if (one_in(fake.fail_one_in))
		return rig_random() % 2 ? -EIO : -ENOSPC;
	return op->kind == OP_WRITE ? do_write(fd, op) : do_fallocate(fd, op);
}
