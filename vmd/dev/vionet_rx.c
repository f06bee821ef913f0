/*
 * Receiving: frames of the host go into buffers of the guest.  In device
 * processes.  Virtio 1.2, 5.1.6.4.
 *
 * Frames are read straight into the guest's buffers where nobody has to look
 * at them first.  How long a frame is turns out only then, so that there is
 * always room of our own behind the buffers; bulk traffic is expected to go
 * on, and given more of them.  Without buffers frames stay in the tap; one
 * for which there are too few keeps those it has and waits for more, and the
 * other queues wait for it.
 */
#include <errno.h>
#include <string.h>

#include "lib/net/filter.h"
#include "lib/util/log.h"
#include "vmd/dev/vionet.h"
#include "vmd/dev/vionet_soft.h"

#define ROUND	   64 /* frames */
#define BIG_FRAMES 64 /* after a big one */

/* --- buffers --------------------------------------------------------------- */

static void
window_begin(struct net_window *w, struct dev_vq *q)
{
	w->q = q;
	w->first = w->end = w->first_seg = w->end_seg = 0;
	w->len = 0;
}

/* Give back what is left. */
static void
window_end(struct net_window *w)
{
	while (w->end > w->first)
		vq_untake(&w->q->vq, w->chains[--w->end].head);
}

/* Move what is left to the front. */
static void
compact(struct net_window *w)
{
	unsigned int n = w->end - w->first, segs = w->end_seg - w->first_seg;

	memmove(w->chains, w->chains + w->first, n * sizeof(*w->chains));
	memmove(w->segs, w->segs + w->first_seg, segs * sizeof(*w->segs));
	w->first = w->first_seg = 0;
	w->end = n;
	w->end_seg = segs;
}

/* One chain more: 1, 0 if there is none, -1 if the guest broke it. */
static int
window_add(struct net_window *w)
{
	struct vq_chain c;
	int rc;

	if (w->end == NET_WINDOW || w->end_seg > NET_SEGS)
		compact(w);
	if (w->end == NET_WINDOW || w->end_seg > NET_SEGS)
		return 0;
	memset(&c, 0, sizeof(c));
	c.iov = w->segs + w->end_seg;
	c.max = NET_SEGS;
	if ((rc = vq_next(&w->q->vq, &c)) != 1)
		return rc;
	if (c.nrd != 0 || c.wrlen < NET_HDR) {
		log_warnx("a receive buffer that is none");
		return -1;
	}
	w->chains[w->end].head = c.head;
	w->chains[w->end].nsegs = c.nwr;
	w->chains[w->end++].len = c.wrlen;
	w->end_seg += c.nwr;
	w->len += c.wrlen;
	return 1;
}

/* Bytes `off' to `off' + `len' of it have been written. */
static void
window_wrote(const struct net_window *w, uint32_t off, uint32_t len)
{
	vq_wrote(&w->q->vq, w->segs + w->first_seg, w->end_seg - w->first_seg,
	    off, len);
}

static int
mergeable(const struct net *n)
{
	return (n->features & NET_F(VIRTIO_NET_F_MRG_RXBUF)) != 0;
}

/*
 * Have `len' bytes, or as many as there are: without mergeable buffers a
 * frame has one chain.  0, or -1.
 */
static int
window_want(struct net *n, uint32_t len)
{
	struct net_window *w = &n->window;
	int rc = 1;

	while (rc == 1 && w->len < len && (w->end == w->first || mergeable(n)))
		rc = window_add(w);
	return rc == -1 ? -1 : 0;
}

/* The frame of `len' bytes is in the window: give it to the guest. */
static void
window_push(struct net *n, uint32_t len)
{
	struct net_window *w = &n->window;
	const struct net_chain *c = &w->chains[w->first];
	uint32_t left = len, part;
	uint16_t cnt = 0, i;

	while (left > 0) {
		part = c[cnt].len < left ? c[cnt].len : left;
		left -= part;
		cnt++;
	}
	i = htole16(cnt);
	vq_iov_put(w->segs + w->first_seg, c->nsegs,
	    offsetof(struct virtio_net_hdr_v1, num_buffers), &i, sizeof(i));
	window_wrote(w, offsetof(struct virtio_net_hdr_v1, num_buffers),
	    sizeof(i));
	for (left = len, i = 0; i < cnt; i++) {
		part = c[i].len < left ? c[i].len : left;
		left -= part;
		dev_begin(n->d);
		dev_end(n->d, w->q, c[i].head, part);
		w->first_seg += c[i].nsegs;
		w->len -= c[i].len;
	}
	w->first += cnt;
	dev_count(n->d, DEVS_RX_FRAMES, 1);
	dev_count(n->d, DEVS_RX_BYTES, len - NET_HDR);
}

static void
window_get(const struct net_window *w, void *to, size_t len)
{
	vq_iov_get(w->segs + w->first_seg, w->end_seg - w->first_seg, 0, to,
	    len);
}

static void
drop(struct net *n)
{
	dev_count(n->d, DEVS_RX_DROPS, 1);
}

/* --- frames ---------------------------------------------------------------- */

/* No buffer will ever come before some are used: those we have are all. */
static int
hopeless(const struct net *n)
{
	const struct net_window *w = &n->window;

	return w->end > w->first &&
	    (!mergeable(n) ||
		vq_inflight_count(&w->q->vq) >= w->q->vq.conf.size ||
		w->end - w->first == NET_WINDOW ||
		w->end_seg - w->first_seg > NET_SEGS);
}

/*
 * A frame from our memory, of which the window has the first `have' bytes
 * already.  1 if it is done, 0 if there are not enough buffers, -1.
 */
static int
deliver(struct net *n, const uint8_t *p, uint32_t len, uint32_t have)
{
	struct net_window *w = &n->window;

	if (window_want(n, len) == -1)
		return -1;
	if (w->len < len) {
		if (!hopeless(n)) {
			n->stuck = 1;
			return 0;
		}
		drop(n);
		return 1;
	}
	vq_iov_put(w->segs + w->first_seg, w->end_seg - w->first_seg, have,
	    p + have, len - have);
	window_wrote(w, have, len - have);
	window_push(n, len);
	return 1;
}

struct pieces {
	struct net *n;
	int rc;
};

/* One of the frames that a big one was cut into. */
static int
piece(void *arg, const uint8_t *p, size_t len)
{
	struct pieces *ps = arg;

	if ((ps->rc = deliver(ps->n, p, (uint32_t)len, 0)) == 0)
		drop(ps->n);
	ps->n->stuck = 0;
	return ps->rc == 1 ? 0 : -1;
}

/* A frame of the host that is whole in n->buf; as deliver(). */
static int
inspect(struct net *n, uint32_t len)
{
	struct pieces ps = { .n = n, .rc = 1 };

	if (len < NET_HDR + NET_ETH ||
	    !net_filter_in(n->conf, n->buf + NET_HDR, len - NET_HDR)) {
		drop(n);
		return 1;
	}
	if (!net_soft_needed(n->buf, n->features))
		return deliver(n, n->buf, len, 0);
	if (window_want(n, 1) == -1)
		return -1;
	if (n->window.len == 0)
		return 0;
	if (net_soft(n->buf, len, n->features, n->seg, piece, &ps) == -1)
		drop(n);
	return ps.rc == -1 ? -1 : 1;
}

/* The frame that waited. */
static int
deliver_held(struct net *n)
{
	int rc;

	if ((rc = inspect(n, n->held)) == 1)
		n->held = 0;
	return rc;
}

static int
deliver_answer(struct net *n)
{
	struct net_frame *f = &n->answers[n->answer];
	int rc;

	if ((rc = deliver(n, f->data, f->len, 0)) == 1) {
		n->answer = (n->answer + 1) % NET_ANSWERS;
		n->nanswers--;
	}
	return rc;
}

int
net_rx_answer(struct net *n, const uint8_t *frame, size_t len)
{
	struct net_frame *f;

	if (n->nanswers == NET_ANSWERS || len > NET_REPLY_MAX) {
		drop(n);
		return 0;
	}
	f = &n->answers[(n->answer + n->nanswers++) % NET_ANSWERS];
	memset(f->data, 0, NET_HDR);
	memcpy(f->data + NET_HDR, frame, len);
	f->len = (uint32_t)(NET_HDR + len);
	return 1;
}

/* --- reading ---------------------------------------------------------------- */

/* The window, and what is ours behind it; the count of segments. */
static int
targets(struct net *n, uint32_t *direct, uint32_t *room)
{
	struct net_window *w = &n->window;
	unsigned int nsegs = w->end_seg - w->first_seg;
	int cnt = 0;

	*direct = 0;
	if (!n->inspect_rx && nsegs < NET_SEGS) {
		memcpy(n->iov, w->segs + w->first_seg, nsegs * sizeof(*n->iov));
		cnt = (int)nsegs;
		*direct = w->len;
	}
	*room = *direct;
	if (*direct < NET_BUF) {
		n->iov[cnt].iov_base = n->buf + *direct;
		n->iov[cnt++].iov_len = NET_BUF - *direct;
		*room = NET_BUF;
	}
	return cnt;
}

/* The guest may change the header: it is its own frame. */
static int
soft_needed(const struct net *n)
{
	uint8_t hdr[NET_HDR];

	window_get(&n->window, hdr, sizeof(hdr));
	return net_soft_needed(hdr, n->features);
}

static int
arrived(struct net *n, uint32_t len, uint32_t direct)
{
	struct net_window *w = &n->window;
	int rc;

	if (len > n->small)
		n->big = BIG_FRAMES;
	else if (n->big > 0)
		n->big--;
	if (direct > 0 && n->soft && soft_needed(n)) {
		window_get(w, n->buf, direct < len ? direct : len);
		rc = inspect(n, len);
	} else if (direct == 0)
		rc = inspect(n, len);
	else if (len <= direct) {
		window_push(n, len);
		return 1;
	} else {
		/* Should it have to wait, it does so in one piece. */
		window_get(w, n->buf, direct);
		rc = deliver(n, n->buf, len, direct);
	}
	if (rc == 0)
		n->held = len;
	return rc;
}

static void
gone(struct net *n)
{
	log_warn("no frames from now on");
	net_set_link(n, 0);
}

/* 1: one was read, 0: there is none or no buffer, -1. */
static int
read_one(struct net *n, struct net_pair *p)
{
	unsigned int pair = (unsigned int)(p - n->pairs);
	uint32_t direct, room;
	ssize_t len;
	int cnt;

	if (window_want(n, n->big > 0 ? NET_BUF : n->small) == -1)
		return -1;
	if (n->window.end == n->window.first)
		return 0;
	cnt = targets(n, &direct, &room);
	if ((len = n->backend->read(n, pair, n->iov, cnt)) == -1) {
		p->readable = 0;
		if (errno == EAGAIN || errno == EINTR)
			n->backend->watch(n, pair);
		else
			gone(n);
		return 0;
	}
	/* Also what is dropped is there. */
	window_wrote(&n->window, 0, len < direct ? (uint32_t)len : direct);
	/* A frame that did not fit is reported with its whole length. */
	if (len < (ssize_t)(NET_HDR + NET_ETH) || len > (ssize_t)room) {
		drop(n);
		return 1;
	}
	return arrived(n, (uint32_t)len, direct);
}

/* One that may have frames for the queue; they take turns. */
static struct net_pair *
source(struct net *n, const struct dev_vq *q)
{
	unsigned int i, k;

	for (k = 0; k < n->npairs; k++) {
		i = (n->turn + k) % n->npairs;
		if (i % n->active == q->n / 2 && n->pairs[i].readable) {
			n->turn = i + 1;
			return &n->pairs[i];
		}
	}
	return NULL;
}

/* The next frame, wherever it is: 1, 0 or -1. */
static int
next(struct net *n, struct dev_vq *q)
{
	struct net_pair *p;

	if (n->held > 0)
		return deliver_held(n);
	if (n->nanswers > 0)
		return deliver_answer(n);
	if ((p = source(n, q)) == NULL)
		return 0;
	return read_one(n, p);
}

/* They may have slept on frames of theirs. */
static void
wake_all(struct net *n)
{
	unsigned int i;

	for (i = 0; i < n->active; i++)
		if (net_rx_waits(n, &n->d->queues[2 * i]))
			dev_work(n->d, &n->d->queues[2 * i]);
}

int
net_rx(struct net *n, struct dev_vq *q)
{
	unsigned int i;
	int rc = 1, was_stuck = n->stuck;

	if (q->n / 2 >= n->active || (n->stuck && n->window.q != q))
		return 0;
	if (!n->stuck)
		window_begin(&n->window, q);
	n->stuck = 0;
	for (i = 0; i < ROUND && rc == 1; i++)
		rc = next(n, q);
	if (!n->stuck)
		window_end(&n->window);
	if (was_stuck && !n->stuck && rc != -1)
		wake_all(n);
	return rc == -1 ? -1 : 0;
}

void
net_rx_pairs(struct net *n)
{
	if (n->stuck && n->window.q->n / 2 >= n->active) {
		window_end(&n->window);
		n->stuck = 0;
	}
	wake_all(n);
}

void
net_rx_forget(struct net *n)
{
	n->held = n->big = n->nanswers = 0;
	n->stuck = 0;
}

int
net_rx_waits(const struct net *n, const struct dev_vq *q)
{
	unsigned int i;

	if (q->n / 2 >= n->active || (n->stuck && n->window.q != q))
		return 0;
	if (n->nanswers > 0 || n->held > 0)
		return 1;
	for (i = q->n / 2; i < n->npairs; i += n->active)
		if (n->pairs[i].readable)
			return 1;
	return 0;
}
