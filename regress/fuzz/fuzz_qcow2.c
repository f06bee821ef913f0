/*
 * Any bytes as a qcow2 image, and requests of a guest to it.  The first
 * byte says how many requests there are, of four bytes each: what, where,
 * how long; bit 7 of it, that the image is also its own backing file.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/disk/disk.h"

#define LEN_MAX (128 << 10)
#define REQS	8 /* at a time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t buf[REQS][LEN_MAX];

struct req {
	struct disk_req r;
	struct iovec iov[2];
	int busy;
};

static void
req_done(struct disk_req *r, int error)
{
	struct req *q = (struct req *)r;

	if (!q->busy || error < 0)
		abort();
	q->busy = 0;
}

static void
wait_for(struct io *io, const struct req *q)
{
	while (q->busy)
		if (io_run(io, 1) < 1 && q->busy)
			abort(); /* would wait for ever */
}

static void
submit(struct disk *d, struct req *q, const uint8_t *op, uint8_t *mem)
{
	uint64_t sectors = disk_size(d) / 512, off, len;

	memset(q, 0, sizeof(*q));
	off = sectors * (op[1] * 256ULL + op[2]) / 65536 + op[2] % 8;
	len = 512ULL * (op[3] % 64 + 1) * (op[3] & 64 ? 4 : 1);
	q->r.op = op[0] % 5;
	q->r.unmap = op[0] >> 7;
	q->r.off = off * 512;
	q->r.len = len;
	q->iov[0] = (struct iovec){ mem, len / 3 };
	q->iov[1] = (struct iovec){ mem + len / 3, len - len / 3 };
	q->r.iov = q->iov;
	q->r.niov = 2;
	q->r.done = req_done;
	q->busy = 1;
	disk_submit(d, &q->r);
}

static void
requests(struct io *io, struct disk *d, const uint8_t *ops, size_t n)
{
	struct req reqs[REQS];
	size_t i;

	memset(reqs, 0, sizeof(reqs));
	for (i = 0; i < n; i++) {
		wait_for(io, &reqs[i % REQS]);
		submit(d, &reqs[i % REQS], ops + i * 4, buf[i % REQS]);
	}
	for (i = 0; i < REQS; i++)
		wait_for(io, &reqs[i]);
}

static void
one(const uint8_t *ops, size_t n, size_t layers, unsigned int flags, int fd)
{
	struct disk_layer l[2] = { { 0, fd, 1 }, { 0, fd, 1 } };
	char why[160] = "";
	struct disk *d;
	struct io *io;

	if ((io = io_new(32, &fd, 1, 1)) == NULL)
		abort();
	d = disk_open(io, l, layers, flags, why, sizeof(why));
	if (d == NULL) {
		if (why[0] == '\0' || errno == 0)
			abort();
	} else {
		requests(io, d, ops, n);
		disk_close(d);
	}
	io_free(io);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n, layers;
	int fd;

	if (size < 1 || size < 1 + (data[0] & 63) * 4U)
		return 0;
	n = data[0] & 63;
	layers = data[0] & 128 ? 2 : 1;
	if ((fd = memfd_create("fuzz_qcow2", MFD_CLOEXEC)) == -1)
		abort();
	size -= 1 + n * 4;
	if (write(fd, data + 1 + n * 4, size) != (ssize_t)size)
		abort();
	one(data + 1, n, layers, data[0] & 64 ? DISK_RDONLY : 0, fd);
	/* What it has become is opened again. */
	one(data + 1, n, 1, 0, fd);
	close(fd);
	return 0;
}
