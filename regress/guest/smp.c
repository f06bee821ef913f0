/*
 * Starts the other processors; all of them add to one counter.
 */
#include "smp.h"

#define ROUNDS 2000

static volatile uint32_t counter, finished;

static void
work(void)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		__asm__ volatile("lock incl %0" : "+m"(counter));
	__asm__ volatile("lock incl %0" : "+m"(finished));
}

void
ap_main(void)
{
	work();
}

void
guest_main(const struct start_info *si)
{
	uint32_t n, from;

	lapic_init();
	n = smp_start(si);
	work();
	from = pm_now();
	while (finished < n && pm_since(from) < 3 * PM_HZ)
		;
	say_dec("cpus", n);
	check(counter == n * ROUNDS, "counter");
	power_off();
}
