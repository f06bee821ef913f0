/*
 * The commands of the CD-ROM: each one's reply byte by byte, what is
 * refused, allocation lengths, and every operation code with every pair of
 * bytes from a small alphabet, held against what must always be so.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmd/dev/cdrom.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define BLOCKS	 1000

static struct cdrom c;
static struct cdrom_result r;

static int
setup(void **state)
{
	cdrom_init(&c, BLOCKS * 2048ULL);
	return 0;
}

/* A command from its first bytes, the others 0. */
#define RUN(...)                                                               \
	run((const uint8_t[]){ __VA_ARGS__ },                                  \
	    sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void
run(const uint8_t *p, size_t n)
{
	uint8_t cdb[CDROM_CDB] = { 0 };

	memcpy(cdb, p, n);
	memset(&r, 0xee, sizeof(r));
	cdrom_command(&c, cdb, &r);
}

static void
good(void)
{
	assert_int_equal(r.status, SCSI_GOOD);
	assert_int_equal(r.sense_len, 0);
}

static void
no_data(void)
{
	good();
	assert_int_equal(r.reply_len, 0);
	assert_int_equal(r.count, 0);
}

/* 0xKKAAQQ */
static void
check(uint32_t sense)
{
	uint8_t want[18] = { 0x70 };

	want[2] = (uint8_t)(sense >> 16);
	want[7] = 10;
	want[12] = (uint8_t)(sense >> 8);
	want[13] = (uint8_t)sense;
	assert_int_equal(r.status, SCSI_CHECK_CONDITION);
	assert_int_equal(r.sense_len, 18);
	assert_memory_equal(r.sense, want, 18);
	assert_int_equal(r.reply_len, 0);
	assert_int_equal(r.count, 0);
}

#define REPLY(...)                                                             \
	reply((const uint8_t[]){ __VA_ARGS__ },                                \
	    sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void
reply(const uint8_t *p, size_t n)
{
	good();
	assert_int_equal(r.count, 0);
	assert_int_equal(r.reply_len, n);
	assert_memory_equal(r.reply, p, n);
}

static void
reads(uint64_t lba, uint32_t count)
{
	good();
	assert_int_equal(r.reply_len, 0);
	assert_true(r.lba == lba);
	assert_int_equal(r.count, count);
}

/* --- one command each ------------------------------------------------- */

static void
ready(void **state)
{
	RUN(0x00);
	no_data();
	cdrom_init(&c, 2047);
	RUN(0x00);
	check(0x023a01);
	cdrom_init(&c, 0);
	RUN(0x00);
	check(0x023a01);
	cdrom_init(&c, 2048);
	RUN(0x00);
	no_data();
}

static void
sense(void **state)
{
	RUN(0x03, 0, 0, 0, 18);
	REPLY(0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	RUN(0x03, 0, 0, 0, 255);
	assert_int_equal(r.reply_len, 18);
	RUN(0x03, 0, 0, 0, 3);
	REPLY(0x70, 0, 0);
	RUN(0x03, 0, 0, 0, 0);
	no_data();
	RUN(0x03, 1, 0, 0, 18);
	check(0x052400);
	cdrom_init(&c, 0);
	RUN(0x03, 0, 0, 0, 18);
	REPLY(0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3a, 1, 0, 0, 0, 0);
}

static void
read_small(void **state)
{
	RUN(0x08, 0, 0, 0, 1);
	reads(0, 1);
	RUN(0x08, 0, 1, 2, 0); /* 0 is 256 */
	reads(0x102, 256);
	RUN(0x08, 0xe0, 0, 5, 9); /* a unit number, once */
	reads(5, 9);
	RUN(0x08, 0, 0x03, 0xe7, 1);
	reads(999, 1);
	RUN(0x08, 0, 0x03, 0xe7, 2);
	check(0x052100);
	RUN(0x08, 0x1f, 0xff, 0xff, 1);
	check(0x052100);
	cdrom_init(&c, 0x200000ULL * 2048);
	RUN(0x08, 0x1f, 0xff, 0xff, 1);
	reads(0x1fffff, 1);
}

static void
read_10(void **state)
{
	RUN(0x28, 0, 0, 0, 0, 16, 0, 0, 1);
	reads(16, 1);
	RUN(0x28, 0, 0, 0, 0, 0, 0, 0x03, 0xe8);
	reads(0, 1000);
	RUN(0x28, 0, 0, 0, 0, 1, 0, 0x03, 0xe8);
	check(0x052100);
	RUN(0x28, 0, 0, 0, 3, 0xe8, 0, 0, 1);
	check(0x052100);
	RUN(0x28, 0, 0, 0, 3, 0xe7, 0, 0, 0); /* nothing is fine */
	no_data();
	RUN(0x28, 0, 0, 0, 3, 0xe8, 0, 0, 0);
	check(0x052100);
	RUN(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff);
	check(0x052400); /* 128 MiB at a time is too much */
	cdrom_init(&c, UINT64_MAX);
	RUN(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x80, 0);
	reads(0xffffffff, 32768);
	RUN(0x28, 0, 0, 0, 0, 0, 0, 0x80, 1);
	check(0x052400);
}

static void
read_12(void **state)
{
	RUN(0xa8, 0, 0, 0, 0, 16, 0, 0, 0, 2);
	reads(16, 2);
	RUN(0xa8, 0, 0, 0, 0, 0, 0, 0, 0x03, 0xe9);
	check(0x052100);
	RUN(0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
	check(0x052400);
}

static void
read_16(void **state)
{
	RUN(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 2);
	reads(16, 2);
	RUN(0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1);
	check(0x052100);
	RUN(0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0,
	    1);
	check(0x052100);
	RUN(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1);
	check(0x052400);
	cdrom_init(&c, 0x100000010ULL * 2048);
	RUN(0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0xf, 0, 0, 0, 1);
	reads(0x10000000fULL, 1);
}

static void
inquiry(void **state)
{
	RUN(0x12, 0, 0, 0, 36);
	good();
	assert_int_equal(r.reply_len, 36);
	assert_memory_equal(r.reply,
	    "\x05\x80\x05\x02\x1f\0\0\0OpenBSD VMM CD-ROM      001 ", 36);
	RUN(0x12, 0, 0, 0, 5);
	REPLY(0x05, 0x80, 0x05, 0x02, 31);
	RUN(0x12, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 36);
	RUN(0x12, 0, 1, 0, 36); /* a page, but not EVPD */
	check(0x052400);
	RUN(0x12, 2, 0, 0, 36);
	check(0x052400);
	RUN(0x12, 1, 0x00, 0, 255);
	REPLY(5, 0x00, 0, 3, 0x00, 0x80, 0x83);
	RUN(0x12, 1, 0x80, 0, 255);
	REPLY(5, 0x80, 0, 8, ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ');
	RUN(0x12, 1, 0x83, 0, 255);
	good();
	assert_int_equal(r.reply_len, 32);
	assert_memory_equal(r.reply,
	    "\x05\x83\0\x1c\x02\x01\0\x18OpenBSD VMM CD-ROM      ", 32);
	RUN(0x12, 1, 0xb0, 0, 255);
	check(0x052400);
	cdrom_init(&c, 0);
	RUN(0x12, 0, 0, 0, 36);
	assert_int_equal(r.reply_len, 36);
}

static void
mode(void **state)
{
	RUN(0x1a, 0, 0x01, 0, 255);
	REPLY(15, 0x70, 0, 0, 0x01, 10, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0);
	RUN(0x1a, 0, 0x2a, 0, 255);
	REPLY(25, 0x70, 0, 0, 0x2a, 20, 0x08, 0, 0, 0, 0x29, 0, 0, 0, 0, 2, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0);
	RUN(0x5a, 0, 0x01, 0, 0, 0, 0, 1, 0);
	REPLY(0, 18, 0x70, 0, 0, 0, 0, 0, 0x01, 10, 0, 5, 0, 0, 0, 0, 0, 0, 0,
	    0);
	RUN(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 16);
	REPLY(0, 28, 0x70, 0, 0, 0, 0, 0, 0x2a, 20, 0x08, 0, 0, 0, 0x29, 0);
	RUN(0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 8 + 12 + 22);
	assert_int_equal(r.reply[1], 40);
	assert_int_equal(r.reply[8], 0x01);
	assert_int_equal(r.reply[20], 0x2a);
	RUN(0x1e, 0, 0, 0, 1);
	no_data();
	RUN(0x1a, 0, 0x2a, 0, 255);
	assert_int_equal(r.reply[4 + 6], 0x2b);
}

static void
mode_refused(void **state)
{
	unsigned int page, op;

	for (op = 0x1a; op <= 0x5a; op += 0x40)
		for (page = 0; page < 256; page++) {
			RUN((uint8_t)op, 0, (uint8_t)page, 0, 9, 0, 0, 0, 9);
			if (page == 0x01 || page == 0x2a || page == 0x3f)
				assert_int_equal(r.reply_len, 9);
			else
				check(0x052400);
			RUN((uint8_t)op, 0, (uint8_t)page, 1, 9, 0, 0, 0, 9);
			check(0x052400);
		}
}

static void
capacity(void **state)
{
	RUN(0x25);
	REPLY(0, 0, 3, 0xe7, 0, 0, 8, 0);
	RUN(0x25, 0, 0, 0, 0, 1);
	check(0x052400);
	RUN(0x25, 0, 0, 0, 0, 0, 0, 0, 1);
	check(0x052400);
	RUN(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12);
	REPLY(0, 0, 0, 0, 0, 0, 3, 0xe7, 0, 0, 8, 0);
	RUN(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
	assert_int_equal(r.reply_len, 32);
	RUN(0x9e, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12);
	check(0x052400);
	RUN(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 12);
	check(0x052400);
	RUN(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1);
	check(0x052400);
	cdrom_init(&c, 0x180000000ULL * 2048);
	RUN(0x25);
	REPLY(0xff, 0xff, 0xff, 0xff, 0, 0, 8, 0);
	RUN(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12);
	REPLY(0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0, 8, 0);
}

static void
toc(void **state)
{
	RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 255);
	REPLY(0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 3,
	    0xe8);
	RUN(0x43, 0, 0, 0, 0, 0, 1, 0, 255);
	assert_int_equal(r.reply_len, 20);
	RUN(0x43, 0, 0, 0, 0, 0, 0xaa, 0, 255);
	REPLY(0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 3, 0xe8);
	RUN(0x43, 2, 0, 0, 0, 0, 0, 0, 255); /* 1150 frames are 0:15:25 */
	REPLY(0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 0,
	    15, 25);
	RUN(0x43, 0, 0, 0, 0, 0, 2, 0, 255);
	check(0x052400);
	RUN(0x43, 0, 0, 0, 0, 0, 0xab, 0, 255);
	check(0x052400);
	RUN(0x43, 0, 1, 0, 0, 0, 9, 0, 255);
	REPLY(0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0);
	RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40); /* as Linux asks */
	REPLY(0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0);
	RUN(0x43, 0, 2, 0, 0, 0, 0, 0, 255);
	check(0x052400);
	RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0x80);
	check(0x052400);
	RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 4);
	REPLY(0, 18, 1, 1);
	cdrom_init(&c, UINT64_MAX);
	RUN(0x43, 0, 0, 0, 0, 0, 0xaa, 0, 255);
	REPLY(0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0xff, 0xff, 0xff, 0xff);
	RUN(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255);
	assert_int_equal(r.reply[9], 255);
}

static void
configuration(void **state)
{
	RUN(0x46, 0, 0, 0, 0, 0, 0, 1, 0);
	REPLY(0, 0, 0, 0x34, 0, 0, 0, 8,	    /* header */
	    0, 0, 3, 4, 0, 8, 1, 0,		    /* profiles */
	    0, 1, 0x0b, 8, 0, 0, 0, 1, 0, 0, 0, 0,  /* core */
	    0, 2, 7, 4, 0, 0, 0, 0,		    /* morphing */
	    0, 3, 3, 4, 0x29, 0, 0, 0,		    /* removable */
	    0, 0x10, 1, 8, 0, 0, 8, 0, 0, 1, 0, 0); /* random */
	RUN(0x46, 2, 0, 3, 0, 0, 0, 1, 0);
	REPLY(0, 0, 0, 12, 0, 0, 0, 8, 0, 3, 3, 4, 0x29, 0, 0, 0);
	RUN(0x46, 2, 0, 4, 0, 0, 0, 1, 0); /* it has not */
	REPLY(0, 0, 0, 4, 0, 0, 0, 8);
	RUN(0x46, 0, 0, 4, 0, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 8 + 12);
	assert_int_equal(r.reply[9], 0x10);
	RUN(0x46, 1, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 56);
	RUN(0x46, 3, 0, 0, 0, 0, 0, 1, 0);
	check(0x052400);
	cdrom_init(&c, 0);
	RUN(0x46, 1, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 44);
	assert_int_equal(r.reply[7], 0);
	RUN(0x46, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 56);
	assert_int_equal(r.reply[14], 0); /* the profile */
	assert_int_equal(r.reply[46], 0); /* random read */
}

static void
events(void **state)
{
	RUN(0x4a, 1, 0, 0, 0x04, 0, 0, 0, 8);
	REPLY(0, 6, 2, 0x14, 0, 2, 0, 0); /* idle */
	RUN(0x1e, 0, 0, 0, 1);
	RUN(0x4a, 1, 0, 0, 0x04, 0, 0, 0, 8);
	REPLY(0, 6, 2, 0x14, 0, 1, 0, 0); /* active */
	RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	REPLY(0, 6, 4, 0x14, 0, 2, 0, 0); /* a medium, nothing new */
	RUN(0x4a, 1, 0, 0, 0xff, 0, 0, 0, 8);
	REPLY(0, 6, 2, 0x14, 0, 1, 0, 0);
	RUN(0x4a, 1, 0, 0, 0xeb, 0, 0, 0, 8);
	REPLY(0, 2, 0x80, 0x14);
	RUN(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8);
	check(0x052400);
	cdrom_init(&c, 0);
	RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	REPLY(0, 6, 4, 0x14, 0, 0, 0, 0);
}

static void
the_rest(void **state)
{
	RUN(0x51, 0, 0, 0, 0, 0, 0, 0, 34);
	check(0x052400);
	RUN(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8);
	REPLY(0, 0, 0, 0, 0, 0, 0, 0);
	RUN(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 2);
	REPLY(0, 0);
	RUN(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16);
	REPLY(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	RUN(0xa0, 0, 2, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(r.reply_len, 16);
	RUN(0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 16);
	REPLY(0, 0, 0, 0, 0, 0, 0, 0);
	RUN(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15);
	check(0x052400);
	RUN(0xa0, 0, 3, 0, 0, 0, 0, 0, 0, 16);
	check(0x052400);
	RUN(0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	cdrom_unreadable(&r);
	check(0x031100);
}

/* --- tray, lock ------------------------------------------------------- */

static void
start(void **state)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		setup(NULL);
		RUN(0x1b, (uint8_t)i, 0, 0, 0);
		no_data();
		RUN(0x1b, 0, 0, 0, (uint8_t)(i & 0xf5)); /* no LoEj, NACA 0 */
		no_data();
		RUN(0x1b, 0, 0, 0, (uint8_t)(i | 0x10)); /* power: nothing */
		no_data();
		RUN(0x00);
		no_data();
	}
}

static void
tray(void **state)
{
	RUN(0x1b, 0, 0, 0, 0x03); /* it is in */
	no_data();
	RUN(0x00);
	no_data();
	RUN(0x1b, 0, 0, 0, 0x02);
	no_data();
	RUN(0x00);
	check(0x023a02);
	RUN(0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	check(0x023a02);
	RUN(0x4a, 1, 0, 0, 0x14, 0, 0, 0, 4); /* no room to tell */
	assert_int_equal(r.reply_len, 4);
	RUN(0x4a, 1, 0, 0, 0x14, 0, 0, 0, 8);
	REPLY(0, 6, 4, 0x14, 3, 1, 0, 0);
	RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	REPLY(0, 6, 4, 0x14, 0, 1, 0, 0);
	RUN(0x1b, 0, 0, 0, 0x02); /* out is out */
	no_data();
	RUN(0x1b, 0, 0, 0, 0x03);
	no_data();
	RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	REPLY(0, 6, 4, 0x14, 2, 2, 0, 0);
	RUN(0x12, 0, 0, 0, 36);
	good();
	RUN(0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	check(0x062800); /* once */
	RUN(0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	reads(0, 1);
}

static void
attention(void **state)
{
	RUN(0x1b, 0, 0, 0, 0x02);
	RUN(0x1b, 0, 0, 0, 0x03);
	RUN(0x03, 0, 0, 0, 18); /* tells, and then it is told */
	REPLY(0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x28, 0, 0, 0, 0, 0);
	RUN(0x00);
	no_data();
	/* In and out without anybody looking. */
	RUN(0x1b, 0, 0, 0, 0x02);
	RUN(0x1b, 0, 0, 0, 0x03);
	RUN(0x00);
	check(0x062800);
	RUN(0x1b, 0, 0, 0, 0x02);
	RUN(0x00);
	check(0x023a02);
	/* Without a medium there is none. */
	cdrom_init(&c, 0);
	RUN(0x1b, 0, 0, 0, 0x02);
	RUN(0x00);
	check(0x023a02);
	RUN(0x1b, 0, 0, 0, 0x03);
	RUN(0x00);
	check(0x023a01);
}

static void
lock(void **state)
{
	RUN(0x1e, 0, 0, 0, 1);
	RUN(0x1e, 0, 0, 0, 1); /* a level, not a toggle */
	no_data();
	RUN(0x1b, 0, 0, 0, 0x02);
	check(0x055302);
	RUN(0x00);
	no_data();
	RUN(0x1e, 0, 0, 0, 0);
	RUN(0x1e, 0, 0, 0, 0);
	RUN(0x1b, 0, 0, 0, 0x02);
	no_data();
	RUN(0x00);
	check(0x023a02);
}

/* --- all of them ------------------------------------------------------ */

/* Which byte is the last of a command, 0: not one of ours. */
static unsigned int
control_byte(uint8_t op)
{
	static const uint8_t known[] = { 0x00, 0x03, 0x08, 0x12, 0x1a, 0x1b,
		0x1e, 0x25, 0x28, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0x88, 0x9e,
		0xa0, 0xa8, 0xbd };

	if (memchr(known, op, sizeof(known)) == NULL)
		return 0;
	switch (op >> 5) {
	case 0:
		return 5;
	case 4:
		return 15;
	case 5:
		return 11;
	default:
		return 9;
	}
}

/* The allocation length of `cdb', by the tables of the standards. */
static uint32_t
allocated(const uint8_t *cdb)
{
	switch (cdb[0]) {
	case 0x03:
	case 0x1a:
		return cdb[4];
	case 0x12:
		return (uint32_t)cdb[3] << 8 | cdb[4];
	case 0x43:
	case 0x46:
	case 0x4a:
	case 0x5a:
		return (uint32_t)cdb[7] << 8 | cdb[8];
	case 0xbd:
		return (uint32_t)cdb[8] << 8 | cdb[9];
	case 0xa0:
		return (uint32_t)cdb[6] << 24 | (uint32_t)cdb[7] << 16 |
		    (uint32_t)cdb[8] << 8 | cdb[9];
	case 0x9e:
		return (uint32_t)cdb[10] << 24 | (uint32_t)cdb[11] << 16 |
		    (uint32_t)cdb[12] << 8 | cdb[13];
	case 0x25:
		return 8;
	default:
		return 0;
	}
}

static void
must_hold(const struct cdrom *before, const uint8_t *cdb)
{
	int medium = before->nblocks > 0 && !before->open;

	assert_true(c.nblocks == before->nblocks);
	if (r.status == SCSI_CHECK_CONDITION) {
		check((uint32_t)r.sense[2] << 16 | (uint32_t)r.sense[12] << 8 |
		    r.sense[13]);
		assert_int_equal(r.sense[12] == 0x20,
		    control_byte(cdb[0]) == 0);
		return;
	}
	good();
	assert_int_not_equal(control_byte(cdb[0]), 0);
	assert_int_equal(cdb[control_byte(cdb[0])] & 0x04, 0);
	assert_true(r.reply_len <= sizeof(r.reply));
	assert_true(r.reply_len <= allocated(cdb));
	assert_true(r.count == 0 || r.reply_len == 0);
	if (r.count > 0) {
		assert_true(medium && r.count <= CDROM_READ);
		assert_true(r.lba < c.nblocks && r.count <= c.nblocks - r.lba);
	}
	if (cdb[0] != 0x1e)
		assert_int_equal(c.locked, before->locked);
	if (cdb[0] != 0x1b)
		assert_int_equal(c.open, before->open);
}

static void
both(uint8_t cdb[CDROM_CDB], const struct cdrom *state)
{
	c = *state;
	memset(&r, 0xee, sizeof(r));
	cdrom_command(&c, cdb, &r);
	must_hold(state, cdb);
}

/* Every operation code, every two bytes after it, in four states. */
static void
everything(void **state)
{
	static const uint8_t alphabet[] = { 0x00, 0x01, 0x02, 0x10, 0x2a, 0x7f,
		0x80, 0x83, 0xaa, 0xff };
	static const struct cdrom states[] = { { .nblocks = BLOCKS },
		{ .nblocks = 0 }, { .nblocks = UINT64_MAX / 2048, .locked = 1 },
		{ .nblocks = BLOCKS, .open = 1, .event = 3 },
		{ .nblocks = BLOCKS, .attention = 1, .event = 2 } };
	uint8_t cdb[CDROM_CDB];
	unsigned int op, a, b, i, j, s;

	for (op = 0; op < 256; op++)
		for (a = 1; a < 16; a++)
			for (b = a + 1; b < 17; b++)
				for (i = 0; i < NELEM(alphabet); i++)
					for (j = 0; j < NELEM(alphabet); j++) {
						memset(cdb, 0, sizeof(cdb));
						cdb[0] = (uint8_t)op;
						cdb[a] = alphabet[i];
						cdb[b] = alphabet[j];
						s = (a + b + i + j) %
						    NELEM(states);
						both(cdb, &states[s]);
						both(cdb, &states[0]);
					}
}

/* What a shorter allocation length gets is the beginning of the whole. */
static void
truncated(void **state)
{
	/* command, where the length is, its bytes; one that is known good */
	static const struct {
		uint8_t cdb[16];
		unsigned int at, bytes;
	} cmds[] = {
		{ { 0x03 }, 4, 1 },
		{ { 0x12 }, 3, 2 },
		{ { 0x12, 1, 0x00 }, 3, 2 },
		{ { 0x12, 1, 0x80 }, 3, 2 },
		{ { 0x12, 1, 0x83 }, 3, 2 },
		{ { 0x1a, 0, 0x3f }, 4, 1 },
		{ { 0x43 }, 7, 2 },
		{ { 0x43, 2, 1 }, 7, 2 },
		{ { 0x46 }, 7, 2 },
		{ { 0x4a, 1, 0, 0, 0x10 }, 7, 2 },
		{ { 0x5a, 0, 0x3f }, 7, 2 },
		{ { 0x9e, 0x10 }, 10, 4 },
		{ { 0xa0 }, 6, 4 },
		{ { 0xbd }, 8, 2 },
	};
	struct cdrom_result whole;
	uint8_t cdb[CDROM_CDB];
	unsigned int i, n;

	for (i = 0; i < NELEM(cmds); i++) {
		memset(cdb, 0, sizeof(cdb));
		memcpy(cdb, cmds[i].cdb, 16);
		memset(cdb + cmds[i].at, 0xff, cmds[i].bytes);
		cdrom_command(&c, cdb, &whole);
		assert_int_equal(whole.status, SCSI_GOOD);
		assert_true(whole.reply_len >= 4);
		memset(cdb + cmds[i].at, 0, cmds[i].bytes);
		for (n = cdb[0] == 0xa0 ? 16 : 0; n < 256; n++) {
			cdb[cmds[i].at + cmds[i].bytes - 1] = (uint8_t)n;
			memset(&r, 0xee, sizeof(r));
			cdrom_command(&c, cdb, &r);
			good();
			assert_int_equal(r.reply_len,
			    n < whole.reply_len ? n : whole.reply_len);
			assert_memory_equal(r.reply, whole.reply, r.reply_len);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ready, setup),
		cmocka_unit_test_setup(sense, setup),
		cmocka_unit_test_setup(read_small, setup),
		cmocka_unit_test_setup(read_10, setup),
		cmocka_unit_test_setup(read_12, setup),
		cmocka_unit_test_setup(read_16, setup),
		cmocka_unit_test_setup(inquiry, setup),
		cmocka_unit_test_setup(mode, setup),
		cmocka_unit_test_setup(mode_refused, setup),
		cmocka_unit_test_setup(capacity, setup),
		cmocka_unit_test_setup(toc, setup),
		cmocka_unit_test_setup(configuration, setup),
		cmocka_unit_test_setup(events, setup),
		cmocka_unit_test_setup(the_rest, setup),
		cmocka_unit_test_setup(start, setup),
		cmocka_unit_test_setup(tray, setup),
		cmocka_unit_test_setup(attention, setup),
		cmocka_unit_test_setup(lock, setup),
		cmocka_unit_test_setup(everything, setup),
		cmocka_unit_test_setup(truncated, setup),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
