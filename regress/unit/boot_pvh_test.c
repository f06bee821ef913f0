/* ELF files with a PVH note: what is in memory, and what is refused. */

#include <elf.h>

#include "regress/unit/boot_test.h"

#define NPH   4
#define NOTES 0x200
#define TEXT  0x400
#define SIZE  0x1000
#define LOAD  0x200000
#define ENTRY (LOAD + 0x10)

static uint8_t elf[SIZE];

/* p_offset and so on of a program header; see the table below. */
#define EH(f) (offsetof(Elf64_Ehdr, f))
#define PH(i, f)                                                               \
	(sizeof(Elf64_Ehdr) + (i) * sizeof(Elf64_Phdr) +                       \
	    offsetof(Elf64_Phdr, f))

/* A note; returns the offset after it. */
static size_t
note(size_t off, const char *name, uint32_t type, uint64_t desc,
    unsigned int size)
{
	put(elf + off, strlen(name) + 1, 4);
	put(elf + off + 4, size, 4);
	put(elf + off + 8, type, 4);
	memcpy(elf + off + 12, name, strlen(name) + 1);
	off += 12 + ((strlen(name) + 1 + 3) & ~3UL);
	put(elf + off, desc, size);
	return off + ((size + 3) & ~3U);
}

static void
header(unsigned int i, uint32_t type, uint64_t off, uint64_t paddr,
    const uint64_t sizes[2])
{
	Elf64_Phdr ph = { .p_type = type,
		.p_flags = 7,
		.p_offset = off,
		.p_vaddr = 0xffffffff80000000 + paddr,
		.p_paddr = paddr,
		.p_filesz = sizes[0],
		.p_memsz = sizes[1],
		.p_align = 4 };

	memcpy(elf + sizeof(Elf64_Ehdr) + i * sizeof(ph), &ph, sizeof(ph));
}

static void
make(void)
{
	Elf64_Ehdr eh = { .e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_entry = 0xffffffff80200000,
		.e_phoff = sizeof(eh),
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = NPH };
	size_t end, i;

	memset(elf, 0, sizeof(elf));
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = 1;
	memcpy(elf, &eh, sizeof(eh));
	end = note(NOTES, "GNU", 3, 0x1122334455667788, 8);
	end = note(end, "Xen", 6, 0, 4);
	end = note(end, "Xen", 18, ENTRY, 4);
	header(0, PT_LOAD, TEXT, LOAD, (uint64_t[]){ 0x300, 0x300 });
	header(1, PT_LOAD, TEXT + 0x300, LOAD + 0x1000,
	    (uint64_t[]){ 0x80, 0x5000 });
	header(2, PT_NOTE, NOTES, 0, (uint64_t[]){ end - NOTES, 0 });
	header(3, PT_LOAD, 0, 0, (uint64_t[]){ 0, 0 });
	for (i = TEXT; i < SIZE; i++)
		elf[i] = (uint8_t)(i * 11 + i / 256);
}

static void
check_info(uint64_t initrd, uint64_t cmdline)
{
	static const struct {
		uint64_t addr, size;
		uint32_t type;
	} want[] = { { 0, 0x9f000, 1 }, { 0x9f000, 0x1000, 2 },
		{ 0xc0000, 0x40000, 2 }, { 0x100000, MEMORY - 0x100000, 1 },
		{ 0x100000000, 0x100000, 1 } };
	const uint8_t *p = at(0x6000);
	unsigned int i;

	assert_true(le(p, 4) == 0x336ec578);
	assert_int_equal(le(p + 4, 4), 1);
	assert_int_equal(le(p + 8, 4), 0);
	assert_int_equal(le(p + 12, 4), initrd != 0);
	assert_int_equal(le(p + 16, 8), initrd != 0 ? 0x6040 : 0);
	assert_int_equal(le(p + 24, 8), cmdline);
	assert_int_equal(le(p + 32, 8), 0xe0000);
	assert_int_equal(le(p + 40, 8), 0x7000);
	assert_int_equal(le(p + 48, 4), NELEM(want));
	assert_int_equal(le(p + 52, 4), 0);
	assert_int_equal(le(p + 0x40, 8), initrd);
	assert_int_equal(le(p + 0x50, 8), 0);
	assert_int_equal(le(p + 0x58, 8), 0);
	for (i = 0; i < NELEM(want); i++) {
		p = at(0x7000 + 24 * i);
		assert_true(le(p, 8) == want[i].addr);
		assert_true(le(p + 8, 8) == want[i].size);
		assert_int_equal(le(p + 16, 8), want[i].type);
	}
	assert_int_equal(le(at(0x7000 + 24 * i), 8), 0);
}

static void
check_regs(void)
{
	assert_int_equal(regs.rip, ENTRY);
	assert_int_equal(regs.rbx, 0x6000);
	assert_int_equal(regs.rflags, 2);
	assert_int_equal(regs.cr0, 0x11);
	assert_int_equal(regs.cr3, 0);
	assert_int_equal(regs.cr4, 0);
	assert_int_equal(regs.efer, 0);
	assert_int_equal(regs.gdt_base, 0x500);
	assert_int_equal(regs.gdt_limit, 31);
	assert_int_equal(regs.cs.sel, 0x10);
	assert_int_equal(regs.cs.type, 11);
	assert_int_equal(regs.cs.db, 1);
	assert_int_equal(regs.cs.l, 0);
	assert_int_equal(regs.cs.g, 1);
	assert_true(regs.cs.limit == 0xffffffff);
	assert_int_equal(regs.ds.sel, 0x18);
	assert_int_equal(regs.ss.type, 3);
	assert_int_equal(regs.tr.type, 11);
	assert_int_equal(regs.tr.limit, 0x67);
	assert_int_equal(regs.tr.base, 0);
	assert_true(le(at(0x510), 8) == 0x00cf9b000000ffff);
	assert_true(le(at(0x518), 8) == 0x00cf93000000ffff);
}

static void
check_segments(void)
{
	unsigned int i;

	assert_memory_equal(at(LOAD), elf + TEXT, 0x300);
	assert_memory_equal(at(LOAD + 0x1000), elf + TEXT + 0x300, 0x80);
	for (i = 0x80; i < 0x5000; i++)
		assert_int_equal(*at(LOAD + 0x1000 + i), 0);
}

static void
boots(void **state)
{
	struct boot_conf c = { .initrd = -1, .rsdp = 0xe0000 };
	char initrd[] = "the initial file system";

	make();
	assert_int_equal(load(c, elf, SIZE), 0);
	check_segments();
	check_regs();
	check_info(0, 0);
	c.initrd = file(initrd, sizeof(initrd));
	c.cmdline = "one two";
	assert_int_equal(load(c, elf, SIZE), 0);
	close(c.initrd);
	check_info(MEMORY - 0x1000, 0x20000);
	assert_int_equal(le(at(0x6048), 8), sizeof(initrd));
	assert_string_equal((char *)at(MEMORY - 0x1000), initrd);
	assert_string_equal((char *)at(0x20000), "one two");
}

/* The entry as 64 bits, notes aligned to 8, a shared object. */
static void
variants(void **state)
{
	struct boot_conf c = { .initrd = -1, .rsdp = 0xe0000 };
	size_t end;

	make();
	put(elf + EH(e_type), ET_DYN, 2);
	end = note(NOTES, "Xen", 18, ENTRY, 8);
	put(elf + PH(2, p_filesz), end - NOTES, 8);
	put(elf + PH(2, p_align), 8, 8);
	assert_int_equal(load(c, elf, SIZE), 0);
	check_regs();
	/* Bytes that are no note any more. */
	put(elf + PH(2, p_filesz), end - NOTES + 11, 8);
	assert_int_equal(load(c, elf, SIZE), 0);
}

/* The same in 32 bits. */
static void
boots32(void **state)
{
	static uint8_t small[SIZE];
	Elf32_Ehdr eh = { .e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = 1,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = NPH };
	struct boot_conf c = { .initrd = -1, .rsdp = 0xe0000 };
	Elf64_Phdr ph;
	Elf32_Phdr ph32;
	unsigned int i;

	make();
	memcpy(small, elf, SIZE);
	memcpy(eh.e_ident, elf, EI_NIDENT);
	eh.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(small, &eh, sizeof(eh));
	for (i = 0; i < NPH; i++) {
		memcpy(&ph, elf + PH(i, p_type), sizeof(ph));
		ph32.p_type = ph.p_type;
		ph32.p_flags = ph.p_flags;
		ph32.p_offset = (uint32_t)ph.p_offset;
		ph32.p_vaddr = (uint32_t)ph.p_vaddr;
		ph32.p_paddr = (uint32_t)ph.p_paddr;
		ph32.p_filesz = (uint32_t)ph.p_filesz;
		ph32.p_memsz = (uint32_t)ph.p_memsz;
		ph32.p_align = (uint32_t)ph.p_align;
		memcpy(small + sizeof(eh) + i * sizeof(ph32), &ph32,
		    sizeof(ph32));
	}
	assert_int_equal(load(c, small, SIZE), 0);
	check_segments();
	check_regs();
	check_info(0, 0);
	assert_int_equal(load(c, small, 51), -1);
	assert_string_equal(err, "kernel: ELF header ends after the file");
}

/* clang-format off */
static const struct spoil bad[] = {
	{ "cut in ident", 0, 0, 0, 15,
	    "kernel: ELF header ends after the file" },
	{ "cut in header", 0, 0, 0, 63,
	    "kernel: ELF header ends after the file" },
	{ "class", EI_CLASS, 1, 3, 0, "kernel: ELF class 3" },
	{ "endian", EI_DATA, 1, 2, 0, "kernel: a big-endian ELF file" },
	{ "machine", EH(e_machine), 2, EM_AARCH64, 0,
	    "kernel: for another machine (183)" },
	{ "object", EH(e_type), 2, ET_REL, 0,
	    "kernel: not an executable (type 1)" },
	{ "core", EH(e_type), 2, ET_CORE, 0,
	    "kernel: not an executable (type 4)" },
	{ "phnum 0", EH(e_phnum), 2, 0, 0, "kernel: no program headers" },
	{ "phnum 65", EH(e_phnum), 2, 65, 0,
	    "kernel: 65 program headers, 64 are the most" },
	{ "phnum PN_XNUM", EH(e_phnum), 2, 0xffff, 0,
	    "kernel: 65535 program headers, 64 are the most" },
	{ "phentsize", EH(e_phentsize), 2, 32, 0,
	    "kernel: program headers of 32 bytes" },
	{ "phoff", EH(e_phoff), 8, SIZE - 100, 0,
	    "kernel: program header table ends after the file" },
	{ "phoff wraps", EH(e_phoff), 8, UINT64_MAX - 50, 0,
	    "kernel: program header table ends after the file" },
	{ "cut in table", 0, 0, 0, 0x100,
	    "kernel: program header table ends after the file" },
	{ "offset", PH(0, p_offset), 8, SIZE, 0,
	    "kernel: program header 0 ends after the file" },
	{ "offset wraps", PH(1, p_offset), 8, UINT64_MAX - 0x7f, 0,
	    "kernel: program header 1 ends after the file" },
	{ "filesz", PH(1, p_filesz), 8, UINT64_MAX, 0,
	    "kernel: program header 1 ends after the file" },
	{ "cut in segment", 0, 0, 0, TEXT + 0x37f,
	    "kernel: program header 1 ends after the file" },
	{ "memsz", PH(0, p_memsz), 8, 0x2ff, 0, "kernel: program header 0 is "
	    "larger in the file than in memory" },
	{ "memsz huge", PH(1, p_memsz), 8, UINT64_MAX, 0,
	    "kernel: program header 1 needs 18446744073709551615 bytes at "
	    "0x201000, where there is no memory" },
	{ "memsz ends above", PH(1, p_memsz), 8, MEMORY, 0,
	    "kernel: program header 1 needs 67108864 bytes at 0x201000, "
	    "where there is no memory" },
	{ "paddr low", PH(0, p_paddr), 8, 0xfffff, 0,
	    "kernel: program header 0 loads below 1 MiB" },
	{ "paddr 0", PH(1, p_paddr), 8, 0, 0,
	    "kernel: program header 1 loads below 1 MiB" },
	{ "paddr last", PH(0, p_paddr), 8, MEMORY - 1, 0,
	    "kernel: program header 0 needs 768 bytes at 0x3ffffff, where "
	    "there is no memory" },
	{ "paddr at the devices", PH(0, p_paddr), 8, 0xf0000000, 0,
	    "kernel: program header 0 needs 768 bytes at 0xf0000000, where "
	    "there is no memory" },
	{ "paddr wraps", PH(0, p_paddr), 8, UINT64_MAX - 0x2ff, 0,
	    "kernel: program header 0 needs 768 bytes at 0xfffffffffffffd00, "
	    "where there is no memory" },
	{ "entry", NOTES + 0x3c, 4, LOAD + 0x301, 0,
	    "kernel: the entry point 0x200301 is not in the kernel" },
	{ "entry 0", NOTES + 0x3c, 4, 0, 0,
	    "kernel: the entry point 0x0 is not in the kernel" },
	{ "desc of 3", NOTES + 0x30, 4, 3, 0,
	    "kernel: a PVH note of 3 bytes" },
	{ "desc of 0", NOTES + 0x30, 4, 0, 0,
	    "kernel: a PVH note of 0 bytes" },
	{ "desc huge", NOTES + 4, 4, 0xffffffff, 0,
	    "kernel: a note ends after its segment" },
	{ "name huge", NOTES, 4, 0xfffffffc, 0,
	    "kernel: a note ends after its segment" },
	{ "notes cut", PH(2, p_filesz), 8, 0x3f, 0,
	    "kernel: a note ends after its segment" },
	{ "notes outside", PH(2, p_filesz), 8, SIZE, 0,
	    "kernel: program header 2 ends after the file" },
	{ "no note", NOTES + 0x34, 4, 17, 0, "kernel: an ELF file that is "
	    "neither for PVH nor an OpenBSD kernel" },
	{ "other owner", NOTES + 0x38, 4, 0x006e6559, 0, "kernel: an ELF "
	    "file that is neither for PVH nor an OpenBSD kernel" },
	{ "no notes", PH(2, p_type), 4, PT_NULL, 0, "kernel: an ELF file "
	    "that is neither for PVH nor an OpenBSD kernel" },
};
/* clang-format on */

static void
refuses(void **state)
{
	struct boot_conf c = { .initrd = -1 };
	static uint8_t big[0x20000];
	size_t end;

	make();
	spoiled(bad, NELEM(bad), elf, SIZE);
	/* Nothing but notes. */
	put(elf + PH(0, p_type), PT_NULL, 4);
	put(elf + PH(1, p_type), PT_NULL, 4);
	assert_int_equal(load(c, elf, SIZE), -1);
	assert_string_equal(err, "kernel: nothing to load");
	make();
	end = note(NOTES, "Xen", 18, 0x100000000 + ENTRY, 8);
	put(elf + PH(2, p_filesz), end - NOTES, 8);
	assert_int_equal(load(c, elf, SIZE), -1);
	assert_string_equal(err, "kernel: the PVH entry point is above 4 GiB");
	memcpy(big, elf, SIZE);
	put(big + PH(2, p_filesz), 0x10001, 8);
	assert_int_equal(load(c, big, sizeof(big)), -1);
	assert_string_equal(err, "kernel: 65537 bytes of notes");
}

/* Every single byte of headers and notes, changed: an answer each time. */
static void
any_byte(void **state)
{
	static const uint8_t with[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct boot_conf c = { .initrd = -1 };
	unsigned int i, k;
	uint8_t was;

	make();
	c.mem = &mem;
	for (i = 0; i < TEXT; i++)
		for (k = 0; k < NELEM(with); k++) {
			was = elf[i];
			elf[i] = with[k];
			c.kernel = file(elf, SIZE);
			elf[i] = was;
			if (boot_load(&c, &regs, err) == -1)
				assert_true(strncmp(err, "kernel: ", 8) == 0 ||
				    strncmp(err, "not a k", 7) == 0);
			close(c.kernel);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(boots), T(variants), T(boots32),
		T(refuses), T(any_byte) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("boot_pvh", tests, NULL, NULL);
}
