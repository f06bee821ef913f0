/*
 * Interrupts of a virtio device, in the vm process: MSI-X with its table in
 * the second BAR, or the INTx line of the slot.
 *
 * Whoever interrupts writes an eventfd.  What that does is decided here and
 * changed by vcpu threads: connected to the route of an MSI-X vector; or to
 * the line, as a level that KVM ends and tells us of (resample), so that it
 * is raised again while the ISR byte says so; or, while the vector is masked,
 * to nothing, and the main thread sees it and sets the pending bit.  The
 * main thread has an event on each all the time: the kernel takes what it
 * is connected to first, and what is read here then is only thrown away.
 *
 * PCI Local Bus Specification 3.0, 6.8.2; Virtio 1.2, 4.1.4.5 and 4.1.5.1.
 */
#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/vm/device.h"
#include "vmd/vm/pci.h"
#include "vmd/vm/virtio_int.h"

#define ENTRY	    16 /* bytes of a vector in the table */
#define CONTROL	    3  /* its last word */
#define MASKED	    0x1U
#define NVECTORS(v) ((v)->conf.nqueues + 1)

int
virtio_msix_on(const struct virtio *v)
{
	return (virtio_pci_msix(v) & MSIX_ENABLED) != 0;
}

/* --- eventfds ------------------------------------------------------------- */

/* 1 if it had been written. */
static int
drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

static void
signal_fd(const struct virtio *v, int fd)
{
	uint64_t one = 1;

	/* Full is as good as written. */
	if (write(fd, &one, sizeof(one)) == -1 && errno != EAGAIN)
		log_warn("%s: interrupt", v->name);
}

void
virtio_raise(struct virtio *v, unsigned int source, uint8_t isr)
{
	virtio_isr_set(v->conf.page, isr);
	signal_fd(v, v->sources[source].fd);
}

/* --- wires ---------------------------------------------------------------- */

static int
has_vector(const struct virtio_source *s)
{
	return s->vector < NVECTORS(s->v);
}

static struct virtio_vector *
vector_of(const struct virtio_source *s)
{
	return &s->v->vectors[has_vector(s) ? s->vector : VIRTIO_MAXVECTORS];
}

static int
masked(const struct virtio *v, const struct virtio_vector *vec)
{
	return (virtio_pci_msix(v) & MSIX_MASKED) != 0 ||
	    (vec->words[CONTROL] & MASKED) != 0;
}

static enum virtio_wire
wanted(const struct virtio_source *s)
{
	const struct virtio *v = s->v;

	if (v->resetting || (v->status & VIRTIO_S_DRIVER_OK) == 0)
		return WIRE_NONE;
	if (!virtio_msix_on(v))
		return (virtio_pci_command(v) & CMD_INTX_OFF) != 0 ? WIRE_NONE :
								     WIRE_INTX;
	if (!has_vector(s))
		return WIRE_NONE;
	/* A message is a write: what may not be sent now waits. */
	return masked(v, vector_of(s)) || !virtio_pci_master(v) ? WIRE_HELD :
								  WIRE_MSI;
}

static void
detach(struct virtio_source *s)
{
	const struct virtio_host *h = &s->v->host;

	if (s->wire == WIRE_MSI)
		h->ops->irqfd(h->arg, s->fd, s->gsi, -1, 0);
	else if (s->wire == WIRE_INTX)
		h->ops->irqfd(h->arg, s->fd, s->gsi, s->v->conf.resample, 0);
	s->wire = WIRE_NONE;
}

/* A route for `vec' with the message the guest put there. */
static int
route(struct virtio *v, struct virtio_vector *vec)
{
	const struct virtio_host *h = &v->host;

	if (!vec->allocated && h->ops->msi_new(h->arg, &vec->gsi) == -1)
		return -1;
	vec->allocated = 1;
	return h->ops->msi_set(h->arg, vec->gsi,
	    (uint64_t)vec->words[1] << 32 | vec->words[0], vec->words[2]);
}

static void
attach(struct virtio_source *s, enum virtio_wire to)
{
	struct virtio *v = s->v;
	const struct virtio_host *h = &v->host;
	struct virtio_vector *vec = vector_of(s);
	int rc = 0;

	if (to == WIRE_MSI) {
		rc = route(v, vec);
		s->gsi = vec->gsi;
		if (rc == 0)
			rc = h->ops->irqfd(h->arg, s->fd, s->gsi, -1, 1);
	} else if (to == WIRE_INTX) {
		s->gsi = v->irq;
		rc = h->ops->irqfd(h->arg, s->fd, s->gsi, v->conf.resample, 1);
	}
	if (rc == -1)
		log_warn("%s: no interrupt", v->name);
	else
		s->wire = to;
}

static void
source_update(struct virtio_source *s)
{
	enum virtio_wire to = wanted(s);
	const struct virtio_vector *vec = vector_of(s);
	int intx = to == WIRE_INTX && s->wire != WIRE_INTX;

	if (to == s->wire && (to != WIRE_MSI || s->gsi == vec->gsi))
		return;
	detach(s);
	attach(s, to);
	/* What came while the line was not connected. */
	if (intx && virtio_isr_get(s->v->conf.page) != 0)
		signal_fd(s->v, s->fd);
}

/* A vector that is open and pending fires, through whoever has it. */
static void
fire(struct virtio *v)
{
	const struct virtio_source *s;
	struct virtio_vector *vec;
	unsigned int i;

	for (i = 0; i < NVECTORS(v); i++) {
		s = &v->sources[i];
		vec = vector_of(s);
		if (s->wire != WIRE_MSI || !vec->pending)
			continue;
		vec->pending = 0;
		signal_fd(v, s->fd);
	}
}

void
virtio_irq_update(struct virtio *v)
{
	unsigned int i;

	for (i = 0; i < NVECTORS(v); i++)
		source_update(&v->sources[i]);
	fire(v);
}

void
virtio_irq_reset(struct virtio *v)
{
	unsigned int i;

	for (i = 0; i < NVECTORS(v); i++) {
		v->sources[i].vector = VIRTIO_NO_VECTOR;
		v->vectors[i].pending = 0;
	}
	virtio_irq_update(v);
	for (i = 0; i < NVECTORS(v); i++)
		drain(v->sources[i].fd);
}

/* --- main thread ----------------------------------------------------------- */

/* If it is connected, the kernel has seen or will see what is read here. */
void
virtio_irq_look(struct virtio_source *s)
{
	if (drain(s->fd) && s->wire == WIRE_HELD)
		vector_of(s)->pending = 1;
}

/* The guest has ended the interrupt, and its cause perhaps not. */
void
virtio_irq_resampled(struct virtio *v)
{
	const struct virtio_source *s = &v->sources[v->conf.nqueues];

	drain(v->conf.resample);
	if (s->wire == WIRE_INTX && virtio_isr_get(v->conf.page) != 0)
		signal_fd(v, s->fd);
}

static void
on_source(evutil_socket_t fd, short what, void *arg)
{
	struct virtio_source *s = arg;

	bus_lock(s->v->host.bus);
	virtio_irq_look(s);
	bus_unlock(s->v->host.bus);
}

static void
on_resample(evutil_socket_t fd, short what, void *arg)
{
	struct virtio *v = arg;

	bus_lock(v->host.bus);
	virtio_irq_resampled(v);
	bus_unlock(v->host.bus);
}

static struct event *
watch(struct event_base *base, int fd, event_callback_fn fn, void *arg)
{
	struct event *ev;

	ev = event_new(base, fd, EV_READ | EV_PERSIST, fn, arg);
	if (ev != NULL && event_add(ev, NULL) == -1) {
		event_free(ev);
		ev = NULL;
	}
	return ev;
}

int
virtio_irq_init(struct virtio *v)
{
	struct virtio_source *s;
	unsigned int i;

	v->irq = pci_irq(v->conf.slot);
	for (i = 0; i < NVECTORS(v); i++) {
		s = &v->sources[i];
		s->v = v;
		s->fd = i < v->conf.nqueues ? v->conf.call[i] :
					      v->conf.config_call;
		s->vector = VIRTIO_NO_VECTOR;
		v->vectors[i].words[CONTROL] = MASKED;
	}
	/* Tests have no loop. */
	for (i = 0; i < NVECTORS(v) && v->host.base != NULL; i++) {
		s = &v->sources[i];
		s->ev = watch(v->host.base, s->fd, on_source, s);
		if (s->ev == NULL)
			return -1;
	}
	if (v->host.base == NULL)
		return 0;
	v->resample_ev = watch(v->host.base, v->conf.resample, on_resample, v);
	return v->resample_ev == NULL ? -1 : 0;
}

void
virtio_irq_fini(struct virtio *v)
{
	unsigned int i;

	for (i = 0; i < VIRTIO_MAXVECTORS; i++) {
		if (v->sources[i].ev != NULL)
			event_free(v->sources[i].ev);
		if (v->vectors[i].allocated)
			v->host.ops->msi_free(v->host.arg, v->vectors[i].gsi);
	}
	if (v->resample_ev != NULL)
		event_free(v->resample_ev);
}

/* --- BAR 1 ------------------------------------------------------------------ */

/* The pending bits as they are now, not when the main thread next looks. */
static uint64_t
pending(struct virtio *v)
{
	uint64_t bits = 0;
	unsigned int i;

	for (i = 0; i < NVECTORS(v); i++)
		if (v->sources[i].wire == WIRE_HELD)
			virtio_irq_look(&v->sources[i]);
	for (i = 0; i < NVECTORS(v); i++)
		bits |= (uint64_t)(v->vectors[i].pending != 0) << i;
	return bits;
}

static uint8_t
table_byte(const struct virtio *v, uint64_t off)
{
	uint32_t word;

	if (off >= NVECTORS(v) * ENTRY)
		return 0;
	word = v->vectors[off / ENTRY].words[off % ENTRY / 4];
	return (uint8_t)(word >> 8 * (off % 4));
}

uint64_t
virtio_msix_read(void *arg, uint64_t off, unsigned int size)
{
	struct virtio *v = arg;
	uint64_t bits = 0, val = 0;
	unsigned int i;
	uint8_t byte;

	if (off + size > VIRTIO_MSIX_PBA)
		bits = pending(v);
	for (i = 0; i < size; i++, off++) {
		if (off < VIRTIO_MSIX_PBA)
			byte = table_byte(v, off);
		else if (off < VIRTIO_MSIX_PBA + 8)
			byte = (uint8_t)(bits >> 8 * (off - VIRTIO_MSIX_PBA));
		else
			byte = 0;
		val |= (uint64_t)byte << 8 * i;
	}
	return val;
}

static void
table_put(struct virtio *v, uint64_t off, uint8_t byte)
{
	unsigned int word = off % ENTRY / 4, shift = 8 * (off % 4);
	uint32_t *w;

	if (off >= NVECTORS(v) * ENTRY)
		return;
	w = &v->vectors[off / ENTRY].words[word];
	*w = (*w & ~(0xffU << shift)) | (uint32_t)byte << shift;
	if (word == CONTROL)
		*w &= MASKED;
	else if (word == 0)
		*w &= ~3U;
}

/* A message that changed while its vector was open. */
static void
reroute(struct virtio *v, uint64_t off)
{
	struct virtio_vector *vec;

	if (off >= NVECTORS(v) * ENTRY || !virtio_msix_on(v))
		return;
	vec = &v->vectors[off / ENTRY];
	if (vec->allocated && !masked(v, vec) && route(v, vec) == -1)
		log_warn("%s: interrupt route", v->name);
}

void
virtio_msix_write(void *arg, uint64_t off, unsigned int size, uint64_t val)
{
	struct virtio *v = arg;
	unsigned int i;

	for (i = 0; i < size; i++)
		table_put(v, off + i, (uint8_t)(val >> 8 * i));
	virtio_irq_update(v);
	reroute(v, off);
	reroute(v, off + size - 1);
}
