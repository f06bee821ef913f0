/*
 * The registers of a virtio device in its first BAR: common configuration,
 * ISR, device configuration, notification.  Written and read by vcpu
 * threads, that is by the guest: whatever it writes, in whatever width and
 * order, ends in one of the rows below, and a row says when it counts.
 * Virtio 1.2, 4.1.4.3 to 4.1.4.6.
 */
#include <errno.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "lib/virtio/vq.h"
#include "vmd/vm/virtio_int.h"

/* --- common configuration ------------------------------------------------ */

static int
exists(const struct virtio *v)
{
	return v->queue_select < v->conf.nqueues;
}

/* One that is all zeroes if there is none. */
static struct virtio_queue *
selected(struct virtio *v)
{
	return &v->queues[exists(v) ? v->queue_select : VIRTIO_MAXQUEUES];
}

static uint64_t
get_device_select(struct virtio *v)
{
	return v->device_select;
}

static void
set_device_select(struct virtio *v, uint64_t val)
{
	v->device_select = (uint32_t)val;
}

static uint64_t
half(uint64_t val, uint32_t select)
{
	return select > 1 ? 0 : (uint32_t)(val >> 32 * select);
}

static uint64_t
get_device_features(struct virtio *v)
{
	return half(v->conf.features, v->device_select);
}

static uint64_t
get_driver_select(struct virtio *v)
{
	return v->driver_select;
}

static void
set_driver_select(struct virtio *v, uint64_t val)
{
	v->driver_select = (uint32_t)val;
}

static uint64_t
get_driver_features(struct virtio *v)
{
	return half(v->features, v->driver_select);
}

/* The half that is selected is replaced, by what of it was offered. */
static void
set_driver_features(struct virtio *v, uint64_t val)
{
	unsigned int shift = 32 * v->driver_select;

	if (v->driver_select > 1)
		return;
	v->features &= ~((uint64_t)UINT32_MAX << shift);
	v->features |= val << shift & v->conf.features;
}

static uint16_t
vector(const struct virtio *v, uint64_t val)
{
	return val <= v->conf.nqueues ? (uint16_t)val : VIRTIO_NO_VECTOR;
}

static uint64_t
get_config_vector(struct virtio *v)
{
	return v->sources[v->conf.nqueues].vector;
}

static void
set_config_vector(struct virtio *v, uint64_t val)
{
	v->sources[v->conf.nqueues].vector = vector(v, val);
	virtio_irq_update(v);
}

static uint64_t
get_num_queues(struct virtio *v)
{
	return v->conf.nqueues;
}

static uint64_t
get_status(struct virtio *v)
{
	return v->status;
}

static void
set_status(struct virtio *v, uint64_t val)
{
	virtio_status(v, (uint8_t)val);
}

static uint64_t
get_generation(struct virtio *v)
{
	return virtio_page_generation(v->conf.page);
}

static uint64_t
get_queue_select(struct virtio *v)
{
	return v->queue_select;
}

static void
set_queue_select(struct virtio *v, uint64_t val)
{
	v->queue_select = (uint16_t)val;
}

static uint64_t
get_queue_size(struct virtio *v)
{
	return selected(v)->size;
}

static void
set_queue_size(struct virtio *v, uint64_t val)
{
	if (val != 0 && val <= v->conf.queue_max && (val & (val - 1)) == 0)
		selected(v)->size = (uint16_t)val;
}

static uint64_t
get_queue_vector(struct virtio *v)
{
	return exists(v) ? v->sources[v->queue_select].vector :
			   VIRTIO_NO_VECTOR;
}

static void
set_queue_vector(struct virtio *v, uint64_t val)
{
	v->sources[v->queue_select].vector = vector(v, val);
	virtio_irq_update(v);
}

static uint64_t
get_queue_enable(struct virtio *v)
{
	return (uint64_t)selected(v)->enabled;
}

static void
set_queue_enable(struct virtio *v, uint64_t val)
{
	struct virtio_queue *q = selected(v);
	const struct vq_conf c = { .mem = v->host.mem,
		.size = q->size,
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used };

	if (val != 1)
		return;
	if (vq_check(&c) == -1) {
		log_info("%s: queue %u is not in memory", v->name,
		    v->queue_select);
		virtio_needs_reset(v);
	} else
		q->enabled = 1;
}

static uint64_t
get_notify_off(struct virtio *v)
{
	return exists(v) ? v->queue_select : 0;
}

/* The addresses of a queue are but kept. */
#define ADDRESS(field)                                                         \
	static uint64_t get_##field(struct virtio *v)                          \
	{                                                                      \
		return selected(v)->field;                                     \
	}                                                                      \
                                                                               \
	static void set_##field(struct virtio *v, uint64_t val)                \
	{                                                                      \
		selected(v)->field = val;                                      \
	}

ADDRESS(desc)
ADDRESS(avail)
ADDRESS(used)

#define IN(phase) (1U << (phase))
#define ALWAYS	  (IN(PHASE_RESETTING) - 1)
#define SET_UP	  IN(PHASE_FEATURES)

/* A write counts in these phases, and where a queue is needed, with one. */
enum need {
	NO_QUEUE,
	QUEUE,	  /* one that exists */
	QUEUE_OFF /* and is not enabled yet */
};

/* clang-format off */
static const struct reg {
	uint8_t off, size;
	uint64_t (*get)(struct virtio *v);
	void (*set)(struct virtio *v, uint64_t val);
	unsigned int phases;
	enum need need;
} regs[] = {
	{  0, 4, get_device_select,   set_device_select,   ALWAYS, NO_QUEUE },
	{  4, 4, get_device_features, NULL,                0,      NO_QUEUE },
	{  8, 4, get_driver_select,   set_driver_select,   ALWAYS, NO_QUEUE },
	{ 12, 4, get_driver_features, set_driver_features,
	    IN(PHASE_DRIVER), NO_QUEUE },
	{ 16, 2, get_config_vector,   set_config_vector,   ALWAYS, NO_QUEUE },
	{ 18, 2, get_num_queues,      NULL,                0,      NO_QUEUE },
	{ 20, 1, get_status,          set_status,          ALWAYS, NO_QUEUE },
	{ 21, 1, get_generation,      NULL,                0,      NO_QUEUE },
	{ 22, 2, get_queue_select,    set_queue_select,    ALWAYS, NO_QUEUE },
	{ 24, 2, get_queue_size,      set_queue_size,      SET_UP, QUEUE_OFF },
	{ 26, 2, get_queue_vector,    set_queue_vector,    ALWAYS, QUEUE },
	{ 28, 2, get_queue_enable,    set_queue_enable,    SET_UP, QUEUE_OFF },
	{ 30, 2, get_notify_off,      NULL,                0,      NO_QUEUE },
	{ 32, 8, get_desc,            set_desc,            SET_UP, QUEUE_OFF },
	{ 40, 8, get_avail,           set_avail,           SET_UP, QUEUE_OFF },
	{ 48, 8, get_used,            set_used,            SET_UP, QUEUE_OFF },
};
/* clang-format on */
#define NREGS (sizeof(regs) / sizeof(regs[0]))

static int
counts(struct virtio *v, const struct reg *r)
{
	if (r->set == NULL || (r->phases & IN(virtio_phase(v))) == 0)
		return 0;
	return r->need == NO_QUEUE ||
	    (exists(v) && (r->need == QUEUE || !selected(v)->enabled));
}

/* Does byte `i' of an access at `off' lie in `r'?  Then which of it. */
static int
byte_of(const struct reg *r, uint64_t off, unsigned int i, unsigned int *n)
{
	if (off + i < r->off || off + i >= (uint64_t)r->off + r->size)
		return 0;
	*n = (unsigned int)(off + i - r->off);
	return 1;
}

static uint64_t
common_read(struct virtio *v, uint64_t off, unsigned int size)
{
	uint64_t val, out = 0;
	unsigned int i, n;
	size_t r;

	for (r = 0; r < NREGS; r++) {
		if (off + size <= regs[r].off ||
		    off >= (uint64_t)regs[r].off + regs[r].size)
			continue;
		val = regs[r].get(v);
		for (i = 0; i < size; i++)
			if (byte_of(&regs[r], off, i, &n))
				out |= (val >> 8 * n & 0xff) << 8 * i;
	}
	return out;
}

/* Narrow writes change a part of a register, wide ones several registers. */
static void
common_write(struct virtio *v, uint64_t off, unsigned int size, uint64_t val)
{
	uint64_t now;
	unsigned int i, n;
	size_t r;

	for (r = 0; r < NREGS; r++) {
		if (off + size <= regs[r].off ||
		    off >= (uint64_t)regs[r].off + regs[r].size ||
		    !counts(v, &regs[r]))
			continue;
		now = regs[r].get(v);
		for (i = 0; i < size; i++) {
			if (!byte_of(&regs[r], off, i, &n))
				continue;
			now &= ~(0xffULL << 8 * n);
			now |= (val >> 8 * i & 0xff) << 8 * n;
		}
		regs[r].set(v, now);
	}
}

/* --- the others ------------------------------------------------------------ */

static uint64_t
isr_read(struct virtio *v, uint64_t off, unsigned int size)
{
	uint8_t isr;

	if (off != 0)
		return 0;
	isr = virtio_isr_take(v->conf.page);
	/* With MSI-X queues do not show here. */
	return virtio_msix_on(v) ? isr & VIRTIO_ISR_CONFIG : isr;
}

static uint64_t
device_read(struct virtio *v, uint64_t off, unsigned int size)
{
	uint64_t val = 0;

	if (off < v->conf.config_len) {
		if (size > v->conf.config_len - off)
			size = (unsigned int)(v->conf.config_len - off);
		virtio_page_read(v->conf.page, off, &val, size);
	}
	return val;
}

static void
device_write(struct virtio *v, uint64_t off, unsigned int size, uint64_t val)
{
	const struct virtio_backend *b = &v->conf.backend;
	enum virtio_phase p = virtio_phase(v);

	if (b->config_write == NULL || off >= v->conf.config_len ||
	    size > v->conf.config_len - off ||
	    (p != PHASE_DRIVER && p != PHASE_FEATURES && p != PHASE_RUNNING))
		return;
	if (size < 8) {
		b->config_write(b->arg, (unsigned int)off, size, (uint32_t)val);
		return;
	}
	b->config_write(b->arg, (unsigned int)off, 4, (uint32_t)val);
	b->config_write(b->arg, (unsigned int)off + 4, 4,
	    (uint32_t)(val >> 32));
}

/* A kick that the kernel did not take: an odd width, or a moved window. */
static void
notify_write(struct virtio *v, uint64_t off, unsigned int size, uint64_t val)
{
	const struct virtio_backend *b = &v->conf.backend;
	uint64_t q = off / VIRTIO_NOTIFY_STEP, one = 1;

	if (off % VIRTIO_NOTIFY_STEP != 0 || q >= v->conf.nqueues ||
	    !v->active || virtio_phase(v) != PHASE_RUNNING ||
	    !v->queues[q].enabled || !virtio_pci_master(v))
		return;
	if (v->conf.kick[q] == -1) {
		if (b->notify != NULL)
			b->notify(b->arg, (unsigned int)q);
		return;
	}
	/* Full is as good as written. */
	if (write(v->conf.kick[q], &one, sizeof(one)) == -1 && errno != EAGAIN)
		log_warn("%s: kick", v->name);
}

static uint64_t
zero_read(struct virtio *v, uint64_t off, unsigned int size)
{
	return 0;
}

static void
no_write(struct virtio *v, uint64_t off, unsigned int size, uint64_t val)
{
}

static const struct area {
	uint64_t (*read)(struct virtio *v, uint64_t off, unsigned int size);
	void (*write)(struct virtio *v, uint64_t off, unsigned int size,
	    uint64_t val);
} areas[] = {
	[VIRTIO_COMMON >> 12] = { common_read, common_write },
	[VIRTIO_ISR >> 12] = { isr_read, no_write },
	[VIRTIO_DEVICE >> 12] = { device_read, device_write },
	[VIRTIO_NOTIFY >> 12] = { zero_read, notify_write },
};

uint64_t
virtio_bar_read(void *arg, uint64_t off, unsigned int size)
{
	return areas[off >> 12].read(arg, off & 0xfff, size);
}

void
virtio_bar_write(void *arg, uint64_t off, unsigned int size, uint64_t val)
{
	areas[off >> 12].write(arg, off & 0xfff, size, val);
}
