/*
 * What the tests of messages and processes share: counting descriptors and
 * sending any bytes with any descriptors.
 */
#ifndef IMSG_TEST_H
#define IMSG_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAW_MAXFDS 253 /* the kernel's limit */

/* Descriptors that this process has open. */
static inline size_t
count_fds(void)
{
	size_t n = 0;
	DIR *d;

	if ((d = opendir("/proc/self/fd")) == NULL)
		abort();
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Send bytes with `nfds' duplicates of `fd' itself. */
static inline ssize_t
raw_send(int fd, const void *data, size_t len, size_t nfds)
{
	static union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(RAW_MAXFDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[RAW_MAXFDS];
	size_t i;

	memcpy(&iov.iov_base, &data, sizeof(data));
	if (nfds > 0) {
		for (i = 0; i < nfds; i++)
			fds[i] = fd;
		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.hdr), fds, nfds * sizeof(int));
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL);
}

#endif
