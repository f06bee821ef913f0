#ifndef USER_H
#define USER_H

#include <stdint.h>

/*
 * Ring 3 for our test guests: where KVM has no hardware under it, code in
 * ring 0 is emulated and this is not.  Everything the guest has is open to
 * it, ports as well; interrupts are off, and any exception but the one that
 * leads back ends the guest.
 */

/* Before the first user_call(), once. */
void user_init(void);
/* fn(arg) in ring 3, on a stack of its own; what it returned. */
uint64_t user_call(uint64_t (*fn)(uint64_t), uint64_t arg);

#endif
