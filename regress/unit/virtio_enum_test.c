/*
 * Every register of the transport in every state.
 *
 * writes: each offset of the common configuration and of the other areas, in
 * each width, with each value of an alphabet, in each phase of a device: only
 * what the table below allows in that phase may be different afterwards.
 *
 * walks: all states that can be reached by a small set of actions, of the
 * driver and of the backend, from a reset; each action in each state does
 * what a second, smaller state machine does.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "regress/unit/virtio_test.h"

/* What there is; fewer means that the scope has shrunk. */
#define MIN_WRITES    51840UL
#define MIN_ELSEWHERE 120960UL
#define MIN_STATES    7920U
#define MIN_STEPS     158400U

/* --- writes -------------------------------------------------------------------- */

enum where {
	AT_RESET,
	AT_ACKNOWLEDGED,
	AT_DRIVER,
	AT_FEATURES,
	AT_FEATURES_ENABLED, /* the queue that is selected is */
	AT_FEATURES_NOWHERE, /* none is selected */
	AT_RUNNING,
	AT_FAILED,
	AT_BROKEN,
	AT_RESETTING,
	NWHERE
};

static void
go(enum where at)
{
	if (at == AT_RESETTING)
		w.reset_now = 0;
	if (at >= AT_RUNNING)
		drive();
	else if (at >= AT_FEATURES)
		agree(VIRTIO_F_VERSION_1);
	else if (at >= AT_ACKNOWLEDGED)
		set(STATUS, 1, at == AT_DRIVER ? 3 : 1);
	if (at == AT_FEATURES_ENABLED)
		queue(1);
	else if (at == AT_FEATURES_NOWHERE)
		set(SELECT, 2, NQUEUES);
	else if (at == AT_FAILED)
		set(STATUS, 1, 0x80);
	else if (at == AT_BROKEN)
		virtio_broken(w.v);
	else if (at == AT_RESETTING)
		set(STATUS, 1, 0);
}

#define P(x)   (1U << (x))
#define ALL    (P(AT_RESETTING) - 1)
#define SETUP  (P(AT_FEATURES))
#define EXISTS (ALL & ~P(AT_FEATURES_NOWHERE))

/* Bytes of the common configuration, and where a write may change them. */
static const struct {
	unsigned int from, to, where;
} writable[] = {
	{ 0, 4, ALL },		  /* device_feature_select */
	{ 8, 12, ALL },		  /* driver_feature_select */
	{ 12, 16, P(AT_DRIVER) }, /* driver_feature */
	{ 16, 18, ALL },	  /* config_msix_vector */
	{ 20, 21, ALL },	  /* device_status */
	{ 22, 24, ALL },	  /* queue_select */
	{ 24, 26, SETUP },	  /* queue_size */
	{ 26, 28, EXISTS },	  /* queue_msix_vector */
	{ 28, 30, SETUP },	  /* queue_enable */
	{ 32, 56, SETUP },	  /* rings */
};

/* All that the guest can see, by way of the inside. */
struct image {
	uint64_t features;
	uint32_t device_select, driver_select;
	uint16_t config_vector, queue_select;
	uint8_t status;
	struct virtio_queue queues[NQUEUES];
	uint16_t vectors[NQUEUES];
	int active, resetting, dead;
	unsigned int activations, resets, writes, notifies;
};

static void
take(struct image *m)
{
	const struct virtio *v = w.v;
	unsigned int i;

	memset(m, 0, sizeof(*m));
	m->features = v->features;
	m->device_select = v->device_select;
	m->driver_select = v->driver_select;
	m->config_vector = v->sources[NQUEUES].vector;
	m->queue_select = v->queue_select;
	m->status = v->status;
	for (i = 0; i < NQUEUES; i++) {
		m->queues[i] = v->queues[i];
		m->vectors[i] = v->sources[i].vector;
	}
	m->active = v->active;
	m->resetting = v->resetting;
	m->dead = v->dead;
	m->activations = w.activations;
	m->resets = w.resets;
	m->writes = w.writes;
	m->notifies = w.notifies;
}

static int
touches(unsigned int off, unsigned int size, unsigned int from, unsigned int to)
{
	return off < to && from < off + size;
}

static int
may(enum where at, unsigned int off, unsigned int size, unsigned int from)
{
	size_t i;

	for (i = 0; i < NELEM(writable); i++)
		if (writable[i].from <= from && from < writable[i].to)
			return (writable[i].where & P(at)) != 0 &&
			    touches(off, size, writable[i].from,
				writable[i].to);
	return 0;
}

/*
 * What may have changed is made equal; then all must be.  A write to the
 * status may change all, and so may one that enables a queue, which fails:
 * the ring at 0 overlaps nothing here.
 */
static void
try_common(enum where at, unsigned int off, unsigned int size, uint64_t val)
{
	struct image a, b;
	unsigned int q;

	take(&a);
	set(off, size, val);
	take(&b);
	if (may(at, off, size, 20))
		return;
	q = a.queue_select;
	if (may(at, off, size, 0))
		b.device_select = a.device_select;
	if (may(at, off, size, 8))
		b.driver_select = a.driver_select;
	if (may(at, off, size, 12))
		b.features = a.features;
	if (may(at, off, size, 16))
		b.config_vector = a.config_vector;
	if (may(at, off, size, 22)) {
		/* What comes after the selection meets another queue. */
		b.queue_select = a.queue_select;
		if (off + size > 24)
			return;
	}
	if (q < NQUEUES && may(at, off, size, 24))
		b.queues[q].size = a.queues[q].size;
	if (q < NQUEUES && may(at, off, size, 26))
		b.vectors[q] = a.vectors[q];
	if (q < NQUEUES && may(at, off, size, 28))
		b.queues[q].enabled = a.queues[q].enabled;
	if (q < NQUEUES && may(at, off, size, 32)) {
		b.queues[q].desc = a.queues[q].desc;
		b.queues[q].avail = a.queues[q].avail;
		b.queues[q].used = a.queues[q].used;
	}
	if (memcmp(&a, &b, sizeof(a)) != 0)
		fail_msg("phase %u, offset %u, size %u, value %llx", at, off,
		    size, (unsigned long long)val);
}

static const uint64_t values[] = { 0, 1, 2, 3, 4, 8, 11, 15, 16, 64, 128, 255,
	0x1000, 0x8000, 0xffff, 0x10001, UINT32_MAX, UINT64_MAX };

static void
writes(void **state)
{
	unsigned int at, off, size;
	unsigned long n = 0;
	size_t i;

	for (at = 0; at < NWHERE; at++)
		for (off = 0; off < 72; off++)
			for (size = 1; size <= 8; size *= 2)
				for (i = 0; i < NELEM(values); i++, n++) {
					world_init();
					go(at);
					try_common(at, off, size, values[i]);
					world_fini();
				}
	print_message("# %lu writes\n", n);
	assert_true(n >= MIN_WRITES);
}

/* The others: who may be told, and that all widths and places are safe. */
static void
other_areas(void **state)
{
	static const unsigned int base[] = { 0x0fc8, 0x1000, 0x1ff8, 0x2000,
		0x2ff8, 0x3000, 0x3ff8 };
	unsigned int at, off, size;
	unsigned long n = 0;
	struct image a, b;
	size_t i, j;

	for (at = 0; at < NWHERE; at++) {
		world_init();
		go(at);
		take(&a);
		for (i = 0; i < NELEM(base); i++)
			for (off = base[i]; off < base[i] + 24; off++)
				for (size = 1; size <= 8; size *= 2)
					for (j = 0; j < NELEM(values); j++) {
						set(off, size, values[j]);
						get(off, size);
						n++;
					}
		take(&b);
		assert_int_equal(b.writes > 0,
		    at >= AT_DRIVER && at <= AT_RUNNING);
		assert_int_equal(b.notifies > 0, at == AT_RUNNING);
		b.writes = b.notifies = 0;
		assert_memory_equal(&a, &b, sizeof(a));
		world_fini();
	}
	print_message("# %lu writes elsewhere\n", n);
	assert_true(n >= MIN_ELSEWHERE);
}

/* --- walks ------------------------------------------------------------------------ */

enum act {
	W_STATUS_0,
	W_STATUS_ACK,
	W_STATUS_DRIVER,
	W_STATUS_FEATURES,
	W_STATUS_RUN,
	W_STATUS_FAILED,
	W_HALF_1,
	W_HALF_2,
	W_ACCEPT,
	W_ACCEPT_NOTHING,
	W_SELECT_1,
	W_SELECT_9,
	W_RING_BAD,
	W_RING_GOOD,
	W_ENABLE,
	B_DONE,
	B_BROKEN,
	B_FAIL,
	B_SLOW,	  /* a reset takes its time from now on */
	B_REFUSE, /* it will not activate */
	NACTS
};

/* The second state machine. */
struct model {
	uint8_t status;
	uint8_t active, resetting, dead, slow, refuse;
	uint8_t half, select, bad[2], on[2];
	uint32_t accepted[2];
};

static void
model_clear(struct model *m)
{
	const struct model n = { .dead = m->dead,
		.slow = m->slow,
		.refuse = m->refuse };

	*m = n;
}

static void
model_status(struct model *m, uint8_t val)
{
	const uint8_t before = m->status & 15;

	if (val == 0) {
		if (m->active && !m->dead && m->slow)
			m->resetting = 1;
		else
			model_clear(m);
		return;
	}
	if ((m->status & 0xc0) == 0) {
		if (val == 1 && before == 0)
			m->status = 1;
		if (val == 3 && before <= 1)
			m->status = 3;
		if (val == 11 || val == 15) {
			if (before <= 3)
				m->status = (m->accepted[1] & 1) != 0 ? 11 : 3;
			if (val == 15 && m->status == 11) {
				m->status = 15;
				m->active = !m->dead && !m->refuse;
				if (!m->active)
					m->status |= 64;
			}
		}
	}
	m->status |= val & 0x80;
}

static void
model_ring(struct model *m, int bad)
{
	if (m->status == 11 && m->select < 2 && !m->on[m->select])
		m->bad[m->select] = (uint8_t)bad;
}

static void
model_driver(struct model *m, enum act a)
{
	static const uint8_t status[] = { 0, 1, 3, 11, 15, 0x80 };

	if (m->resetting)
		return;
	if (a <= W_STATUS_FAILED)
		model_status(m, status[a]);
	else if (a == W_HALF_1 || a == W_HALF_2)
		m->half = a == W_HALF_1 ? 1 : 2;
	else if (a == W_ACCEPT || a == W_ACCEPT_NOTHING) {
		if (m->status == 3 && m->half < 2)
			m->accepted[m->half] = a == W_ACCEPT_NOTHING ? 0 :
			    m->half == 0 ? (uint32_t)FEATURES :
					   1;
	} else if (a == W_SELECT_1 || a == W_SELECT_9)
		m->select = a == W_SELECT_1 ? 1 : 9;
	else if (a == W_RING_BAD || a == W_RING_GOOD)
		model_ring(m, a == W_RING_BAD);
	else if (m->status == 11 && m->select < 2 && !m->on[m->select]) {
		if (m->bad[m->select])
			m->status |= 64;
		else
			m->on[m->select] = 1;
	}
}

static void
model_act(struct model *m, enum act a)
{
	switch (a) {
	case B_DONE:
		if (m->resetting)
			model_clear(m);
		break;
	case B_BROKEN:
		if (!m->resetting)
			m->status |= 64;
		break;
	case B_FAIL:
		m->dead = 1;
		if (m->resetting)
			model_clear(m);
		else if (m->active)
			m->status |= 64;
		break;
	case B_SLOW:
		m->slow = 1;
		break;
	case B_REFUSE:
		m->refuse = 1;
		break;
	default:
		model_driver(m, a);
		break;
	}
}

static void
real_act(enum act a)
{
	static const uint8_t status[] = { 0, 1, 3, 11, 15, 0x80 };

	switch (a) {
	case W_HALF_1:
	case W_HALF_2:
		set(8, 4, a == W_HALF_1 ? 1 : 2);
		break;
	case W_ACCEPT:
	case W_ACCEPT_NOTHING:
		set(12, 4, a == W_ACCEPT ? UINT32_MAX : 0);
		break;
	case W_SELECT_1:
	case W_SELECT_9:
		set(SELECT, 2, a == W_SELECT_1 ? 1 : 9);
		break;
	case W_RING_BAD:
	case W_RING_GOOD:
		set(40, 8, a == W_RING_BAD ? 1 : 0);
		break;
	case W_ENABLE:
		set(ENABLE, 2, 1);
		break;
	case B_DONE:
		virtio_reset_done(w.v);
		break;
	case B_BROKEN:
		virtio_broken(w.v);
		break;
	case B_FAIL:
		virtio_fail(w.v);
		break;
	case B_SLOW:
		w.reset_now = 0;
		break;
	case B_REFUSE:
		w.refuse = 1;
		break;
	default:
		set(STATUS, 1, status[a]);
		break;
	}
}

static void
agree_on(const struct model *m)
{
	const struct virtio *v = w.v;
	unsigned int kicks = 0, q;

	assert_int_equal(GET_STATUS, m->status);
	assert_int_equal(v->resetting, m->resetting);
	assert_int_equal(v->active, m->active);
	assert_int_equal(v->dead, m->dead);
	assert_int_equal(v->queue_select, m->select);
	assert_true(
	    v->features == ((uint64_t)m->accepted[1] << 32 | m->accepted[0]));
	for (q = 0; q < 2; q++) {
		assert_int_equal(v->queues[q].enabled, m->on[q]);
		kicks += m->on[q];
	}
	/* What is connected follows from the rest. */
	assert_int_equal(w.nirqs,
	    (m->status & 4) != 0 && !m->resetting ? NQUEUES + 1 : 0);
	assert_int_equal(w.nkicks,
	    m->active && !m->resetting && (m->status & 64) == 0 ? kicks : 0);
	assert_int_equal(w.bad, 0);
}

/* All that were seen, each with the way to it. */
#define MAXDEPTH  24
#define MAXSTATES 200000

static struct seen {
	struct model m;
	uint8_t path[MAXDEPTH];
	uint8_t depth;
} * seen;
static unsigned int nseen, steps;
static uint32_t *hash;

static int
is_new(const struct model *m)
{
	const uint8_t *p = (const uint8_t *)m;
	uint32_t h = 2166136261U;
	size_t i;

	for (i = 0; i < sizeof(*m); i++)
		h = (h ^ p[i]) * 16777619U;
	for (h %= 2 * MAXSTATES; hash[h] != 0; h = (h + 1) % (2 * MAXSTATES))
		if (memcmp(&seen[hash[h] - 1].m, m, sizeof(*m)) == 0)
			return 0;
	hash[h] = nseen + 1;
	return 1;
}

static void
step_from(unsigned int i, enum act a)
{
	struct seen next = seen[i];
	unsigned int d;

	world_init();
	for (d = 0; d < next.depth; d++)
		real_act(next.path[d]);
	real_act(a);
	model_act(&next.m, a);
	agree_on(&next.m);
	steps++;
	world_fini();
	if (!is_new(&next.m))
		return;
	assert_true(next.depth < MAXDEPTH && nseen < MAXSTATES);
	next.path[next.depth++] = (uint8_t)a;
	seen[nseen++] = next;
}

static void
walks(void **state)
{
	unsigned int i;
	int a;

	seen = calloc(MAXSTATES, sizeof(*seen));
	hash = calloc(2 * MAXSTATES, sizeof(*hash));
	assert_non_null(seen);
	assert_non_null(hash);
	is_new(&seen[0].m);
	nseen = 1;
	for (i = 0; i < nseen; i++)
		for (a = 0; a < NACTS; a++)
			step_from(i, a);
	print_message("# %u states, %u steps, longest way %u\n", nseen, steps,
	    seen[nseen - 1].depth);
	assert_true(nseen >= MIN_STATES && steps >= MIN_STEPS);
	free(seen);
	free(hash);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes),
		cmocka_unit_test(other_areas),
		cmocka_unit_test(walks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
