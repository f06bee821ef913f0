/*
 * The tap of a network device: a descriptor for each pair of queues, made by
 * priv, read and written without blocking.  In device processes.
 *
 * The header's length and the offloads are set here, once, before the
 * process is ready and its filter forbids ioctl(2).  A driver may come up
 * later with fewer offloads than these, or one after the other: what it does
 * not take is done in software (vionet_soft.c) instead.
 *
 * An interface that is down takes no frame, and is writable once it is up:
 * that is how we learn what link the guest has.  One that was removed takes
 * none ever again: no link.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <linux/if_tun.h>

#include "vmd/dev/vionet.h"

#define CSUM_TSO (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
/* Linux 6.2 and later. */
#define USO (0x20 | 0x40)

static void
tap_polled(struct io_op *op, int res)
{
	struct net_pair *p = (struct net_pair *)((char *)op -
	    offsetof(struct net_pair, polled));

	p->watched = 0;
	if (res >= 0)
		net_readable(p->net, (unsigned int)(p - p->net->pairs));
}

/* The interface is up, or gone: then the next frame will tell. */
static void
tap_up(struct io_op *op, int res)
{
	struct net *n = (struct net *)((char *)op -
	    offsetof(struct net, linked));

	if (res >= 0)
		net_set_link(n, 1);
}

static void
watch_link(struct net *n)
{
	n->linked.done = tap_up;
	io_poll_out(n->d->io, &n->linked, n->pairs[0].file);
}

static int
is_up(const struct net *n)
{
	struct pollfd pfd = { .fd = n->pairs[0].fd, .events = POLLOUT };
	const struct timespec now = { 0, 0 };

	return ppoll(&pfd, 1, &now, NULL) == 1 && (pfd.revents & POLLOUT) != 0;
}

static int
tap_open(struct net *n, uint64_t *features, char why[DEV_WHYLEN])
{
	int size = NET_HDR;
	unsigned int i;

	*features = NET_F(VIRTIO_NET_F_CSUM) | NET_F(VIRTIO_NET_F_GUEST_CSUM) |
	    NET_F(VIRTIO_NET_F_HOST_TSO4) | NET_F(VIRTIO_NET_F_HOST_TSO6) |
	    NET_F(VIRTIO_NET_F_GUEST_TSO4) | NET_F(VIRTIO_NET_F_GUEST_TSO6) |
	    NET_F(NET_HOST_USO) | NET_F(NET_GUEST_USO4) | NET_F(NET_GUEST_USO6);
	for (i = 0; i < n->npairs; i++) {
		n->pairs[i].polled.done = tap_polled;
		if (ioctl(n->pairs[i].fd, TUNSETVNETHDRSZ, &size) == -1) {
			snprintf(why, DEV_WHYLEN, "TUNSETVNETHDRSZ: %s",
			    strerror(errno));
			return -1;
		}
	}
	if (!(n->link = is_up(n)))
		watch_link(n);
	/* They are those of the interface. */
	if (ioctl(n->pairs[0].fd, TUNSETOFFLOAD, CSUM_TSO | USO) == 0)
		return 0;
	*features &= ~(NET_F(NET_HOST_USO) | NET_F(NET_GUEST_USO4) |
	    NET_F(NET_GUEST_USO6));
	if (ioctl(n->pairs[0].fd, TUNSETOFFLOAD, CSUM_TSO) == 0)
		return 0;
	snprintf(why, DEV_WHYLEN, "TUNSETOFFLOAD: %s", strerror(errno));
	return -1;
}

static ssize_t
tap_read(struct net *n, unsigned int pair, const struct iovec *iov, int niov)
{
	return readv(n->pairs[pair].fd, iov, niov);
}

static ssize_t
tap_write(struct net *n, unsigned int pair, const struct iovec *iov, int niov)
{
	ssize_t len = writev(n->pairs[pair].fd, iov, niov);
	int saved_errno = errno;

	/* EBADFD: somebody has removed it, and it does not come back. */
	if (len == -1 && (errno == EIO || errno == EBADFD) && n->link) {
		net_set_link(n, 0);
		if (saved_errno == EIO)
			watch_link(n);
		errno = saved_errno;
	}
	return len;
}

static void
tap_watch(struct net *n, unsigned int pair)
{
	struct net_pair *p = &n->pairs[pair];

	if (p->watched)
		return;
	p->watched = 1;
	io_poll(n->d->io, &p->polled, p->file);
}

const struct net_backend net_tap = {
	.open = tap_open,
	.read = tap_read,
	.write = tap_write,
	.watch = tap_watch,
};
