#ifndef VM_BOOT_INT_H
#define VM_BOOT_INT_H

#include <elf.h>

#include "vmd/vm/boot.h"

/* What the loaders share; for vmd/vm/boot*.c only. */

#define BOOT_LOW	 0x100000ULL /* images are loaded above this */
#define BOOT_GDT	 0x500ULL
#define BOOT_INFO	 0x6000ULL /* PVH start info */
#define BOOT_MODULE	 0x6040ULL
#define BOOT_PARAMS	 0x7000ULL /* Linux, or the PVH memory map */
#define BOOT_PML4	 0x9000ULL /* and five more pages */
#define BOOT_CMDLINE	 0x20000ULL
#define BOOT_CMDLINE_MAX 0x10000ULL

/* A file as the loaders see it. */
struct image {
	const char *what; /* "kernel" or "initrd", for sentences */
	int fd;
	uint8_t *data; /* unpacked; NULL: read `fd' */
	uint64_t size;
};

/* A boot in progress. */
struct boot {
	const struct boot_conf *conf;
	struct boot_regs *regs;
	struct image kernel, initrd; /* initrd.fd -1: none */
	uint64_t end;		     /* of the kernel in memory */
	char *err;		     /* BOOT_ERRLEN */
};

/* Write the sentence and return -1. */
int boot_fail(struct boot *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* boot_image.c */

/* Look at a descriptor.  0, or -1 with a sentence. */
int image_open(struct boot *b, struct image *im, int fd, const char *what);
void image_close(struct image *im);
/* Replace a gzipped file by what is in it, at most `max' bytes. */
int image_gunzip(struct boot *b, struct image *im, uint64_t max);
/* Is all of `off', `len' in the file?  "kernel: PART ends after the file" */
int image_inside(struct boot *b, const struct image *im, const char *part,
    uint64_t off, uint64_t len);
/* Copy `len' bytes at `off', which the caller has checked. */
int image_read(struct boot *b, const struct image *im, void *buf, uint64_t off,
    uint64_t len);

/* boot_mem.c */

/* RAM at `gpa', `len' bytes in one range, or NULL. */
uint8_t *boot_ram(const struct boot *b, uint64_t gpa, uint64_t len);
/* Copy to low memory, which is there; -1 with a sentence if not. */
int boot_put(struct boot *b, uint64_t gpa, const void *buf, uint64_t len);
/* End of the RAM at 1 MiB; no sentence. */
uint64_t boot_low_end(const struct boot *b);

struct boot_mem {
	uint64_t addr, size;
	uint32_t type; /* 1 RAM, 2 anything else */
};
/* The memory map, with or without the holes for devices. */
size_t boot_memmap(const struct boot *b, struct boot_mem map[GMEM_MAXRANGES],
    int holes);

/*
 * Put the initrd as high as possible in low RAM, below `max' and above the
 * kernel.  `*gpa' is where; 0 if there is none.
 */
int boot_initrd(struct boot *b, uint64_t max, uint64_t *gpa);
/*
 * Write the command line, at most `max' characters.  `*gpa' is where; 0 if
 * there is none.
 */
int boot_cmdline(struct boot *b, uint64_t max, uint64_t *gpa);
/* Flat segments for 32 or 64 bits, GDT with `n' words at `gpa'. */
void boot_flat(struct boot_regs *r, int bits);
int boot_gdt(struct boot *b, int bits);
void put_le(uint8_t *p, uint64_t v, unsigned int size);
uint64_t get_le(const uint8_t *p, unsigned int size);

/* boot_elf.c */

/*
 * An ELF file of either class, in the terms of 64 bits.  Headers of no more
 * than ELF_MAXPH segments are kept.
 */
#define ELF_MAXPH 64

struct elf {
	int bits; /* 32 or 64 */
	Elf64_Ehdr eh;
	uint8_t raw[sizeof(Elf64_Ehdr)]; /* as in the file */
	Elf64_Phdr ph[ELF_MAXPH];
	int pvh; /* it has the note */
	uint64_t pvh_entry;
	int openbsd; /* it has the note or the segment */
};

/* Headers and notes.  0, or -1 with a sentence. */
int elf_open(struct boot *b, struct elf *e);
/*
 * Copy the segments to (p_paddr & `mask') and set b->end.  `entry', masked
 * as well, must lie in one of them.
 */
int
elf_load(struct boot *b, const struct elf *e, uint64_t mask, uint64_t entry);

/* One for each kind of file; 0, or -1 with a sentence. */
int boot_linux(struct boot *b);
int boot_pvh(struct boot *b, const struct elf *e);
int boot_openbsd(struct boot *b, const struct elf *e);

#endif
