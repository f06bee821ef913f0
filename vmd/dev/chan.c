/*
 * Channels of a device process: imsg without an event loop.
 */

#include <errno.h>

#include "lib/proto/msg.h"
#include "vmd/dev/chan.h"

void
chan_init(struct imsgbuf *ib, int fd)
{
	imsgbuf_init(ib, fd);
	imsgbuf_allow_fdpass(ib);
	imsgbuf_set_maxsize(ib, MSG_MAXSIZE);
}

int
chan_send(struct imsgbuf *ib, uint32_t type, struct ibuf *body)
{
	size_t len = body == NULL ? 0 : ibuf_size(body);
	struct ibuf *b;

	if ((b = imsg_create(ib, type, 0, 0, MSG_HDR_LEN + len)) == NULL)
		goto fail;
	if (ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
	    (len > 0 && ibuf_add_ibuf(b, body) == -1)) {
		ibuf_free(b);
		goto fail;
	}
	ibuf_free(body);
	imsg_close(ib, b);
	return imsgbuf_flush(ib);
fail:
	ibuf_free(body);
	return -1;
}

int
chan_body(struct imsg *m, struct ibuf *body)
{
	if (imsg_get_ibuf(m, body) == -1)
		return -1;
	return ibuf_skip(body, MSG_HDR_LEN);
}

int
chan_recv(struct imsgbuf *ib, struct imsg *m, struct ibuf *body)
{
	ssize_t n;

	while ((n = imsg_get(ib, m)) == 0) {
		switch (imsgbuf_read(ib)) {
		case -1:
			return -1;
		case 0:
			errno = EPIPE;
			return -1;
		}
	}
	if (n == -1)
		return -1;
	if (chan_body(m, body) == 0)
		return 0;
	imsg_free(m);
	errno = EBADMSG;
	return -1;
}
