/*
 * The commands of a CD-ROM drive, in the device process of the CD-ROM: a
 * function from a command and the state of the drive to status, sense data
 * and reply.  Commands come from the guest.  SPC-4, MMC-5.
 */
#include <string.h>

#include "vmd/dev/cdrom_int.h"

#define OP_TEST_UNIT_READY  0x00
#define OP_REQUEST_SENSE    0x03
#define OP_READ6	    0x08
#define OP_INQUIRY	    0x12
#define OP_MODE_SENSE6	    0x1a
#define OP_START_STOP	    0x1b
#define OP_PREVENT_ALLOW    0x1e
#define OP_READ_CAPACITY    0x25
#define OP_READ10	    0x28
#define OP_READ_TOC	    0x43
#define OP_CONFIGURATION    0x46
#define OP_EVENT_STATUS	    0x4a
#define OP_DISC_INFORMATION 0x51
#define OP_MODE_SENSE10	    0x5a
#define OP_READ16	    0x88
#define OP_SERVICE_IN	    0x9e
#define OP_REPORT_LUNS	    0xa0
#define OP_READ12	    0xa8
#define OP_MECHANISM_STATUS 0xbd

#define SA_READ_CAPACITY16  0x10

#define EVENT_NEW	    2
#define EVENT_REMOVED	    3

#define CONTROL_NACA	    0x04

void
cdrom_init(struct cdrom *c, uint64_t bytes)
{
	memset(c, 0, sizeof(*c));
	c->nblocks = bytes / CDROM_BLOCK;
}

#define STATE_OPEN	0x01
#define STATE_LOCKED	0x02
#define STATE_ATTENTION 0x04
#define STATE_EVENT	0xff00 /* it, 8 bits to the left */

uint64_t
cdrom_state(const struct cdrom *c)
{
	return (c->open ? STATE_OPEN : 0) | (c->locked ? STATE_LOCKED : 0) |
	    (c->attention ? STATE_ATTENTION : 0) | (uint64_t)c->event << 8;
}

void
cdrom_restore(struct cdrom *c, uint64_t state)
{
	uint64_t event = (state & STATE_EVENT) >> 8;

	c->open = (state & STATE_OPEN) != 0;
	c->locked = (state & STATE_LOCKED) != 0;
	c->attention = (state & STATE_ATTENTION) != 0;
	c->event = event == EVENT_NEW || event == EVENT_REMOVED ?
	    (uint8_t)event :
	    0;
}

uint64_t
cdrom_state_untold(uint64_t before, uint64_t now)
{
	now |= before & STATE_ATTENTION;
	return (now & STATE_EVENT) != 0 ? now : now | (before & STATE_EVENT);
}

void
cdrom_reset(struct cdrom *c)
{
	c->locked = 0;
}

static void
put_sense(uint8_t p[CDROM_SENSE], uint32_t sense)
{
	memset(p, 0, CDROM_SENSE);
	p[0] = 0x70; /* current, fixed format */
	p[2] = (uint8_t)(sense >> 16);
	p[7] = CDROM_SENSE - 8;
	p[12] = (uint8_t)(sense >> 8);
	p[13] = (uint8_t)sense;
}

void
cdrom_check(struct cdrom_result *r, uint32_t sense)
{
	memset(r, 0, sizeof(*r));
	r->status = SCSI_CHECK_CONDITION;
	r->sense_len = CDROM_SENSE;
	put_sense(r->sense, sense);
}

void
cdrom_unreadable(struct cdrom_result *r)
{
	cdrom_check(r, SENSE_UNREADABLE);
}

void
cdrom_reply(struct cdrom_result *r, size_t len, uint32_t max)
{
	r->reply_len = len < max ? (uint32_t)len : max;
}

static uint32_t
not_ready(const struct cdrom *c)
{
	return c->open ? SENSE_TRAY_OPEN : SENSE_NO_MEDIUM;
}

/* --- state ------------------------------------------------------------ */

static void
test_unit_ready(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
}

/* What CHECK CONDITION would have said: nothing waits but a new medium. */
static void
request_sense(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	uint32_t sense = SENSE_NONE;

	if ((cdb[1] & 0x01) != 0) { /* descriptor format */
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	if (c->attention)
		sense = SENSE_MEDIUM_CHANGED;
	else if (!cdrom_loaded(c))
		sense = not_ready(c);
	c->attention = 0;
	put_sense(r->reply, sense);
	cdrom_reply(r, CDROM_SENSE, cdb[4]);
}

/* Spinning up and down is done as soon as it is asked for. */
static void
start_stop(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	int eject = (cdb[4] & 0x02) != 0 && (cdb[4] & 0x01) == 0;
	int load = (cdb[4] & 0x03) == 0x03;

	if ((cdb[4] & 0xf0) != 0) /* a power condition: no motion */
		return;
	if (eject && c->locked) {
		cdrom_check(r, SENSE_LOCKED);
	} else if (eject && !c->open) {
		c->open = 1;
		c->attention = 0;
		c->event = c->nblocks > 0 ? EVENT_REMOVED : 0;
	} else if (load && c->open) {
		c->open = 0;
		c->attention = c->nblocks > 0;
		c->event = c->nblocks > 0 ? EVENT_NEW : 0;
	}
}

static void
prevent_allow(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	c->locked = cdb[4] & 0x01;
}

/* --- the medium ------------------------------------------------------- */

static void
do_read(const struct cdrom *c, uint64_t lba, uint32_t count,
    struct cdrom_result *r)
{
	if (count > CDROM_READ)
		cdrom_check(r, SENSE_FIELD);
	else if (lba >= c->nblocks || count > c->nblocks - lba)
		cdrom_check(r, SENSE_LBA);
	else {
		r->lba = lba;
		r->count = count;
	}
}

static void
read6(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	do_read(c, be32(cdb) & 0x1fffff, cdb[4] == 0 ? 256 : cdb[4], r);
}

static void
read10(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	do_read(c, be32(cdb + 2), be16(cdb + 7), r);
}

static void
read12(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	do_read(c, be32(cdb + 2), be32(cdb + 6), r);
}

static void
read16(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	do_read(c, be64(cdb + 2), be32(cdb + 10), r);
}

static void
read_capacity(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	uint64_t last = c->nblocks - 1;

	/* Of the whole medium, not of a part. */
	if (be32(cdb + 2) != 0 || (cdb[8] & 0x01) != 0) {
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	put32(r->reply, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put32(r->reply + 4, CDROM_BLOCK);
	cdrom_reply(r, 8, UINT32_MAX);
}

static void
service_in(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	uint64_t last = c->nblocks - 1;

	if ((cdb[1] & 0x1f) != SA_READ_CAPACITY16 || be64(cdb + 2) != 0 ||
	    (cdb[14] & 0x01) != 0) {
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	put32(r->reply, (uint32_t)(last >> 32));
	put32(r->reply + 4, (uint32_t)last);
	put32(r->reply + 8, CDROM_BLOCK);
	cdrom_reply(r, 32, be32(cdb + 10));
}

/* --- the rest --------------------------------------------------------- */

/* There is one: 0. */
static void
report_luns(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	uint32_t max = be32(cdb + 6);
	size_t n = cdb[2] == 0x01 ? 0 : 1; /* well-known ones: none */

	if (max < 16 || cdb[2] > 0x02) {
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	put32(r->reply, (uint32_t)(8 * n));
	cdrom_reply(r, 8 + 8 * n, max);
}

/* No changer, not busy. */
static void
mechanism_status(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	cdrom_reply(r, 8, be16(cdb + 8));
}

/* About media that can be written. */
static void
disc_information(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	cdrom_check(r, SENSE_FIELD);
}

#define MEDIUM 0x1 /* needs one */
#define ALWAYS 0x2 /* done whether or not there is news */

/* clang-format off */
static const struct command {
	uint8_t op;
	uint8_t flags;
	uint8_t control; /* where the last byte of the command is */
	void (*run)(struct cdrom *, const uint8_t *, struct cdrom_result *);
} commands[] = {
	{ OP_TEST_UNIT_READY,  MEDIUM, 5,  test_unit_ready },
	{ OP_REQUEST_SENSE,    ALWAYS, 5,  request_sense },
	{ OP_READ6,            MEDIUM, 5,  read6 },
	{ OP_INQUIRY,          ALWAYS, 5,  cdrom_inquiry },
	{ OP_MODE_SENSE6,      0,      5,  cdrom_mode_sense },
	{ OP_START_STOP,       0,      5,  start_stop },
	{ OP_PREVENT_ALLOW,    0,      5,  prevent_allow },
	{ OP_READ_CAPACITY,    MEDIUM, 9,  read_capacity },
	{ OP_READ10,           MEDIUM, 9,  read10 },
	{ OP_READ_TOC,         MEDIUM, 9,  cdrom_read_toc },
	{ OP_CONFIGURATION,    ALWAYS, 9,  cdrom_configuration },
	{ OP_EVENT_STATUS,     ALWAYS, 9,  cdrom_event_status },
	{ OP_DISC_INFORMATION, 0,      9,  disc_information },
	{ OP_MODE_SENSE10,     0,      9,  cdrom_mode_sense },
	{ OP_READ16,           MEDIUM, 15, read16 },
	{ OP_SERVICE_IN,       MEDIUM, 15, service_in },
	{ OP_REPORT_LUNS,      ALWAYS, 11, report_luns },
	{ OP_READ12,           MEDIUM, 11, read12 },
	{ OP_MECHANISM_STATUS, 0,      11, mechanism_status },
};
/* clang-format on */

static const struct command *
find(uint8_t op)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].op == op)
			return &commands[i];
	return NULL;
}

void
cdrom_command(struct cdrom *c, const uint8_t cdb[CDROM_CDB],
    struct cdrom_result *r)
{
	const struct command *cmd;

	memset(r, 0, sizeof(*r));
	if ((cmd = find(cdb[0])) == NULL) {
		cdrom_check(r, SENSE_OPCODE);
	} else if (c->attention && (cmd->flags & ALWAYS) == 0) {
		c->attention = 0;
		cdrom_check(r, SENSE_MEDIUM_CHANGED);
	} else if ((cdb[cmd->control] & CONTROL_NACA) != 0) {
		cdrom_check(r, SENSE_FIELD);
	} else if ((cmd->flags & MEDIUM) != 0 && !cdrom_loaded(c)) {
		cdrom_check(r, not_ready(c));
	} else {
		cmd->run(c, cdb, r);
	}
}
