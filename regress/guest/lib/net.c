/*
 * A thin driver of virtio network interfaces for our test guests.
 */
#include "net.h"

#define BUFS(q) (0x100000ULL + (q)*0x600000ULL) /* 6 MiB for a queue */
#define SENDBUF 0x1800000ULL
#define COMMAND 0x1900000ULL
#define MAX_BIG 80 /* buffers of 64 KiB and more */

const uint8_t net_all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

int
net_find(struct nic *n, unsigned int idx)
{
	unsigned int i;

	if (!virtio_find(&n->dev, 8 + idx / 8, idx % 8))
		return 0;
	for (i = 0; i < 6; i++)
		n->mac[i] = load8(n->dev.config + i);
	n->pairs = load16(n->dev.config + 8);
	if (n->pairs < 1 || n->pairs > NET_PAIRS)
		n->pairs = 1;
	return 1;
}

static uint64_t
buffer(const struct nic *n, unsigned int q, unsigned int i)
{
	return n->mem + BUFS(q) + (uint64_t)i * n->slot;
}

static void
fill(struct nic *n, unsigned int q)
{
	unsigned int i;

	for (i = 0; i < n->nbufs; i++) {
		vq_desc(n->rx[q].desc, i, buffer(n, q, i), n->slot, VQ_WRITE);
		vq_put(&n->rx[q], (uint16_t)i);
	}
	vq_show(&n->rx[q]);
}

int
net_up(struct nic *n, uint64_t features, uint64_t mem, uint16_t vector)
{
	unsigned int i, pairs;
	uint64_t at = mem;

	if (!virtio_begin(&n->dev, features))
		return 0;
	pairs = n->dev.features & NET_F_MQ ? n->pairs : 1;
	n->mem = mem;
	n->slot = n->dev.features & NET_F_MRG ? NET_SLOT : NET_BIG;
	n->nbufs = n->dev.features & NET_F_MRG ? NET_RING : MAX_BIG;
	for (i = 0; i < pairs; i++) {
		virtio_queue(&n->rx[i], &n->dev, 2 * i, NET_RING, at, vector);
		virtio_queue(&n->tx[i], &n->dev, 2 * i + 1, NET_RING,
		    at + VIRTIO_RING, VIRTIO_NOMSI);
		at += 2 * VIRTIO_RING;
	}
	if (n->dev.features & NET_F_CTRL)
		virtio_queue(&n->ctrl, &n->dev,
		    n->dev.features & NET_F_MQ ? 2 * n->pairs : 2, 16, at,
		    VIRTIO_NOMSI);
	if (!virtio_go(&n->dev))
		return 0;
	for (i = 0; i < pairs; i++)
		fill(n, i);
	return 1;
}

int
net_command(struct nic *n, unsigned int class, unsigned int cmd,
    const void *data, unsigned int len)
{
	uint64_t at = n->mem + COMMAND;

	store8(at, (uint8_t) class);
	store8(at + 1, (uint8_t)cmd);
	memcpy((void *)(at + 2), data, len);
	store8(at + 64, 0xee);
	vq_desc(n->ctrl.desc, 0, at, 2, VQ_NEXT);
	vq_desc(n->ctrl.desc, 1, at + 2, len, VQ_NEXT);
	vq_desc(n->ctrl.desc, 2, at + 64, 1, VQ_WRITE);
	vq_offer(&n->ctrl, 0);
	if (vq_wait(&n->ctrl) != 1)
		return -1;
	return load8(at + 64);
}

/* One buffer: what is in it goes to `to', and it goes back. */
static unsigned int
take(struct nic *n, unsigned int q, uint8_t *to)
{
	struct vq *v = &n->rx[q];
	uint64_t e = v->used + 4 + 8 * (v->seen % v->size);
	uint32_t id = load32(e), len = load32(e + 4);

	v->seen++;
	if (id >= n->nbufs || len > n->slot)
		return 0;
	memcpy(to, (void *)buffer(n, q, id), len);
	vq_put(v, (uint16_t)id);
	return len;
}

unsigned int
net_poll(struct nic *n, unsigned int q, struct net_hdr *h, uint8_t *to)
{
	static uint8_t first[NET_BIG];
	struct vq *v = &n->rx[q];
	unsigned int len, all, i;

	if (load16(v->used + 2) == v->seen)
		return 0;
	__asm__ volatile("" : : : "memory");
	len = take(n, q, first);
	if (len < NET_HDR)
		return 0;
	memcpy(h, first, NET_HDR);
	memcpy(to, first + NET_HDR, len - NET_HDR);
	all = len - NET_HDR;
	for (i = 1; i < h->num_buffers && all + n->slot < NET_BIG + 2048; i++)
		all += take(n, q, to + all);
	vq_show(v);
	return all;
}

int
net_send(struct nic *n, unsigned int q, const struct net_hdr *h,
    const uint8_t *frame, unsigned int len)
{
	uint64_t at = n->mem + SENDBUF;
	struct vq *v = &n->tx[q];

	memcpy((void *)at, h, NET_HDR);
	memcpy((void *)(at + NET_HDR), frame, len);
	vq_desc(v->desc, 0, at, NET_HDR, VQ_NEXT);
	vq_desc(v->desc, 1, at + NET_HDR, len, 0);
	vq_offer(v, 0);
	return n->hasty || vq_wait(v) != -1;
}

void
net_put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
net_put32(uint8_t *p, uint32_t v)
{
	net_put16(p, v >> 16);
	net_put16(p + 2, v & 0xffff);
}

unsigned int
net_get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

uint32_t
net_get32(const uint8_t *p)
{
	return (uint32_t)net_get16(p) << 16 | net_get16(p + 2);
}

uint32_t
net_sum(const uint8_t *p, unsigned int len, uint32_t sum)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

unsigned int
net_fold(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

void
net_ethernet(uint8_t *f, const struct nic *n, const uint8_t *to,
    unsigned int type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, n->mac, 6);
	net_put16(f + 12, type);
}

void
net_ip(uint8_t *f, unsigned int proto, uint32_t from, uint32_t to,
    unsigned int len)
{
	uint8_t *p = f + 14;

	memset(p, 0, 20);
	p[0] = 0x45;
	net_put16(p + 2, 20 + len);
	p[8] = 64;
	p[9] = (uint8_t)proto;
	net_put32(p + 12, from);
	net_put32(p + 16, to);
	net_put16(p + 10, ~net_fold(net_sum(p, 20, 0)) & 0xffff);
}

uint32_t
net_pseudo(const uint8_t *f, unsigned int len)
{
	return net_sum(f + 26, 8, f[23] + len);
}

unsigned int
net_ip_sum(const uint8_t *f, unsigned int len)
{
	return net_fold(net_sum(f + 34, len, net_pseudo(f, len)));
}

void
net_arp(uint8_t *f, const struct nic *n, uint32_t from, uint32_t to)
{
	uint8_t *p = f + 14;

	net_ethernet(f, n, net_all, 0x806);
	memset(p, 0, 46);
	net_put32(p, 0x00010800);
	net_put32(p + 4, 0x06040001);
	memcpy(p + 8, n->mac, 6);
	net_put32(p + 14, from);
	net_put32(p + 24, to);
}

void
net_dhcp(uint8_t *p, const struct nic *n, unsigned int type, uint32_t addr)
{
	uint8_t *o = p + 240;

	memset(p, 0, NET_DHCP);
	p[0] = 1;
	p[1] = 1;
	p[2] = 6;
	net_put32(p + 4, 0x12345678);
	memcpy(p + 28, n->mac, 6);
	net_put32(p + 236, 0x63825363);
	*o++ = 53;
	*o++ = 1;
	*o++ = (uint8_t)type;
	if (type == 3) {
		*o++ = 50;
		*o++ = 4;
		net_put32(o, addr);
		o += 4;
	}
	*o = 255;
}
