#ifndef VMM_VMM_H
#define VMM_VMM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/util/gmem.h"

/*
 * libvmm: the operations of OpenBSD's vmm(4) on Linux' KVM.  -1 with errno
 * everywhere.
 *
 * KVM binds a VM to the process that made it: vmm_create() and all that
 * follows happen after the last exec.
 */

struct vmm; /* one guest */

/* --- the host --------------------------------------------------------- */

/*
 * What KVM can do, as "NAME=value\n" lines in a string the caller frees;
 * NULL with errno.  `kvm' is /dev/kvm.
 */
char *vmm_host_caps(int kvm);
/*
 * 0 if this KVM has what we need, else -1 with a sentence in `why'.
 */
int vmm_host_check(int kvm, char *why, size_t len);

/* --- exits ------------------------------------------------------------ */

/* Why a vcpu left for good; see vmm_ops.ended. */
enum vmm_end {
	VMM_END_STOPPED,   /* vmm_stop() */
	VMM_END_POWEROFF,  /* a system event of KVM's */
	VMM_END_RESET,	   /* the same */
	VMM_END_TRIPLE,	   /* triple fault */
	VMM_END_EMULATION, /* KVM could not emulate an instruction */
	VMM_END_FAILED,	   /* the text says what */
};

/*
 * Called by vcpu threads.  Port and MMIO accesses come one at a time, REP
 * ones split.  `ended' is called once for the whole VM, by the first vcpu
 * that ended, with a sentence ("KVM could not emulate 0f 01 ca at ...");
 * the other vcpus are stopped then.
 */
struct vmm_ops {
	uint32_t (*io_read)(void *arg, uint16_t port, unsigned int size);
	void (*io_write)(void *arg, uint16_t port, unsigned int size,
	    uint32_t val);
	uint64_t (*mmio_read)(void *arg, uint64_t gpa, unsigned int size);
	void (*mmio_write)(void *arg, uint64_t gpa, unsigned int size,
	    uint64_t val);
	void (*ended)(void *arg, enum vmm_end how, const char *text);
	void *arg;
};

/* --- life of a guest -------------------------------------------------- */

struct vmm_conf {
	int kvm;		/* /dev/kvm; stays the caller's */
	unsigned int ncpus;	/* 1..64 */
	const struct gmem *mem; /* created; outlives the VM */
	struct vmm_ops ops;
};

/*
 * Make the VM: memory slots, then irqchip, PIT, vcpus (BSP runnable, APs
 * waiting for SIPI), CPUID, MSRs, and the vcpus' threads, which are held
 * until vmm_start(); no thread is made after this, so that a sandbox may
 * forbid it.  NULL with errno and a sentence in `why'.
 */
struct vmm *vmm_create(const struct vmm_conf *c, char *why, size_t len);
/* Stop, join and close everything.  NULL is fine. */
void vmm_free(struct vmm *v);

/* Let the vcpus go (once; EBUSY). */
int vmm_start(struct vmm *v);
/*
 * Hold and release all vcpus; returns when each is out of the guest with
 * its last I/O completed.  Nested calls count.
 */
int vmm_pause(struct vmm *v);
int vmm_resume(struct vmm *v);
/* Ask all vcpus to end; ops.ended(VMM_END_STOPPED) follows. Any thread. */
void vmm_stop(struct vmm *v);

/* --- registers: stopped or paused vcpus only (EBUSY) ------------------ */

struct vmm_seg {
	uint16_t sel;
	uint8_t type, s, dpl, present, avl, l, db, g, unusable;
	uint32_t limit;
	uint64_t base;
};
struct vmm_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer;
	struct vmm_seg cs, ds, es, fs, gs, ss, tr, ldt;
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
};
int vmm_readregs(struct vmm *v, unsigned int cpu, struct vmm_regs *r);
int vmm_writeregs(struct vmm *v, unsigned int cpu, const struct vmm_regs *r);
int vmm_resetcpu(struct vmm *v, unsigned int cpu);

/* --- interrupts and events: any thread -------------------------------- */

int vmm_intr(struct vmm *v, unsigned int gsi, int level);
/*
 * Signal from `fd' (eventfd) to `gsi'; with `resample' >= 0 level-triggered.
 */
int
vmm_irqfd(struct vmm *v, int fd, unsigned int gsi, int resample, int assign);
/* A guest write of `len' bytes at `addr' signals `fd'. */
#define VMM_IOEVENT_PIO	  0x1
#define VMM_IOEVENT_MATCH 0x2
int vmm_ioeventfd(struct vmm *v, int fd, uint64_t addr, unsigned int len,
    uint64_t match, unsigned int flags, int assign);
/*
 * Allocate a GSI for a message-signalled interrupt, change it, release it.
 * The routing table is kept whole.
 */
int vmm_msi_new(struct vmm *v, unsigned int *gsi);
int vmm_msi_set(struct vmm *v, unsigned int gsi, uint64_t addr, uint32_t data);
void vmm_msi_free(struct vmm *v, unsigned int gsi);

/* --- state: save a paused VM, restore into a new one ------------------- */

/*
 * Everything but memory, as bytes the caller frees.  The reader checks
 * them: EBADMSG; ENOTSUP for a clock rate this host cannot give.  A VM whose
 * restore failed is good for vmm_free() only.
 */
int vmm_state_save(struct vmm *v, void **buf, size_t *len);
int vmm_state_restore(struct vmm *v, const void *buf, size_t len);

#endif
