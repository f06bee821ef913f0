/*
 * What a guest's CPUID says: what KVM supports, less what a guest should not
 * use, plus its place among the vcpus and KVM's own leaves.
 *
 * Not offered: nested virtualisation, performance counters, processor trace,
 * SGX, AMX, MONITOR, power management.  Leaf 0xd stays KVM's but for the AMX
 * components.  One socket, a core for each vcpu, no threads.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vmm/vmm_int.h"

#define BIT(n) (1U << (n))

/* Leaf 1 ECX: DTES64 MONITOR DS-CPL VMX SMX EST TM2 CNXT-ID SDBG xTPR PDCM
 * DCA; OSXSAVE follows CR4. */
#define L1_ECX_CLEAR                                                           \
	(BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) |        \
	    BIT(10) | BIT(11) | BIT(14) | BIT(15) | BIT(18) | BIT(27))
#define L1_ECX_X2APIC	BIT(21)
#define L1_ECX_DEADLINE BIT(24)
#define L1_ECX_GUEST	BIT(31)
/* Leaf 1 EDX: PSN DS ACPI TM PBE. */
#define L1_EDX_CLEAR (BIT(18) | BIT(21) | BIT(22) | BIT(29) | BIT(31))
#define L1_EDX_HTT   BIT(28)
/* Leaf 7: SGX PQM PQE PT; SGX_LC; AMX. */
#define L7_EBX_CLEAR (BIT(2) | BIT(12) | BIT(15) | BIT(25))
#define L7_ECX_CLEAR BIT(30)
#define L7_EDX_CLEAR (BIT(22) | BIT(24) | BIT(25))
#define LD_EAX_CLEAR (BIT(17) | BIT(18))
/*
 * 0x40000001 EAX: both clocks, NOP_IO_DELAY, STEAL_TIME, PV_EOI, PV_UNHALT,
 * PV_TLB_FLUSH, PV_SEND_IPI, POLL_CONTROL, SCHED_YIELD, CLOCKSOURCE_STABLE.
 * No asynchronous page faults: they tie a guest to this host.
 */
#define KVM_FEATURES                                                           \
	(BIT(0) | BIT(1) | BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(9) |        \
	    BIT(11) | BIT(12) | BIT(13) | BIT(24))

static struct kvm_cpuid_entry2 *
find(struct kvm_cpuid2 *t, uint32_t leaf, uint32_t sub)
{
	uint32_t i;

	for (i = 0; i < t->nent; i++)
		if (t->entries[i].function == leaf &&
		    t->entries[i].index == sub)
			return &t->entries[i];
	return NULL;
}

/* Leaves that are not offered at all. */
static int
dropped(const struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0x3:
	case 0x5: /* MONITOR */
	case 0x9:
	case 0xa: /* performance counters */
	case 0xb: /* written anew */
	case 0xf:
	case 0x10:
	case 0x12: /* SGX */
	case 0x14: /* processor trace */
	case 0x1d: /* AMX */
	case 0x1e:
	case 0x1f:
	case 0x8000000a: /* SVM */
	case 0x8000001f: /* memory encryption */
		return 1;
	case 0xd:
		return e->index == 17 || e->index == 18;
	default:
		return 0;
	}
}

static unsigned int
log2_up(unsigned int n)
{
	unsigned int bits = 0;

	while ((1U << bits) < n)
		bits++;
	return bits;
}

static void
edit(struct kvm_cpuid_entry2 *e, unsigned int idx, unsigned int ncpus,
    int deadline)
{
	switch (e->function) {
	case 0x1:
		e->ebx = (e->ebx & 0xff00) | idx << 24 | ncpus << 16;
		e->ecx &= ~(L1_ECX_CLEAR | L1_ECX_DEADLINE);
		e->ecx |= L1_ECX_GUEST | L1_ECX_X2APIC;
		if (deadline)
			e->ecx |= L1_ECX_DEADLINE;
		e->edx &= ~(L1_EDX_CLEAR | L1_EDX_HTT);
		if (ncpus > 1)
			e->edx |= L1_EDX_HTT;
		break;
	case 0x4:
		if ((e->eax & 0x1f) == 0)
			break;
		/* Level 3 is shared by all, the others by nobody. */
		e->eax = (e->eax & 0x3fff) | (ncpus - 1) << 26;
		if ((e->eax >> 5 & 7) >= 3)
			e->eax |= (ncpus - 1) << 14;
		break;
	case 0x7:
		if (e->index != 0)
			break;
		e->ebx &= ~L7_EBX_CLEAR;
		e->ecx &= ~L7_ECX_CLEAR;
		e->edx &= ~L7_EDX_CLEAR;
		break;
	case 0xd:
		if (e->index == 0)
			e->eax &= ~LD_EAX_CLEAR;
		break;
	case 0x40000001:
		e->eax &= KVM_FEATURES;
		break;
	case 0x80000001:
		e->ecx &= ~(BIT(2) | BIT(29)); /* SVM, MWAITX */
		break;
	case 0x80000008:
		e->ecx = log2_up(ncpus) << 12 | (ncpus - 1);
		break;
	case 0x8000001e:
		e->eax = idx;
		e->ebx = idx;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

static int
add(struct kvm_cpuid2 *t, unsigned int max, const struct kvm_cpuid_entry2 *e)
{
	if (t->nent >= max) {
		errno = E2BIG;
		return -1;
	}
	t->entries[t->nent++] = *e;
	return 0;
}

/* Leaf 0xb: one thread a core, all cores in one socket. */
static int
topology(struct kvm_cpuid2 *t, unsigned int max, unsigned int idx,
    unsigned int ncpus)
{
	struct kvm_cpuid_entry2 e = {
		.function = 0xb,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.edx = idx,
	};
	const struct kvm_cpuid_entry2 *zero = find(t, 0, 0);

	if (zero == NULL || zero->eax < 0xb)
		return 0;
	e.ebx = 1;
	e.ecx = 1 << 8;
	if (add(t, max, &e) == -1)
		return -1;
	e.index = 1;
	e.eax = log2_up(ncpus);
	e.ebx = ncpus;
	e.ecx = 2 << 8 | 1;
	if (add(t, max, &e) == -1)
		return -1;
	e.index = 2;
	e.eax = e.ebx = 0;
	e.ecx = 2;
	return add(t, max, &e);
}

int
vmm_cpuid_policy(struct kvm_cpuid2 *t, unsigned int max, unsigned int idx,
    unsigned int ncpus, int deadline)
{
	uint32_t i, n = 0;

	for (i = 0; i < t->nent; i++) {
		if (dropped(&t->entries[i]))
			continue;
		t->entries[n] = t->entries[i];
		edit(&t->entries[n++], idx, ncpus, deadline);
	}
	t->nent = n;
	return topology(t, max, idx, ncpus);
}

int
vmm_cpuid_set(struct vmm_vcpu *c)
{
	struct vmm *v = c->vmm;
	int deadline;

	c->cpuid = calloc(1,
	    sizeof(*c->cpuid) + VMM_MAXCPUID * sizeof(c->cpuid->entries[0]));
	if (c->cpuid == NULL)
		return -1;
	c->cpuid->nent = VMM_MAXCPUID;
	if (ioctl(v->kvm, KVM_GET_SUPPORTED_CPUID, c->cpuid) == -1)
		return -1;
	deadline = ioctl(v->kvm, KVM_CHECK_EXTENSION,
		       KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	if (vmm_cpuid_policy(c->cpuid, VMM_MAXCPUID, c->idx, v->ncpus,
		deadline) == -1)
		return -1;
	return ioctl(c->fd, KVM_SET_CPUID2, c->cpuid);
}
