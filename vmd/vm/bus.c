/*
 * The I/O ports of a guest, in the vm process: who owns which, and how an
 * access finds its way.  The vcpu threads call in, one at a time: the lock
 * of the bus is the lock of all its devices.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "vmd/vm/device.h"

#define PORTS	0x10000U
#define NOWHERE 0x20000U

struct slot {
	const struct device_ops *ops;
	void *dev;
	uint64_t (*where)(void *dev); /* NULL: it does not move */
};

struct bus {
	pthread_mutex_t lock;
	struct slot slots[BUS_MAXDEVS];
	size_t n;
};

struct bus *
bus_new(void)
{
	struct bus *b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	if ((errno = pthread_mutex_init(&b->lock, NULL)) != 0) {
		free(b);
		return NULL;
	}
	return b;
}

void
bus_free(struct bus *b)
{
	if (b == NULL)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void
bus_lock(struct bus *b)
{
	pthread_mutex_lock(&b->lock);
}

void
bus_unlock(struct bus *b)
{
	pthread_mutex_unlock(&b->lock);
}

/* Where the ports of a device begin, or NOWHERE. */
static unsigned int
first(const struct slot *s)
{
	uint64_t at;

	if (s->where == NULL)
		return s->ops->base;
	at = s->where(s->dev);
	if (at >= PORTS || at + s->ops->len > PORTS)
		return NOWHERE;
	return (unsigned int)at;
}

/* `port' as the device counts. */
static uint16_t
number(const struct slot *s, unsigned int port)
{
	if (s->where != NULL)
		port -= first(s);
	return (uint16_t)port;
}

static int
collides(const struct bus *b, const struct device_ops *ops)
{
	const struct device_ops *o;
	size_t i;

	for (i = 0; i < b->n; i++) {
		o = b->slots[i].ops;
		if (b->slots[i].where == NULL && ops->base < o->base + o->len &&
		    o->base < ops->base + ops->len)
			return 1;
	}
	return 0;
}

int
bus_add_moving(struct bus *b, const struct device_ops *ops, void *dev,
    uint64_t (*where)(void *))
{
	if (ops->len == 0 || ops->base + ops->len > (int)PORTS ||
	    (ops->width != 1 && ops->width != 2 && ops->width != 4)) {
		errno = EINVAL;
		return -1;
	}
	if (where == NULL && collides(b, ops)) {
		errno = EEXIST;
		return -1;
	}
	if (b->n == BUS_MAXDEVS) {
		errno = ENOSPC;
		return -1;
	}
	b->slots[b->n].ops = ops;
	b->slots[b->n].where = where;
	b->slots[b->n++].dev = dev;
	return 0;
}

int
bus_add(struct bus *b, const struct device_ops *ops, void *dev)
{
	return bus_add_moving(b, ops, dev, NULL);
}

/* Who owns all `size' ports from `port' on, or NULL. */
static const struct slot *
find(const struct bus *b, unsigned int port, unsigned int size)
{
	const struct slot *s, *moving = NULL;
	unsigned int at;
	size_t i;
	int whole;

	for (i = 0; i < b->n; i++) {
		s = &b->slots[i];
		at = first(s);
		if (port >= at + s->ops->len || at >= port + size)
			continue;
		whole = port >= at && port + size <= at + s->ops->len;
		if (s->where == NULL)
			return whole ? s : NULL;
		if (whole && moving == NULL)
			moving = s;
	}
	return moving;
}

static uint32_t
ones(unsigned int size)
{
	return size >= 4 ? UINT32_MAX : (1U << 8 * size) - 1;
}

static int
valid(unsigned int size)
{
	return size == 1 || size == 2 || size == 4;
}

/* How large the pieces of an access to `s' are. */
static unsigned int
piece(const struct slot *s, unsigned int size)
{
	if (s == NULL)
		return 1;
	return size < s->ops->width ? size : s->ops->width;
}

uint32_t
bus_read(struct bus *b, uint16_t port, unsigned int size)
{
	const struct slot *s, *whole;
	uint32_t part, val = 0;
	unsigned int i, step;

	if (!valid(size))
		return UINT32_MAX;
	bus_lock(b);
	whole = find(b, port, size);
	step = piece(whole, size);
	for (i = 0; i < size; i += step) {
		s = whole != NULL ? whole : find(b, port + i, 1);
		part = ones(step);
		if (s != NULL)
			part &= s->ops->read(s->dev, number(s, port + i), step);
		val |= part << 8 * i;
	}
	bus_unlock(b);
	return val;
}

void
bus_write(struct bus *b, uint16_t port, unsigned int size, uint32_t val)
{
	const struct slot *s, *whole;
	unsigned int i, step;

	if (!valid(size))
		return;
	bus_lock(b);
	whole = find(b, port, size);
	step = piece(whole, size);
	for (i = 0; i < size; i += step) {
		s = whole != NULL ? whole : find(b, port + i, 1);
		if (s != NULL)
			s->ops->write(s->dev, number(s, port + i), step,
			    val >> 8 * i & ones(step));
	}
	bus_unlock(b);
}
