#ifndef DEV_VIONET_H
#define DEV_VIONET_H

#include <linux/virtio_net.h>

#include "lib/net/answer.h"
#include "lib/proto/netconf.h"
#include "vmd/dev/dev.h"

/*
 * What the files of the network device share: vionet.c is the device,
 * vionet_tx.c and vionet_rx.c its queues, vionet_ctrl.c the control queue,
 * vionet_soft.c does what the driver cannot, vionet_tap.c has the frames.
 * One thread.
 */

#define NET_F(bit)  (1ULL << (bit))
#define NET_HDR	    sizeof(struct virtio_net_hdr_v1)
#define NET_ETH	    14
#define NET_BIG	    (65535 + 18) /* bytes of a frame to be segmented */
#define NET_SEGS    1024	 /* of a chain: as long as a queue */
#define NET_BUF	    (NET_HDR + NET_BIG)
#define NET_WINDOW  256 /* chains of a frame */
#define NET_ANSWERS 4

/* Not in all kernels' headers. */
#define NET_GUEST_USO4 54
#define NET_GUEST_USO6 55
#define NET_HOST_USO   56

/* dev_page.state */
#define NET_STATE_PAIRS	 0
#define NET_STATE_STREAM 1 /* vionet_stream.c */

struct net;

/*
 * Where frames come from and go to, one for each pair of queues; each frame
 * has a header of NET_HDR bytes in front.  read() and write() return -1
 * with errno; EAGAIN is none, and full.
 */
struct net_backend {
	/* What it can do: VIRTIO_NET_F_* of offloads.  0, or -1 with why. */
	int (*open)(struct net *n, uint64_t *features, char why[DEV_WHYLEN]);
	ssize_t (*read)(struct net *n, unsigned int pair,
	    const struct iovec *iov, int niov);
	ssize_t (*write)(struct net *n, unsigned int pair,
	    const struct iovec *iov, int niov);
	/* net_readable() once there is something to read. */
	void (*watch)(struct net *n, unsigned int pair);
};
extern const struct net_backend net_tap, net_stream;

/* One source of frames: a queue of the tap. */
struct net_pair {
	struct net *net;
	int fd, file;	     /* file: in the io */
	struct io_op polled; /* watched for frames */
	int watched;	     /* polled is under way */
	int readable;	     /* there may be frames */
};

/*
 * Chains taken off a receive queue for the frames of one round; what is left
 * of them goes back at its end, unless a frame waits for more.
 */
struct net_chain {
	uint16_t head;
	uint16_t nsegs;
	uint32_t len;
};
struct net_window {
	struct dev_vq *q;
	unsigned int first, end;	 /* of chains[] */
	unsigned int first_seg, end_seg; /* of segs[] */
	uint32_t len;			 /* bytes of all */
	struct net_chain chains[NET_WINDOW];
	struct iovec segs[2 * NET_SEGS];
};

struct net_frame {
	uint32_t len; /* with the header; 0: none */
	uint8_t data[NET_HDR + NET_REPLY_MAX];
};

struct net {
	struct dev *d;
	const struct net_conf *conf;
	const struct net_backend *backend;
	struct net_pair pairs[NET_MAX_PAIRS];
	unsigned int npairs;
	unsigned int active; /* pairs the driver uses */
	uint64_t offered, features;
	int inspect_tx;	     /* look at what the guest sends */
	int inspect_rx;	     /* look at what the host sends before delivery */
	int soft;	     /* some offloads are ours: vionet_soft.c */
	unsigned int big;    /* so many frames more are expected to be big */
	uint32_t small;	     /* bytes of a frame that is not, and its header */
	unsigned int turn;   /* the pair that is asked for frames next */
	int link;	     /* is up */
	struct io_op linked; /* watched for it to be up again */
	int stuck;     /* a frame waits for more chains: keep the window */
	uint32_t held; /* bytes of a frame in buf that found no buffers */
	struct net_frame answers[NET_ANSWERS];
	unsigned int answer, nanswers;
	struct net_lease lease;
	struct net_window window;
	uint8_t buf[NET_BUF];
	uint8_t seg[NET_BUF]; /* a piece of it, or the whole with checksum */
	struct iovec iov[NET_SEGS + 4];
	struct iovec segs[NET_SEGS]; /* of the chain that is being sent */
};

/* vionet.c */
/* Frames may wait in source `pair'. */
void net_readable(struct net *n, unsigned int pair);
/* The driver uses `pairs'. */
void net_set_active(struct net *n, unsigned int pairs);
/* Change what the guest sees of VIRTIO_NET_S_*: 1 if it did change. */
int net_set_status(struct net *n, uint16_t clear, uint16_t set);
/* UNIX time. */
uint64_t net_seconds(void);
/* The link is up or down: the guest is told. */
void net_set_link(struct net *n, int up);

/* vionet_tx.c: as dev_ops.queue(). */
int net_tx(struct net *n, struct dev_vq *q);

/* vionet_rx.c: as dev_ops.queue(). */
int net_rx(struct net *n, struct dev_vq *q);
/* Other queues are active now. */
void net_rx_pairs(struct net *n);
/* The driver that all was meant for is gone. */
void net_rx_forget(struct net *n);
/* Is there a frame for queue `q'? */
int net_rx_waits(const struct net *n, const struct dev_vq *q);
/* One frame, all there is, with a header; 0 if there is no room for it. */
int net_rx_answer(struct net *n, const uint8_t *frame, size_t len);

/* vionet_ctrl.c: as dev_ops.queue(). */
int net_ctrl(struct net *n, struct dev_vq *q);

#endif
