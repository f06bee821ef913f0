/*
 * A queue whose memory the guest changes at any time, and whose in-flight
 * record is of the same quality.  Four bytes are the size and features, then
 * come memory and record; the rest are actions of the device, of the driver,
 * and the death of the device's process.  Chains stay in memory, and no more
 * are taken than the queue has room for.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/virtio/vq.h"

#define RAM    0x200
#define SPLIT  0x180 /* the second range begins there */
#define GAP    0x1000
#define RECORD (sizeof(struct vq_inflight) + 8 * sizeof(struct vq_slot))
#define SEGS   12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const uint8_t *p;
	size_t left;
};

static struct gmem g;
static uint64_t record[(RECORD + 7) / 8];
static struct vq_conf conf;
static struct vq q;

static uint32_t
take(struct input *in, size_t n)
{
	uint32_t v = 0;

	if (n > in->left)
		n = in->left;
	memcpy(&v, in->p, n);
	in->p += n;
	in->left -= n;
	return v;
}

static void
fill(struct input *in, void *to, size_t n)
{
	if (n > in->left)
		n = in->left;
	memcpy(to, in->p, n);
	in->p += n;
	in->left -= n;
}

static void
marked(void *arg, uint64_t gpa, uint64_t len)
{
	if (gmem_ptr(&g, gpa, len) == NULL)
		abort();
}

static const struct vq_dirty dirty = { marked, NULL };

/* All of it is there, and what is written is the guest's. */
static void
use(const struct vq_chain *c, uint8_t with)
{
	uint8_t buf[RAM * SEGS];
	size_t n;

	if (c->nrd + c->nwr > c->max || vq_iov_len(c->rd, c->nrd) != c->rdlen ||
	    vq_iov_len(c->wr, c->nwr) != c->wrlen)
		abort();
	n = vq_iov_get(c->rd, c->nrd, with & 7, buf, sizeof(buf));
	if (n > c->rdlen)
		abort();
	memset(buf, with, sizeof(buf));
	vq_iov_put(c->wr, c->nwr, 0, buf, c->wrlen);
	vq_wrote(&q, c->wr, c->nwr, 0, c->wrlen);
}

static int
act(struct input *in)
{
	struct iovec iov[SEGS];
	struct vq_chain c = { .iov = iov, .max = SEGS };
	uint32_t a = take(in, 1), v = take(in, 2);

	switch (a % 9) {
	case 0:
	case 1:
		if ((a % 9 == 0 ? vq_next(&q, &c) : vq_redo(&q, &c)) == 1)
			use(&c, (uint8_t)v);
		break;
	case 2:
		vq_push(&q, (uint16_t)v, a);
		break;
	case 3:
		vq_publish(&q);
		break;
	case 4:
		vq_untake(&q, (uint16_t)v);
		break;
	case 5:
		vq_kick_off(&q);
		break;
	case 6:
		vq_kick_on(&q);
		break;
	case 7:
		g.base[v % RAM] = (uint8_t)a;
		break;
	default:
		if (a > 0xf0)
			((uint8_t *)record)[v % RECORD] ^= (uint8_t)a;
		memset(&q, (int)a, sizeof(q));
		return vq_init(&q, &conf);
	}
	if (vq_inflight_count(&q) > conf.size)
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	uint32_t how = take(&in, 1);

	memset(&g, 0, sizeof(g));
	g.fd = -1;
	if ((g.base = aligned_alloc(16, RAM)) == NULL)
		abort();
	memset(g.base, 0, RAM);
	g.size = RAM;
	g.ranges[0].size = SPLIT;
	g.ranges[1] = (struct gmem_range){ (how & 4) != 0 ? GAP : SPLIT,
		RAM - SPLIT, SPLIT, GMEM_RAM };
	g.nranges = 2;
	memset(record, 0, sizeof(record));
	memset(&conf, 0, sizeof(conf));
	conf.mem = &g;
	conf.size = (uint16_t)(1 << (how & 3));
	conf.desc = take(&in, 1) & 0xf0;
	conf.avail = 0x80;
	conf.used = 0xa0;
	conf.features = (uint64_t)take(&in, 1) << 28;
	conf.dirty = &dirty;
	if ((how & 8) != 0)
		conf.inflight = (struct vq_inflight *)record;
	fill(&in, g.base, RAM);
	if ((how & 16) != 0)
		fill(&in, record, RECORD);
	if (vq_init(&q, &conf) == 0)
		while (in.left > 0 && act(&in) == 0)
			;
	free(g.base);
	return 0;
}
