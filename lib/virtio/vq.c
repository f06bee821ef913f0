/*
 * The device side of a split virtqueue, in device processes and in the vm
 * process: taking chains, returning them, and who is to be told.  The guest
 * writes the descriptors and the avail ring; vq_chain.c reads the former.
 * Virtio 1.2, 2.6 and 2.7.
 */
#include <errno.h>
#include <string.h>

#include "lib/virtio/vq_int.h"

/* Offsets in the avail and used rings. */
#define FLAGS	     0
#define IDX	     2
#define RING	     4

#define NO_INTERRUPT 1 /* avail.flags */
#define NO_NOTIFY    1 /* used.flags */

#define NO_HEAD	     UINT16_MAX

static int
broke(struct vq *q)
{
	q->broken = 1;
	errno = EPROTO;
	return -1;
}

static int
event_idx(const struct vq *q)
{
	return (q->conf.features & VQ_F_EVENT_IDX) != 0;
}

static void
dirty(const struct vq *q, uint64_t gpa, uint64_t len)
{
	if (q->conf.dirty != NULL && q->conf.dirty->mark != NULL)
		q->conf.dirty->mark(q->conf.dirty->arg, gpa, len);
}

/* --- set-up -------------------------------------------------------------- */

static uint8_t *
area(const struct gmem *mem, uint64_t gpa, uint64_t len, uint64_t align)
{
	if (gpa % align != 0) {
		errno = EINVAL;
		return NULL;
	}
	return gmem_ptr(mem, gpa, len);
}

/* The two words for events are there whether negotiated or not. */
static int
areas(const struct vq_conf *c, uint8_t *p[3])
{
	uint64_t n = c->size;

	if (n == 0 || n > VQ_MAXSIZE || (n & (n - 1)) != 0) {
		errno = EINVAL;
		return -1;
	}
	if ((p[0] = area(c->mem, c->desc, 16 * n, 16)) == NULL ||
	    (p[1] = area(c->mem, c->avail, 6 + 2 * n, 2)) == NULL ||
	    (p[2] = area(c->mem, c->used, 6 + 8 * n, 4)) == NULL)
		return -1;
	return 0;
}

int
vq_check(const struct vq_conf *c)
{
	uint8_t *p[3];

	return areas(c, p);
}

int
vq_init(struct vq *q, const struct vq_conf *c)
{
	uint8_t *p[3];

	if (areas(c, p) == -1)
		return -1;
	memset(q, 0, sizeof(*q));
	memset(q->order, 0xff, sizeof(q->order)); /* NO_HEAD */
	q->conf = *c;
	q->desc = p[0];
	q->avail = p[1];
	q->used = p[2];
	return c->inflight == NULL ? 0 : vq_record_open(q);
}

void
vq_state_get(const struct vq *q, struct vq_state *s)
{
	s->last_avail = q->last_avail;
	s->used = q->used_shown;
}

int
vq_state_set(struct vq *q, const struct vq_state *s)
{
	if (q->ntaken > 0 || s->last_avail != s->used) {
		errno = EINVAL;
		return -1;
	}
	q->last_avail = q->used_next = q->used_shown = s->used;
	if (q->conf.inflight != NULL)
		vq_record_publish(q, 0);
	return 0;
}

unsigned int
vq_inflight_count(const struct vq *q)
{
	return q->ntaken;
}

/* --- taking -------------------------------------------------------------- */

int
vq_redo(struct vq *q, struct vq_chain *c)
{
	int head;

	if (q->broken)
		return broke(q);
	if (!q->redo)
		return 0;
	if ((head = vq_record_oldest(q)) == -1) {
		q->redo = 0;
		return 0;
	}
	if (vq_walk(q, c, (uint16_t)head) == -1)
		return broke(q);
	q->heads[head] = VQ_HEAD_REDO;
	return 1;
}

/* How many chains wait; -1 if the guest claims more than can be. */
static int
waiting(const struct vq *q)
{
	uint16_t n = (uint16_t)(vq_load16(q->avail + IDX) - q->last_avail);

	return n > q->conf.size ? -1 : n;
}

static uint16_t *
order(struct vq *q, uint16_t at)
{
	return &q->order[at & (q->conf.size - 1)];
}

int
vq_next(struct vq *q, struct vq_chain *c)
{
	uint16_t head, mask = q->conf.size - 1;
	int n;

	if ((n = vq_redo(q, c)) != 0)
		return n;
	if ((n = waiting(q)) == 0)
		return 0;
	head = vq_load16(q->avail + RING + 2 * (q->last_avail & mask));
	if (n == -1 || head >= q->conf.size || q->heads[head] != VQ_HEAD_FREE ||
	    vq_walk(q, c, head) == -1)
		return broke(q);
	if (q->conf.inflight != NULL)
		vq_record_take(q, head);
	q->seq++;
	q->heads[head] = VQ_HEAD_TAKEN;
	q->ntaken++;
	*order(q, q->last_avail++) = head;
	return 1;
}

int
vq_untake(struct vq *q, uint16_t head)
{
	uint16_t *last = order(q, (uint16_t)(q->last_avail - 1));

	/* It is still the record's, which keeps their order. */
	if (head < q->conf.size && q->heads[head] == VQ_HEAD_REDO) {
		q->heads[head] = VQ_HEAD_OLD;
		q->redo = 1;
		return 0;
	}
	if (head >= q->conf.size || *last != head ||
	    q->heads[head] != VQ_HEAD_TAKEN) {
		errno = EINVAL;
		return -1;
	}
	if (q->conf.inflight != NULL)
		vq_record_untake(q, head);
	q->heads[head] = VQ_HEAD_FREE;
	q->ntaken--;
	*last = NO_HEAD;
	q->last_avail--;
	return 0;
}

/* --- returning ----------------------------------------------------------- */

int
vq_push(struct vq *q, uint16_t head, uint32_t len)
{
	uint16_t at = q->used_next, mask = q->conf.size - 1;
	size_t off = RING + 8 * (size_t)(at & mask);

	if (head >= q->conf.size ||
	    (q->heads[head] != VQ_HEAD_TAKEN &&
		q->heads[head] != VQ_HEAD_REDO)) {
		errno = EINVAL;
		return -1;
	}
	vq_store32(q->used + off, head);
	vq_store32(q->used + off + 4, len);
	dirty(q, q->conf.used + off, 8);
	if (q->conf.inflight != NULL)
		vq_record_push(q, head, at);
	q->heads[head] = VQ_HEAD_PUSHED;
	q->pushed[(uint16_t)(at - q->used_shown)] = head;
	q->used_next++;
	return 0;
}

/* Does the guest want to know that used.idx went from `old' to `new'? */
static int
wanted(const struct vq *q, uint16_t old, uint16_t new)
{
	uint16_t event;

	if (!event_idx(q))
		return (vq_load16(q->avail + FLAGS) & NO_INTERRUPT) == 0;
	event = vq_load16(q->avail + RING + 2 * (size_t)q->conf.size);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

int
vq_publish(struct vq *q)
{
	uint16_t i, old = q->used_shown, new = q->used_next;
	uint16_t n = (uint16_t)(new - old);
	int owed = q->owed;

	q->owed = 0;
	if (n == 0)
		return owed;
	vq_store16(q->used + IDX, new);
	dirty(q, q->conf.used + IDX, 2);
	q->used_shown = new;
	if (q->conf.inflight != NULL)
		vq_record_publish(q, n);
	for (i = 0; i < n; i++)
		q->heads[q->pushed[i]] = VQ_HEAD_FREE;
	q->ntaken -= n;
	/* The index first, then what the guest wants; it does the reverse. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wanted(q, old, new) || owed;
}

/* --- kicks --------------------------------------------------------------- */

/* With events nothing need be said: the one asked for has passed. */
void
vq_kick_off(struct vq *q)
{
	if (event_idx(q))
		return;
	vq_store16(q->used + FLAGS, NO_NOTIFY);
	dirty(q, q->conf.used + FLAGS, 2);
}

int
vq_kick_on(struct vq *q)
{
	size_t off = FLAGS;
	uint16_t val = 0;

	if (event_idx(q)) {
		off = RING + 8 * (size_t)q->conf.size;
		val = q->last_avail;
	}
	vq_store16(q->used + off, val);
	dirty(q, q->conf.used + off, 2);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vq_waits(q);
}

int
vq_waits(const struct vq *q)
{
	return q->redo || waiting(q) != 0;
}
