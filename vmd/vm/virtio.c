/*
 * A virtio device of the guest: its life and its states, in the vm process.
 * The registers are in virtio_regs.c, interrupts in virtio_irq.c, and
 * configuration space in virtio_pci.c.  Virtio 1.2, 2.1, 3.1.1 and 4.1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "lib/virtio/vq.h"
#include "vmd/vm/device.h"
#include "vmd/vm/mmio.h"
#include "vmd/vm/virtio_int.h"

#define ALL_FEATURES(v) ((v)->conf.features | VIRTIO_F_VERSION_1)

/* --- kicks -------------------------------------------------------------- */

static uint64_t
kick_address(const struct virtio *v, unsigned int q)
{
	if (!v->active || v->resetting || v->conf.kick[q] == -1 ||
	    !v->queues[q].enabled || v->at[0] == MMIO_NOWHERE ||
	    (v->status & VIRTIO_S_NEEDS_RESET) != 0 || !virtio_pci_master(v))
		return MMIO_NOWHERE;
	return v->at[0] + VIRTIO_NOTIFY + VIRTIO_NOTIFY_STEP * q;
}

/*
 * Where the kernel refuses, because two windows lie on each other, the slow
 * path serves.
 */
void
virtio_kicks(struct virtio *v)
{
	const struct virtio_host_ops *ops = v->host.ops;
	unsigned int q;
	uint64_t at;

	for (q = 0; q < v->conf.nqueues; q++) {
		if ((at = kick_address(v, q)) == v->kick_at[q])
			continue;
		if (v->kick_at[q] != MMIO_NOWHERE)
			ops->ioeventfd(v->host.arg, v->conf.kick[q],
			    v->kick_at[q], 2, 0);
		v->kick_at[q] = MMIO_NOWHERE;
		if (at != MMIO_NOWHERE &&
		    ops->ioeventfd(v->host.arg, v->conf.kick[q], at, 2, 1) == 0)
			v->kick_at[q] = at;
	}
}

/* --- states ------------------------------------------------------------- */

enum virtio_phase
virtio_phase(const struct virtio *v)
{
	if (v->resetting)
		return PHASE_RESETTING;
	if ((v->status & (VIRTIO_S_FAILED | VIRTIO_S_NEEDS_RESET)) != 0)
		return PHASE_DEAD;
	if ((v->status & VIRTIO_S_DRIVER_OK) != 0)
		return PHASE_RUNNING;
	if ((v->status & VIRTIO_S_FEATURES_OK) != 0)
		return PHASE_FEATURES;
	if ((v->status & VIRTIO_S_DRIVER) != 0)
		return PHASE_DRIVER;
	if ((v->status & VIRTIO_S_ACKNOWLEDGE) != 0)
		return PHASE_ACKNOWLEDGED;
	return PHASE_RESET;
}

void
virtio_needs_reset(struct virtio *v)
{
	if (v->resetting || (v->status & VIRTIO_S_NEEDS_RESET) != 0)
		return;
	v->status |= VIRTIO_S_NEEDS_RESET;
	virtio_kicks(v);
	if ((v->status & VIRTIO_S_DRIVER_OK) != 0)
		virtio_raise(v, v->conf.nqueues, VIRTIO_ISR_CONFIG);
}

static void
queues_reset(struct virtio *v)
{
	unsigned int q;

	memset(v->queues, 0, sizeof(v->queues));
	for (q = 0; q < v->conf.nqueues; q++)
		v->queues[q].size = v->conf.queue_max;
}

/* Nobody uses guest memory any more: be as new. */
static void
reset_finish(struct virtio *v)
{
	v->resetting = 0;
	v->active = 0;
	v->status = 0;
	v->features = 0;
	v->device_select = v->driver_select = 0;
	v->queue_select = 0;
	queues_reset(v);
	virtio_kicks(v);
	virtio_irq_reset(v);
	virtio_isr_take(v->conf.page);
}

static void
reset_start(struct virtio *v)
{
	if (v->active && !v->dead) {
		v->resetting = 1;
		virtio_kicks(v);
		virtio_irq_update(v);
		if (!v->conf.backend.reset(v->conf.backend.arg))
			return;
	}
	reset_finish(v);
}

static void
activate(struct virtio *v)
{
	const struct virtio_backend *b = &v->conf.backend;

	virtio_irq_update(v);
	if (v->dead ||
	    b->activate(b->arg, v->features, v->queues, v->conf.nqueues) ==
		-1) {
		virtio_needs_reset(v);
		return;
	}
	v->active = 1;
	virtio_kicks(v);
}

/* Each status bit, in the order in which a driver may set them. */
static const struct step {
	uint8_t bit;
	enum virtio_phase from;
} steps[] = {
	{ VIRTIO_S_ACKNOWLEDGE, PHASE_RESET },
	{ VIRTIO_S_DRIVER, PHASE_ACKNOWLEDGED },
	{ VIRTIO_S_FEATURES_OK, PHASE_DRIVER },
	{ VIRTIO_S_DRIVER_OK, PHASE_FEATURES },
};

void
virtio_status(struct virtio *v, uint8_t val)
{
	size_t i;

	if (val == 0) {
		reset_start(v);
		return;
	}
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if ((val & steps[i].bit) == 0 ||
		    virtio_phase(v) != steps[i].from)
			continue;
		if (steps[i].bit == VIRTIO_S_FEATURES_OK &&
		    (v->features & VIRTIO_F_VERSION_1) == 0)
			continue;
		v->status |= steps[i].bit;
		if (steps[i].bit == VIRTIO_S_DRIVER_OK)
			activate(v);
	}
	v->status |= val & VIRTIO_S_FAILED;
}

/* --- what the backend calls ---------------------------------------------- */

void
virtio_reset_done(struct virtio *v)
{
	bus_lock(v->host.bus);
	if (v->resetting)
		reset_finish(v);
	bus_unlock(v->host.bus);
}

void
virtio_config_changed(struct virtio *v)
{
	bus_lock(v->host.bus);
	if ((v->status & VIRTIO_S_DRIVER_OK) != 0 && !v->resetting)
		virtio_raise(v, v->conf.nqueues, VIRTIO_ISR_CONFIG);
	bus_unlock(v->host.bus);
}

void
virtio_broken(struct virtio *v)
{
	bus_lock(v->host.bus);
	virtio_needs_reset(v);
	bus_unlock(v->host.bus);
}

void
virtio_fail(struct virtio *v)
{
	bus_lock(v->host.bus);
	v->dead = 1;
	if (v->resetting)
		reset_finish(v);
	else if (v->active)
		virtio_needs_reset(v);
	bus_unlock(v->host.bus);
}

void
virtio_call(struct virtio *v, unsigned int q)
{
	if (q < v->conf.nqueues)
		virtio_raise(v, q, VIRTIO_ISR_QUEUE);
}

void
virtio_state(struct virtio *v, struct virtio_state *s)
{
	bus_lock(v->host.bus);
	s->active = v->active && !v->resetting;
	s->status = v->status;
	s->features = v->features;
	s->nqueues = v->conf.nqueues;
	memcpy(s->queues, v->queues, sizeof(s->queues));
	bus_unlock(v->host.bus);
}

/* --- life ---------------------------------------------------------------- */

static int
conf_ok(const struct virtio_conf *c)
{
	return c->nqueues >= 1 && c->nqueues <= VIRTIO_MAXQUEUES &&
	    c->queue_max >= 1 && c->queue_max <= VQ_MAXSIZE &&
	    (c->queue_max & (c->queue_max - 1)) == 0 &&
	    c->config_len <= VIRTIO_CONFIG_MAX && c->page != NULL &&
	    c->backend.activate != NULL && c->backend.reset != NULL;
}

struct virtio *
virtio_new(const struct virtio_host *h, const struct virtio_conf *c)
{
	struct virtio *v;
	unsigned int q;

	if (!conf_ok(c)) {
		errno = EINVAL;
		return NULL;
	}
	if ((v = calloc(1, sizeof(*v))) == NULL)
		return NULL;
	v->host = *h;
	v->conf = *c;
	v->conf.features = ALL_FEATURES(v);
	snprintf(v->name, sizeof(v->name), "%s", c->name);
	v->conf.name = v->name;
	v->at[0] = v->at[1] = MMIO_NOWHERE;
	v->windows[0] = v->windows[1] = -1;
	for (q = 0; q < VIRTIO_MAXQUEUES; q++)
		v->kick_at[q] = MMIO_NOWHERE;
	queues_reset(v);
	if (virtio_irq_init(v) == -1 || virtio_pci_init(v) == -1) {
		virtio_free(v);
		return NULL;
	}
	return v;
}

void
virtio_free(struct virtio *v)
{
	if (v == NULL)
		return;
	bus_lock(v->host.bus);
	v->resetting = 1; /* disconnects everything */
	virtio_kicks(v);
	virtio_irq_update(v);
	virtio_pci_fini(v);
	bus_unlock(v->host.bus);
	virtio_irq_fini(v);
	free(v);
}
