/*
 * The console history ring in a memfd: a page with the count of bytes ever
 * written, then RING_SIZE bytes.  The vm process writes, the parent keeps
 * and reads; what it reads may be anything, so the count is only ever used
 * modulo the size.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util/memfd.h"
#include "lib/util/ring.h"

#define RING_HEAD  4096
#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct ring {
	uint64_t *pos; /* in the memfd */
	uint8_t *data;
};

int
ring_create(void)
{
	return memfd_sealed("console", RING_HEAD + RING_SIZE);
}

struct ring *
ring_map(int fd)
{
	struct ring *r;
	struct stat st;
	int seals;
	void *p;

	if (fstat(fd, &st) == -1 || (seals = fcntl(fd, F_GET_SEALS)) == -1)
		return NULL;
	if (st.st_size != RING_HEAD + RING_SIZE ||
	    (seals & RING_SEALS) != RING_SEALS) {
		errno = EINVAL;
		return NULL;
	}
	if ((r = malloc(sizeof(*r))) == NULL)
		return NULL;
	p = mmap(NULL, RING_HEAD + RING_SIZE, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		free(r);
		return NULL;
	}
	r->pos = p;
	r->data = (uint8_t *)p + RING_HEAD;
	return r;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	munmap(r->pos, RING_HEAD + RING_SIZE);
	free(r);
}

void
ring_write(struct ring *r, const void *buf, size_t len)
{
	uint64_t pos = ring_pos(r);
	const uint8_t *p = buf;
	size_t at, n;

	while (len > 0) {
		at = pos % RING_SIZE;
		n = RING_SIZE - at < len ? RING_SIZE - at : len;
		memcpy(r->data + at, p, n);
		p += n;
		len -= n;
		pos += n;
	}
	__atomic_store_n(r->pos, pos, __ATOMIC_RELEASE);
}

uint64_t
ring_pos(const struct ring *r)
{
	return __atomic_load_n(r->pos, __ATOMIC_ACQUIRE);
}

size_t
ring_read(const struct ring *r, uint64_t *pos, void *buf, size_t len)
{
	uint64_t end = ring_pos(r);
	uint8_t *out = buf;
	size_t at, n, done = 0;

	if (*pos > end) /* someone turned it back */
		*pos = end;
	if (end - *pos > RING_SIZE)
		*pos = end - RING_SIZE;
	while (done < len && *pos < end) {
		at = *pos % RING_SIZE;
		n = RING_SIZE - at;
		if (n > len - done)
			n = len - done;
		if (n > end - *pos)
			n = (size_t)(end - *pos);
		memcpy(out + done, r->data + at, n);
		done += n;
		*pos += n;
	}
	return done;
}
