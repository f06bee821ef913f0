/*
 * Whole reads and writes of image files.  Used by the offline tools only;
 * what a guest does goes through io.h.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/file.h"

int
file_read(int fd, void *buf, size_t len, uint64_t off)
{
	uint8_t *p = buf;
	ssize_t n;

	if (off > INT64_MAX - len) {
		errno = EINVAL;
		return -1;
	}
	while (len > 0) {
		n = pread(fd, p, len, (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0) {
			memset(p, 0, len);
			break;
		}
		p += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
file_write(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		p += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
file_is_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	/* Each byte equals the one before it, and the first is 0. */
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

int
file_error(char *why, size_t len, const char *what)
{
	int saved_errno = errno;

	snprintf(why, len, "%s: %s", what, strerror(saved_errno));
	errno = saved_errno;
	return -1;
}
