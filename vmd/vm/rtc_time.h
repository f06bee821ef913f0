#ifndef VM_RTC_TIME_H
#define VM_RTC_TIME_H

#include <stdint.h>

/*
 * The time and alarm registers of an MC146818, as bytes of its memory, in
 * the format that its register B (`cmos[11]') selects.  All values are
 * accepted: what is out of range counts on into the next larger unit.
 */
#define RTC_CENTURY  0x32
#define RTC_CENTURY2 0x37

/* Is `reg' one of the time's, alarms not included? */
int rtc_is_time(uint8_t reg);
/* Seconds since 1970 from the registers, and into them. */
int64_t rtc_decode(const uint8_t *cmos);
void rtc_encode(uint8_t *cmos, int64_t t);
/* Does the alarm go off at second `t'? */
int rtc_alarm(const uint8_t *cmos, int64_t t);

#endif
