/*
 * ELF files for the boot loaders of the vm process: headers, the notes that
 * tell kernels apart, segments.  Both classes are read into the structures
 * of 64 bits.  Nothing in the file is trusted.
 */
#include <sys/random.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmd/vm/boot_int.h"

#define PT_OPENBSD_RANDOMIZE 0x65a3dbe6U
#define XEN_PHYS32_ENTRY     18
#define NOTES_MAX	     (64U << 10)
#define RANDOM_MAX	     (64U << 10)

/* Headers of 32 bits, widened; the names are the same. */
static void
widen_ehdr(Elf64_Ehdr *to, const Elf32_Ehdr *f)
{
	memcpy(to->e_ident, f->e_ident, EI_NIDENT);
	to->e_type = f->e_type;
	to->e_machine = f->e_machine;
	to->e_version = f->e_version;
	to->e_entry = f->e_entry;
	to->e_phoff = f->e_phoff;
	to->e_shoff = f->e_shoff;
	to->e_flags = f->e_flags;
	to->e_ehsize = f->e_ehsize;
	to->e_phentsize = f->e_phentsize;
	to->e_phnum = f->e_phnum;
	to->e_shentsize = f->e_shentsize;
	to->e_shnum = f->e_shnum;
	to->e_shstrndx = f->e_shstrndx;
}

static void
widen_phdr(Elf64_Phdr *to, const Elf32_Phdr *f)
{
	to->p_type = f->p_type;
	to->p_flags = f->p_flags;
	to->p_offset = f->p_offset;
	to->p_vaddr = f->p_vaddr;
	to->p_paddr = f->p_paddr;
	to->p_filesz = f->p_filesz;
	to->p_memsz = f->p_memsz;
	to->p_align = f->p_align;
}

static int
read_ehdr(struct boot *b, struct elf *e)
{
	Elf32_Ehdr eh32;
	size_t size;

	memset(e, 0, sizeof(*e));
	if (image_inside(b, &b->kernel, "ELF header", 0, EI_NIDENT) == -1 ||
	    image_read(b, &b->kernel, e->raw, 0, EI_NIDENT) == -1)
		return -1;
	if (e->raw[EI_CLASS] == ELFCLASS32)
		e->bits = 32;
	else if (e->raw[EI_CLASS] == ELFCLASS64)
		e->bits = 64;
	else
		return boot_fail(b, "kernel: ELF class %u", e->raw[EI_CLASS]);
	size = e->bits == 32 ? sizeof(eh32) : sizeof(e->eh);
	if (image_inside(b, &b->kernel, "ELF header", 0, size) == -1 ||
	    image_read(b, &b->kernel, e->raw, 0, size) == -1)
		return -1;
	if (e->bits == 32) {
		memcpy(&eh32, e->raw, sizeof(eh32));
		widen_ehdr(&e->eh, &eh32);
	} else
		memcpy(&e->eh, e->raw, sizeof(e->eh));
	return 0;
}

static int
check_ehdr(struct boot *b, const struct elf *e)
{
	const Elf64_Ehdr *eh = &e->eh;

	/* Checked again: the file was read a second time. */
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_ident[EI_CLASS] != (e->bits == 32 ? ELFCLASS32 : ELFCLASS64))
		return boot_fail(b, "kernel: changed while it was read");
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return boot_fail(b, "kernel: a big-endian ELF file");
	if (eh->e_machine != EM_386 && eh->e_machine != EM_X86_64)
		return boot_fail(b, "kernel: for another machine (%u)",
		    eh->e_machine);
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return boot_fail(b, "kernel: not an executable (type %u)",
		    eh->e_type);
	if (eh->e_phnum == 0)
		return boot_fail(b, "kernel: no program headers");
	if (eh->e_phnum > ELF_MAXPH)
		return boot_fail(b,
		    "kernel: %u program headers, %d are "
		    "the most",
		    eh->e_phnum, ELF_MAXPH);
	if (eh->e_phentsize !=
	    (e->bits == 32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr)))
		return boot_fail(b, "kernel: program headers of %u bytes",
		    eh->e_phentsize);
	return 0;
}

static int
read_phdrs(struct boot *b, struct elf *e)
{
	Elf32_Phdr ph32[ELF_MAXPH];
	uint64_t len = (uint64_t)e->eh.e_phnum * e->eh.e_phentsize;
	void *to = e->bits == 32 ? (void *)ph32 : (void *)e->ph;
	unsigned int i;

	memset(ph32, 0, sizeof(ph32));
	if (image_inside(b, &b->kernel, "program header table", e->eh.e_phoff,
		len) == -1 ||
	    image_read(b, &b->kernel, to, e->eh.e_phoff, len) == -1)
		return -1;
	for (i = 0; e->bits == 32 && i < e->eh.e_phnum; i++)
		widen_phdr(&e->ph[i], &ph32[i]);
	return 0;
}

static uint64_t
round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

/* One note of a segment that is in memory; all inside, checked. */
static int
note(struct boot *b, struct elf *e, const Elf64_Nhdr *nh, const uint8_t *p,
    const uint8_t *desc)
{
	if (nh->n_namesz == 8 && memcmp(p, "OpenBSD", 8) == 0 &&
	    nh->n_type == 1)
		e->openbsd = 1;
	if (nh->n_namesz != 4 || memcmp(p, "Xen", 4) != 0 ||
	    nh->n_type != XEN_PHYS32_ENTRY)
		return 0;
	if (nh->n_descsz != 4 && nh->n_descsz != 8)
		return boot_fail(b, "kernel: a PVH note of %u bytes",
		    nh->n_descsz);
	e->pvh = 1;
	e->pvh_entry = get_le(desc, nh->n_descsz);
	return 0;
}

static int
notes(struct boot *b, struct elf *e, const Elf64_Phdr *ph)
{
	uint8_t buf[NOTES_MAX];
	uint64_t align = ph->p_align == 8 ? 8 : 4;
	uint64_t off = 0, name, desc, end;
	Elf64_Nhdr nh;

	if (ph->p_filesz > sizeof(buf))
		return boot_fail(b, "kernel: %llu bytes of notes",
		    (unsigned long long)ph->p_filesz);
	if (image_read(b, &b->kernel, buf, ph->p_offset, ph->p_filesz) == -1)
		return -1;
	while (ph->p_filesz - off >= sizeof(nh)) {
		memcpy(&nh, buf + off, sizeof(nh));
		name = off + sizeof(nh);
		desc = round_up(name + nh.n_namesz, align);
		end = desc + nh.n_descsz;
		if (desc > ph->p_filesz || end > ph->p_filesz)
			return boot_fail(b,
			    "kernel: a note ends after its "
			    "segment");
		if (note(b, e, &nh, buf + name, buf + desc) == -1)
			return -1;
		off = round_up(end, align);
		if (off > ph->p_filesz)
			break;
	}
	return 0;
}

int
elf_open(struct boot *b, struct elf *e)
{
	const Elf64_Phdr *ph;
	char part[32];
	unsigned int i;

	if (read_ehdr(b, e) == -1 || check_ehdr(b, e) == -1 ||
	    read_phdrs(b, e) == -1)
		return -1;
	for (i = 0; i < e->eh.e_phnum; i++) {
		ph = &e->ph[i];
		if (ph->p_type == PT_OPENBSD_RANDOMIZE)
			e->openbsd = 1;
		if (ph->p_type != PT_LOAD && ph->p_type != PT_NOTE)
			continue;
		snprintf(part, sizeof(part), "program header %u", i);
		if (image_inside(b, &b->kernel, part, ph->p_offset,
			ph->p_filesz) == -1)
			return -1;
		if (ph->p_type == PT_NOTE && notes(b, e, ph) == -1)
			return -1;
	}
	return 0;
}

/* --- segments --------------------------------------------------------- */

/* Memory for segment `i', or NULL with a sentence. */
static uint8_t *
segment(struct boot *b, unsigned int i, uint64_t gpa, uint64_t len)
{
	uint8_t *p;

	if (gpa < BOOT_LOW) {
		boot_fail(b, "kernel: program header %u loads below 1 MiB", i);
		return NULL;
	}
	if ((p = boot_ram(b, gpa, len)) == NULL) {
		boot_fail(b,
		    "kernel: program header %u needs %llu bytes at "
		    "0x%llx, where there is no memory",
		    i, (unsigned long long)len, (unsigned long long)gpa);
		return NULL;
	}
	return p;
}

static int
load_segment(struct boot *b, unsigned int i, const Elf64_Phdr *ph, uint64_t gpa)
{
	uint8_t *p;

	if (ph->p_filesz > ph->p_memsz)
		return boot_fail(b,
		    "kernel: program header %u is larger in "
		    "the file than in memory",
		    i);
	if ((p = segment(b, i, gpa, ph->p_memsz)) == NULL ||
	    image_read(b, &b->kernel, p, ph->p_offset, ph->p_filesz) == -1)
		return -1;
	memset(p + ph->p_filesz, 0, ph->p_memsz - ph->p_filesz);
	if (gpa + ph->p_memsz > b->end)
		b->end = gpa + ph->p_memsz;
	return 0;
}

/* Seed for the guest's random numbers, written after its segment. */
static int
randomize(struct boot *b, unsigned int i, const Elf64_Phdr *ph, uint64_t gpa)
{
	uint64_t done = 0;
	uint8_t *p;
	ssize_t n;

	if (ph->p_filesz > RANDOM_MAX)
		return boot_fail(b,
		    "kernel: program header %u asks for "
		    "%llu random bytes",
		    i, (unsigned long long)ph->p_filesz);
	if ((p = segment(b, i, gpa, ph->p_filesz)) == NULL)
		return -1;
	while (done < ph->p_filesz) {
		n = getrandom(p + done, ph->p_filesz - done, 0);
		if (n == -1 && errno != EINTR)
			return boot_fail(b, "kernel: random bytes: %s",
			    strerror(errno));
		if (n > 0)
			done += (uint64_t)n;
	}
	return 0;
}

int
elf_load(struct boot *b, const struct elf *e, uint64_t mask, uint64_t entry)
{
	const Elf64_Phdr *ph;
	uint64_t gpa;
	unsigned int i;
	int found = 0;

	b->end = 0;
	for (i = 0; i < e->eh.e_phnum; i++) {
		ph = &e->ph[i];
		gpa = ph->p_paddr & mask;
		if (ph->p_type != PT_LOAD || ph->p_memsz == 0)
			continue;
		if (load_segment(b, i, ph, gpa) == -1)
			return -1;
		if (entry >= gpa && entry - gpa < ph->p_memsz)
			found = 1;
	}
	if (b->end == 0)
		return boot_fail(b, "kernel: nothing to load");
	if (!found)
		return boot_fail(b,
		    "kernel: the entry point 0x%llx is not in "
		    "the kernel",
		    (unsigned long long)entry);
	for (i = 0; i < e->eh.e_phnum; i++) {
		ph = &e->ph[i];
		if (ph->p_type == PT_OPENBSD_RANDOMIZE &&
		    randomize(b, i, ph, ph->p_paddr & mask) == -1)
			return -1;
	}
	return 0;
}
