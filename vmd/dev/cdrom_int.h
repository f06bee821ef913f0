#ifndef DEV_CDROM_INT_H
#define DEV_CDROM_INT_H

#include "vmd/dev/cdrom.h"

/* What cdrom.c and cdrom_info.c share. */

/* Sense key, additional sense code and its qualifier: 0xKKAAQQ. */
#define SENSE_NONE	     0x000000
#define SENSE_NO_MEDIUM	     0x023a01 /* tray closed */
#define SENSE_TRAY_OPEN	     0x023a02
#define SENSE_UNREADABLE     0x031100
#define SENSE_OPCODE	     0x052000
#define SENSE_LBA	     0x052100
#define SENSE_FIELD	     0x052400
#define SENSE_LOCKED	     0x055302
#define SENSE_MEDIUM_CHANGED 0x062800

static inline uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t
be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static inline uint64_t
be64(const uint8_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static inline void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* A medium is there and can be read. */
static inline int
cdrom_loaded(const struct cdrom *c)
{
	return c->nblocks > 0 && !c->open;
}

/* CHECK CONDITION with one of the above, and nothing else. */
void cdrom_check(struct cdrom_result *r, uint32_t sense);
/* The reply has `len' bytes, of which the guest takes `max' at most. */
void cdrom_reply(struct cdrom_result *r, size_t len, uint32_t max);

/* The commands that describe the drive and its medium. */
void cdrom_inquiry(struct cdrom *, const uint8_t *, struct cdrom_result *);
void cdrom_mode_sense(struct cdrom *, const uint8_t *, struct cdrom_result *);
void cdrom_read_toc(struct cdrom *, const uint8_t *, struct cdrom_result *);
void
cdrom_configuration(struct cdrom *, const uint8_t *, struct cdrom_result *);
void cdrom_event_status(struct cdrom *, const uint8_t *, struct cdrom_result *);

#endif
