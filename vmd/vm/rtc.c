/*
 * Clock and CMOS memory of a guest, an MC146818, in the vm process.  It
 * shows the host's UTC plus what the guest has set it off by.  Nothing
 * ticks: registers and flags are worked out when somebody looks, and a
 * timer runs only while an interrupt is wanted that is not pending yet.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmd/vm/device.h"
#include "vmd/vm/rtc_time.h"
#include "vmd/vm/timer.h"

#define RTC_IRQ	 8
#define NSEC	 1000000000LL
#define DAY	 86400

#define REG_A	 0x0a
#define REG_B	 0x0b
#define REG_C	 0x0c
#define REG_D	 0x0d

#define A_RATE	 0x0f
#define A_DV	 0x70
#define A_DV_RUN 0x20 /* 32768 Hz, counting */
#define A_UIP	 0x80
#define B_PIE	 0x40
#define B_SET	 0x80
#define B_AIE	 0x20
#define B_UIE	 0x10
#define B_24H	 0x02
#define C_IRQF	 0x80
#define C_PF	 0x40
#define C_AF	 0x20
#define C_UF	 0x10
#define D_VRT	 0x80

#define UIP_NS	 244000 /* before the update */

/* PIE, AIE and UIE have the places of PF, AF and UF. */
_Static_assert(B_PIE == C_PF && B_AIE == C_AF && B_UIE == C_UF, "flags");

struct rtc {
	struct bus *b;
	const struct machine *m;
	struct timer timer;
	uint8_t index;
	uint8_t cmos[128];
	int64_t shift;	/* guest's clock minus host's, seconds */
	int64_t phase;	/* and ns, less than a second */
	int64_t second; /* of the guest's clock, accounted for in C */
	int64_t period; /* the same, of the periodic interrupt */
	int level;
};

/* --- clocks ----------------------------------------------------------- */

static int64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NSEC + ts.tv_nsec;
}

/* Quotient and remainder for times before 1970, too. */
static int64_t
seconds(int64_t ns, int64_t *frac)
{
	int64_t s = ns / NSEC;

	*frac = ns % NSEC;
	if (*frac < 0) {
		*frac += NSEC;
		s--;
	}
	return s;
}

/* The guest's second, and how far into it we are. */
static int64_t
guest_time(const struct rtc *r, int64_t *frac)
{
	return seconds(clock_ns(CLOCK_REALTIME) + r->phase, frac) + r->shift;
}

static int
counting(const struct rtc *r)
{
	return (r->cmos[REG_A] & A_DV) == A_DV_RUN;
}

static int
running(const struct rtc *r)
{
	return counting(r) && (r->cmos[REG_B] & B_SET) == 0;
}

/* Bring the time registers up to date. */
static void
latch(struct rtc *r)
{
	int64_t frac;

	if (running(r))
		rtc_encode(r->cmos, guest_time(r, &frac));
}

/* The clock goes on from its registers. */
static void
commit(struct rtc *r)
{
	int64_t frac;

	r->second = rtc_decode(r->cmos);
	r->shift += r->second - guest_time(r, &frac);
}

/* log2 of the 32768 Hz ticks of a period, or -1: off. */
static int
period_shift(const struct rtc *r)
{
	int rate = r->cmos[REG_A] & A_RATE;

	if (rate == 0 || !counting(r))
		return -1;
	return (rate < 3 ? rate + 7 : rate) - 1;
}

static int64_t
crystal(void)
{
	int64_t frac, s = seconds(clock_ns(CLOCK_MONOTONIC), &frac);

	return s * 32768 + frac * 32768 / NSEC;
}

/* --- flags and interrupt ---------------------------------------------- */

/* Was there an alarm after second `from', up to `to'? */
static int
alarm_between(const struct rtc *r, int64_t from, int64_t to)
{
	if (to < from || to - from > DAY)
		from = to - DAY;
	while (from < to)
		if (rtc_alarm(r->cmos, ++from))
			return 1;
	return 0;
}

/* Set the flags of what happened since the last look. */
static void
catch_up(struct rtc *r)
{
	int64_t frac, now;
	int shift = period_shift(r);

	if (running(r)) {
		now = guest_time(r, &frac);
		if (now != r->second) {
			r->cmos[REG_C] |= C_UF;
			if (alarm_between(r, r->second, now))
				r->cmos[REG_C] |= C_AF;
			r->second = now;
		}
	}
	if (shift != -1) {
		now = crystal() >> shift;
		if (now != r->period)
			r->cmos[REG_C] |= C_PF;
		r->period = now;
	}
}

/* Time until the next event that somebody waits for, in ns; 0: none. */
static int64_t
next_event(const struct rtc *r)
{
	uint8_t want = r->cmos[REG_B] & (uint8_t)~r->cmos[REG_C];
	int64_t frac, left, ns = 0;
	int shift = period_shift(r);

	if ((want & (B_AIE | B_UIE)) != 0 && running(r)) {
		guest_time(r, &frac);
		ns = NSEC - frac;
	}
	if ((want & B_PIE) != 0 && shift != -1) {
		left = (1LL << shift) - (crystal() & ((1LL << shift) - 1));
		left = left * NSEC / 32768 + 1;
		if (ns == 0 || left < ns)
			ns = left;
	}
	return ns;
}

static void
update(struct rtc *r)
{
	int level;

	level = (r->cmos[REG_B] & r->cmos[REG_C] & (C_PF | C_AF | C_UF)) != 0;
	if (level != r->level) {
		r->level = level;
		r->m->irq(r->m->arg, RTC_IRQ, level);
	}
	timer_arm(&r->timer, (uint64_t)next_event(r));
}

static void
fire(void *arg)
{
	struct rtc *r = arg;

	bus_lock(r->b);
	catch_up(r);
	update(r);
	bus_unlock(r->b);
}

/* --- registers -------------------------------------------------------- */

static uint8_t
read_a(const struct rtc *r)
{
	int64_t frac = 0;

	if (running(r))
		guest_time(r, &frac);
	return r->cmos[REG_A] | (frac >= NSEC - UIP_NS ? A_UIP : 0);
}

static uint8_t
read_c(struct rtc *r)
{
	uint8_t v;

	catch_up(r);
	v = r->cmos[REG_C];
	if ((v & r->cmos[REG_B] & (C_PF | C_AF | C_UF)) != 0)
		v |= C_IRQF;
	r->cmos[REG_C] = 0;
	update(r);
	return v;
}

static uint32_t
rtc_read(void *dev, uint16_t port, unsigned int size)
{
	struct rtc *r = dev;

	if ((port & 1) == 0)
		return 0xff;
	switch (r->index) {
	case REG_A:
		return read_a(r);
	case REG_C:
		return read_c(r);
	default:
		if (rtc_is_time(r->index))
			latch(r);
		return r->cmos[r->index];
	}
}

/* Out of reset, the divider makes its first update after half a second. */
static void
write_a(struct rtc *r, uint8_t v)
{
	int was = counting(r);
	int64_t frac;

	latch(r);
	r->cmos[REG_A] = v & (uint8_t)~A_UIP;
	if (!was && counting(r)) {
		guest_time(r, &frac);
		r->phase = (r->phase + NSEC + NSEC / 2 - frac) % NSEC;
		if (running(r))
			commit(r);
	}
	if (period_shift(r) != -1)
		r->period = crystal() >> period_shift(r);
}

/* SET holds the registers; the fractions of the second go on. */
static void
write_b(struct rtc *r, uint8_t v)
{
	int was = running(r);

	latch(r);
	if ((v & B_SET) != 0)
		v &= (uint8_t)~B_UIE;
	r->cmos[REG_B] = v;
	if (!was && running(r))
		commit(r);
}

static void
write_time(struct rtc *r, uint8_t v)
{
	latch(r);
	r->cmos[r->index] = v;
	if (r->index == RTC_CENTURY || r->index == RTC_CENTURY2)
		r->cmos[RTC_CENTURY] = r->cmos[RTC_CENTURY2] = v;
	if (running(r))
		commit(r);
}

static void
rtc_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct rtc *r = dev;
	uint8_t v = (uint8_t)val;

	if ((port & 1) == 0) {
		r->index = v & 0x7f;
		return;
	}
	if (r->index <= REG_D)
		catch_up(r);
	if (r->index == REG_A)
		write_a(r, v);
	else if (r->index == REG_B)
		write_b(r, v);
	else if (rtc_is_time(r->index))
		write_time(r, v);
	else if (r->index != REG_C && r->index != REG_D)
		r->cmos[r->index] = v;
	if (r->index <= REG_D)
		update(r);
}

/* --- for the rest of the process -------------------------------------- */

static void
put16(uint8_t *p, uint64_t v)
{
	if (v > 0xffff)
		v = 0xffff;
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* What firmware reads about memory and processors. */
static void
sizes(uint8_t *cmos, uint64_t low, uint64_t high, unsigned int ncpus)
{
	uint64_t above;

	put16(cmos + 0x15, 640);
	above = low > 1 << 20 ? (low - (1 << 20)) >> 10 : 0;
	put16(cmos + 0x17, above);
	put16(cmos + 0x30, above);
	put16(cmos + 0x34, low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0);
	high >>= 16;
	if (high > 0xffffff)
		high = 0xffffff;
	put16(cmos + 0x5b, high & 0xffff);
	cmos[0x5d] = (uint8_t)(high >> 16);
	cmos[0x5f] = (uint8_t)(ncpus - 1);
}

static const struct device_ops rtc_ops = {
	.name = "rtc",
	.base = 0x70,
	.len = 2,
	.width = 1,
	.read = rtc_read,
	.write = rtc_write,
};

struct rtc *
rtc_new(struct bus *b, const struct machine *m, uint64_t low, uint64_t high,
    unsigned int ncpus)
{
	struct rtc *r;
	int64_t frac;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->b = b;
	r->m = m;
	r->cmos[REG_A] = A_DV_RUN | 6;
	r->cmos[REG_B] = B_24H;
	r->cmos[REG_D] = D_VRT;
	sizes(r->cmos, low, high, ncpus);
	r->second = guest_time(r, &frac);
	r->period = crystal() >> period_shift(r);
	if (timer_init(&r->timer, m->base, fire, r) == -1 ||
	    bus_add(b, &rtc_ops, r) == -1) {
		rtc_free(r);
		return NULL;
	}
	return r;
}

void
rtc_free(struct rtc *r)
{
	if (r == NULL)
		return;
	timer_fini(&r->timer);
	free(r);
}
