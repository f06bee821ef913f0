#ifndef VMM_INT_H
#define VMM_INT_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "lib/vmm/vmm.h"

/*
 * What the files of libvmm share.  Nothing outside lib/vmm includes this.
 */

#define VMM_MAXCPUS	  64
#define VMM_PINS	  24 /* of the IOAPIC; MSI routes come after them */
#define VMM_TSS_ADDR	  0xfeffd000UL
#define VMM_IDENTITY	  0xfeffc000ULL
#define VMM_MAXCPUID	  256
#define VMM_MAXMSRS	  512

#define EXIT_MEMORY_FAULT 39 /* newer than our kernel headers */

/* For KVM_GET_MSRS and KVM_SET_MSRS of a single one. */
union msr_one {
	struct kvm_msrs h;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

/* Bits of vmm.requests. */
#define REQ_HOLD 0x1 /* not started yet, or paused */
#define REQ_STOP 0x2

struct vmm_vcpu {
	struct vmm *vmm;
	unsigned int idx;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	int have_thread;
	int alive;		  /* under vmm.lock: in its loop */
	int parked;		  /* under vmm.lock: not in the guest */
	int pending;		  /* own thread: last exit wants KVM_RUN */
	struct kvm_cpuid2 *cpuid; /* as set */
};

/* A GSI above the pins. */
struct vmm_msi {
	int used;
	int set;
	uint64_t addr;
	uint32_t data;
};

struct vmm {
	int kvm; /* the caller's */
	int fd;
	const struct gmem *mem;
	struct vmm_ops ops;
	unsigned int ncpus;
	struct vmm_vcpu cpus[VMM_MAXCPUS];
	size_t run_size;

	atomic_uint requests;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned int holds; /* under lock */
	int started;	    /* under lock */
	int ended;	    /* under lock: ops.ended was called */

	pthread_mutex_t irq_lock;
	struct vmm_msi *msis; /* under irq_lock */
	size_t nmsis;
	size_t max_msis;
};

/* Put a formatted sentence with the text of errno; returns -1. */
int vmm_why(char *why, size_t len, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* cpu.c: threads, held until vmm_start(). */
int vmm_threads_start(struct vmm *v);
void vmm_threads_join(struct vmm *v);
/* Lock the VM if no vcpu is in the guest: 0, or -1 with errno EBUSY. */
int vmm_lock_held(struct vmm *v);
void vmm_unlock(struct vmm *v);

/* exit.c: one exit of KVM_RUN.  0 goes on, -1: this vcpu has ended. */
int vmm_exit(struct vmm_vcpu *c);
/* The first call for a VM tells the owner and stops all vcpus. */
void vmm_end(struct vmm *v, enum vmm_end how, const char *text);

/*
 * insn.c: name of the instruction in `b', or NULL if it is not one of the
 * usual suspects.  `mode' is 16, 32 or 64.
 */
const char *vmm_insn_name(const uint8_t *b, size_t len, unsigned int mode);

/* cpuid.c: what vcpu `c' of the VM gets. */
int vmm_cpuid_set(struct vmm_vcpu *c);
/*
 * The policy by itself: edits `t' (room for `max' entries), which is what
 * KVM supports, for vcpu `idx' of `ncpus'.  0, or -1 with errno E2BIG.
 */
int vmm_cpuid_policy(struct kvm_cpuid2 *t, unsigned int max, unsigned int idx,
    unsigned int ncpus, int deadline);

/* msr.c: reads and writes of MSRs that KVM does not know or we deny. */
int vmm_msr_setup(struct vmm *v);
/*
 * What the table denies of `access' (KVM_MSR_FILTER_READ or _WRITE) from MSR
 * `base' on, for KVM_X86_SET_MSR_FILTER: a bit that is set allows.
 */
#define VMM_MSR_SPAN 0x2000U
void vmm_msr_map(uint8_t map[VMM_MSR_SPAN / 8], uint32_t base, int access);
void vmm_msr_read(struct kvm_run *run);
void vmm_msr_write(struct kvm_run *run);

/* irq.c: write the routing table; vmm_create() calls it once. */
int vmm_irq_init(struct vmm *v);
void vmm_irq_fini(struct vmm *v);

#endif
