/*
 * Reading and writing all of a range: the kernel may do it in parts, and
 * pieces of a request use pieces of its vector.  A whole request goes to
 * the engine with its own vector.  In device processes.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/disk/disk_int.h"

#define PART_MAX (1U << 30) /* bytes at a time */

static uint8_t zeros[ZERO_CHUNK];
#define Z1                                                                     \
	{                                                                      \
		zeros, ZERO_CHUNK                                              \
	}
#define Z8 Z1, Z1, Z1, Z1, Z1, Z1, Z1, Z1
struct iovec zero_iov[ZERO_IOVS] = { Z8, Z8, Z8, Z8 };

/* The element of `iov' in which byte `*skip' is, which becomes relative. */
static int
iov_at(const struct iovec *iov, int niov, uint64_t *skip)
{
	int i;

	for (i = 0; i < niov && *skip >= iov[i].iov_len; i++)
		*skip -= iov[i].iov_len;
	return i;
}

/* Is what is left all of the vector from an element on? */
static int
whole(const struct xfer *x, int i)
{
	uint64_t sum = 0;

	for (; i < x->niov; i++)
		sum += x->iov[i].iov_len;
	return sum == x->len;
}

static void
xfer_go(struct xfer *x)
{
	const struct iovec *iov;
	uint64_t skip = x->skip, left = min64(x->len, PART_MAX);
	int i = iov_at(x->iov, x->niov, &skip), n = 0;

	if (skip == 0 && x->niov - i <= IOV_MAX && left == x->len &&
	    whole(x, i)) {
		iov = x->iov + i;
		n = x->niov - i;
	} else {
		iov = x->part;
		for (; left > 0 && i < x->niov && n < XFER_IOVS; i++, n++) {
			x->part[n].iov_base = (char *)x->iov[i].iov_base + skip;
			x->part[n].iov_len = min64(x->iov[i].iov_len - skip,
			    left);
			left -= x->part[n].iov_len;
			skip = 0;
		}
	}
	if (x->write)
		io_writev(x->io, &x->op, x->file, iov, n, x->off);
	else
		io_readv(x->io, &x->op, x->file, iov, n, x->off);
}

static void
xfer_part(struct io_op *op, int res)
{
	struct xfer *x = (struct xfer *)op;

	if (res == 0 && !x->write) {
		iov_zero(x->iov, x->niov, x->skip, x->len);
		res = 0;
		x->len = 0;
	}
	if (res < 0 || (res == 0 && x->len > 0)) {
		x->done(x, res < 0 ? -res : EIO);
		return;
	}
	x->skip += (uint64_t)res;
	x->off += (uint64_t)res;
	x->len -= (uint64_t)res;
	if (x->len > 0)
		xfer_go(x);
	else
		x->done(x, 0);
}

void
xfer_start(struct xfer *x, struct io *io, int file, int write,
    const struct iovec *iov, int niov, uint64_t skip, uint64_t len,
    uint64_t off)
{
	x->op.done = xfer_part;
	x->io = io;
	x->file = file;
	x->write = write;
	x->iov = iov;
	x->niov = niov;
	x->skip = skip;
	x->len = len;
	x->off = off;
	xfer_go(x);
}

void
iov_zero(const struct iovec *iov, int niov, uint64_t skip, uint64_t len)
{
	int i = iov_at(iov, niov, &skip);
	uint64_t n;

	for (; i < niov && len > 0; i++, skip = 0, len -= n) {
		n = min64(iov[i].iov_len - skip, len);
		memset((char *)iov[i].iov_base + skip, 0, n);
	}
}

void
iov_put(const struct iovec *iov, int niov, uint64_t skip, const uint8_t *buf,
    uint64_t len)
{
	int i = iov_at(iov, niov, &skip);
	uint64_t n;

	for (; i < niov && len > 0; i++, skip = 0, len -= n, buf += n) {
		n = min64(iov[i].iov_len - skip, len);
		memcpy((char *)iov[i].iov_base + skip, buf, n);
	}
}

void
iov_get(const struct iovec *iov, int niov, uint64_t skip, uint8_t *buf,
    uint64_t len)
{
	int i = iov_at(iov, niov, &skip);
	uint64_t n;

	for (; i < niov && len > 0; i++, skip = 0, len -= n, buf += n) {
		n = min64(iov[i].iov_len - skip, len);
		memcpy(buf, (const char *)iov[i].iov_base + skip, n);
	}
}
