/*
 * Windows of devices in guest physical memory, in the vm process.  The vcpu
 * threads call in with what no memory slot took; PCI functions move their
 * windows as the guest writes their BARs.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmd/vm/mmio.h"

struct window {
	const struct mmio_ops *ops; /* NULL: free */
	void *dev;
	uint64_t len;
	uint64_t gpa; /* or MMIO_NOWHERE */
};

struct mmio {
	struct bus *bus;
	struct window windows[MMIO_MAXWINDOWS];
	int n; /* those beyond were never used */
	uint64_t next;
};

struct mmio *
mmio_new(struct bus *b)
{
	struct mmio *m;

	if ((m = calloc(1, sizeof(*m))) == NULL)
		return NULL;
	m->bus = b;
	m->next = MMIO_LOW;
	return m;
}

void
mmio_free(struct mmio *m)
{
	free(m);
}

int
mmio_add(struct mmio *m, const struct mmio_ops *ops, void *dev, uint64_t len)
{
	struct window *w;
	int i;

	for (i = 0; i < m->n && m->windows[i].ops != NULL; i++)
		;
	if (i == MMIO_MAXWINDOWS) {
		errno = ENOSPC;
		return -1;
	}
	if (i == m->n)
		m->n++;
	w = &m->windows[i];
	w->ops = ops;
	w->dev = dev;
	w->len = len;
	w->gpa = MMIO_NOWHERE;
	return i;
}

void
mmio_del(struct mmio *m, int window)
{
	m->windows[window].ops = NULL;
	m->windows[window].gpa = MMIO_NOWHERE;
}

static int
inside(uint64_t gpa, uint64_t len, uint64_t from, uint64_t to)
{
	return gpa >= from && gpa < to && len <= to - gpa;
}

uint64_t
mmio_move(struct mmio *m, int window, uint64_t gpa)
{
	struct window *w = &m->windows[window];

	if (!inside(gpa, w->len, MMIO_LOW, MMIO_LOW_END) &&
	    !inside(gpa, w->len, MMIO_HIGH, MMIO_HIGH_END))
		gpa = MMIO_NOWHERE;
	w->gpa = gpa;
	return gpa;
}

uint64_t
mmio_place(struct mmio *m, uint64_t size)
{
	uint64_t gpa = (m->next + size - 1) & ~(size - 1);

	if (!inside(gpa, size, MMIO_LOW, MMIO_LOW_END))
		return MMIO_NOWHERE;
	m->next = gpa + size;
	return gpa;
}

static const struct window *
find(const struct mmio *m, uint64_t gpa, unsigned int size)
{
	const struct window *w;
	int i;

	for (i = 0; i < m->n; i++) {
		w = &m->windows[i];
		if (w->gpa != MMIO_NOWHERE && gpa >= w->gpa &&
		    gpa - w->gpa < w->len && size <= w->len - (gpa - w->gpa))
			return w;
	}
	return NULL;
}

static int
valid(unsigned int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

uint64_t
mmio_bus_read(struct mmio *m, uint64_t gpa, unsigned int size)
{
	const struct window *w;
	uint64_t val = UINT64_MAX;

	if (!valid(size))
		return val;
	bus_lock(m->bus);
	if ((w = find(m, gpa, size)) != NULL)
		val = w->ops->read(w->dev, gpa - w->gpa, size);
	bus_unlock(m->bus);
	return size == 8 ? val : val & ((1ULL << 8 * size) - 1);
}

void
mmio_bus_write(struct mmio *m, uint64_t gpa, unsigned int size, uint64_t val)
{
	const struct window *w;

	if (!valid(size))
		return;
	if (size < 8)
		val &= (1ULL << 8 * size) - 1;
	bus_lock(m->bus);
	if ((w = find(m, gpa, size)) != NULL)
		w->ops->write(w->dev, gpa - w->gpa, size, val);
	bus_unlock(m->bus);
}
