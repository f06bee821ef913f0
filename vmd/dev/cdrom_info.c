/*
 * The commands of a CD-ROM drive that describe it and its medium: who it is,
 * what it can, what is on the disc.  SPC-4, 6.4, 6.11, 7.8; MMC-5, 6.5, 6.6,
 * 6.26 and the mode pages of MMC-3.
 */
#include <string.h>

#include "vmd/dev/cdrom_int.h"

#define MEDIUM_TYPE    0x70
#define TRACK_CONTROL  0x14 /* position in the Q channel; data track */
#define LEAD_OUT       0xaa
#define MSF_OFFSET     150 /* blocks before the first */

#define PAGE_ERROR     0x01
#define PAGE_DRIVE     0x2a
#define PAGE_ALL       0x3f

#define PROFILE_CDROM  0x0008
#define CLASS_POWER    2
#define CLASS_MEDIA    4

#define OP_MODE_SENSE6 0x1a

static const char vendor[] = "OpenBSD ";
static const char product[] = "VMM CD-ROM      ";
static const char revision[] = "001 ";

/* --- INQUIRY ---------------------------------------------------------- */

static size_t
vital_page(uint8_t page, uint8_t *p)
{
	static const uint8_t pages[] = { 0x00, 0x80, 0x83 };
	size_t len;

	switch (page) {
	case 0x00:
		len = sizeof(pages);
		memcpy(p + 4, pages, len);
		break;
	case 0x80: /* it has no serial number */
		len = 8;
		memset(p + 4, ' ', len);
		break;
	case 0x83: /* one name: ASCII, of the unit, begins with the vendor */
		p[4] = 0x02;
		p[5] = 0x01;
		p[7] = 24;
		memcpy(p + 8, vendor, 8);
		memcpy(p + 16, product, 16);
		len = 4 + 24;
		break;
	default:
		return 0;
	}
	p[0] = 0x05;
	p[1] = page;
	put16(p + 2, (uint32_t)len);
	return 4 + len;
}

static size_t
standard_inquiry(uint8_t *p)
{
	p[0] = 0x05; /* CD-ROM */
	p[1] = 0x80; /* removable */
	p[2] = 0x05; /* SPC-3, as drives say */
	p[3] = 0x02; /* format of this */
	p[4] = 31;
	memcpy(p + 8, vendor, 8);
	memcpy(p + 16, product, 16);
	memcpy(p + 32, revision, 4);
	return 36;
}

void
cdrom_inquiry(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	size_t len = 0;

	if ((cdb[1] & 0x03) == 0x01)
		len = vital_page(cdb[2], r->reply);
	else if ((cdb[1] & 0x03) == 0 && cdb[2] == 0)
		len = standard_inquiry(r->reply);
	if (len == 0)
		cdrom_check(r, SENSE_FIELD);
	else
		cdrom_reply(r, len, be16(cdb + 3));
}

/* --- MODE SENSE ------------------------------------------------------- */

static size_t
error_page(uint8_t *p)
{
	p[0] = PAGE_ERROR;
	p[1] = 10;
	p[3] = 5; /* retries */
	return 12;
}

static size_t
drive_page(const struct cdrom *c, uint8_t *p)
{
	p[0] = PAGE_DRIVE;
	p[1] = 20;
	p[2] = 0x08;			   /* reads DVD-ROM */
	p[6] = 0x29;			   /* a tray, ejects, locks */
	p[6] |= c->locked != 0 ? 0x02 : 0; /* it is locked */
	p[11] = 2;			   /* volume levels */
	return 22;
}

/* Both sizes of the command; current values only. */
void
cdrom_mode_sense(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	int six = cdb[0] == OP_MODE_SENSE6;
	size_t head = six ? 4 : 8, len = head;
	uint8_t page = cdb[2]; /* the upper bits say which values */

	if (page == PAGE_ERROR || page == PAGE_ALL)
		len += error_page(r->reply + len);
	if (page == PAGE_DRIVE || page == PAGE_ALL)
		len += drive_page(c, r->reply + len);
	if (len == head || cdb[3] != 0) {
		cdrom_check(r, SENSE_FIELD);
	} else if (six) {
		r->reply[0] = (uint8_t)(len - 1);
		r->reply[1] = MEDIUM_TYPE;
		cdrom_reply(r, len, cdb[4]);
	} else {
		put16(r->reply, (uint32_t)(len - 2));
		r->reply[2] = MEDIUM_TYPE;
		cdrom_reply(r, len, be16(cdb + 7));
	}
}

/* --- READ TOC --------------------------------------------------------- */

/* As minute, second and frame, or as a number. */
static void
put_address(uint8_t *p, uint64_t lba, int msf)
{
	uint64_t at = lba + MSF_OFFSET;

	if (!msf) {
		put32(p, lba > UINT32_MAX ? UINT32_MAX : (uint32_t)lba);
		return;
	}
	p[1] = at / (60 * 75) > 255 ? 255 : (uint8_t)(at / (60 * 75));
	p[2] = (uint8_t)(at / 75 % 60);
	p[3] = (uint8_t)(at % 75);
}

static size_t
put_track(uint8_t *p, uint8_t track, uint64_t lba, int msf)
{
	p[1] = TRACK_CONTROL;
	p[2] = track;
	put_address(p + 4, lba, msf);
	return 8;
}

/*
 * One session with one track.  What the format is was in the last byte
 * once, and Linux still says it there.
 */
void
cdrom_read_toc(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	int msf = (cdb[1] & 0x02) != 0;
	uint8_t format = cdb[2] & 0x0f, start = cdb[6];
	size_t len = 4;

	if (format == 0)
		format = cdb[9] >> 6;
	if (format > 1 || (format == 0 && start > 1 && start != LEAD_OUT)) {
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	if (format == 1 || start <= 1)
		len += put_track(r->reply + len, 1, 0, msf);
	if (format == 0)
		len += put_track(r->reply + len, LEAD_OUT, c->nblocks, msf);
	put16(r->reply, (uint32_t)(len - 2));
	r->reply[2] = 1; /* first and last, track or session */
	r->reply[3] = 1;
	cdrom_reply(r, len, be16(cdb + 7));
}

/* --- GET CONFIGURATION ------------------------------------------------ */

/* clang-format off */
static const struct feature {
	uint16_t code;
	uint8_t version;
	uint8_t persistent;
	uint8_t len;
	uint8_t data[8];
} features[] = {
	{ 0x0000, 0, 1, 4, { 0x00, PROFILE_CDROM } },	/* profiles */
	{ 0x0001, 2, 1, 8, { 0x00, 0x00, 0x00, 0x01 } },	/* core: SCSI */
	{ 0x0002, 1, 1, 4, { 0x00 } },			/* morphing */
	{ 0x0003, 0, 1, 4, { 0x29 } },			/* removable */
	{ 0x0010, 0, 0, 8,				/* random read */
	    { 0x00, 0x00, CDROM_BLOCK >> 8, 0x00, 0x00, 0x01 } },
};
/* clang-format on */

static size_t
put_feature(const struct cdrom *c, const struct feature *f, uint8_t *p)
{
	int current = f->persistent || cdrom_loaded(c);

	put16(p, f->code);
	p[2] = (uint8_t)(f->version << 2 | f->persistent << 1 | current);
	p[3] = f->len;
	memcpy(p + 4, f->data, f->len);
	if (f->code == 0x0000)
		p[6] = (uint8_t)cdrom_loaded(c); /* of the profile */
	return 4 + (size_t)f->len;
}

/* RT, the kind of request: all features, the current ones, one. */
static int
wanted(const struct cdrom *c, const struct feature *f, uint8_t rt,
    uint32_t first)
{
	if (rt == 2)
		return f->code == first;
	return f->code >= first &&
	    (rt == 0 || f->persistent || cdrom_loaded(c));
}

void
cdrom_configuration(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	uint8_t rt = cdb[1] & 0x03;
	size_t i, len = 8;

	if (rt == 3) {
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (wanted(c, &features[i], rt, be16(cdb + 2)))
			len += put_feature(c, &features[i], r->reply + len);
	put32(r->reply, (uint32_t)(len - 4));
	if (cdrom_loaded(c))
		put16(r->reply + 6, PROFILE_CDROM);
	cdrom_reply(r, len, be16(cdb + 7));
}

/* --- GET EVENT STATUS NOTIFICATION ------------------------------------ */

static void
put_event(struct cdrom *c, uint8_t class, uint8_t *p)
{
	if (class == CLASS_POWER) {
		p[1] = c->locked ? 1 : 2; /* active, idle */
		return;
	}
	p[0] = c->event;
	p[1] = (uint8_t)(c->open | cdrom_loaded(c) << 1);
	c->event = 0;
}

/* Polled only.  Of the classes asked for, the first one with news. */
void
cdrom_event_status(struct cdrom *c, const uint8_t *cdb, struct cdrom_result *r)
{
	int power = (cdb[4] >> CLASS_POWER & 1) != 0;
	int media = (cdb[4] >> CLASS_MEDIA & 1) != 0;
	uint8_t class = CLASS_POWER;
	size_t len = 4;

	if ((cdb[1] & 0x01) == 0) {
		cdrom_check(r, SENSE_FIELD);
		return;
	}
	if (media && (!power || c->event != 0))
		class = CLASS_MEDIA;
	if (power || media) {
		r->reply[2] = class;
		/* An event that does not arrive is not told. */
		if (be16(cdb + 7) > len)
			put_event(c, class, r->reply + len);
		len += 4;
	} else
		r->reply[2] = 0x80; /* none of these */
	put16(r->reply, (uint32_t)(len - 2));
	r->reply[3] = 1 << CLASS_POWER | 1 << CLASS_MEDIA;
	cdrom_reply(r, len, be16(cdb + 7));
}
