/* Clock and CMOS: calendar, formats, flags and interrupts. */

#include <event2/event.h>
#include <time.h>

#include "regress/unit/clock_fake.h"
#include "regress/unit/dev_test.h"
#include "vmd/vm/rtc_time.h"

static struct fake f;
static struct rtc *r;

static void
pass(int64_t ns)
{
	real_ns += ns;
	mono_ns += ns;
}

/* Let the time pass that was asked for, and the timer fire. */
static void
fire(void)
{
	assert_true(armed_ns > 0);
	pass(armed_ns);
	event_base_loop(f.m.base, EVLOOP_ONCE);
}

static int64_t
at(int year, int mon, int day, int h, int m, int s)
{
	struct tm tm = { .tm_year = year - 1900,
		.tm_mon = mon - 1,
		.tm_mday = day,
		.tm_hour = h,
		.tm_min = m,
		.tm_sec = s };

	return timegm(&tm);
}

static int
setup(void **state)
{
	fake_init(&f);
	f.m.base = event_base_new();
	real_ns = at(2024, 2, 29, 23, 59, 58) * NSEC + 100;
	mono_ns = 77 * NSEC;
	r = rtc_new(f.b, &f.m, 0xc0000000, 5ULL << 30, 4);
	return r == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	rtc_free(r);
	bus_free(f.b);
	event_base_free(f.m.base);
	return 0;
}

static uint32_t
get(unsigned int reg)
{
	OUT(&f, 0x70, reg);
	return IN(&f, 0x71);
}

static void
set(unsigned int reg, unsigned int v)
{
	OUT(&f, 0x70, reg);
	OUT(&f, 0x71, v);
}

static void
shows(unsigned int year, unsigned int mon, unsigned int day, unsigned int h,
    unsigned int m, unsigned int s)
{
	assert_int_equal(get(0x32), year >> 8);
	assert_int_equal(get(0x37), year >> 8);
	assert_int_equal(get(9), year & 0xff);
	assert_int_equal(get(8), mon);
	assert_int_equal(get(7), day);
	assert_int_equal(get(4), h);
	assert_int_equal(get(2), m);
	assert_int_equal(get(0), s);
}

/* Every day of 500 years, against the C library. */
static void
calendar(void **state)
{
	uint8_t cmos[128] = { 0 };
	struct tm tm;
	time_t t;
	int64_t d;
	unsigned int b;

	for (b = 0; b < 8; b += 2) {
		cmos[11] = (uint8_t)b;
		for (d = -25567; d < 160000; d++) {
			t = d * 86400 + (d * 7919 % 86400 + 86400) % 86400;
			rtc_encode(cmos, t);
			gmtime_r(&t, &tm);
			assert_true(rtc_decode(cmos) == t);
			if ((b & 4) == 0)
				continue;
			assert_int_equal(cmos[6], tm.tm_wday + 1);
			assert_int_equal(cmos[7], tm.tm_mday);
			assert_int_equal(cmos[8], tm.tm_mon + 1);
			assert_int_equal(cmos[9],
			    tm.tm_year % 100 < 0 ? tm.tm_year % 100 + 100 :
						   tm.tm_year % 100);
			assert_int_equal(cmos[0x32], (tm.tm_year + 1900) / 100);
		}
	}
	/* Anything at all. */
	for (b = 0; b < 256; b++) {
		memset(cmos, (int)b, sizeof(cmos));
		rtc_encode(cmos, rtc_decode(cmos));
	}
}

static void
time_of_day(void **state)
{
	shows(0x2024, 2, 0x29, 0x23, 0x59, 0x58);
	assert_int_equal(get(6), 5);
	pass(2 * NSEC);
	shows(0x2024, 3, 1, 0, 0, 0);
	assert_int_equal(get(6), 6);
	/* Binary, 12 hours. */
	set(11, 0x04);
	shows(20 << 8 | 24, 3, 1, 12, 0, 0);
	pass(12 * 3600 * NSEC);
	assert_int_equal(get(4), 0x8c);
	pass(3600 * NSEC);
	assert_int_equal(get(4), 0x81);
	set(11, 0x00);
	assert_int_equal(get(4), 0x81);
	pass(9 * 3600 * NSEC);
	assert_int_equal(get(4), 0x90);
	assert_int_equal(get(13), 0x80);
	assert_int_equal(IN(&f, 0x70), 0xff);
}

/* The guest sets it, with SET as one does, and without. */
static void
setting(void **state)
{
	set(11, 0x82);
	pass(10 * NSEC);
	shows(0x2024, 2, 0x29, 0x23, 0x59, 0x58);
	set(0x32, 0x19);
	set(9, 0x99);
	set(8, 0x12);
	set(7, 0x31);
	set(4, 0x23);
	set(2, 0x59);
	set(0, 0x59);
	pass(5 * NSEC);
	shows(0x1999, 0x12, 0x31, 0x23, 0x59, 0x59);
	set(11, 0x02);
	shows(0x1999, 0x12, 0x31, 0x23, 0x59, 0x59);
	/* The fraction went on: 100 ns into the second. */
	pass(NSEC - 101);
	shows(0x1999, 0x12, 0x31, 0x23, 0x59, 0x59);
	pass(1);
	shows(0x2000, 1, 1, 0, 0, 0);
	set(4, 0x12);
	shows(0x2000, 1, 1, 0x12, 0, 0);
	pass(NSEC);
	shows(0x2000, 1, 1, 0x12, 0, 1);
	/* Divider in reset: stands; then half a second. */
	set(10, 0x76);
	pass(3 * NSEC);
	assert_int_equal(get(0), 1);
	set(10, 0x26);
	pass(NSEC / 2 - 1);
	assert_int_equal(get(0), 1);
	pass(1);
	assert_int_equal(get(0), 2);
	/* The largest date there is, and the smallest. */
	set(11, 0x86);
	for (unsigned int i = 0; i < 10; i++)
		set(i, 0xff);
	set(0x32, 0xff);
	set(11, 0x06);
	pass(NSEC);
	(void)get(0);
	set(11, 0x80);
	for (unsigned int i = 0; i < 10; i++)
		set(i, 0);
	set(0x32, 0);
	set(11, 0);
	pass(NSEC);
	(void)get(0);
}

static void
in_progress(void **state)
{
	assert_int_equal(get(10), 0x26);
	pass(NSEC - 100 - 244001);
	assert_int_equal(get(10), 0x26);
	pass(1);
	assert_int_equal(get(10), 0xa6);
	pass(243999);
	assert_int_equal(get(10), 0xa6);
	pass(1);
	assert_int_equal(get(10), 0x26);
	set(10, 0xff);
	assert_int_equal(get(10), 0x7f);
}

static void
update_interrupt(void **state)
{
	(void)get(12);
	assert_int_equal(get(12), 0);
	pass(NSEC);
	assert_int_equal(get(12) & 0x90, 0x10); /* seen without interrupt */
	assert_int_equal(armed_ns, 0);
	set(11, 0x12);
	assert_int_equal(armed_ns, NSEC - 100);
	fire();
	assert_int_equal(f.level, 1);
	assert_int_equal(f.gsi, 8);
	/* Not acknowledged: no more wake-ups. */
	assert_int_equal(armed_ns, 0);
	pass(3 * NSEC);
	assert_int_equal(get(12) & 0x9f, 0x90);
	assert_int_equal(f.level, 0);
	assert_int_equal(get(12), 0);
	assert_int_equal(armed_ns, NSEC);
	fire();
	assert_int_equal(f.rises, 2);
	/* SET takes UIE away. */
	set(11, 0x92);
	assert_int_equal(get(11), 0x82);
	assert_int_equal(f.level, 0);
}

static void
alarm_interrupt(void **state)
{
	set(1, 0x01);
	set(3, 0x00);
	set(5, 0xff);
	set(11, 0x22);
	fire();
	assert_int_equal(f.level, 0);
	fire();
	fire();
	assert_int_equal(f.level, 1);
	shows(0x2024, 3, 1, 0, 0, 1);
	assert_int_equal(get(12) & 0xbf, 0xb0);
	/* Polled, long after: it was there. */
	set(11, 0x02);
	(void)get(12);
	pass(3599 * NSEC);
	assert_int_equal(get(12) & 0x30, 0x10);
	pass(2 * NSEC);
	assert_int_equal(get(12) & 0x30, 0x30);
	pass(200000 * NSEC);
	assert_int_equal(get(12) & 0x30, 0x30);
	set(5, 0x33); /* no such hour */
	(void)get(12);
	pass(200000 * NSEC);
	assert_int_equal(get(12) & 0x30, 0x10);
	/* The host's clock goes back. */
	real_ns -= 3600 * NSEC;
	assert_int_equal(get(12) & 0x30, 0x10);
}

static void
periodic(void **state)
{
	unsigned int rate;
	int64_t want;

	for (rate = 0; rate < 16; rate++) {
		set(11, 0x02);
		set(10, 0x20 | rate);
		(void)get(12);
		armed_ns = 0;
		set(11, 0x42);
		if (rate == 0) {
			assert_int_equal(armed_ns, 0);
			continue;
		}
		want = NSEC << ((rate < 3 ? rate + 7 : rate) - 1);
		fire();
		assert_int_equal(f.level, 1);
		assert_int_equal(get(12) & 0xc0, 0xc0);
		assert_in_range(armed_ns, want / 32768 - 31000,
		    want / 32768 + 1);
		/* A period is a period: count a second's. */
	}
	set(10, 0x26);
	(void)get(12);
	mono_ns = mono_ns / NSEC * NSEC;
	(void)get(12);
	want = 0;
	for (rate = 0; rate < 10240; rate++) {
		pass(NSEC / 10240);
		want += (get(12) & 0x40) != 0;
	}
	assert_in_range(want, 1023, 1024);
	/* Stopped with the divider. */
	set(10, 0x76);
	(void)get(12);
	pass(NSEC);
	assert_int_equal(get(12) & 0x40, 0);
}

static void
memory(void **state)
{
	unsigned int reg, v;
	struct rtc *small;
	struct fake g;

	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
	assert_int_equal(get(0x30) | get(0x31) << 8, 0xffff);
	assert_int_equal(get(0x34) | get(0x35) << 8, 0xbf00);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 5 << 14);
	assert_int_equal(get(0x5f), 3);
	assert_int_equal(get(0x0f), 0);
	/* All other cells are memory; bit 7 of the index is not ours. */
	for (reg = 0x0e; reg < 0x80; reg++)
		for (v = 0; reg != 0x32 && reg != 0x37 && v < 256; v++) {
			set(reg | 0x80, v);
			assert_int_equal(get(reg), v);
		}
	fake_init(&g);
	small = rtc_new(g.b, &g.m, 8 << 20, 1ULL << 41, 1);
	assert_non_null(small);
	OUT(&g, 0x70, 0x34);
	assert_int_equal(IN(&g, 0x71), 0);
	OUT(&g, 0x70, 0x18);
	assert_int_equal(IN(&g, 0x71), 7 << 2);
	OUT(&g, 0x70, 0x5d);
	assert_int_equal(IN(&g, 0x71), 0xff);
	rtc_free(small);
	bus_free(g.b);
	rtc_free(NULL);
}

#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(calendar),
		T(time_of_day), T(setting), T(in_progress), T(update_interrupt),
		T(alarm_interrupt), T(periodic), T(memory) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("rtc", tests, NULL, NULL);
}
