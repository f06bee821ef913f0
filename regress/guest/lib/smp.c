/*
 * More than one processor in a test guest.  See smp.h.
 */
#include "smp.h"

#define TRAMP 0x8000

extern const uint8_t ap_start[], ap_end[];
extern uint64_t ap_stack;

static uint8_t stacks[64][2048] __attribute__((aligned(16)));
static volatile uint32_t up;

/* Instead of ap_main(): who starts it wants to know. */
void ap_entry(void);

void
ap_entry(void)
{
	__asm__ volatile("lock incl %0" : "+m"(up));
	ap_main();
}

static void
ipi(uint32_t id, uint32_t cmd)
{
	store32(LAPIC + 0x310, id << 24);
	store32(LAPIC + 0x300, cmd);
	while (load32(LAPIC + 0x300) & 1 << 12)
		;
}

static int
start_ap(uint32_t id)
{
	uint32_t before = up, from;

	ap_stack = (uint64_t)stacks[id] + sizeof(stacks[id]);
	ipi(id, 0xc500);
	pm_wait_us(200);
	ipi(id, 0x600 | TRAMP >> 12);
	from = pm_now();
	while (up == before && pm_since(from) < PM_HZ)
		;
	return up != before;
}

unsigned int
smp_start(const struct start_info *si)
{
	const struct acpi_head *madt = acpi_find(si, "APIC");
	const uint8_t *p = (const uint8_t *)madt + 44;
	const uint8_t *end = (const uint8_t *)madt + madt->len;
	uint32_t self = load32(LAPIC + 0x20) >> 24;
	unsigned int n = 1;

	memcpy((void *)TRAMP, ap_start, (size_t)(ap_end - ap_start));
	for (; p + 2 <= end && p[1] >= 2; p += p[1]) {
		if (p[0] != 0 || !(p[4] & 1) || p[3] == self)
			continue;
		if (start_ap(p[3]))
			n++;
		else
			say_dec("FAIL no answer from", p[3]);
	}
	return n;
}
