/*
 * Any bytes as a stream of messages: first byte: how much is written at a
 * time, second: how many descriptors come along with the first write.  No
 * descriptor may be left over.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/imsg/imsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
send_some(int fd, const uint8_t *data, size_t len, int nfds)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[4] = { fd, fd, fd, fd };

	memcpy(&iov.iov_base, &data, sizeof(data));
	if (nfds > 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.hdr), fds,
		    (size_t)nfds * sizeof(int));
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) == -1)
		abort();
}

/* The lowest free one is higher if one was left open. */
static int
lowest_free(void)
{
	int fd;

	if ((fd = open("/dev/null", O_RDONLY)) == -1)
		abort();
	close(fd);
	return fd;
}

static int
receive(struct imsgbuf *ib)
{
	struct imsg m;
	ssize_t n;

	if (imsgbuf_read(ib) != 1)
		return -1;
	while ((n = imsg_get(ib, &m)) > 0) {
		if ((size_t)n != imsg_get_len(&m) + IMSG_HEADER_SIZE)
			abort();
		imsg_free(&m);
	}
	return n == -1 ? -1 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imsgbuf ib;
	size_t step, n, off = 2;
	int sv[2], nfds, lowest = lowest_free();

	if (size < 3 || size > 100000)
		return 0;
	step = (size_t)data[0] * 4 + 1;
	nfds = data[1] % 5;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		abort();
	imsgbuf_init(&ib, sv[0]);
	imsgbuf_allow_fdpass(&ib);
	while (off < size) {
		n = size - off < step ? size - off : step;
		send_some(sv[1], data + off, n, nfds);
		nfds = 0;
		off += n;
		if (receive(&ib) == -1)
			break;
	}
	imsgbuf_clear(&ib);
	close(sv[0]);
	close(sv[1]);
	if (lowest_free() != lowest)
		abort();
	return 0;
}
