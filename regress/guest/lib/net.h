#ifndef GUEST_NET_H
#define GUEST_NET_H

#include "virtio.h"

/*
 * Frames through a virtio network interface: Virtio 1.2, 5.1.  Interface `n'
 * is at slot 8 + n / 8, function n % 8.
 */

#define NET_F_CSUM	 (1ULL << 0)
#define NET_F_GUEST_CSUM (1ULL << 1)
#define NET_F_MTU	 (1ULL << 3)
#define NET_F_MAC	 (1ULL << 5)
#define NET_F_GUEST_TSO4 (1ULL << 7)
#define NET_F_GUEST_TSO6 (1ULL << 8)
#define NET_F_HOST_TSO4	 (1ULL << 11)
#define NET_F_HOST_TSO6	 (1ULL << 12)
#define NET_F_MRG	 (1ULL << 15)
#define NET_F_STATUS	 (1ULL << 16)
#define NET_F_CTRL	 (1ULL << 17)
#define NET_F_CTRL_RX	 (1ULL << 18)
#define NET_F_ANNOUNCE	 (1ULL << 21)
#define NET_F_MQ	 (1ULL << 22)

#define NET_HDR		 12
#define NET_RING	 256	 /* descriptors of a queue */
#define NET_SLOT	 2048	 /* bytes of a receive buffer with MRG */
#define NET_BIG		 0x11000 /* and without, and of the sent frame */
#define NET_PAIRS	 4

/* struct virtio_net_hdr_v1 */
struct net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct nic {
	struct vdev dev;
	uint8_t mac[6];
	unsigned int pairs; /* as offered */
	struct vq rx[NET_PAIRS], tx[NET_PAIRS], ctrl;
	unsigned int nbufs; /* of each receive queue */
	unsigned int slot;  /* bytes of each */
	uint64_t mem;	    /* of all that follows */
	int hasty;	    /* do not wait until a frame is gone */
};

/* Memory that an interface needs, in order: rings, buffers. */
#define NET_MEM 0x2000000ULL

int net_find(struct nic *n, unsigned int idx);
/*
 * Up with `features' and all pairs' buffers, at `mem'; 0 if it fails.
 * `vector' is the MSI-X entry for receive queues, or VIRTIO_NOMSI.
 */
int net_up(struct nic *n, uint64_t features, uint64_t mem, uint16_t vector);
/* A command with `len' bytes of data; its answer, or -1. */
int net_command(struct nic *n, unsigned int class, unsigned int cmd,
    const void *data, unsigned int len);
/*
 * The next frame of queue `q': its whole length, in `to'; 0 if there is
 * none.  `h' is its header.
 */
unsigned int
net_poll(struct nic *n, unsigned int q, struct net_hdr *h, uint8_t *to);
/* Send by queue `q' and wait until it is gone: 0 if that takes too long. */
int net_send(struct nic *n, unsigned int q, const struct net_hdr *h,
    const uint8_t *frame, unsigned int len);

/* Numbers of the network, checksums. */
void net_put16(uint8_t *p, unsigned int v);
void net_put32(uint8_t *p, uint32_t v);
unsigned int net_get16(const uint8_t *p);
uint32_t net_get32(const uint8_t *p);
uint32_t net_sum(const uint8_t *p, unsigned int len, uint32_t sum);
unsigned int net_fold(uint32_t sum);

/* Everybody. */
extern const uint8_t net_all[6];

/* Parts of a frame: the IPv4 header has no options. */
void net_ethernet(uint8_t *f, const struct nic *n, const uint8_t *to,
    unsigned int type);
/* `len' bytes follow its IPv4 header. */
void net_ip(uint8_t *f, unsigned int proto, uint32_t from, uint32_t to,
    unsigned int len);
/* The sum of the pseudo header of `len' bytes, and of these with it. */
uint32_t net_pseudo(const uint8_t *f, unsigned int len);
unsigned int net_ip_sum(const uint8_t *f, unsigned int len);
/* The question who has `to', of 60 bytes. */
void net_arp(uint8_t *f, const struct nic *n, uint32_t from, uint32_t to);
/*
 * A DHCP message of that type, of NET_DHCP bytes, at `p'; a request for
 * `addr'.
 */
#define NET_DHCP 300
void
net_dhcp(uint8_t *p, const struct nic *n, unsigned int type, uint32_t addr);

#endif
