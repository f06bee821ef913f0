/*
 * Any bytes as the labels of descriptors; the first one says how many come
 * along.  None may get lost.
 */

#include "regress/fuzz/body_fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/proto/wire.h"

#define FDS 8

/* The lowest free descriptor. */
static int
lowest(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		abort();
	close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fdlist l;
	struct ibuf view, *b;
	size_t i, n;
	int fds[FDS], before = lowest();

	if (size == 0)
		return 0;
	n = data[0] % (FDS + 1);
	for (i = 0; i < n; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	body_init(&view, data + 1, size - 1);
	if (wire_get_fdlist(&view, &l, fds, n) == 0) {
		if (l.n != n)
			abort();
		b = body_new();
		if (wire_put_fdlist(b, &l) == -1)
			abort();
		body_same(&view, b, data + 1, size - 1);
	}
	fdlist_close(&l);
	for (i = 0; i < n; i++)
		fd_close(&fds[i]);
	if (lowest() != before)
		abort();
	return 0;
}
