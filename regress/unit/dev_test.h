#ifndef DEV_TEST_H
#define DEV_TEST_H

/* What device tests share: a machine that notes what is asked of it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmd/vm/device.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

struct fake {
	struct machine m;
	struct bus *b;
	unsigned int gsi;
	int level;
	unsigned int rises, falls;
	unsigned int resets, poweroffs;
	const char *source;
};

static void
fake_irq(void *arg, unsigned int gsi, int level)
{
	struct fake *f = arg;

	f->gsi = gsi;
	if (level)
		f->rises++;
	else
		f->falls++;
	f->level = level;
}

static void
fake_reset(void *arg, const char *source)
{
	struct fake *f = arg;

	f->resets++;
	f->source = source;
}

static void
fake_poweroff(void *arg)
{
	struct fake *f = arg;

	f->poweroffs++;
}

static inline void
fake_init(struct fake *f)
{
	memset(f, 0, sizeof(*f));
	f->m.arg = f;
	f->m.irq = fake_irq;
	f->m.reset = fake_reset;
	f->m.poweroff = fake_poweroff;
	f->b = bus_new();
	assert_non_null(f->b);
}

#define IN(f, port)	bus_read((f)->b, (port), 1)
#define OUT(f, port, v) bus_write((f)->b, (port), 1, (v))

#endif
