#ifndef VM_BOOT_H
#define VM_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/util/gmem.h"
#include "lib/vmm/vmm.h"

/*
 * Boot loaders: from a file to guest memory and the first vcpu's registers.
 * They run in the sandboxed vm process: every byte of the files is hostile.
 */

/* What the first vcpu starts with; everything else as after reset. */
struct boot_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	struct vmm_seg cs, ds, es, fs, gs, ss, tr, ldt;
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
	uint64_t dr6, dr7, xcr0; /* 0: leave alone */
	int firmware; /* architectural reset state, ignore the rest */
};

struct boot_conf {
	int kernel;	     /* descriptor, read with pread(2) */
	int initrd;	     /* or -1 */
	const char *cmdline; /* or NULL */
	const struct gmem *mem;
	uint64_t rsdp; /* gpa of the ACPI RSDP, 0: none */
};

/*
 * Load what `c' names.  Returns 0 with `*r' set, or -1 with a sentence in
 * `err' ("not a kernel: ...", "initrd: does not fit").  The file decides
 * which loader: bzImage, ELF with a PVH note, OpenBSD ELF (also gzipped);
 * other ELF is refused.  Anything else: a firmware image is refused with a
 * text that says it is not supported yet.
 */
#define BOOT_ERRLEN 256
int boot_load(const struct boot_conf *c, struct boot_regs *r,
    char err[BOOT_ERRLEN]);

/*
 * Write the ACPI tables for `ncpus' to 0xe0000 and return the gpa of the
 * RSDP, or 0 with errno: EFAULT if there is no memory, EINVAL for a number
 * of processors outside 1 to 64.
 */
uint64_t acpi_tables(const struct gmem *mem, unsigned int ncpus);

#endif
