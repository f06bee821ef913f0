/*
 * Why KVM_RUN returned, and what follows.  In vcpu threads of the vm
 * process.  Port and MMIO accesses go to the owner's callbacks; everything
 * that ends the guest becomes a sentence for the person who runs it.
 */
#include <sys/ioctl.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/vmm/vmm_int.h"

#define INSN_MAX 15

static void
exit_io(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->run;
	const struct vmm_ops *ops = &c->vmm->ops;
	uint8_t *p = (uint8_t *)run + run->io.data_offset;
	unsigned int size = run->io.size;
	uint32_t i, val;

	/* REP INS and OUTS arrive as one exit. */
	for (i = 0; i < run->io.count; i++, p += size) {
		val = 0;
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, p, size);
			ops->io_write(ops->arg, run->io.port, size, val);
		} else {
			val = ops->io_read(ops->arg, run->io.port, size);
			memcpy(p, &val, size);
		}
	}
	c->pending = 1;
}

static void
exit_mmio(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->run;
	const struct vmm_ops *ops = &c->vmm->ops;
	unsigned int len = run->mmio.len;
	uint64_t val = 0;

	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, len);
		ops->mmio_write(ops->arg, run->mmio.phys_addr, len, val);
	} else {
		val = ops->mmio_read(ops->arg, run->mmio.phys_addr, len);
		memcpy(run->mmio.data, &val, len);
	}
	c->pending = 1;
}

/* The bytes at the instruction pointer; from KVM or from guest memory. */
static size_t
insn_bytes(struct vmm_vcpu *c, uint64_t linear, uint8_t b[INSN_MAX])
{
	struct kvm_run *run = c->run;
	struct kvm_translation tr = { .linear_address = linear };
	size_t n;

	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags &
		KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		n = run->emulation_failure.insn_size;
		if (n > INSN_MAX)
			n = INSN_MAX;
		memcpy(b, run->emulation_failure.insn_bytes, n);
		if (n > 0)
			return n;
	}
	if (ioctl(c->fd, KVM_TRANSLATE, &tr) == -1 || !tr.valid)
		return 0;
	for (n = 0; n < INSN_MAX; n++)
		if (gmem_read(c->vmm->mem, tr.physical_address + n, b + n, 1) ==
		    -1)
			break;
	return n;
}

static unsigned int
cpu_mode(const struct kvm_sregs *s)
{
	if (s->cs.l)
		return 64;
	return s->cs.db ? 32 : 16;
}

static const char *
suberror_text(uint32_t e)
{
	switch (e) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "instruction emulation failed";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "two exceptions at once";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an event could not be delivered";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "unexpected exit of the processor";
	default:
		return "internal error";
	}
}

/*
 * "KVM could not emulate int3 (cc) at 0x100123 (64-bit mode, level 0, vcpu
 * 0): instruction emulation failed".
 */
static void
exit_internal(struct vmm_vcpu *c)
{
	char text[256], hex[3 * INSN_MAX + 1] = "";
	struct kvm_regs r = { 0 };
	struct kvm_sregs s = { 0 };
	const char *name;
	uint8_t b[INSN_MAX];
	uint64_t linear;
	size_t i, n;

	if (ioctl(c->fd, KVM_GET_REGS, &r) == -1 ||
	    ioctl(c->fd, KVM_GET_SREGS, &s) == -1) {
		snprintf(text, sizeof(text), "KVM: %s",
		    suberror_text(c->run->internal.suberror));
		vmm_end(c->vmm, VMM_END_EMULATION, text);
		return;
	}
	linear = (s.cs.l ? 0 : s.cs.base) + r.rip;
	n = insn_bytes(c, linear, b);
	for (i = 0; i < n; i++)
		snprintf(hex + strlen(hex), sizeof(hex) - strlen(hex), "%s%02x",
		    i == 0 ? "" : " ", b[i]);
	name = vmm_insn_name(b, n, cpu_mode(&s));
	snprintf(text, sizeof(text),
	    "KVM could not emulate %s (%s) at "
	    "0x%" PRIx64 " (%u-bit mode, level %u, vcpu %u): %s",
	    name == NULL ? "an instruction" : name, n == 0 ? "unknown" : hex,
	    linear, cpu_mode(&s), s.cs.dpl, c->idx,
	    suberror_text(c->run->internal.suberror));
	vmm_end(c->vmm, VMM_END_EMULATION, text);
}

/* Of KVM_EXIT_MEMORY_FAULT; newer than our kernel headers. */
struct memory_fault {
	uint64_t flags;
	uint64_t gpa;
	uint64_t size;
};

static void
exit_memory(struct vmm_vcpu *c)
{
	struct memory_fault f;
	char text[160];

	memcpy(&f, c->run->padding, sizeof(f));
	snprintf(text, sizeof(text),
	    "vcpu %u: memory fault at 0x%" PRIx64 ", %" PRIu64
	    " bytes, flags 0x%" PRIx64,
	    c->idx, f.gpa, f.size, f.flags);
	vmm_end(c->vmm, VMM_END_FAILED, text);
}

static void
exit_failed(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->run;
	char text[160];

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(text, sizeof(text),
		    "vcpu %u: the processor refused "
		    "the guest's state, reason 0x%llx",
		    c->idx,
		    (unsigned long long)
			run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_UNKNOWN:
		snprintf(text, sizeof(text), "vcpu %u: unknown exit 0x%llx",
		    c->idx, (unsigned long long)run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_EXCEPTION:
		snprintf(text, sizeof(text),
		    "vcpu %u: exception %u left the "
		    "guest",
		    c->idx, run->ex.exception);
		break;
	default:
		snprintf(text, sizeof(text),
		    "vcpu %u: exit %u that was never "
		    "asked for",
		    c->idx, run->exit_reason);
		break;
	}
	vmm_end(c->vmm, VMM_END_FAILED, text);
}

/* The end, in KVM's own words. */
static void
exit_event(struct vmm_vcpu *c)
{
	uint32_t type = c->run->system_event.type;
	char text[80];

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vmm_end(c->vmm, VMM_END_POWEROFF, "powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vmm_end(c->vmm, VMM_END_RESET, "reset");
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vmm_end(c->vmm, VMM_END_FAILED, "the guest says it crashed");
		break;
	default:
		snprintf(text, sizeof(text),
		    "vcpu %u: system event %u that was never asked for", c->idx,
		    type);
		vmm_end(c->vmm, VMM_END_FAILED, text);
		break;
	}
}

int
vmm_exit(struct vmm_vcpu *c)
{
	struct kvm_run *run = c->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(c);
		return 0;
	case KVM_EXIT_MMIO:
		exit_mmio(c);
		return 0;
	case KVM_EXIT_X86_RDMSR:
		vmm_msr_read(run);
		c->pending = 1;
		return 0;
	case KVM_EXIT_X86_WRMSR:
		vmm_msr_write(run);
		c->pending = 1;
		return 0;
	case KVM_EXIT_HYPERCALL:
		run->hypercall.ret = (uint64_t)-1000; /* KVM_ENOSYS */
		c->pending = 1;
		return 0;
	case KVM_EXIT_INTR:
	case KVM_EXIT_NMI:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
	case KVM_EXIT_HLT:
	case KVM_EXIT_DEBUG:
	case KVM_EXIT_X86_BUS_LOCK:
	case KVM_EXIT_IOAPIC_EOI:
		return 0;
	case KVM_EXIT_SHUTDOWN:
		vmm_end(c->vmm, VMM_END_TRIPLE, "triple fault");
		return -1;
	case KVM_EXIT_INTERNAL_ERROR:
		exit_internal(c);
		return -1;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_event(c);
		return -1;
	case EXIT_MEMORY_FAULT:
		exit_memory(c);
		return -1;
	default:
		exit_failed(c);
		return -1;
	}
}
