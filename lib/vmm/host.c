/*
 * What this host's KVM can do, asked with KVM_CHECK_EXTENSION and nothing
 * else.  Used by the vm process before it makes a guest, by vmm when it
 * reports the host, and by vmctl, which links this file alone.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vmm/vmm.h"

/* Flags of a row. */
#define NEED 0x1 /* refuse to start without */
#define SHOW 0x2 /* part of the report */

/* clang-format off */
static const struct cap {
	const char	*name;
	int		 cap;
	int		 flags;
} caps[] = {
	{ "USER_MEMORY",	KVM_CAP_USER_MEMORY,		NEED },
	{ "SET_TSS_ADDR",	KVM_CAP_SET_TSS_ADDR,		NEED },
	{ "EXT_CPUID",		KVM_CAP_EXT_CPUID,		NEED },
	{ "DESTROY_MEMORY_REGION_WORKS",
	    KVM_CAP_DESTROY_MEMORY_REGION_WORKS, NEED },
	{ "IRQFD",		KVM_CAP_IRQFD,			NEED },
	{ "IOEVENTFD",		KVM_CAP_IOEVENTFD,		NEED },
	{ "IRQCHIP",		KVM_CAP_IRQCHIP,		NEED|SHOW },
	{ "PIT2",		KVM_CAP_PIT2,			NEED|SHOW },
	{ "IRQ_ROUTING",	KVM_CAP_IRQ_ROUTING,		NEED|SHOW },
	{ "IMMEDIATE_EXIT",	KVM_CAP_IMMEDIATE_EXIT,		NEED|SHOW },
	{ "MP_STATE",		KVM_CAP_MP_STATE,		NEED },
	{ "NR_VCPUS",		KVM_CAP_NR_VCPUS,		SHOW },
	{ "MAX_VCPUS",		KVM_CAP_MAX_VCPUS,		SHOW },
	{ "NR_MEMSLOTS",	KVM_CAP_NR_MEMSLOTS,		SHOW },
	{ "READONLY_MEM",	KVM_CAP_READONLY_MEM,		SHOW },
	{ "SPLIT_IRQCHIP",	KVM_CAP_SPLIT_IRQCHIP,		SHOW },
	{ "SIGNAL_MSI",		KVM_CAP_SIGNAL_MSI,		SHOW },
	{ "IRQFD_RESAMPLE",	KVM_CAP_IRQFD_RESAMPLE,		SHOW },
	{ "VCPU_EVENTS",	KVM_CAP_VCPU_EVENTS,		SHOW },
	{ "DEBUGREGS",		KVM_CAP_DEBUGREGS,		SHOW },
	{ "XSAVE",		KVM_CAP_XSAVE,			SHOW },
	{ "XSAVE2",		KVM_CAP_XSAVE2,			SHOW },
	{ "XCRS",		KVM_CAP_XCRS,			SHOW },
	{ "SREGS2",		KVM_CAP_SREGS2,			SHOW },
	{ "ADJUST_CLOCK",	KVM_CAP_ADJUST_CLOCK,		SHOW },
	{ "KVMCLOCK_CTRL",	KVM_CAP_KVMCLOCK_CTRL,		SHOW },
	{ "GET_TSC_KHZ",	KVM_CAP_GET_TSC_KHZ,		SHOW },
	{ "TSC_CONTROL",	KVM_CAP_TSC_CONTROL,		SHOW },
	{ "TSC_DEADLINE_TIMER",	KVM_CAP_TSC_DEADLINE_TIMER,	SHOW },
	{ "X86_USER_SPACE_MSR",	KVM_CAP_X86_USER_SPACE_MSR,	SHOW },
	{ "MANUAL_DIRTY_LOG_PROTECT2",
	    KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, SHOW },
	{ "NESTED_STATE",	KVM_CAP_NESTED_STATE,		SHOW },
};
/* clang-format on */

#define NCAPS (sizeof(caps) / sizeof(caps[0]))

char *
vmm_host_caps(int kvm)
{
	char *out = NULL;
	size_t i, len;
	int n;
	FILE *f;

	if ((n = ioctl(kvm, KVM_GET_API_VERSION, 0)) == -1)
		return NULL;
	if ((f = open_memstream(&out, &len)) == NULL)
		return NULL;
	fprintf(f, "API=%d\n", n);
	for (i = 0; i < NCAPS; i++) {
		if (!(caps[i].flags & SHOW))
			continue;
		n = ioctl(kvm, KVM_CHECK_EXTENSION, caps[i].cap);
		fprintf(f, "%s=%d\n", caps[i].name, n == -1 ? 0 : n);
	}
	if (fclose(f) == EOF) {
		free(out);
		return NULL;
	}
	return out;
}

int
vmm_host_check(int kvm, char *why, size_t len)
{
	size_t i;
	int n;

	if ((n = ioctl(kvm, KVM_GET_API_VERSION, 0)) == -1) {
		snprintf(why, len, "KVM: %s", strerror(errno));
		return -1;
	}
	if (n != KVM_API_VERSION) {
		snprintf(why, len, "KVM has API version %d, need %d", n,
		    KVM_API_VERSION);
		errno = ENOTSUP;
		return -1;
	}
	for (i = 0; i < NCAPS; i++) {
		if (!(caps[i].flags & NEED) ||
		    ioctl(kvm, KVM_CHECK_EXTENSION, caps[i].cap) > 0)
			continue;
		snprintf(why, len, "this KVM lacks %s", caps[i].name);
		errno = ENOTSUP;
		return -1;
	}
	return 0;
}
