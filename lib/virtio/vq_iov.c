/*
 * Lists of segments: copying to and from them, and parts of them.  The
 * bytes are the guest's and may change meanwhile; the lists are ours.
 */
#include <errno.h>
#include <string.h>

#include "lib/virtio/vq_int.h"

uint64_t
vq_iov_len(const struct iovec *iov, size_t n)
{
	uint64_t len = 0;
	size_t i;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

int
vq_iov_slice(const struct iovec *iov, size_t n, uint64_t off, uint64_t len,
    struct iovec *out, size_t max)
{
	struct iovec v;
	size_t i, nout = 0;

	for (i = 0; i < n && len > 0; i++) {
		v = iov[i];
		if (off >= v.iov_len) {
			off -= v.iov_len;
			continue;
		}
		v.iov_base = (uint8_t *)v.iov_base + off;
		v.iov_len -= off;
		off = 0;
		if (v.iov_len > len)
			v.iov_len = len;
		if (nout == max) {
			errno = E2BIG;
			return -1;
		}
		len -= v.iov_len;
		out[nout++] = v;
	}
	if (len > 0) {
		errno = EINVAL;
		return -1;
	}
	return (int)nout;
}

/* Of the segment at `*i' what lies beyond `*off', at most `len' bytes. */
static size_t
step(const struct iovec *iov, size_t n, size_t *i, uint64_t *off, size_t len,
    uint8_t **p)
{
	size_t got;

	while (*i < n && *off >= iov[*i].iov_len)
		*off -= iov[(*i)++].iov_len;
	if (*i == n)
		return 0;
	*p = (uint8_t *)iov[*i].iov_base + *off;
	got = iov[*i].iov_len - *off;
	if (got > len)
		got = len;
	*off += got;
	return got;
}

size_t
vq_iov_get(const struct iovec *iov, size_t n, uint64_t off, void *buf,
    size_t len)
{
	size_t i = 0, got, done = 0;
	uint8_t *p;

	while (
	    done < len && (got = step(iov, n, &i, &off, len - done, &p)) > 0) {
		memcpy((uint8_t *)buf + done, p, got);
		done += got;
	}
	return done;
}

size_t
vq_iov_put(const struct iovec *iov, size_t n, uint64_t off, const void *buf,
    size_t len)
{
	size_t i = 0, got, done = 0;
	uint8_t *p;

	while (
	    done < len && (got = step(iov, n, &i, &off, len - done, &p)) > 0) {
		memcpy(p, (const uint8_t *)buf + done, got);
		done += got;
	}
	return done;
}

/* The guest's address of a byte in our mapping of its memory. */
static uint64_t
address(const struct gmem *g, const void *p)
{
	uint64_t off = (uint64_t)((const uint8_t *)p - g->base);
	const struct gmem_range *r;
	size_t i;

	for (i = 0; i < g->nranges; i++) {
		r = &g->ranges[i];
		if (r->type != GMEM_MMIO && off >= r->offset &&
		    off - r->offset < r->size)
			return r->gpa + (off - r->offset);
	}
	return 0;
}

void
vq_wrote(const struct vq *q, const struct iovec *iov, size_t n, uint64_t off,
    uint64_t len)
{
	const struct vq_dirty *d = q->conf.dirty;
	size_t i = 0, got;
	uint8_t *p;

	if (d == NULL || d->mark == NULL)
		return;
	while (len > 0) {
		if ((got = step(iov, n, &i, &off, (size_t)len, &p)) == 0)
			return;
		d->mark(d->arg, address(q->conf.mem, p), got);
		len -= got;
	}
}
