/*
 * A guest from KVM_CREATE_VM to its end: memory slots, interrupt chips,
 * vcpus.  In the vm process only, which made the memory (lib/util/gmem.h).
 *
 * Slots and the MSR filter come before the interrupt chip: shortly after
 * KVM_CREATE_IRQCHIP either waits for a grace period of the host kernel.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/vmm/vmm_int.h"

int
vmm_why(char *why, size_t len, const char *fmt, ...)
{
	int save = errno;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	n = strlen(why);
	snprintf(why + n, len - n, ": %s", strerror(save));
	errno = save;
	return -1;
}

static int
mem_init(struct vmm *v, char *why, size_t len)
{
	const struct gmem_range *r;
	struct kvm_userspace_memory_region m;
	uint64_t ident = VMM_IDENTITY;
	uint32_t slot = 0;
	size_t i;

	for (i = 0; i < v->mem->nranges; i++) {
		r = &v->mem->ranges[i];
		if (r->type == GMEM_MMIO)
			continue;
		memset(&m, 0, sizeof(m));
		m.slot = slot++;
		m.guest_phys_addr = r->gpa;
		m.memory_size = r->size;
		m.userspace_addr = (uintptr_t)v->mem->base + r->offset;
		if (ioctl(v->fd, KVM_SET_USER_MEMORY_REGION, &m) == -1)
			return vmm_why(why, len, "memory at 0x%llx",
			    (unsigned long long)r->gpa);
	}
	if (ioctl(v->fd, KVM_SET_TSS_ADDR, VMM_TSS_ADDR) == -1 ||
	    ioctl(v->fd, KVM_SET_IDENTITY_MAP_ADDR, &ident) == -1)
		return vmm_why(why, len, "TSS address");
	return 0;
}

static void
cap_enable(struct vmm *v, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	/* All of ours are optional. */
	if (ioctl(v->fd, KVM_CHECK_EXTENSION, cap) > 0)
		ioctl(v->fd, KVM_ENABLE_CAP, &c);
}

/*
 * KVM_CAP_EXIT_ON_EMULATION_FAILURE stays off: what cannot be emulated in a
 * guest's user mode then is an illegal instruction for that program and not
 * the end of the guest.
 */
static int
chips_init(struct vmm *v, char *why, size_t len)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(v->fd, KVM_CREATE_IRQCHIP, 0) == -1)
		return vmm_why(why, len, "interrupt controllers");
	if (ioctl(v->fd, KVM_CREATE_PIT2, &pit) == -1)
		return vmm_why(why, len, "timer");
	if (vmm_irq_init(v) == -1)
		return vmm_why(why, len, "interrupt routing");
	/* Never rewrite a guest's VMCALL; it knows its processor. */
	cap_enable(v, KVM_CAP_DISABLE_QUIRKS2,
	    KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
	cap_enable(v, KVM_CAP_EXCEPTION_PAYLOAD, 1);
	cap_enable(v, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1);
	return 0;
}

static int
vcpu_init(struct vmm *v, unsigned int idx, char *why, size_t len)
{
	struct vmm_vcpu *c = &v->cpus[idx];

	if ((c->fd = ioctl(v->fd, KVM_CREATE_VCPU, idx)) == -1)
		return vmm_why(why, len, "vcpu %u", idx);
	c->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    c->fd, 0);
	if (c->run == MAP_FAILED) {
		c->run = NULL;
		return vmm_why(why, len, "vcpu %u: mmap", idx);
	}
	if (vmm_cpuid_set(c) == -1)
		return vmm_why(why, len, "vcpu %u: cpuid", idx);
	return 0;
}

static int
vcpus_init(struct vmm *v, char *why, size_t len)
{
	unsigned int i;
	int max, size;

	max = ioctl(v->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (max > 0 && v->ncpus > (unsigned int)max) {
		snprintf(why, len, "%u cpus: this KVM allows %d", v->ncpus,
		    max);
		errno = EINVAL;
		return -1;
	}
	size = ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return vmm_why(why, len, "vcpu size");
	v->run_size = (size_t)size;
	for (i = 0; i < v->ncpus; i++)
		if (vcpu_init(v, i, why, len) == -1)
			return -1;
	if (vmm_threads_start(v) == -1)
		return vmm_why(why, len, "vcpu threads");
	return 0;
}

static struct vmm *
vmm_alloc(const struct vmm_conf *conf)
{
	struct vmm *v;
	unsigned int i;

	if ((v = calloc(1, sizeof(*v))) == NULL)
		return NULL;
	v->kvm = conf->kvm;
	v->fd = -1;
	v->mem = conf->mem;
	v->ops = conf->ops;
	v->ncpus = conf->ncpus;
	for (i = 0; i < VMM_MAXCPUS; i++) {
		v->cpus[i].vmm = v;
		v->cpus[i].idx = i;
		v->cpus[i].fd = -1;
	}
	atomic_init(&v->requests, REQ_HOLD);
	v->holds = 1;
	pthread_mutex_init(&v->lock, NULL);
	pthread_mutex_init(&v->irq_lock, NULL);
	pthread_cond_init(&v->cond, NULL);
	return v;
}

struct vmm *
vmm_create(const struct vmm_conf *conf, char *why, size_t len)
{
	struct vmm *v = NULL;

	if (conf->ncpus == 0 || conf->ncpus > VMM_MAXCPUS ||
	    conf->mem->base == NULL) {
		errno = EINVAL;
		vmm_why(why, len, "vmm_create");
		return NULL;
	}
	if (vmm_host_check(conf->kvm, why, len) == -1)
		return NULL;
	if ((v = vmm_alloc(conf)) == NULL) {
		vmm_why(why, len, "vmm_create");
		return NULL;
	}
	if ((v->fd = ioctl(v->kvm, KVM_CREATE_VM, 0)) == -1) {
		vmm_why(why, len, "KVM_CREATE_VM");
		goto fail;
	}
	if (vmm_msr_setup(v) == -1) {
		vmm_why(why, len, "MSR policy");
		goto fail;
	}
	if (mem_init(v, why, len) == -1 || chips_init(v, why, len) == -1 ||
	    vcpus_init(v, why, len) == -1)
		goto fail;
	return v;
fail:
	vmm_free(v);
	return NULL;
}

void
vmm_free(struct vmm *v)
{
	int save = errno;
	unsigned int i;

	if (v == NULL)
		return;
	vmm_threads_join(v);
	for (i = 0; i < v->ncpus; i++) {
		if (v->cpus[i].run != NULL)
			munmap(v->cpus[i].run, v->run_size);
		if (v->cpus[i].fd != -1)
			close(v->cpus[i].fd);
		free(v->cpus[i].cpuid);
	}
	vmm_irq_fini(v);
	if (v->fd != -1)
		close(v->fd);
	pthread_cond_destroy(&v->cond);
	pthread_mutex_destroy(&v->irq_lock);
	pthread_mutex_destroy(&v->lock);
	free(v);
	errno = save;
}
