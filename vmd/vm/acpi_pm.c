/*
 * ACPI's fixed hardware in the vm process: PM1a event and control blocks,
 * PM timer, power button.  ACPI 6.5, 4.8.3.  Reduced to what a guest
 * without sleep states needs: the system control interrupt, power off and a
 * clock that runs at 3.579545 MHz.
 */
#include <stdlib.h>
#include <time.h>

#include "vmd/vm/acpi_pm.h"
#include "vmd/vm/device.h"
#include "vmd/vm/timer.h"

#define PM1_TMR	   0x0001
#define PM1_GBL	   0x0020
#define PM1_PWRBTN 0x0100
#define PM1_SLPBTN 0x0200
#define PM1_RTC	   0x0400
#define PM1_WAK	   0x8000
#define PM1_STS_MASK                                                           \
	(PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC | PM1_WAK)
#define PM1_EN_MASK (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC)

#define CNT_SCI_EN  0x0001
#define CNT_BM_RLD  0x0002
#define CNT_SLP_TYP 0x1c00
#define CNT_SLP_EN  0x2000

#define PM_HZ	    3579545ULL
#define NSEC	    1000000000ULL
/* TMR_STS is set whenever the highest bit changes. */
#define PM_HALF (1ULL << 31)

struct acpi_pm {
	struct bus *b;
	const struct machine *m;
	struct timer timer;
	uint16_t sts, en, cnt;
	uint64_t start;	 /* ns */
	uint64_t halves; /* changes of the highest bit accounted for */
	int level;
};

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/* PM timer ticks since the start, all 64 bits of them. */
static uint64_t
ticks(const struct acpi_pm *a)
{
	uint64_t ns = now() - a->start;

	return ns / NSEC * PM_HZ + ns % NSEC * PM_HZ / NSEC;
}

static void
update(struct acpi_pm *a)
{
	uint64_t t = ticks(a), left;
	int level;

	if (t / PM_HALF != a->halves) {
		a->halves = t / PM_HALF;
		a->sts |= PM1_TMR;
	}
	level = (a->sts & a->en) != 0;
	if (level != a->level) {
		a->level = level;
		a->m->irq(a->m->arg, ACPI_SCI, level);
	}
	if ((a->en & PM1_TMR) != 0 && (a->sts & PM1_TMR) == 0) {
		left = PM_HALF - t % PM_HALF;
		timer_arm(&a->timer, left * NSEC / PM_HZ + 1000);
	}
}

static void
fire(void *arg)
{
	struct acpi_pm *a = arg;

	bus_lock(a->b);
	update(a);
	bus_unlock(a->b);
}

/* The byte at `off' of the block; `tmr' is read once per access. */
static uint8_t
get(const struct acpi_pm *a, unsigned int off, uint32_t tmr)
{
	unsigned int shift = off % 2 * 8;

	switch (off & ~1U) {
	case 0:
		return (uint8_t)(a->sts >> shift);
	case 2:
		return (uint8_t)(a->en >> shift);
	case 4:
		return (uint8_t)(a->cnt >> shift);
	case 8:
	case 10:
		return (uint8_t)(tmr >> off % 4 * 8);
	default:
		return 0;
	}
}

static uint32_t
pm_read(void *dev, uint16_t port, unsigned int size)
{
	struct acpi_pm *a = dev;
	uint32_t tmr, val = 0;
	unsigned int i;

	update(a);
	tmr = (uint32_t)ticks(a);
	for (i = 0; i < size; i++)
		val |= (uint32_t)get(a, port - ACPI_PM_BASE + i, tmr) << 8 * i;
	return val;
}

/* SLP_TYP and SLP_EN are in one byte, so a byte at a time is enough. */
static void
control(struct acpi_pm *a, uint16_t v)
{
	a->cnt = (uint16_t)((v & (CNT_BM_RLD | CNT_SLP_TYP)) | CNT_SCI_EN);
	if ((v & CNT_SLP_EN) != 0 && (v & CNT_SLP_TYP) >> 10 == ACPI_SLP_S5)
		a->m->poweroff(a->m->arg);
}

static void
put(struct acpi_pm *a, unsigned int off, uint8_t byte)
{
	unsigned int shift = off % 2 * 8;
	uint16_t keep = (uint16_t)(0xff00 >> shift);
	uint16_t v = (uint16_t)(byte << shift);

	switch (off & ~1U) {
	case 0:
		a->sts &= (uint16_t)~v;
		break;
	case 2:
		a->en = ((a->en & keep) | v) & PM1_EN_MASK;
		break;
	case 4:
		control(a, (a->cnt & keep) | v);
		break;
	default:
		break;
	}
}

static void
pm_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct acpi_pm *a = dev;
	unsigned int i;

	update(a);
	for (i = 0; i < size; i++)
		put(a, port - ACPI_PM_BASE + i, (uint8_t)(val >> 8 * i));
	update(a);
}

static const struct device_ops pm_ops = {
	.name = "ACPI",
	.base = ACPI_PM_BASE,
	.len = ACPI_PM_LEN,
	.width = 4,
	.read = pm_read,
	.write = pm_write,
};

struct acpi_pm *
acpi_pm_new(struct bus *b, const struct machine *m)
{
	struct acpi_pm *a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->b = b;
	a->m = m;
	a->cnt = CNT_SCI_EN;
	a->start = now();
	if (timer_init(&a->timer, m->base, fire, a) == -1 ||
	    bus_add(b, &pm_ops, a) == -1) {
		acpi_pm_free(a);
		return NULL;
	}
	return a;
}

void
acpi_pm_free(struct acpi_pm *a)
{
	if (a == NULL)
		return;
	timer_fini(&a->timer);
	free(a);
}

void
acpi_pm_button(struct acpi_pm *a)
{
	bus_lock(a->b);
	a->sts |= PM1_PWRBTN;
	update(a);
	bus_unlock(a->b);
}

int
acpi_pm_listening(struct acpi_pm *a)
{
	int on;

	bus_lock(a->b);
	on = (a->en & PM1_PWRBTN) != 0;
	bus_unlock(a->b);
	return on;
}
