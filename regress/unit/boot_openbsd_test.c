/* OpenBSD kernels: every byte that boot(8) and vmd(8) would have written. */

#include <elf.h>
#include <zlib.h>

#include "regress/unit/boot_test.h"

#define SIZE	 0x3000
#define TEXT	 0x1000
#define SYMTAB	 0x2000
#define STRTAB	 0x2100
#define SHSTR	 0x2200
#define LINES	 0x2300
#define SHDRS	 0x2400
#define NSH	 6
#define LOAD	 0x1000000 /* linked at 0xffffffff81000000 */
#define TEXT_LEN 0x333
#define MEM_LEN	 0x1005
#define RANDOM	 0x2000 /* after LOAD */
#define END	 (LOAD + 0x3000 + 0x205)

static uint8_t elf[SIZE];

#define EH(f) (offsetof(Elf64_Ehdr, f))
#define PH(i, f)                                                               \
	(sizeof(Elf64_Ehdr) + (i) * sizeof(Elf64_Phdr) +                       \
	    offsetof(Elf64_Phdr, f))
#define SH(i, f) (SHDRS + (i) * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, f))

static const char names[] = "\0.text\0.symtab\0.strtab\0.shstrtab\0"
			    ".debug_line";

static void
sections(void)
{
	const Elf64_Shdr sh[NSH] = {
		{ .sh_type = SHT_NULL },
		{ .sh_name = 1,
		    .sh_type = SHT_PROGBITS,
		    .sh_flags = 6,
		    .sh_addr = 0xffffffff81000000,
		    .sh_offset = TEXT,
		    .sh_size = TEXT_LEN },
		{ .sh_name = 7,
		    .sh_type = SHT_SYMTAB,
		    .sh_offset = SYMTAB,
		    .sh_size = 0x60,
		    .sh_link = 3,
		    .sh_entsize = 24 },
		{ .sh_name = 15,
		    .sh_type = SHT_STRTAB,
		    .sh_offset = STRTAB,
		    .sh_size = 0x2b },
		{ .sh_name = 23,
		    .sh_type = SHT_STRTAB,
		    .sh_offset = SHSTR,
		    .sh_size = sizeof(names) },
		{ .sh_name = 33,
		    .sh_type = SHT_PROGBITS,
		    .sh_offset = LINES,
		    .sh_size = 0x11 },
	};

	memcpy(elf + SHDRS, sh, sizeof(sh));
	memcpy(elf + SHSTR, names, sizeof(names));
}

static void
make(void)
{
	Elf64_Ehdr eh = { .e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_entry = 0xffffffff81000000 + 0x20,
		.e_phoff = sizeof(eh),
		.e_shoff = SHDRS,
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = NSH,
		.e_shstrndx = 4 };
	const Elf64_Phdr ph[] = {
		{ .p_type = PT_LOAD,
		    .p_offset = TEXT,
		    .p_paddr = 0xffffffff81000000,
		    .p_filesz = TEXT_LEN,
		    .p_memsz = MEM_LEN },
		{ .p_type = PT_LOAD,
		    .p_offset = TEXT,
		    .p_paddr = 0x11003000,
		    .p_filesz = 0x10,
		    .p_memsz = 0x205 },
		{ .p_type = 0x65a3dbe6,
		    .p_offset = 1ULL << 60,
		    .p_paddr = LOAD + RANDOM,
		    .p_filesz = 64 },
	};
	size_t i;

	for (i = 0; i < SIZE; i++)
		elf[i] = (uint8_t)(i * 11 + i / 256);
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(elf, &eh, sizeof(eh));
	memcpy(elf + sizeof(eh), ph, sizeof(ph));
	sections();
}

static void
zeros(uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		assert_int_equal(*at(from), 0);
}

static void
check_segments(void)
{
	unsigned int i, set = 0;

	assert_memory_equal(at(LOAD), elf + TEXT, TEXT_LEN);
	zeros(LOAD + TEXT_LEN, LOAD + RANDOM);
	for (i = 0; i < 64; i++)
		set += *at(LOAD + RANDOM + i) != 0;
	assert_in_range(set, 32, 64);
	zeros(LOAD + RANDOM + 64, LOAD + 0x3000);
	assert_memory_equal(at(LOAD + 0x3000), elf + TEXT, 0x10);
	zeros(LOAD + 0x3010, END);
}

/* Header, section headers, and four of the sections. */
static void
check_symbols(void)
{
	static const struct {
		unsigned int i;
		uint64_t off, size, to;
	} want[] = { { 2, SYMTAB, 0x60, 0 }, { 3, STRTAB, 0x2b, 0x60 },
		{ 4, SHSTR, sizeof(names), 0x90 },
		{ 5, LINES, 0x11, 0x90 + 0x30 } };
	uint64_t base = (END + 7) & ~7ULL;
	uint64_t data = sizeof(Elf64_Ehdr) + NSH * sizeof(Elf64_Shdr);
	Elf64_Ehdr eh, file_eh;
	Elf64_Shdr sh[NSH], file_sh[NSH];
	unsigned int i;

	zeros(END, base);
	memcpy(&eh, at(base), sizeof(eh));
	memcpy(&file_eh, elf, sizeof(eh));
	file_eh.e_phoff = 0;
	file_eh.e_shoff = sizeof(eh);
	file_eh.e_phentsize = 0;
	file_eh.e_phnum = 0;
	assert_memory_equal(&eh, &file_eh, sizeof(eh));
	memcpy(sh, at(base + sizeof(eh)), sizeof(sh));
	memcpy(file_sh, elf + SHDRS, sizeof(sh));
	for (i = 0; i < NELEM(want); i++) {
		file_sh[want[i].i].sh_offset = data + want[i].to;
		file_sh[want[i].i].sh_flags |= SHF_ALLOC;
		assert_memory_equal(at(base + data + want[i].to),
		    elf + want[i].off, want[i].size);
	}
	assert_memory_equal(sh, file_sh, sizeof(sh));
	zeros(base + data + 0xd8, base + data + 0x1000);
}

/* Records one after another, their length twice, end marker. */
static void
check_args(void)
{
	static const struct {
		uint64_t addr, size;
		uint32_t type;
	} want[] = { { 0, 0x9f000, 1 }, { 0x9f000, 0x1000, 2 },
		{ 0xc0000, 0x40000, 2 }, { 0x100000, MEMORY - 0x100000, 1 },
		{ 0xf0000000, 0xfc00000, 2 }, { 0x100000000, 0x100000, 1 },
		{ 0, 0, 0 } };
	static const uint8_t consdev[] = {
		5,
		0,
		0,
		0,
		44,
		0,
		0,
		0,
		44,
		0,
		0,
		0,
		0x00,
		0x08,
		0,
		0,
		0x00,
		0xc2,
		0x01,
		0x00,
		0xf8,
		0x03,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0xff,
		0xff,
		0xff,
		0xff,
	};
	const uint8_t *p = at(0x2000);
	unsigned int i;

	assert_int_equal(le(p, 4), 0);
	assert_int_equal(le(p + 4, 4), 12 + 20 * NELEM(want));
	assert_int_equal(le(p + 8, 4), 12 + 20 * NELEM(want));
	p += 12;
	for (i = 0; i < NELEM(want); i++, p += 20) {
		assert_true(le(p, 8) == want[i].addr);
		assert_true(le(p + 8, 8) == want[i].size);
		assert_int_equal(le(p + 16, 4), want[i].type);
	}
	assert_memory_equal(p, consdev, sizeof(consdev));
	zeros(0x2000 + 12 + 20 * NELEM(want) + sizeof(consdev), 0x3000);
}

static void
check_stack(uint32_t end)
{
	const uint32_t want[] = { 0, 0xa0000004, 0x0e, end, 0, 0,
		12 + 20 * 7 + 44 + 4, 0x2000 };

	zeros(0xf000, 0x10000 - 32);
	assert_memory_equal(at(0x10000 - 32), want, 32);
	assert_int_equal(regs.rsp, 0x10000 - 36);
}

static void
check_regs(void)
{
	const struct vmm_seg *data[] = { &regs.ds, &regs.es, &regs.fs, &regs.gs,
		&regs.ss };
	unsigned int i;

	assert_int_equal(regs.cs.sel, 0x08);
	assert_int_equal(regs.cs.type, 0xf);
	assert_int_equal(regs.cs.s, 1);
	assert_int_equal(regs.cs.dpl, 0);
	assert_int_equal(regs.cs.present, 1);
	assert_int_equal(regs.cs.l, 0);
	assert_int_equal(regs.cs.db, 1);
	assert_int_equal(regs.cs.g, 1);
	assert_true(regs.cs.limit == 0xffffffff);
	for (i = 0; i < NELEM(data); i++) {
		assert_int_equal(data[i]->sel, 0x10);
		assert_int_equal(data[i]->type, 3);
		assert_int_equal(data[i]->s, 1);
		assert_int_equal(data[i]->db, 1);
		assert_true(data[i]->limit == 0xffffffff);
	}
	assert_int_equal(regs.ldt.type, 2);
	assert_int_equal(regs.ldt.present, 1);
	assert_int_equal(regs.tr.type, 11);
	assert_int_equal(regs.tr.present, 1);
	assert_int_equal(regs.gdt_base, 0x10000);
	assert_int_equal(regs.gdt_limit, 0xffff);
	assert_int_equal(regs.idt_base, 0);
	assert_int_equal(regs.idt_limit, 0xffff);
	assert_true(regs.cr0 == 0x80000011);
	assert_int_equal(regs.rflags, 2);
	assert_int_equal(regs.rip, LOAD + 0x20);
	assert_true(regs.dr6 == 0xffff0ff0);
	assert_int_equal(regs.dr7, 0x400);
	assert_int_equal(regs.xcr0, 1);
	assert_int_equal(regs.rax | regs.rbx | regs.rcx | regs.rdx | regs.rsi |
		regs.rdi | regs.rbp,
	    0);
}

static void
check_gdt(void)
{
	assert_int_equal(le(at(0x10000), 8), 0);
	assert_true(le(at(0x10008), 8) == 0x00cf9b000000ffff);
	assert_true(le(at(0x10010), 8) == 0x00cf93000000ffff);
	assert_true(le(at(0x10018), 8) == 0x00af9b000000ffff);
	zeros(0x10020, 0x11000);
}

static void
check_paging(void)
{
	unsigned int i;

	assert_int_equal(regs.cr3, 0x11000);
	assert_int_equal(regs.cr4, 0x30);
	assert_int_equal(regs.efer, 0x500);
	assert_int_equal(le(at(0x11000), 8), 0x12001);
	zeros(0x11008, 0x12000);
	assert_int_equal(le(at(0x12000), 8), 0x13007);
	zeros(0x12008, 0x13000);
	for (i = 0; i < 512; i++)
		assert_int_equal(le(at(0x13000 + 8 * i), 8), (i << 21) + 0x87);
}

static void
check_all(void)
{
	uint64_t base = (END + 7) & ~7ULL;

	check_segments();
	check_symbols();
	check_args();
	check_stack((uint32_t)(base + sizeof(Elf64_Ehdr) +
	    NSH * sizeof(Elf64_Shdr) + 0xd8));
	check_regs();
	check_gdt();
	check_paging();
	zeros(0, 0x2000);
	zeros(0x3000, 0xf000);
	zeros(0x14000, 0x9f000);
}

static void
boots(void **state)
{
	struct boot_conf c = { .initrd = -1, .rsdp = 0xe0000 };

	make();
	assert_int_equal(load(c, elf, SIZE), 0);
	check_all();
	c.cmdline = "";
	assert_int_equal(load(c, elf, SIZE), 0);
}

/* gzip -9 of `elf' in `out'; returns its length. */
static size_t
pack(uint8_t *out, size_t size)
{
	z_stream z;

	memset(&z, 0, sizeof(z));
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8,
			     Z_DEFAULT_STRATEGY),
	    Z_OK);
	z.next_in = elf;
	z.avail_in = SIZE;
	z.next_out = out;
	z.avail_out = (uInt)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void
gzipped(void **state)
{
	static uint8_t gz[2 * SIZE];
	struct boot_conf c = { .initrd = -1 };
	size_t len, i;

	make();
	len = pack(gz, sizeof(gz));
	assert_int_equal(load(c, gz, len), 0);
	check_all();
	assert_int_equal(load(c, gz, len - 1), -1);
	assert_string_equal(err, "kernel: gzip data ends early");
	gz[len - 5] ^= 1; /* checksum */
	assert_int_equal(load(c, gz, len), -1);
	assert_string_equal(err, "kernel: damaged gzip data");
	gz[len - 5] ^= 1;
	gz[2] = 9;
	assert_int_equal(load(c, gz, len), -1);
	assert_string_equal(err, "kernel: damaged gzip data");
	gz[2] = 8;
	for (i = 2; i < len; i += 97)
		assert_int_equal(load(c, gz, i), -1);
}

/* A small file that is a large one. */
static void
bomb(void **state)
{
	static uint8_t zero[1 << 20], out[1 << 20];
	struct boot_conf c = { .initrd = -1 };
	z_stream z;
	int i;

	memset(&z, 0, sizeof(z));
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8,
			     Z_DEFAULT_STRATEGY),
	    Z_OK);
	z.next_out = out;
	z.avail_out = sizeof(out);
	for (i = 0; i < 257; i++) {
		z.next_in = zero;
		z.avail_in = sizeof(zero);
		assert_int_equal(deflate(&z, i == 256 ? Z_FINISH : Z_NO_FLUSH),
		    i == 256 ? Z_STREAM_END : Z_OK);
	}
	deflateEnd(&z);
	assert_int_equal(load(c, out, z.total_out), -1);
	assert_string_equal(err, "kernel: too large when unpacked");
}

/* No symbols, no sections at all; the note instead of the segment. */
static void
stripped(void **state)
{
	static const char note[] = "\x08\0\0\0\x04\0\0\0\x01\0\0\0OpenBSD\0"
				   "\0\0\0\0";
	struct boot_conf c = { .initrd = -1 };
	uint64_t base = (END + 7) & ~7ULL;

	make();
	put(elf + SH(2, sh_type), SHT_PROGBITS, 4);
	assert_int_equal(load(c, elf, SIZE), 0);
	check_stack((uint32_t)(base + 64 + NSH * 64));
	assert_memory_equal(at(base + 64), elf + SHDRS, NSH * 64);
	put(elf + EH(e_shnum), 0, 2);
	put(elf + EH(e_shoff), 0, 8);
	put(elf + PH(2, p_type), PT_NOTE, 4);
	put(elf + PH(2, p_offset), 0x2800, 8);
	put(elf + PH(2, p_filesz), 24, 8);
	memcpy(elf + 0x2800, note, 24);
	assert_int_equal(load(c, elf, SIZE), 0);
	check_stack((uint32_t)(base + 64));
	check_regs();
}

static void
boots32(void **state)
{
	static uint8_t small[SIZE];
	Elf32_Ehdr eh = { .e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = 1,
		.e_entry = 0xd1000020,
		.e_phoff = sizeof(eh),
		.e_shoff = SHDRS,
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf32_Shdr),
		.e_shnum = 2 };
	const Elf32_Phdr ph[] = {
		{ .p_type = PT_LOAD,
		    .p_offset = TEXT,
		    .p_paddr = 0xd1000000,
		    .p_filesz = TEXT_LEN,
		    .p_memsz = MEM_LEN },
		{ .p_type = 0x65a3dbe6, .p_paddr = LOAD + 0x100, .p_filesz = 0 }
	};
	const Elf32_Shdr sh[] = { { .sh_type = SHT_NULL },
		{ .sh_type = SHT_SYMTAB,
		    .sh_flags = 4,
		    .sh_offset = SYMTAB,
		    .sh_size = 0x31 } };
	struct boot_conf c = { .initrd = -1 };
	uint64_t base = (LOAD + MEM_LEN + 7) & ~7ULL;
	unsigned int i;

	make();
	memcpy(small, elf, SIZE);
	memcpy(eh.e_ident, elf, EI_NIDENT);
	eh.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(small, &eh, sizeof(eh));
	memcpy(small + sizeof(eh), ph, sizeof(ph));
	memcpy(small + SHDRS, sh, sizeof(sh));
	assert_int_equal(load(c, small, SIZE), 0);
	assert_memory_equal(at(LOAD), elf + TEXT, TEXT_LEN);
	check_args();
	check_gdt();
	check_regs();
	check_stack((uint32_t)base + 52 + 80 + 0x38);
	assert_int_equal(regs.cr3, 0x12000);
	assert_int_equal(regs.cr4, 0x10);
	assert_int_equal(regs.efer, 0);
	for (i = 0; i < 1024; i++)
		assert_true(le(at(0x12000 + 4 * i), 4) == (i << 22 | 0x87));
	assert_int_equal(le(at(base + 32), 4), 52); /* e_shoff */
	assert_int_equal(le(at(base + 28), 4), 0);
	assert_int_equal(le(at(base + 42), 4), 0);
	assert_int_equal(le(at(base + 52 + 40 + 16), 4), 52 + 80);
	assert_int_equal(le(at(base + 52 + 40 + 8), 4), 4 | SHF_ALLOC);
	assert_memory_equal(at(base + 52 + 80), elf + SYMTAB, 0x31);
}

/* clang-format off */
static const struct spoil bad[] = {
	{ "entry", EH(e_entry), 8, 0xffffffff82000000, 0,
	    "kernel: the entry point 0x2000000 is not in the kernel" },
	{ "low", PH(0, p_paddr), 8, 0xffffffff80000000, 0,
	    "kernel: program header 0 loads below 1 MiB" },
	{ "high", PH(0, p_paddr), 8, 0x4000000, 0,
	    "kernel: program header 0 needs 4101 bytes at 0x4000000, where "
	    "there is no memory" },
	{ "random low", PH(2, p_paddr), 8, 0x2000, 0,
	    "kernel: program header 2 loads below 1 MiB" },
	{ "random high", PH(2, p_paddr), 8, 0x8000000, 0,
	    "kernel: program header 2 needs 64 bytes at 0x8000000, where "
	    "there is no memory" },
	{ "random long", PH(2, p_filesz), 8, 0x10001, 0,
	    "kernel: program header 2 asks for 65537 random bytes" },
	{ "shentsize", EH(e_shentsize), 2, 40, 0,
	    "kernel: section headers of 40 bytes" },
	{ "shnum", EH(e_shnum), 2, 129, 0,
	    "kernel: 129 section headers, 128 are the most" },
	{ "shoff", EH(e_shoff), 8, SIZE, 0,
	    "kernel: section header table ends after the file" },
	{ "shoff wraps", EH(e_shoff), 8, UINT64_MAX - 63, 0,
	    "kernel: section header table ends after the file" },
	{ "symtab", SH(2, sh_offset), 8, SIZE - 0x5f, 0,
	    "kernel: section 2 ends after the file" },
	{ "symtab size", SH(2, sh_size), 8, UINT64_MAX, 0,
	    "kernel: section 2 ends after the file" },
	{ "strtab", SH(3, sh_offset), 8, UINT64_MAX, 0,
	    "kernel: section 3 ends after the file" },
	{ "no room", PH(1, p_memsz), 8, MEMORY - LOAD - 0x3000, 0,
	    "kernel: no room for its symbols" },
	{ "no room left", PH(1, p_memsz), 8, MEMORY - LOAD - 0x3000 - 0x220,
	    0, "kernel: no room for its symbols" },
};
/* clang-format on */

static void
refuses(void **state)
{
	struct boot_conf c = { .initrd = -1, .cmdline = "-s" };

	make();
	spoiled(bad, NELEM(bad), elf, SIZE);
	assert_int_equal(load(c, elf, SIZE), -1);
	assert_string_equal(err, "cmdline: an OpenBSD kernel takes none");
	c.cmdline = NULL;
	c.initrd = file("x", 1);
	assert_int_equal(load(c, elf, SIZE), -1);
	assert_string_equal(err, "initrd: an OpenBSD kernel takes none");
	close(c.initrd);
	/* Names that lead nowhere are no names; the rest loads. */
	c.initrd = -1;
	put(elf + EH(e_shstrndx), 77, 2);
	assert_int_equal(load(c, elf, SIZE), 0);
	put(elf + EH(e_shstrndx), 4, 2);
	put(elf + SH(5, sh_name), 0xffffffff, 4);
	assert_int_equal(load(c, elf, SIZE), 0);
	put(elf + EH(e_shstrndx), 1, 2);
	put(elf + SH(1, sh_offset), UINT64_MAX, 8);
	put(elf + SH(5, sh_name), 1, 4);
	assert_int_equal(load(c, elf, SIZE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(boots), T(gzipped), T(bomb),
		T(stripped), T(boots32), T(refuses) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("boot_openbsd", tests, NULL, NULL);
}
