/*
 * MSRs that KVM does not know, in vcpu threads.  As vmm(4) does: a write is
 * dropped; a few that only identify the machine read as 0; any other read
 * is a general protection fault, which is what drivers probe for.
 */
#include <sys/ioctl.h>

#include "lib/vmm/vmm_int.h"

#define MSR_PLATFORM_ID	    0x017
#define MSR_INT_PEN_MSG	    0xc0010055
#define MSR_SMM_MONITOR_CTL 0x09b

int
vmm_msr_setup(struct vmm *v)
{
	struct kvm_enable_cap c = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_UNKNOWN },
	};

	if (ioctl(v->fd, KVM_CHECK_EXTENSION, c.cap) <= 0)
		return 0; /* KVM answers by itself: always a fault */
	return ioctl(v->fd, KVM_ENABLE_CAP, &c);
}

void
vmm_msr_read(struct kvm_run *run)
{
	run->msr.data = 0;
	run->msr.error = run->msr.index != MSR_PLATFORM_ID &&
	    run->msr.index != MSR_INT_PEN_MSG;
}

void
vmm_msr_write(struct kvm_run *run)
{
	run->msr.error = run->msr.index == MSR_SMM_MONITOR_CTL;
}
