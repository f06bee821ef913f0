/*
 * Registers of a vcpu that is not in the guest: read, write, reset.  For
 * boot loaders and diagnosis; saved state goes through state.c.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <string.h>

#include "lib/vmm/vmm_int.h"

#define APIC_BASE   0xfee00000ULL
#define APIC_ENABLE 0x800ULL
#define APIC_BSP    0x100ULL

static void
seg_get(struct vmm_seg *to, const struct kvm_segment *s)
{
	to->base = s->base;
	to->limit = s->limit;
	to->sel = s->selector;
	to->type = s->type;
	to->s = s->s;
	to->dpl = s->dpl;
	to->present = s->present;
	to->avl = s->avl;
	to->l = s->l;
	to->db = s->db;
	to->g = s->g;
	to->unusable = s->unusable;
}

static void
seg_put(struct kvm_segment *to, const struct vmm_seg *s)
{
	memset(to, 0, sizeof(*to));
	to->base = s->base;
	to->limit = s->limit;
	to->selector = s->sel;
	to->type = s->type & 0xf;
	to->s = s->s & 1;
	to->dpl = s->dpl & 3;
	to->present = s->present & 1;
	to->avl = s->avl & 1;
	to->l = s->l & 1;
	to->db = s->db & 1;
	to->g = s->g & 1;
	to->unusable = s->unusable & 1;
}

static void
gprs_get(struct vmm_regs *r, const struct kvm_regs *k)
{
	r->rax = k->rax;
	r->rbx = k->rbx;
	r->rcx = k->rcx;
	r->rdx = k->rdx;
	r->rsi = k->rsi;
	r->rdi = k->rdi;
	r->rsp = k->rsp;
	r->rbp = k->rbp;
	r->r8 = k->r8;
	r->r9 = k->r9;
	r->r10 = k->r10;
	r->r11 = k->r11;
	r->r12 = k->r12;
	r->r13 = k->r13;
	r->r14 = k->r14;
	r->r15 = k->r15;
	r->rip = k->rip;
	r->rflags = k->rflags;
}

static void
gprs_put(struct kvm_regs *k, const struct vmm_regs *r)
{
	k->rax = r->rax;
	k->rbx = r->rbx;
	k->rcx = r->rcx;
	k->rdx = r->rdx;
	k->rsi = r->rsi;
	k->rdi = r->rdi;
	k->rsp = r->rsp;
	k->rbp = r->rbp;
	k->r8 = r->r8;
	k->r9 = r->r9;
	k->r10 = r->r10;
	k->r11 = r->r11;
	k->r12 = r->r12;
	k->r13 = r->r13;
	k->r14 = r->r14;
	k->r15 = r->r15;
	k->rip = r->rip;
	k->rflags = r->rflags;
}

static void
sregs_get(struct vmm_regs *r, const struct kvm_sregs *s)
{
	r->cr0 = s->cr0;
	r->cr2 = s->cr2;
	r->cr3 = s->cr3;
	r->cr4 = s->cr4;
	r->efer = s->efer;
	seg_get(&r->cs, &s->cs);
	seg_get(&r->ds, &s->ds);
	seg_get(&r->es, &s->es);
	seg_get(&r->fs, &s->fs);
	seg_get(&r->gs, &s->gs);
	seg_get(&r->ss, &s->ss);
	seg_get(&r->tr, &s->tr);
	seg_get(&r->ldt, &s->ldt);
	r->gdt_base = s->gdt.base;
	r->gdt_limit = s->gdt.limit;
	r->idt_base = s->idt.base;
	r->idt_limit = s->idt.limit;
}

static void
sregs_put(struct kvm_sregs *s, const struct vmm_regs *r)
{
	s->cr0 = r->cr0;
	s->cr2 = r->cr2;
	s->cr3 = r->cr3;
	s->cr4 = r->cr4;
	s->efer = r->efer;
	seg_put(&s->cs, &r->cs);
	seg_put(&s->ds, &r->ds);
	seg_put(&s->es, &r->es);
	seg_put(&s->fs, &r->fs);
	seg_put(&s->gs, &r->gs);
	seg_put(&s->ss, &r->ss);
	seg_put(&s->tr, &r->tr);
	seg_put(&s->ldt, &r->ldt);
	s->gdt.base = r->gdt_base;
	s->gdt.limit = r->gdt_limit;
	s->idt.base = r->idt_base;
	s->idt.limit = r->idt_limit;
}

/* The vcpu, with the VM locked; NULL with errno. */
static struct vmm_vcpu *
take(struct vmm *v, unsigned int cpu)
{
	if (cpu >= v->ncpus) {
		errno = EINVAL;
		return NULL;
	}
	return vmm_lock_held(v) == -1 ? NULL : &v->cpus[cpu];
}

int
vmm_readregs(struct vmm *v, unsigned int cpu, struct vmm_regs *r)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct vmm_vcpu *c;
	int rc = -1;

	if ((c = take(v, cpu)) == NULL)
		return -1;
	if (ioctl(c->fd, KVM_GET_REGS, &regs) == 0 &&
	    ioctl(c->fd, KVM_GET_SREGS, &sregs) == 0) {
		memset(r, 0, sizeof(*r));
		gprs_get(r, &regs);
		sregs_get(r, &sregs);
		rc = 0;
	}
	vmm_unlock(v);
	return rc;
}

int
vmm_writeregs(struct vmm *v, unsigned int cpu, const struct vmm_regs *r)
{
	struct kvm_regs regs = { 0 };
	struct kvm_sregs sregs;
	struct vmm_vcpu *c;
	int rc = -1;

	if ((c = take(v, cpu)) == NULL)
		return -1;
	if (ioctl(c->fd, KVM_GET_SREGS, &sregs) == 0) {
		sregs_put(&sregs, r);
		gprs_put(&regs, r);
		if (ioctl(c->fd, KVM_SET_SREGS, &sregs) == 0 &&
		    ioctl(c->fd, KVM_SET_REGS, &regs) == 0)
			rc = 0;
	}
	vmm_unlock(v);
	return rc;
}

/* Segments after reset; Intel SDM volume 3, 9.1.1. */
static void
sregs_reset(struct kvm_sregs *s, unsigned int cpu)
{
	struct kvm_segment data = { .limit = 0xffff,
		.type = 3,
		.present = 1,
		.s = 1 };

	memset(s, 0, sizeof(*s));
	s->ds = s->es = s->fs = s->gs = s->ss = s->cs = data;
	s->cs.type = 11;
	s->cs.selector = 0xf000;
	s->cs.base = 0xffff0000;
	s->tr = s->ldt = data;
	s->tr.s = s->ldt.s = 0;
	s->tr.type = 11;
	s->ldt.type = 2;
	s->gdt.limit = s->idt.limit = 0xffff;
	s->cr0 = 0x60000010;
	s->apic_base = APIC_BASE | APIC_ENABLE | (cpu == 0 ? APIC_BSP : 0);
}

/* Local APIC: disabled by software, all vectors masked. */
static int
lapic_reset(struct vmm_vcpu *c)
{
	static const unsigned int lvt[] = { 0x2f0, 0x320, 0x330, 0x340, 0x350,
		0x360, 0x370 };
	struct kvm_lapic_state l;
	uint32_t id, version, masked = 0x10000, svr = 0xff, dfr = 0xffffffff;
	size_t i;

	if (ioctl(c->fd, KVM_GET_LAPIC, &l) == -1)
		return -1;
	memcpy(&version, l.regs + 0x30, sizeof(version));
	memset(&l, 0, sizeof(l));
	id = c->idx << 24;
	memcpy(l.regs + 0x20, &id, sizeof(id));
	memcpy(l.regs + 0x30, &version, sizeof(version));
	memcpy(l.regs + 0xe0, &dfr, sizeof(dfr));
	memcpy(l.regs + 0xf0, &svr, sizeof(svr));
	for (i = 0; i < sizeof(lvt) / sizeof(lvt[0]); i++)
		memcpy(l.regs + lvt[i], &masked, sizeof(masked));
	return ioctl(c->fd, KVM_SET_LAPIC, &l);
}

/* XCR0 and the vector registers as after reset. */
static int
fpu_reset(struct vmm_vcpu *c)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .value = 1 } } };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };

	if (ioctl(c->vmm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0 &&
	    ioctl(c->fd, KVM_SET_XCRS, &xcrs) == -1)
		return -1;
	return ioctl(c->fd, KVM_SET_FPU, &fpu);
}

/* SYSENTER, PAT, MTRR type, SYSCALL, KVM's clock. */
static int
msrs_reset(struct vmm_vcpu *c)
{
	static const struct {
		uint32_t index;
		uint64_t data;
	} init[] = { { 0x174, 0 }, { 0x175, 0 }, { 0x176, 0 },
		{ 0x277, 0x0007040600070406ULL }, { 0x2ff, 0 },
		{ 0xc0000081, 0 }, { 0xc0000082, 0 }, { 0xc0000083, 0 },
		{ 0xc0000084, 0 }, { 0xc0000102, 0 }, { 0x4b564d00, 0 },
		{ 0x4b564d01, 0 }, { 0x4b564d03, 0 }, { 0x4b564d04, 0 } };
	union msr_one one;
	size_t i;

	for (i = 0; i < sizeof(init) / sizeof(init[0]); i++) {
		memset(&one, 0, sizeof(one));
		one.h.nmsrs = 1;
		one.h.entries[0].index = init[i].index;
		one.h.entries[0].data = init[i].data;
		/* Which of them exist depends on the host. */
		if (ioctl(c->fd, KVM_SET_MSRS, &one) == -1)
			return -1;
	}
	return 0;
}

static int
vcpu_reset(struct vmm_vcpu *c)
{
	struct kvm_regs regs = { .rip = 0xfff0, .rflags = 2, .rdx = 0x600 };
	struct kvm_sregs sregs;
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_vcpu_events events = { 0 };
	struct kvm_mp_state mp = { c->idx == 0 ? KVM_MP_STATE_RUNNABLE :
						 KVM_MP_STATE_UNINITIALIZED };

	sregs_reset(&sregs, c->idx);
	return ioctl(c->fd, KVM_SET_SREGS, &sregs) == -1 ||
		ioctl(c->fd, KVM_SET_REGS, &regs) == -1 ||
		ioctl(c->fd, KVM_SET_DEBUGREGS, &debug) == -1 ||
		fpu_reset(c) == -1 || msrs_reset(c) == -1 ||
		lapic_reset(c) == -1 ||
		ioctl(c->fd, KVM_SET_VCPU_EVENTS, &events) == -1 ||
		ioctl(c->fd, KVM_SET_MP_STATE, &mp) == -1 ?
	    -1 :
	    0;
}

int
vmm_resetcpu(struct vmm *v, unsigned int cpu)
{
	struct vmm_vcpu *c;
	int rc;

	if ((c = take(v, cpu)) == NULL)
		return -1;
	rc = vcpu_reset(c);
	vmm_unlock(v);
	return rc;
}
