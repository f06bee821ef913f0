#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "guest.h"

/*
 * Start the other processors that the MADT lists, by INIT and SIPI, one
 * after the other; each calls ap_main(), which the guest has, on a stack of
 * 2 KiB with interrupts off.  lapic_init() comes first.  Returns how many
 * there are with this one; one that does not come is a FAIL line.
 */
unsigned int smp_start(const struct start_info *si);
void ap_main(void);

#endif
