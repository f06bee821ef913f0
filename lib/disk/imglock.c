/*
 * Locks of image files: of the open file description (F_OFD_SETLK), of the
 * whole file.  Used by the parent and by vmctl.
 *
 * QEMU locks single bytes, shared: byte 100 + n says that it uses permission
 * n, 200 + n that it does not share it.  A writer's lock of ours excludes all
 * of them, a reader's lock none; so a reader asks for the byte of writing.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/disk/imglock.h"

#define QEMU_WRITES 101

/* A lock of the whole file is one of ours. */
static int
qemu_writes(int fd)
{
	struct flock fl = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = QEMU_WRITES,
		.l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK &&
	    (fl.l_start != 0 || fl.l_len != 0);
}

int
imglock(int fd, int writable)
{
	struct flock fl = { .l_type = writable ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &fl) == -1) {
		if (errno == EACCES)
			errno = EAGAIN;
		return -1;
	}
	if (writable || !qemu_writes(fd))
		return 0;
	imglock_drop(fd);
	errno = EAGAIN;
	return -1;
}

int
imglock_drop(int fd)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &fl);
}
