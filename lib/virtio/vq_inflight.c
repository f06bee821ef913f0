/*
 * The in-flight record of a queue: what must be done again when the process
 * that took it died, at whatever instruction.
 *
 * Two stores decide.  A chain is taken from the moment its slot says TAKEN,
 * written after its place in the order.  It is done from the moment used.idx
 * covers the place in the used ring that its slot names, so one store
 * finishes a whole batch for the guest and for the record.  What is taken
 * equals what was published plus what is in flight; so the next index of
 * the avail ring need not be written down.
 *
 * The record is checked like any other input: it says nothing that is used
 * as an address.
 */
#include <errno.h>
#include <string.h>

#include "lib/virtio/vq_int.h"

/* vq_slot.state; PUSHED has the place in its upper half. */
#define SLOT_FREE   0
#define SLOT_TAKEN  1
#define SLOT_PUSHED 2
#define SLOT_WHAT   0xffff

/* No queue lives that long. */
#define SEQ_MAX	 (UINT64_MAX / 2)

#define USED_IDX 2

size_t
vq_inflight_size(uint16_t size)
{
	return sizeof(struct vq_inflight) + size * sizeof(struct vq_slot);
}

void
vq_inflight_clear(struct vq_inflight *r, uint16_t size)
{
	vq_store16(&r->size, 0); /* enough, should we die here */
	memset(r, 0, vq_inflight_size(size));
}

void
vq_record_take(struct vq *q, uint16_t head)
{
	struct vq_slot *s = &q->conf.inflight->slots[head];

	vq_store64(&s->seq, q->seq);
	vq_store32(&s->state, SLOT_TAKEN);
}

void
vq_record_untake(struct vq *q, uint16_t head)
{
	vq_store32(&q->conf.inflight->slots[head].state, SLOT_FREE);
}

void
vq_record_push(struct vq *q, uint16_t head, uint16_t at)
{
	vq_store32(&q->conf.inflight->slots[head].state,
	    (uint32_t)at << 16 | SLOT_PUSHED);
}

/* Slots first: until then their places are compared with the old index. */
void
vq_record_publish(struct vq *q, uint16_t n)
{
	struct vq_inflight *r = q->conf.inflight;
	uint16_t i;

	for (i = 0; i < n; i++)
		vq_store32(&r->slots[q->pushed[i]].state, SLOT_FREE);
	vq_store16(&r->used, q->used_shown);
}

int
vq_record_oldest(const struct vq *q)
{
	const struct vq_inflight *r = q->conf.inflight;
	uint64_t seq, min = UINT64_MAX;
	int i, oldest = -1;

	for (i = 0; i < q->conf.size; i++) {
		if (q->heads[i] != VQ_HEAD_OLD)
			continue;
		seq = __atomic_load_n(&r->slots[i].seq, __ATOMIC_RELAXED);
		if (oldest == -1 || seq < min) {
			min = seq;
			oldest = i;
		}
	}
	return oldest;
}

/*
 * Is the chain in slot `s' still in flight, with used.idx `shown' beyond
 * what the record says?  1, 0, or -1 with errno.  Doing this again, should
 * we die here, gives the same.
 */
static int
slot_open(const struct vq_inflight *r, struct vq_slot *s, uint16_t shown)
{
	uint32_t state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
	uint16_t at = (uint16_t)(state >> 16);

	switch (state & SLOT_WHAT) {
	case SLOT_FREE:
		return 0;
	case SLOT_TAKEN:
		return 1;
	case SLOT_PUSHED:
		if ((uint16_t)(at - r->used) < shown) {
			vq_store32(&s->state, SLOT_FREE);
			return 0;
		}
		vq_store32(&s->state, SLOT_TAKEN);
		return 1;
	default:
		errno = EBADMSG;
		return -1;
	}
}

static int
slots_open(struct vq *q, uint16_t shown)
{
	struct vq_inflight *r = q->conf.inflight;
	uint64_t seq;
	uint16_t i;
	int open;

	for (i = 0; i < q->conf.size; i++) {
		if ((open = slot_open(r, &r->slots[i], shown)) == -1)
			return -1;
		if (!open)
			continue;
		q->heads[i] = VQ_HEAD_OLD;
		q->ntaken++;
		seq = __atomic_load_n(&r->slots[i].seq, __ATOMIC_RELAXED);
		if (seq > SEQ_MAX) {
			errno = EBADMSG;
			return -1;
		}
		if (seq >= q->seq)
			q->seq = seq + 1;
	}
	return 0;
}

/* Whatever is left in it from another time: the size comes last. */
static void
record_new(struct vq *q)
{
	struct vq_inflight *r = q->conf.inflight;
	uint16_t i;

	for (i = 0; i < q->conf.size; i++)
		vq_store32(&r->slots[i].state, SLOT_FREE);
	vq_store16(&r->used, 0);
	vq_store16(&r->size, q->conf.size);
}

int
vq_record_open(struct vq *q)
{
	struct vq_inflight *r = q->conf.inflight;
	uint16_t idx, shown;

	if (r->size == 0) {
		record_new(q);
		return 0;
	}
	if (r->size != q->conf.size) {
		errno = EBADMSG;
		return -1;
	}
	idx = vq_load16(q->used + USED_IDX);
	shown = (uint16_t)(idx - r->used);
	if (shown > q->conf.size) {
		errno = EPROTO;
		return -1;
	}
	if (slots_open(q, shown) == -1)
		return -1;
	vq_store16(&r->used, idx);
	q->used_next = q->used_shown = idx;
	q->last_avail = (uint16_t)(idx + q->ntaken);
	q->redo = q->ntaken > 0;
	q->owed = 1;
	return 0;
}
