/*
 * The control queue of the network device: how many pairs of queues the
 * driver uses, receive modes, announcements.  In device processes.  Virtio
 * 1.2, 5.1.6.5.
 *
 * Receive modes and tables of addresses are accepted and change nothing: a
 * tap has no filter of addresses, and to see more than what is meant for it
 * is a guest's right on its own wire.
 */
#include <endian.h>

#include "lib/util/log.h"
#include "vmd/dev/vionet.h"

struct command {
	uint8_t class, cmd;
	uint8_t data[2];
};

static int
set_pairs(struct net *n, const struct command *c, size_t len)
{
	unsigned int pairs = c->data[0] | (unsigned int)c->data[1] << 8;

	if (!(n->features & NET_F(VIRTIO_NET_F_MQ)) ||
	    c->cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || len < 4 ||
	    pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > n->npairs)
		return VIRTIO_NET_ERR;
	net_set_active(n, pairs);
	return VIRTIO_NET_OK;
}

static int
rx_mode(const struct net *n, const struct command *c, size_t len)
{
	if (!(n->features & NET_F(VIRTIO_NET_F_CTRL_RX)) ||
	    c->cmd > VIRTIO_NET_CTRL_RX_ALLMULTI || len < 3)
		return VIRTIO_NET_ERR;
	return VIRTIO_NET_OK;
}

/* The addresses it wants to hear: the other half of receive modes. */
static int
mac_table(const struct net *n, const struct command *c, size_t len)
{
	if (!(n->features & NET_F(VIRTIO_NET_F_CTRL_RX)) ||
	    c->cmd != VIRTIO_NET_CTRL_MAC_TABLE_SET || len < 4)
		return VIRTIO_NET_ERR;
	return VIRTIO_NET_OK;
}

static int
announced(struct net *n, const struct command *c)
{
	if (!(n->features & NET_F(VIRTIO_NET_F_GUEST_ANNOUNCE)) ||
	    c->cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK)
		return VIRTIO_NET_ERR;
	net_set_status(n, VIRTIO_NET_S_ANNOUNCE, 0);
	return VIRTIO_NET_OK;
}

static uint8_t
obey(struct net *n, const struct command *c, size_t len)
{
	int rc = VIRTIO_NET_ERR;

	if (len < 2)
		return VIRTIO_NET_ERR;
	switch (c->class) {
	case VIRTIO_NET_CTRL_MQ:
		rc = set_pairs(n, c, len);
		break;
	case VIRTIO_NET_CTRL_RX:
		rc = rx_mode(n, c, len);
		break;
	case VIRTIO_NET_CTRL_MAC:
		rc = mac_table(n, c, len);
		break;
	case VIRTIO_NET_CTRL_ANNOUNCE:
		rc = announced(n, c);
		break;
	}
	return (uint8_t)rc;
}

int
net_ctrl(struct net *n, struct dev_vq *q)
{
	struct vq_chain c = { .iov = n->segs, .max = NET_SEGS };
	struct command cmd = { 0 };
	uint8_t ack;
	size_t len;
	int rc;

	while ((rc = vq_next(&q->vq, &c)) == 1) {
		if (c.wrlen == 0) {
			log_warnx("a command without room for its answer");
			return -1;
		}
		len = vq_iov_get(c.rd, c.nrd, 0, &cmd, sizeof(cmd));
		ack = obey(n, &cmd, len);
		vq_iov_put(c.wr, c.nwr, 0, &ack, sizeof(ack));
		vq_wrote(&q->vq, c.wr, c.nwr, 0, sizeof(ack));
		dev_begin(n->d);
		dev_end(n->d, q, c.head, sizeof(ack));
	}
	return rc;
}
