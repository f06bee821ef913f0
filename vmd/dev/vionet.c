/*
 * The network device: frames between the queues of a guest and a tap of the
 * host.  Virtio 1.2, 5.1.
 *
 * There is a pair of queues for each queue of the tap, and a control queue
 * by which the driver says how many pairs it uses; a tap's queues beyond
 * those are read for the pairs in use.  On local interfaces the device
 * answers what a guest needs to get its addresses; lib/net does that.
 *
 * What a process that takes our place must know - the pairs in use, the
 * announcement that is owed - is in the page shared with the vm process.
 */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "lib/net/ra.h"
#include "vmd/dev/vionet.h"

#define VLAN  4	   /* bytes of a tag */
#define DRAIN 4096 /* frames; a tap's queue is a quarter of that */

/* It comes after the pairs that the driver knows of. */
static int
is_ctrl(const struct net *n, const struct dev_vq *q)
{
	return q->n ==
	    2 * (n->features & NET_F(VIRTIO_NET_F_MQ) ? n->npairs : 1);
}

void
net_readable(struct net *n, unsigned int pair)
{
	n->pairs[pair].readable = 1;
	dev_work(n->d, &n->d->queues[2 * (pair % n->active)]);
}

void
net_set_active(struct net *n, unsigned int pairs)
{
	n->active = pairs;
	n->d->page->state[NET_STATE_PAIRS] = pairs;
	if (n->d->active)
		net_rx_pairs(n);
}

int
net_set_status(struct net *n, uint16_t clear, uint16_t set)
{
	const size_t off = offsetof(struct virtio_net_config, status);
	struct virtio_page *page = &n->d->page->virtio;
	uint16_t is, le;

	virtio_page_read(page, off, &is, sizeof(is));
	le = htole16((uint16_t)((le16toh(is) & ~clear) | set));
	if (le == is)
		return 0;
	virtio_page_write(page, off, &le, sizeof(le));
	return 1;
}

void
net_set_link(struct net *n, int up)
{
	n->link = up;
	if (net_set_status(n, VIRTIO_NET_S_LINK_UP,
		up ? VIRTIO_NET_S_LINK_UP : 0))
		dev_config_changed(n->d);
}

/* --- queues ------------------------------------------------------------------ */

static int
vionet_queue(struct dev *d, struct dev_vq *q)
{
	struct net *n = d->priv;

	if (is_ctrl(n, q))
		return net_ctrl(n, q);
	return q->n & 1 ? net_tx(n, q) : net_rx(n, q);
}

/* Buffers to receive are no work by themselves. */
static int
vionet_waits(struct dev *d, struct dev_vq *q)
{
	struct net *n = d->priv;

	if (!is_ctrl(n, q) && !(q->n & 1) && !net_rx_waits(n, q))
		return 0;
	return vq_waits(&q->vq);
}

static int
vionet_rest(struct dev *d, struct dev_vq *q)
{
	struct net *n = d->priv;

	if (!is_ctrl(n, q) && !(q->n & 1) && !net_rx_waits(n, q))
		return 0;
	return vq_kick_on(&q->vq);
}

/* --- the device -------------------------------------------------------------- */

static void
config(struct net *n, struct dev_ready *r)
{
	struct virtio_net_config c;

	memset(&c, 0, sizeof(c));
	memcpy(c.mac, n->conf->mac, sizeof(c.mac));
	c.status = htole16(n->link ? VIRTIO_NET_S_LINK_UP : 0);
	c.max_virtqueue_pairs = htole16((uint16_t)n->npairs);
	c.mtu = htole16((uint16_t)n->conf->mtu);
	memcpy(r->config, &c, sizeof(c));
	r->config_len = sizeof(c);
	r->features = n->offered | NET_F(VIRTIO_NET_F_MAC) |
	    NET_F(VIRTIO_NET_F_MRG_RXBUF) | NET_F(VIRTIO_NET_F_STATUS) |
	    NET_F(VIRTIO_NET_F_CTRL_VQ) | NET_F(VIRTIO_NET_F_CTRL_RX) |
	    NET_F(VIRTIO_NET_F_GUEST_ANNOUNCE) | VQ_F_INDIRECT | VQ_F_EVENT_IDX;
	if (n->conf->mtu != 0)
		r->features |= NET_F(VIRTIO_NET_F_MTU);
	if (n->npairs > 1)
		r->features |= NET_F(VIRTIO_NET_F_MQ);
}

static int
vionet_open(struct dev *d, struct dev_ready *r, char why[DEV_WHYLEN])
{
	static struct net net;
	struct net *n = &net;
	unsigned int i;

	n->d = d;
	n->conf = &d->start.net;
	n->npairs = n->conf->pairs;
	n->backend = n->conf->flags & NETF_USER ? &net_stream : &net_tap;
	if (n->npairs == 0 || n->npairs > NET_MAX_PAIRS ||
	    d->nqueues != 2 * n->npairs + 1) {
		snprintf(why, DEV_WHYLEN, "%u pairs of queues", n->npairs);
		return -1;
	}
	for (i = 0; i < n->npairs; i++) {
		struct net_pair *p = &n->pairs[i];

		p->net = n;
		p->file = d->file0 + (int)i;
		p->fd = fdlist_get(&d->fds, FD_TAP, d->start.idx, i);
		if (p->fd == -1 || p->fd != d->fds.ents[i].fd) {
			snprintf(why, DEV_WHYLEN, "tap queue %u is missing", i);
			return -1;
		}
	}
	n->link = 1;
	if (n->backend->open(n, &n->offered, why) == -1)
		return -1;
	n->active = 1;
	n->inspect_rx = (n->conf->flags & NETF_LOCKED) != 0;
	n->inspect_tx = (n->conf->flags & (NETF_LOCAL | NETF_LOCKED)) != 0;
	n->small = (n->conf->mtu == 0 ? NET_DEFAULT_MTU : n->conf->mtu) +
	    NET_HDR + NET_ETH + VLAN;
	d->priv = n;
	config(n, r);
	return 0;
}

/* Frames that came for whoever was there before. */
static void
drain(struct net *n)
{
	struct iovec iov = { n->buf, sizeof(n->buf) };
	unsigned int i, cnt;

	for (i = 0; i < n->npairs; i++)
		for (cnt = 0;
		     cnt < DRAIN && n->backend->read(n, i, &iov, 1) != -1;
		     cnt++)
			dev_count(n->d, DEVS_RX_DROPS, 1);
}

static int
vionet_activate(struct dev *d)
{
	const uint64_t soft = NET_F(VIRTIO_NET_F_GUEST_CSUM) |
	    NET_F(VIRTIO_NET_F_GUEST_TSO4) | NET_F(VIRTIO_NET_F_GUEST_TSO6) |
	    NET_F(NET_GUEST_USO4) | NET_F(NET_GUEST_USO6);
	struct net *n = d->priv;
	uint64_t pairs = d->page->state[NET_STATE_PAIRS];
	uint8_t frame[NET_REPLY_MAX];
	unsigned int i;
	int len;

	n->features = d->features;
	n->soft = (n->offered & ~n->features & soft) != 0;
	net_rx_forget(n);
	/* It may have changed when nobody looked. */
	net_set_link(n, n->link);
	if (!d->resumed)
		drain(n);
	else if (n->lease.until == 0)
		n->lease.until = d->page->stats[DEVS_LEASE];
	net_set_active(n,
	    d->resumed && pairs >= 1 && pairs <= n->npairs ?
		(unsigned int)pairs :
		1);
	len = d->resumed ? 0 : net_ra_make(n->conf, frame, sizeof(frame));
	if (len > 0)
		net_rx_answer(n, frame, (size_t)len);
	for (i = 0; i < n->npairs; i++)
		n->pairs[i].readable = 1;
	return 0;
}

/*
 * A router that is not heard of is gone.  What the guest had no buffers for
 * still waits.
 */
static void
vionet_tick(struct dev *d)
{
	struct net *n = d->priv;
	uint8_t frame[NET_REPLY_MAX];
	int len;

	if (!d->active || n->nanswers > 0)
		return;
	len = net_ra_make(n->conf, frame, sizeof(frame));
	if (len > 0 && net_rx_answer(n, frame, (size_t)len))
		dev_work(d, &d->queues[0]);
}

static int
vionet_close(struct dev *d)
{
	return 0;
}

const struct dev_ops vionet_ops = {
	.kind = DEV_VIONET,
	.filter_open = "vionet_open",
	.filter = "vionet",
	.filter_sync = "vionet_sync",
	.depth = 1,
	.spin_us = 50,
	.open = vionet_open,
	.activate = vionet_activate,
	.queue = vionet_queue,
	.waits = vionet_waits,
	.rest = vionet_rest,
	.tick = vionet_tick,
	.tick_s = NET_RA_INTERVAL,
	.close = vionet_close,
};
