/*
 * MSRs that KVM does not know, and those of the host's that a guest has no
 * business with; in vcpu threads.  As vmm(4) does: a write is dropped; a few
 * that only identify the machine read as 0; any other read is a general
 * protection fault, which is what drivers probe for.
 *
 * All that the table does not name is left to KVM and never gets here.  Of
 * what KVM can read by itself, which guests do without asking whether it is
 * there, it names only the writes.
 */
#include <sys/ioctl.h>

#include <string.h>

#include "lib/vmm/vmm_int.h"

#define MSR_PLATFORM_ID	    0x017
#define MSR_INT_PEN_MSG	    0xc0010055
#define MSR_SMM_MONITOR_CTL 0x09b

#define R		    KVM_MSR_FILTER_READ
#define W		    KVM_MSR_FILTER_WRITE

#define LOW_BASE	    0
#define AMD_BASE	    0xc0010000U

/* clang-format off */
static const struct row {
	uint32_t first, last;
	int access; /* denied */
} denied[] = {
	{ 0x04e, 0x04f, R|W },	/* the processor's serial number */
	{ 0x0e2, 0x0e4, R|W },	/* idle states of the package */
	{ 0x150, 0x150, R|W },	/* overclocking mailbox: voltages */
	{ 0x194, 0x194, R|W },	/* clock ratio; reads KVM does not know */
	{ 0x199, 0x19c, W },	/* clock rate, throttling, temperature */
	{ 0x1a2, 0x1b2, R|W },	/* temperature, prefetchers, turbo, bias */
	{ 0x1c8, 0x1c9, R|W },	/* last branches: which, where */
	{ 0x1fc, 0x1fc, W },	/* power control */
	{ 0x391, 0x3c7, R|W },	/* uncore: global control and counters */
	{ 0x560, 0x58f, R|W },	/* processor trace */
	{ 0x601, 0x65f, W },	/* power limits; 0x600 is debug store */
	{ 0x680, 0x69f, R|W },	/* last branches: from; then comes CET */
	{ 0x6c0, 0x6df, R|W },	/* last branches: to; then the deadline */
	{ 0x700, 0x777, R|W },	/* uncore boxes, hardware P-states */
	{ 0xc00, 0xd8f, R|W },	/* uncore; cache and bandwidth shares */
	{ 0xdc0, 0xddf, R|W },	/* last branches: particulars */
	{ 0xe00, 0xeff, R|W },	/* uncore boxes */
	{ 0x1200, 0x121f, R|W }, /* last branches, architectural: the same */
	{ 0x14ce, 0x14cf, R|W }, /* control, depth */
	{ 0x1500, 0x151f, R|W }, /* from */
	{ 0x1600, 0x161f, R|W }, /* to */
	{ 0xc0010061, 0xc0010071, R|W }, /* P-states, voltage */
	{ 0xc0010230, 0xc0010247, R|W }, /* counters of cache and bridge */
	{ 0xc0010290, 0xc001029b, R|W }, /* P-state status, energy */
	{ 0xc00102b0, 0xc00102b4, R|W }, /* collaborative P-states */
	{ 0xc00102f0, 0xc00102f1, R|W }, /* the processor's serial number */
	{ 0xc0010300, 0xc001031f, R|W }, /* last branches: from, to */
	{ 0xc0011030, 0xc001103d, R|W }, /* instruction sampling */
};
/* clang-format on */

void
vmm_msr_map(uint8_t map[VMM_MSR_SPAN / 8], uint32_t base, int access)
{
	const struct row *r;
	uint32_t i;

	memset(map, 0xff, VMM_MSR_SPAN / 8);
	for (r = denied; r < denied + sizeof(denied) / sizeof(denied[0]); r++) {
		if (!(r->access & access) || r->first - base >= VMM_MSR_SPAN)
			continue;
		for (i = r->first - base; i <= r->last - base; i++)
			map[i / 8] &= (uint8_t) ~(1U << i % 8);
	}
}

static int
filter_set(struct vmm *v)
{
	/* clang-format off */
	static const struct { uint32_t base; int access; } parts[] = {
		{ LOW_BASE, R }, { LOW_BASE, W },
		{ AMD_BASE, R }, { AMD_BASE, W },
	};
	/* clang-format on */
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
	uint8_t maps[sizeof(parts) / sizeof(parts[0])][VMM_MSR_SPAN / 8];
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		vmm_msr_map(maps[i], parts[i].base, parts[i].access);
		f.ranges[i].flags = (uint32_t)parts[i].access;
		f.ranges[i].base = parts[i].base;
		f.ranges[i].nmsrs = VMM_MSR_SPAN;
		f.ranges[i].bitmap = maps[i];
	}
	return ioctl(v->fd, KVM_X86_SET_MSR_FILTER, &f);
}

/* What this KVM cannot do it does by itself: always a fault, or no filter. */
int
vmm_msr_setup(struct vmm *v)
{
	struct kvm_enable_cap c = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_UNKNOWN },
	};
	int filter;

	if (ioctl(v->fd, KVM_CHECK_EXTENSION, c.cap) <= 0)
		return 0;
	filter = ioctl(v->fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_MSR_FILTER) > 0;
	if (filter)
		c.args[0] |= KVM_MSR_EXIT_REASON_FILTER;
	if (ioctl(v->fd, KVM_ENABLE_CAP, &c) == -1)
		return -1;
	return filter ? filter_set(v) : 0;
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
