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

/*
 * What is needed and why there is no way round it.
 *
 * Up to IOEVENTFD: nothing works without, and every KVM has them.
 *
 * IRQCHIP, PIT2: can be left out of a kernel since Linux 6.17 (KVM_IOAPIC).
 * The 8259s, the I/O APIC and the timer would have to be models of our own,
 * behind KVM_CAP_SPLIT_IRQCHIP; there are none.
 *
 * IRQ_ROUTING: the timer's interrupt goes to another pin than KVM's own
 * table says, and all devices have MSI-X, whose vectors are routes.
 *
 * IMMEDIATE_EXIT: since Linux 4.11, which is older than other calls that we
 * cannot do without (close_range(2), 5.9): a second way could never be taken.
 *
 * MP_STATE: since Linux 2.6.25, the same; application processors are put to
 * sleep with it.
 */
/* clang-format off */
static const struct need {
	const char *name;
	int cap;
	const char *words;
} needs[] = {
	{ "USER_MEMORY", KVM_CAP_USER_MEMORY,
	    "memory of this process as the guest's" },
	{ "SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR,
	    "a place for the task state segment" },
	{ "EXT_CPUID", KVM_CAP_EXT_CPUID,
	    "a CPUID of our choice" },
	{ "DESTROY_MEMORY_REGION_WORKS", KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
	    "removal of memory" },
	{ "IRQFD", KVM_CAP_IRQFD,
	    "interrupts from eventfds" },
	{ "IOEVENTFD", KVM_CAP_IOEVENTFD,
	    "eventfds from the guest's accesses" },
	{ "IRQCHIP", KVM_CAP_IRQCHIP,
	    "interrupt controllers" },
	{ "PIT2", KVM_CAP_PIT2,
	    "a timer" },
	{ "IRQ_ROUTING", KVM_CAP_IRQ_ROUTING,
	    "a routing table for interrupts" },
	{ "IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT,
	    "a way out of the guest that loses no signal" },
	{ "MP_STATE", KVM_CAP_MP_STATE,
	    "the state of execution of a vcpu" },
};

/* The report. */
static const struct cap {
	const char *name;
	int cap;
} caps[] = {
	{ "IRQCHIP", KVM_CAP_IRQCHIP },
	{ "PIT2", KVM_CAP_PIT2 },
	{ "IRQ_ROUTING", KVM_CAP_IRQ_ROUTING },
	{ "IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT },
	{ "NR_VCPUS", KVM_CAP_NR_VCPUS },
	{ "MAX_VCPUS", KVM_CAP_MAX_VCPUS },
	{ "NR_MEMSLOTS", KVM_CAP_NR_MEMSLOTS },
	{ "READONLY_MEM", KVM_CAP_READONLY_MEM },
	{ "SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP },
	{ "SIGNAL_MSI", KVM_CAP_SIGNAL_MSI },
	{ "IRQFD_RESAMPLE", KVM_CAP_IRQFD_RESAMPLE },
	{ "VCPU_EVENTS", KVM_CAP_VCPU_EVENTS },
	{ "DEBUGREGS", KVM_CAP_DEBUGREGS },
	{ "XSAVE", KVM_CAP_XSAVE },
	{ "XSAVE2", KVM_CAP_XSAVE2 },
	{ "XCRS", KVM_CAP_XCRS },
	{ "SREGS2", KVM_CAP_SREGS2 },
	{ "ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK },
	{ "KVMCLOCK_CTRL", KVM_CAP_KVMCLOCK_CTRL },
	{ "GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ },
	{ "TSC_CONTROL", KVM_CAP_TSC_CONTROL },
	{ "TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER },
	{ "X86_USER_SPACE_MSR", KVM_CAP_X86_USER_SPACE_MSR },
	{ "X86_MSR_FILTER", KVM_CAP_X86_MSR_FILTER },
	{ "MANUAL_DIRTY_LOG_PROTECT2", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 },
	{ "NESTED_STATE", KVM_CAP_NESTED_STATE },
};
/* clang-format on */

#define NNEEDS (sizeof(needs) / sizeof(needs[0]))
#define NCAPS  (sizeof(caps) / sizeof(caps[0]))

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
	for (i = 0; i < NNEEDS; i++) {
		if (ioctl(kvm, KVM_CHECK_EXTENSION, needs[i].cap) > 0)
			continue;
		snprintf(why, len, "this KVM has no KVM_CAP_%s: %s",
		    needs[i].name, needs[i].words);
		errno = ENOTSUP;
		return -1;
	}
	return 0;
}
