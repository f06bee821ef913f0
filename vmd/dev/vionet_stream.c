/*
 * The other end of a user-mode interface: passt(1) at a stream socket.  In
 * device processes.
 *
 * There are no headers and so no offloads on it; each frame that comes gets
 * an empty one.  The end of the stream is the end of the link.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/net/dhcp.h"
#include "lib/util/log.h"
#include "vmd/dev/stream.h"
#include "vmd/dev/vionet.h"

static struct {
	struct stream s;
	int begun, down;
	uint64_t drops; /* counted */
} user;

static void
stream_polled(struct io_op *op, int res)
{
	struct net_pair *p = (struct net_pair *)((char *)op -
	    offsetof(struct net_pair, polled));

	p->watched = 0;
	if (res >= 0)
		net_readable(p->net, 0);
}

static int
stream_open(struct net *n, uint64_t *features, char why[DEV_WHYLEN])
{
	*features = 0;
	if (n->npairs != 1) {
		snprintf(why, DEV_WHYLEN, "%u pairs of queues for a stream",
		    n->npairs);
		return -1;
	}
	n->pairs[0].polled.done = stream_polled;
	return 0;
}

/* The page is there when the first frame is. */
static void
begin(struct net *n)
{
	if (!user.begun)
		stream_init(&user.s, n->pairs[0].fd,
		    n->d->page->state[NET_STATE_STREAM]);
	user.begun = 1;
}

/* After each call: tell the next process where we are, and the guest. */
static void
end(struct net *n)
{
	int saved_errno = errno;

	n->d->page->state[NET_STATE_STREAM] = user.s.where;
	if (user.s.drops != user.drops)
		dev_count(n->d, DEVS_RX_DROPS, user.s.drops - user.drops);
	user.drops = user.s.drops;
	if (user.s.ended && !user.down) {
		user.down = 1;
		log_warnx("passt has gone: the link is down");
		net_set_link(n, 0);
	}
	errno = saved_errno;
}

/* What passt tells the guest of its address is news for us, too. */
static void
listen_in(struct net *n, const uint8_t *frame, size_t len)
{
	uint64_t *stats = n->d->page->stats;
	uint32_t address, s;

	if (!net_dhcp_seen(n->conf->mac, frame, len, &address, &s))
		return;
	n->lease.until = s == UINT32_MAX ? NET_LEASE_FOREVER :
					   net_seconds() + s;
	stats[DEVS_ADDRESS] = address;
	stats[DEVS_LEASE] = address == 0 ? 0 : n->lease.until;
}

static ssize_t
stream_readv(struct net *n, unsigned int pair, const struct iovec *iov,
    int niov)
{
	static const uint8_t none[NET_HDR];
	const uint8_t *frame;
	ssize_t len;

	begin(n);
	len = stream_read(&user.s, &frame);
	end(n);
	if (len == -1)
		return -1;
	listen_in(n, frame, (size_t)len);
	vq_iov_put(iov, (unsigned int)niov, 0, none, NET_HDR);
	vq_iov_put(iov, (unsigned int)niov, NET_HDR, frame, (size_t)len);
	return (ssize_t)NET_HDR + len;
}

/* The header is one of the segments, the first. */
static ssize_t
stream_writev(struct net *n, unsigned int pair, const struct iovec *iov,
    int niov)
{
	int rc;

	begin(n);
	rc = stream_write(&user.s, iov + 1, niov - 1);
	end(n);
	return rc;
}

static void
stream_watch(struct net *n, unsigned int pair)
{
	struct net_pair *p = &n->pairs[pair];

	if (p->watched)
		return;
	p->watched = 1;
	io_poll(n->d->io, &p->polled, p->file);
}

const struct net_backend net_stream = {
	.open = stream_open,
	.read = stream_readv,
	.write = stream_writev,
	.watch = stream_watch,
};
