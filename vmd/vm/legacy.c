/*
 * What is left of the AT in the vm process: the ports of a keyboard
 * controller without keyboard and system control port A.  Guests use them
 * to turn the A20 gate on, which always is, and to reset the machine.  The
 * POST code port 0x80 belongs to nobody: writes are dropped, 0xff is read.
 */
#include <stdlib.h>

#include "vmd/vm/device.h"

#define STATUS_OBF  0x01 /* the guest has a byte to fetch */
#define STATUS_SYS  0x04 /* self test passed */
#define STATUS_CMD  0x08 /* the last write was a command */
#define STATUS_KEYS 0x10 /* the keyboard is not locked */

#define CTL_SYS	    0x04
#define CTL_NO_KBD  0x10
#define CTL_NO_AUX  0x20

#define OUT_RUN	    0x01 /* output port: 0 holds the CPU in reset */
#define OUT_A20	    0x02

struct legacy {
	const struct machine *m;
	uint8_t cmd; /* command waiting for its byte, or 0 */
	uint8_t status;
	uint8_t data;
	uint8_t ctl;
	uint8_t port92;
};

static void
reply(struct legacy *l, uint8_t v)
{
	l->data = v;
	l->status |= STATUS_OBF;
}

/* A command to port 0x64; those with a byte to come are kept. */
static void
command(struct legacy *l, uint8_t v)
{
	l->status |= STATUS_CMD;
	l->cmd = 0;
	switch (v) {
	case 0x20: /* read the controller byte */
		reply(l, l->ctl);
		break;
	case 0x60: /* write it */
	case 0xd1: /* write the output port */
	case 0xd2: /* write to the output buffer */
	case 0xd3: /* the same, as from the mouse */
	case 0xd4: /* write to the mouse */
		l->cmd = v;
		break;
	case 0xa7:
		l->ctl |= CTL_NO_AUX;
		break;
	case 0xa8:
		l->ctl &= (uint8_t)~CTL_NO_AUX;
		break;
	case 0xa9: /* test the mouse port */
	case 0xab: /* test the keyboard port */
		reply(l, 0x00);
		break;
	case 0xaa: /* self test */
		l->ctl |= CTL_SYS;
		reply(l, 0x55);
		break;
	case 0xad:
		l->ctl |= CTL_NO_KBD;
		break;
	case 0xae:
		l->ctl &= (uint8_t)~CTL_NO_KBD;
		break;
	case 0xd0: /* read the output port */
		reply(l, OUT_RUN | OUT_A20);
		break;
	default:
		/* 0xf0-0xff pulse the output lines whose bits are 0. */
		if (v >= 0xf0 && (v & OUT_RUN) == 0)
			l->m->reset(l->m->arg, "port 0x64");
		break;
	}
}

/* A byte to port 0x60: for a command, or for a keyboard that is not there. */
static void
data(struct legacy *l, uint8_t v)
{
	uint8_t cmd = l->cmd;

	l->status &= (uint8_t)~STATUS_CMD;
	l->cmd = 0;
	switch (cmd) {
	case 0x60:
		l->ctl = v;
		break;
	case 0xd1:
		if ((v & OUT_RUN) == 0)
			l->m->reset(l->m->arg, "port 0x60");
		break;
	case 0xd2:
		reply(l, v);
		break;
	default:
		break;
	}
}

static uint32_t
kbc_read(void *dev, uint16_t port, unsigned int size)
{
	struct legacy *l = dev;
	uint8_t v;

	if (port == 0x64)
		return l->status;
	v = (l->status & STATUS_OBF) != 0 ? l->data : 0;
	l->status &= (uint8_t)~STATUS_OBF;
	return v;
}

static void
kbc_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct legacy *l = dev;

	if (port == 0x64)
		command(l, (uint8_t)val);
	else
		data(l, (uint8_t)val);
}

/*
 * Never bit 0: firmware writes back what it has read, with its changes, and
 * would reset the machine.
 */
static uint32_t
port92_read(void *dev, uint16_t port, unsigned int size)
{
	struct legacy *l = dev;

	return l->port92;
}

static void
port92_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct legacy *l = dev;

	l->port92 = (uint8_t)((val & 0xfe) | OUT_A20);
	if ((val & 1) != 0)
		l->m->reset(l->m->arg, "port 0x92");
}

/* clang-format off */
static const struct device_ops legacy_ops[] = {
	{ "i8042 data",    0x60, 1, 1, kbc_read,    kbc_write },
	{ "i8042 command", 0x64, 1, 1, kbc_read,    kbc_write },
	{ "port 92",       0x92, 1, 1, port92_read, port92_write },
};
/* clang-format on */

struct legacy *
legacy_new(struct bus *b, const struct machine *m)
{
	struct legacy *l;
	size_t i;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->m = m;
	l->status = STATUS_SYS | STATUS_KEYS;
	l->ctl = CTL_SYS;
	l->port92 = OUT_A20;
	for (i = 0; i < sizeof(legacy_ops) / sizeof(legacy_ops[0]); i++)
		if (bus_add(b, &legacy_ops[i], l) == -1) {
			free(l);
			return NULL;
		}
	return l;
}

void
legacy_free(struct legacy *l)
{
	free(l);
}
