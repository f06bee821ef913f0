/*
 * Between a count of seconds and the registers of a real time clock, for
 * the RTC of the vm process.  Pure computation on values that a guest
 * chose; no time zones, no libc calendar, which would look for files.
 */
#include "vmd/vm/rtc_time.h"

#define DAY	  86400

#define REG_SEC	  0
#define REG_MIN	  2
#define REG_HOUR  4
#define REG_WDAY  6
#define REG_MDAY  7
#define REG_MONTH 8
#define REG_YEAR  9
#define REG_B	  11

#define B_BINARY  0x04
#define B_24H	  0x02
#define PM	  0x80
#define ANY	  0xc0 /* an alarm value from here on matches always */

int
rtc_is_time(uint8_t reg)
{
	switch (reg) {
	case REG_SEC:
	case REG_MIN:
	case REG_HOUR:
	case REG_WDAY:
	case REG_MDAY:
	case REG_MONTH:
	case REG_YEAR:
	case RTC_CENTURY:
	case RTC_CENTURY2:
		return 1;
	default:
		return 0;
	}
}

static int64_t
from_reg(const uint8_t *cmos, uint8_t v)
{
	return (cmos[REG_B] & B_BINARY) != 0 ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t
to_reg(const uint8_t *cmos, int64_t v)
{
	if ((cmos[REG_B] & B_BINARY) != 0)
		return (uint8_t)v;
	return (uint8_t)(v / 10 << 4 | v % 10);
}

static int64_t
from_hour(const uint8_t *cmos)
{
	uint8_t v = cmos[REG_HOUR];

	if ((cmos[REG_B] & B_24H) != 0)
		return from_reg(cmos, v);
	return from_reg(cmos, v & (uint8_t)~PM) % 12 + ((v & PM) != 0 ? 12 : 0);
}

static uint8_t
to_hour(const uint8_t *cmos, int64_t hour)
{
	if ((cmos[REG_B] & B_24H) != 0)
		return to_reg(cmos, hour);
	return to_reg(cmos, (hour + 11) % 12 + 1) | (hour >= 12 ? PM : 0);
}

/*
 * Days of the Gregorian calendar, counted in years that begin in March:
 * the leap day is the last one, and month lengths follow a straight line.
 */
static int64_t
days_before(int64_t year, int64_t month, int64_t mday)
{
	int64_t y, m;

	y = year + (month - 1) / 12;
	m = (month - 1) % 12;
	if (m < 2) {
		y--;
		m += 12;
	}
	m -= 2;
	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + mday -
	    1 - 719468;
}

int64_t
rtc_decode(const uint8_t *cmos)
{
	int64_t year, month, days;

	year = from_reg(cmos, cmos[RTC_CENTURY]) * 100 +
	    from_reg(cmos, cmos[REG_YEAR]);
	month = from_reg(cmos, cmos[REG_MONTH]);
	/* Month 0 and year 0 would be before all counting. */
	days = days_before(year < 1 ? 1 : year, month < 1 ? 1 : month,
	    from_reg(cmos, cmos[REG_MDAY]));
	return days * DAY + from_hour(cmos) * 3600 +
	    from_reg(cmos, cmos[REG_MIN]) * 60 + from_reg(cmos, cmos[REG_SEC]);
}

/* `days' since 1970 to year, month (1-12) and day. */
static void
civil(int64_t days, int64_t *year, int64_t *month, int64_t *mday)
{
	int64_t era, d, y, m;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	d = days - era * 146097;
	y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	d -= y * 365 + y / 4 - y / 100;
	m = (d * 5 + 2) / 153;
	*mday = d - (m * 153 + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = era * 400 + y + (m >= 10);
}

void
rtc_encode(uint8_t *cmos, int64_t t)
{
	int64_t days, rest, year, month, mday;

	days = t / DAY;
	rest = t % DAY;
	if (rest < 0) {
		rest += DAY;
		days--;
	}
	civil(days, &year, &month, &mday);
	cmos[REG_SEC] = to_reg(cmos, rest % 60);
	cmos[REG_MIN] = to_reg(cmos, rest / 60 % 60);
	cmos[REG_HOUR] = to_hour(cmos, rest / 3600);
	/* 1970 began on a Thursday; Sunday is 1. */
	cmos[REG_WDAY] = to_reg(cmos, ((days + 4) % 7 + 7) % 7 + 1);
	cmos[REG_MDAY] = to_reg(cmos, mday);
	cmos[REG_MONTH] = to_reg(cmos, month);
	cmos[REG_YEAR] = to_reg(cmos, year % 100);
	cmos[RTC_CENTURY] = to_reg(cmos, year / 100);
	cmos[RTC_CENTURY2] = cmos[RTC_CENTURY];
}

int
rtc_alarm(const uint8_t *cmos, int64_t t)
{
	int64_t rest = (t % DAY + DAY) % DAY;

	return (cmos[REG_SEC + 1] >= ANY ||
		   cmos[REG_SEC + 1] == to_reg(cmos, rest % 60)) &&
	    (cmos[REG_MIN + 1] >= ANY ||
		cmos[REG_MIN + 1] == to_reg(cmos, rest / 60 % 60)) &&
	    (cmos[REG_HOUR + 1] >= ANY ||
		cmos[REG_HOUR + 1] == to_hour(cmos, rest / 3600));
}
