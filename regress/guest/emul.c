/* int3 in ring 0: works, or KVM cannot emulate it on this host. */
#include "guest.h"

static void __attribute__((interrupt)) on_bp(struct frame *f)
{
	put("int3 works\n");
}

void
guest_main(const struct start_info *si)
{
	idt_set(3, on_bp);
	put("trying\n");
	__asm__ volatile("int3");
	power_off();
}
