/*
 * OpenBSD kernels, amd64 and i386, for the vm process, which does what
 * boot(8) does: the kernel with its symbols, boot arguments, a stack with
 * the arguments of the entry point, and, as vmd(8) would, page tables.
 * See boot_amd64(8) and loadfile's ELF part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmd/vm/boot_int.h"

#define LOAD_MASK	0x0fffffffULL /* kernels are linked at a high address */

#define BOOTARGS	0x2000ULL
#define STACK_TOP	0x10000ULL
#define GDT		0x10000ULL
#define PML4		0x11000ULL
#define PML3		0x12000ULL
#define PML2		0x13000ULL
#define PAGE		4096

#define BOOTARG_MEMMAP	0
#define BOOTARG_CONSDEV 5
#define BOOTARG_END	0xffffffffU
#define ARG_HEAD	12
#define MAP_SIZE	20
#define CONSDEV_SIZE	32

#define COM0		(8 << 8) /* major 8, minor 0 */
#define SPEED		115200
#define COM1_PORT	0x3f8
#define API_VERSION	0x0e
#define BOOTDEV		0xa0000004U /* sd0a */
#define STACK_WORDS	8

#define PTE_P		0x01
#define PTE_W		0x02
#define PTE_U		0x04
#define PTE_LARGE	0x80

#define SHDRS_MAX	128
#define SYMBOLS_MAX	(64ULL << 20)

/* The section headers, in the file's class. */
struct sections {
	uint8_t *raw;
	size_t each;
	unsigned int n;
	int bits;
};

/* --- symbols ---------------------------------------------------------- */

/* Offset and size of the fields of a section header. */
struct shfield {
	uint8_t at32, size32, at64, size64;
};

static const struct shfield sh_name = { 0, 4, 0, 4 };
static const struct shfield sh_type = { 4, 4, 4, 4 };
static const struct shfield sh_flags = { 8, 4, 8, 8 };
static const struct shfield sh_offset = { 16, 4, 24, 8 };
static const struct shfield sh_size = { 20, 4, 32, 8 };

static uint64_t
sh_get(const struct sections *s, unsigned int i, const struct shfield *f)
{
	const uint8_t *p = s->raw + i * s->each;

	return s->bits == 32 ? get_le(p + f->at32, f->size32) :
			       get_le(p + f->at64, f->size64);
}

static void
sh_set(struct sections *s, unsigned int i, const struct shfield *f, uint64_t v)
{
	uint8_t *p = s->raw + i * s->each;

	if (s->bits == 32)
		put_le(p + f->at32, v, f->size32);
	else
		put_le(p + f->at64, v, f->size64);
}

static int
sections_read(struct boot *b, const struct elf *e, struct sections *s)
{
	size_t want = e->bits == 32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr);

	s->bits = e->bits;
	s->each = want;
	s->n = e->eh.e_shnum;
	if (s->n == 0)
		return 0;
	if (e->eh.e_shentsize != want)
		return boot_fail(b, "kernel: section headers of %u bytes",
		    e->eh.e_shentsize);
	if (s->n > SHDRS_MAX)
		return boot_fail(b,
		    "kernel: %u section headers, %d are the "
		    "most",
		    s->n, SHDRS_MAX);
	if (image_inside(b, &b->kernel, "section header table", e->eh.e_shoff,
		s->n * want) == -1)
		return -1;
	if ((s->raw = malloc(s->n * want)) == NULL)
		return boot_fail(b, "kernel: no memory for its sections");
	return image_read(b, &b->kernel, s->raw, e->eh.e_shoff, s->n * want);
}

/* Is section `i' named `want'?  A name that is not there is no name. */
static int
named(struct boot *b, const struct elf *e, const struct sections *s,
    unsigned int i, const char *want)
{
	char name[16];
	uint64_t off, len = strlen(want) + 1;
	uint64_t at = sh_get(s, i, &sh_name);
	uint64_t table, size;

	if (e->eh.e_shstrndx >= s->n)
		return 0;
	table = sh_get(s, e->eh.e_shstrndx, &sh_offset);
	size = sh_get(s, e->eh.e_shstrndx, &sh_size);
	if (at > size || len > size - at || table > b->kernel.size ||
	    size > b->kernel.size - table)
		return 0;
	off = table + at;
	return image_read(b, &b->kernel, name, off, len) == 0 &&
	    memcmp(name, want, len) == 0;
}

static int
has_symbols(const struct sections *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (sh_get(s, i, &sh_type) == SHT_SYMTAB)
			return 1;
	return 0;
}

/* The kernel's debugger wants these, if there is a symbol table. */
static int
wanted(struct boot *b, const struct elf *e, const struct sections *s,
    unsigned int i)
{
	uint64_t type = sh_get(s, i, &sh_type);

	return type == SHT_SYMTAB || type == SHT_STRTAB ||
	    named(b, e, s, i, ".debug_line") || named(b, e, s, i, ".SUNW_ctf");
}

/* Copy section `i' to b->end and say where, counted from `base'. */
static int
load_section(struct boot *b, struct sections *s, unsigned int i, uint64_t base)
{
	uint64_t off = sh_get(s, i, &sh_offset), size = sh_get(s, i, &sh_size);
	char part[32];
	uint8_t *p;

	snprintf(part, sizeof(part), "section %u", i);
	if (image_inside(b, &b->kernel, part, off, size) == -1)
		return -1;
	if (size > SYMBOLS_MAX || (p = boot_ram(b, b->end, size)) == NULL)
		return boot_fail(b, "kernel: no room for its symbols");
	if (image_read(b, &b->kernel, p, off, size) == -1)
		return -1;
	sh_set(s, i, &sh_offset, b->end - base);
	sh_set(s, i, &sh_flags, sh_get(s, i, &sh_flags) | SHF_ALLOC);
	b->end += (size + 7) & ~7ULL;
	return 0;
}

/* The copy of the ELF header: no segments, sections right after it. */
static void
patch_ehdr(const struct elf *e, uint8_t *eh)
{
	if (e->bits == 32) {
		memcpy(eh, e->raw, sizeof(Elf32_Ehdr));
		put_le(eh + offsetof(Elf32_Ehdr, e_phoff), 0, 4);
		put_le(eh + offsetof(Elf32_Ehdr, e_shoff), sizeof(Elf32_Ehdr),
		    4);
		put_le(eh + offsetof(Elf32_Ehdr, e_phentsize), 0, 2);
		put_le(eh + offsetof(Elf32_Ehdr, e_phnum), 0, 2);
		return;
	}
	memcpy(eh, e->raw, sizeof(Elf64_Ehdr));
	put_le(eh + offsetof(Elf64_Ehdr, e_phoff), 0, 8);
	put_le(eh + offsetof(Elf64_Ehdr, e_shoff), sizeof(Elf64_Ehdr), 8);
	put_le(eh + offsetof(Elf64_Ehdr, e_phentsize), 0, 2);
	put_le(eh + offsetof(Elf64_Ehdr, e_phnum), 0, 2);
}

/*
 * After the kernel: ELF header, section headers, then the sections that are
 * wanted, each at a multiple of 8.
 */
static int
load_symbols(struct boot *b, const struct elf *e, struct sections *s)
{
	size_t ehsize = e->bits == 32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr);
	uint64_t base = (b->end + 7) & ~7ULL;
	uint64_t room = ehsize + s->n * s->each;
	uint8_t load[SHDRS_MAX] = { 0 };
	unsigned int i;
	uint8_t *p;

	if ((p = boot_ram(b, base, room + 8)) == NULL)
		return boot_fail(b, "kernel: no room for its symbols");
	b->end = base + ehsize + ((s->n * s->each + 7) & ~7ULL);
	/* Names first: loading moves the table they are in. */
	for (i = 0; i < s->n; i++)
		load[i] = has_symbols(s) && wanted(b, e, s, i);
	for (i = 0; i < s->n; i++)
		if (load[i] && load_section(b, s, i, base) == -1)
			return -1;
	patch_ehdr(e, p);
	if (s->n > 0 && s->raw != NULL)
		memcpy(p + ehsize, s->raw, s->n * s->each);
	return 0;
}

/* --- low memory ------------------------------------------------------- */

/* Begin a boot argument with `len' bytes of payload; returns its place. */
static uint8_t *
arg(uint8_t *page, size_t *off, uint32_t type, size_t len)
{
	uint8_t *p = page + *off;

	put_le(p, type, 4);
	put_le(p + 4, ARG_HEAD + len, 4);
	put_le(p + 8, ARG_HEAD + len, 4);
	*off += ARG_HEAD + len;
	return p + ARG_HEAD;
}

static int
bootargs(struct boot *b, size_t *len)
{
	struct boot_mem map[GMEM_MAXRANGES];
	uint8_t page[PAGE] = { 0 };
	uint8_t *p;
	size_t i, n;

	*len = 0;
	n = boot_memmap(b, map, 1);
	/* One more, of zeros, ends the map. */
	p = arg(page, len, BOOTARG_MEMMAP, (n + 1) * MAP_SIZE);
	for (i = 0; i < n; i++, p += MAP_SIZE) {
		put_le(p, map[i].addr, 8);
		put_le(p + 8, map[i].size, 8);
		put_le(p + 16, map[i].type, 4);
	}
	p = arg(page, len, BOOTARG_CONSDEV, CONSDEV_SIZE);
	put_le(p, COM0, 4);
	put_le(p + 4, SPEED, 4);
	put_le(p + 8, COM1_PORT, 8);
	put_le(page + *len, BOOTARG_END, 4);
	*len += 4;
	return boot_put(b, BOOTARGS, page, sizeof(page));
}

/* The arguments of the entry point, the last one highest. */
static int
stack(struct boot *b, size_t args)
{
	const uint32_t words[STACK_WORDS] = { 0, BOOTDEV, API_VERSION,
		(uint32_t)b->end, 0, 0, (uint32_t)args, BOOTARGS };
	uint8_t page[PAGE] = { 0 };
	unsigned int i;

	for (i = 0; i < STACK_WORDS; i++)
		put_le(page + PAGE - 4 * (STACK_WORDS - i), words[i], 4);
	return boot_put(b, STACK_TOP - PAGE, page, sizeof(page));
}

static int
tables(struct boot *b, int bits)
{
	uint8_t page[PAGE] = { 0 };
	const uint64_t large = PTE_P | PTE_W | PTE_U | PTE_LARGE;
	unsigned int i;

	put_le(page + 0x08, 0x00cf9b000000ffffULL, 8);
	put_le(page + 0x10, 0x00cf93000000ffffULL, 8);
	put_le(page + 0x18, 0x00af9b000000ffffULL, 8);
	if (boot_put(b, GDT, page, PAGE) == -1)
		return -1;
	if (bits == 32) {
		for (i = 0; i < 1024; i++)
			put_le(page + 4 * i, (uint64_t)i << 22 | large, 4);
		return boot_put(b, PML3, page, PAGE);
	}
	memset(page, 0, PAGE);
	put_le(page, PML3 | PTE_P, 8);
	if (boot_put(b, PML4, page, PAGE) == -1)
		return -1;
	put_le(page, PML2 | PTE_P | PTE_W | PTE_U, 8);
	if (boot_put(b, PML3, page, PAGE) == -1)
		return -1;
	for (i = 0; i < 512; i++)
		put_le(page + 8 * i, (uint64_t)i << 21 | large, 8);
	return boot_put(b, PML2, page, PAGE);
}

/* A 32-bit code segment even in long mode: the kernel begins there. */
static void
registers(struct boot_regs *r, int bits)
{
	boot_flat(r, 32);
	r->cs.sel = 0x08;
	r->cs.type = 15;
	r->ds.sel = r->es.sel = r->fs.sel = r->gs.sel = r->ss.sel = 0x10;
	r->ldt.unusable = 0;
	r->ldt.present = 1;
	r->ldt.limit = 0xffff;
	r->gdt_base = GDT;
	r->gdt_limit = 0xffff;
	r->idt_limit = 0xffff;
	r->cr0 = 0x80000011; /* PG, ET, PE */
	r->cr3 = bits == 32 ? PML3 : PML4;
	r->cr4 = bits == 32 ? 0x10 : 0x30; /* PSE, PAE */
	r->efer = bits == 32 ? 0 : 0x500;  /* LMA, LME */
	r->rsp = STACK_TOP - 4 * (STACK_WORDS + 1);
	r->dr6 = 0xffff0ff0;
	r->dr7 = 0x400;
	r->xcr0 = 1;
}

int
boot_openbsd(struct boot *b, const struct elf *e)
{
	struct sections s = { .raw = NULL };
	uint64_t entry = e->eh.e_entry & LOAD_MASK;
	size_t args;
	int rc = -1;

	if (b->initrd.fd != -1)
		return boot_fail(b, "initrd: an OpenBSD kernel takes none");
	if (b->conf->cmdline != NULL && b->conf->cmdline[0] != '\0')
		return boot_fail(b, "cmdline: an OpenBSD kernel takes none");
	if (elf_load(b, e, LOAD_MASK, entry) == 0 &&
	    sections_read(b, e, &s) == 0 && load_symbols(b, e, &s) == 0 &&
	    bootargs(b, &args) == 0 && stack(b, args) == 0 &&
	    tables(b, e->bits) == 0) {
		registers(b->regs, e->bits);
		b->regs->rip = entry;
		rc = 0;
	}
	free(s.raw);
	return rc;
}
