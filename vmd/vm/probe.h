#ifndef VM_PROBE_H
#define VM_PROBE_H

#include "lib/proto/vmerr.h"

/*
 * The probe guest: which kind of KVM this is, found out by running a few
 * dozen instructions that every guest kernel needs.
 *
 * vmm starts a vm process as for any guest, with VMF_PROBE in the spec and
 * FD_KVM as the only descriptor.  The answer, VMDOP_START_VM_RESPONSE, has
 *	VMERR_OK		all work: hardware virtualisation, the normal case
 *	VMERR_UNSUPPORTED	some fail: KVM emulates kernel code here
 *	VMERR_GUEST		the probe itself did not run; the text says why
 * and as text one line for people, e.g. "hardware virtualisation works" or
 * "kernel code is emulated, without int3 iretq xrstor".  Then come
 * VMDOP_VM_EXIT with VMEXIT_POWEROFF and the end of the process.  It takes
 * some 10 ms on the first kind of host, below 1 s on the second.
 */

#define PROBE_TEXTLEN 512

/* `kvm' stays the caller's. */
enum vmerr probe_run(int kvm, char text[PROBE_TEXTLEN]);

#endif
