#ifndef VIONET_ONE_H
#define VIONET_ONE_H

/* What the tests of the network device share: a driver that they play. */

#include <linux/virtio_net.h>

#include "regress/unit/vionet_fake.h"
#include "regress/unit/vq_test.h"

#define ALL                                                                    \
	(f->ready.features & ~(VQ_F_EVENT_IDX | NET_F(VIRTIO_NET_F_MRG_RXBUF)))
#define MRG    NET_F(VIRTIO_NET_F_MRG_RXBUF)
#define BUF(i) (FAKE_DATA + (i)*0x10000ULL)
#define RX     0
#define TX     1
#define MAC                                                                    \
	{                                                                      \
		0xfe, 0xe1, 0xbb, 1, 2, 3                                      \
	}

static const uint8_t mac[6] = MAC;

struct one {
	struct fake f;
	uint16_t seen[DEV_MAXQUEUES]; /* used.idx */
	unsigned int ndesc[DEV_MAXQUEUES];
};

static inline struct one *
make(const struct net_conf *c)
{
	struct one *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	assert_int_equal(fake_open(&o->f, c), 0);
	o->f.watch.on = 1;
	return o;
}

static inline void
drop(struct one *o)
{
	fake_close(&o->f);
	free(o);
}

/* The guest begins anew. */
static inline void
up(struct one *o, uint64_t features)
{
	memset(o->f.d.mem.base + FAKE_RINGS, 0, FAKE_STRIDE * o->f.d.nqueues);
	memset(o->seen, 0, sizeof(o->seen));
	memset(o->ndesc, 0, sizeof(o->ndesc));
	fake_activate(&o->f, features, 0);
}

static inline uint8_t *
mem(struct one *o, uint64_t gpa)
{
	return o->f.d.mem.base + gpa;
}

/* A chain of segments, ended by one of length 0; offered. */
struct seg {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

static inline uint16_t
chain(struct one *o, unsigned int q, const struct seg *s)
{
	struct vq_conf c = fake_conf(&o->f, q);
	unsigned int first = o->ndesc[q] % FAKE_QUEUE, i;

	for (i = 0; s[i].len != 0; i++) {
		struct test_desc d = { s[i].addr, s[i].len,
			(uint16_t)(s[i].flags |
			    (s[i + 1].len != 0 ? F_NEXT : 0)),
			(uint16_t)((first + i + 1) % FAKE_QUEUE) };

		desc_put(c.mem, c.desc, (first + i) % FAKE_QUEUE, &d);
	}
	o->ndesc[q] += i;
	offer(c.mem, &c, (uint16_t)first);
	return (uint16_t)first;
}

static inline void
buffer(struct one *o, unsigned int q, uint64_t addr, uint32_t len)
{
	const struct seg s[] = { { addr, len, F_WRITE }, { 0, 0, 0 } };

	chain(o, q, s);
}

/* Something came back: its length; -1: nothing. */
static inline int64_t
back(struct one *o, unsigned int q)
{
	struct vq_conf c = fake_conf(&o->f, q);
	uint16_t at = o->seen[q];

	if (peek16(c.mem, c.used + 2) == at)
		return -1;
	o->seen[q]++;
	return peek32(c.mem, c.used + 4 + 8ULL * (at % FAKE_QUEUE) + 4);
}

/* A frame with its header: what the bytes say depends on `seed'. */
static inline size_t
frame(uint8_t *p, size_t len, int seed)
{
	static const uint8_t to[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	size_t i;

	memset(p, 0, NET_HDR);
	memcpy(p + NET_HDR, to, 6);
	memcpy(p + NET_HDR + 6, mac, 6);
	for (i = 12; i < len; i++)
		p[NET_HDR + i] = (uint8_t)(seed + (int)i * 7);
	p[NET_HDR + 12] = 0x88;
	p[NET_HDR + 13] = 0xb5;
	return NET_HDR + len;
}

static inline uint64_t
count(struct one *o, enum dev_stat s)
{
	return o->f.page.stats[s];
}

#endif
