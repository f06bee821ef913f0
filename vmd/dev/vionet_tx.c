/*
 * Sending: frames of the guest go to the host.  In device processes.  Virtio
 * 1.2, 5.1.6.2.
 *
 * The header is copied, checked and made clean; the rest goes from the
 * guest's memory as it is.  On local and locked interfaces the beginning of
 * the frame is copied too, looked at, and sent as it was then.  A frame that
 * the host does not take is dropped, as on any wire.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/net/filter.h"
#include "lib/net/vnet.h"
#include "lib/util/log.h"
#include "vmd/dev/vionet.h"

#define ROUND	    64 /* frames */
#define ROUND_BYTES (1U << 20)
/* Of a frame that is not to be segmented: with a tag or two. */
#define PLAIN_MAX (NET_MAX_MTU + NET_ETH + 8)

/* What is sent: our copies, then what is left of the guest's segments. */
struct packet {
	struct virtio_net_hdr_v1 hdr;
	uint8_t head[NET_HEAD];
	size_t len, headlen; /* of the frame, and of its copied part */
};

uint64_t
net_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

/* What we answer ourselves: 1 if the frame is not for the host. */
static int
answer(struct net *n, const struct vq_chain *c, const struct packet *p)
{
	uint8_t frame[NET_FRAME_MAX], reply[NET_REPLY_MAX];
	int len, how = 0;

	if (!net_wants(n->conf, p->head, p->headlen) || p->len > sizeof(frame))
		return 0;
	memcpy(frame, p->head, p->headlen);
	vq_iov_get(c->rd, c->nrd, NET_HDR + p->headlen, frame + p->headlen,
	    p->len - p->headlen);
	if (p->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		how = NET_PARTIAL;
	len = net_answer(n->conf, frame, p->len, how, net_seconds(), &n->lease,
	    reply, sizeof(reply));
	n->d->page->stats[DEVS_LEASE] = n->lease.until;
	if (len > 0 && net_rx_answer(n, reply, (size_t)len))
		dev_work(n->d, &n->d->queues[0]);
	return len != 0;
}

/* May it go?  1, or 0 if it is to be dropped or was answered. */
static int
may_go(struct net *n, const struct vq_chain *c, struct packet *p, int *drop)
{
	*drop = 1;
	if (c->rdlen < NET_HDR + NET_ETH)
		return 0;
	vq_iov_get(c->rd, c->nrd, 0, &p->hdr, NET_HDR);
	p->len = c->rdlen - NET_HDR;
	if (net_vnet_clean(&p->hdr, n->features, p->len) == -1 ||
	    p->len > (p->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE ? PLAIN_MAX :
								   NET_BIG))
		return 0;
	p->headlen = 0;
	if (!n->inspect_tx)
		return 1;
	p->headlen = p->len < NET_HEAD ? p->len : NET_HEAD;
	vq_iov_get(c->rd, c->nrd, NET_HDR, p->head, p->headlen);
	if (answer(n, c, p)) {
		*drop = 0;
		return 0;
	}
	return net_filter(n->conf, p->head, p->headlen, net_vnet_csum(&p->hdr));
}

/* 0, or -1 with errno. */
static int
send_packet(struct net *n, unsigned int pair, const struct vq_chain *c,
    struct packet *p)
{
	struct iovec *iov = n->iov;
	int cnt = 0, rest = 0;

	iov[cnt].iov_base = &p->hdr;
	iov[cnt++].iov_len = NET_HDR;
	if (p->headlen > 0) {
		iov[cnt].iov_base = p->head;
		iov[cnt++].iov_len = p->headlen;
	}
	if (p->len > p->headlen)
		rest = vq_iov_slice(c->rd, c->nrd, NET_HDR + p->headlen,
		    p->len - p->headlen, iov + cnt, NET_SEGS - 2);
	if (rest == -1)
		return -1;
	return n->backend->write(n, pair, iov, cnt + rest) == -1 ? -1 : 0;
}

/*
 * Whatever the host says to a frame, it is dropped: a device that needs a
 * reset would not get a better answer afterwards, and the guest could only
 * lose its other frames by that.  What lasts, an interface that is down or
 * gone, is told by the link (vionet_tap.c, vionet_stream.c).
 */
static void
transmit(struct net *n, unsigned int pair, const struct vq_chain *c)
{
	struct packet p;
	int drop;

	if (may_go(n, c, &p, &drop)) {
		drop = send_packet(n, pair, c, &p) == -1;
		if (!drop) {
			dev_count(n->d, DEVS_TX_FRAMES, 1);
			dev_count(n->d, DEVS_TX_BYTES, p.len);
		}
	}
	if (drop)
		dev_count(n->d, DEVS_TX_DROPS, 1);
}

int
net_tx(struct net *n, struct dev_vq *q)
{
	struct vq_chain c = { .iov = n->segs, .max = NET_SEGS };
	uint64_t bytes = 0;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < ROUND && bytes < ROUND_BYTES; i++) {
		if ((rc = vq_next(&q->vq, &c)) != 1)
			break;
		if (c.nwr != 0) {
			log_warnx("a frame to send that is writable");
			return -1;
		}
		bytes += c.rdlen;
		transmit(n, q->n / 2, &c);
		dev_begin(n->d);
		dev_end(n->d, q, c.head, 0);
	}
	return rc == -1 ? -1 : 0;
}
