/* Linux bzImages: what is in memory afterwards, and what is refused. */

#include <errno.h>

#include "regress/unit/boot_test.h"

#define SETUP	(3 * 512)
#define PAYLOAD 0x3000
#define SIZE	(SETUP + PAYLOAD)

static uint8_t kernel[SIZE];

static void
make(void)
{
	unsigned int i;

	memset(kernel, 0, sizeof(kernel));
	kernel[0x1f1] = 2;
	put(kernel + 0x1f4, PAYLOAD / 16, 4);
	put(kernel + 0x1fe, 0xaa55, 2);
	kernel[0x200] = 0xeb;
	kernel[0x201] = 0x6a; /* up to 0x26c */
	memcpy(kernel + 0x202, "HdrS", 4);
	put(kernel + 0x206, 0x20f, 2);
	kernel[0x211] = 0x01;
	put(kernel + 0x214, 0x100000, 4);
	put(kernel + 0x22c, 0x7fffffff, 4);
	put(kernel + 0x230, 0x200000, 4);
	kernel[0x234] = 1;
	put(kernel + 0x236, 0x3f, 2);
	put(kernel + 0x238, 255, 4);
	put(kernel + 0x258, 0x1000000, 8);
	put(kernel + 0x260, 0x800000, 4);
	put(kernel + 0x268, 0x12345678, 4);
	kernel[0x26c] = 0x99; /* code: not copied */
	for (i = SETUP; i < SIZE; i++)
		kernel[i] = (uint8_t)(i * 7 + i / 256);
}

static void
check_tables(void)
{
	unsigned int i;

	assert_int_equal(le(at(0x500), 8), 0);
	assert_int_equal(le(at(0x508), 8), 0);
	assert_true(le(at(0x510), 8) == 0x00af9b000000ffff);
	assert_true(le(at(0x518), 8) == 0x00cf93000000ffff);
	assert_int_equal(le(at(0x9000), 8), 0xa003);
	for (i = 1; i < 512; i++)
		assert_int_equal(le(at(0x9000 + 8 * i), 8), 0);
	for (i = 0; i < 512; i++)
		assert_int_equal(le(at(0xa000 + 8 * i), 8),
		    i < 4 ? 0xb003 + 0x1000 * i : 0);
	for (i = 0; i < 2048; i++)
		assert_true(
		    le(at(0xb000 + 8 * i), 8) == ((uint64_t)i << 21 | 0x83));
}

static void
check_regs(void)
{
	const struct vmm_seg *data[] = { &regs.ds, &regs.es, &regs.fs, &regs.gs,
		&regs.ss };
	unsigned int i;

	assert_true(regs.rip == 0x1000200);
	assert_int_equal(regs.rsi, 0x7000);
	assert_int_equal(regs.rflags, 2);
	assert_true(regs.cr0 == 0x80000011);
	assert_int_equal(regs.cr3, 0x9000);
	assert_int_equal(regs.cr4, 0x20);
	assert_int_equal(regs.efer, 0x500);
	assert_int_equal(regs.gdt_base, 0x500);
	assert_int_equal(regs.gdt_limit, 31);
	assert_int_equal(regs.cs.sel, 0x10);
	assert_int_equal(regs.cs.type, 11);
	assert_int_equal(regs.cs.l, 1);
	assert_int_equal(regs.cs.db, 0);
	for (i = 0; i < NELEM(data); i++) {
		assert_int_equal(data[i]->sel, 0x18);
		assert_int_equal(data[i]->type, 3);
		assert_int_equal(data[i]->present, 1);
		assert_true(data[i]->limit == 0xffffffff);
		assert_int_equal(data[i]->base, 0);
	}
	assert_int_equal(regs.tr.type, 11);
	assert_int_equal(regs.tr.present, 1);
	assert_int_equal(regs.firmware, 0);
}

static void
check_e820(const uint8_t *zp)
{
	static const struct {
		uint64_t addr, size;
		uint32_t type;
	} want[] = { { 0, 0x9f000, 1 }, { 0x9f000, 0x1000, 2 },
		{ 0xc0000, 0x40000, 2 }, { 0x100000, MEMORY - 0x100000, 1 },
		{ 0x100000000, 0x100000, 1 } };
	unsigned int i;

	assert_int_equal(zp[0x1e8], NELEM(want));
	for (i = 0; i < NELEM(want); i++) {
		assert_true(le(zp + 0x2d0 + 20 * i, 8) == want[i].addr);
		assert_true(le(zp + 0x2d8 + 20 * i, 8) == want[i].size);
		assert_int_equal(le(zp + 0x2e0 + 20 * i, 4), want[i].type);
	}
	for (i = 0x2d0 + 20 * i; i < 4096; i++)
		assert_int_equal(zp[i], 0);
}

static void
boots(void **state)
{
	static uint8_t initrd[5000];
	struct boot_conf c = { .initrd = -1,
		.cmdline = "console=ttyS0 quiet",
		.rsdp = 0xe0000 };
	uint8_t zp[4096], *p;
	unsigned int i;

	make();
	for (i = 0; i < sizeof(initrd); i++)
		initrd[i] = (uint8_t)(i * 13);
	c.initrd = file(initrd, sizeof(initrd));
	assert_int_equal(load(c, kernel, SIZE), 0);
	close(c.initrd);
	assert_memory_equal(at(0x1000000), kernel + SETUP, PAYLOAD);
	/* As high as it goes, at a page. */
	p = at(MEMORY - 0x2000);
	assert_memory_equal(p, initrd, sizeof(initrd));
	assert_string_equal((char *)at(0x20000), "console=ttyS0 quiet");
	check_tables();
	check_regs();
	memcpy(zp, at(0x7000), sizeof(zp));
	check_e820(zp);
	assert_int_equal(zp[0x210], 0xff);
	assert_int_equal(le(zp + 0x218, 4), MEMORY - 0x2000);
	assert_int_equal(le(zp + 0x21c, 4), sizeof(initrd));
	assert_int_equal(le(zp + 0x228, 4), 0x20000);
	assert_int_equal(le(zp + 0x070, 8), 0xe0000);
	/* Everything else is the file's header and nothing more. */
	put(zp + 0x210, 0, 1);
	put(zp + 0x218, 0, 8);
	put(zp + 0x228, 0, 4);
	assert_memory_equal(zp + 0x1f1, kernel + 0x1f1, 0x26c - 0x1f1);
	assert_int_equal(zp[0x26c], 0);
	put(zp + 0x070, 0, 8);
	zp[0x1e8] = 0;
	for (i = 0; i < 0x1f1; i++)
		assert_int_equal(zp[i], 0);
	for (i = 0x26c; i < 0x2d0; i++)
		assert_int_equal(zp[i], 0);
}

/* Neither initrd nor command line; setup_sects 0 means 4. */
static void
plain(void **state)
{
	static uint8_t big[SIZE + 2 * 512];
	struct boot_conf c = { .initrd = -1 };

	make();
	memcpy(big, kernel, SETUP);
	memcpy(big + SETUP + 1024, kernel + SETUP, PAYLOAD);
	big[0x1f1] = 0;
	assert_int_equal(load(c, big, sizeof(big)), 0);
	assert_memory_equal(at(0x1000000), kernel + SETUP, PAYLOAD);
	assert_int_equal(le(at(0x7000 + 0x218), 8), 0);
	assert_int_equal(le(at(0x7000 + 0x228), 4), 0);
	assert_int_equal(le(at(0x7070), 8), 0);
	/* A signature after the last unit, an incomplete last unit. */
	put(kernel + 0x1f4, PAYLOAD / 16 - 10, 4);
	assert_int_equal(load(c, kernel, SIZE), 0);
	put(kernel + 0x1f4, PAYLOAD / 16, 4);
	assert_int_equal(load(c, kernel, SIZE - 15), 0);
}

/* Somewhere else, if it may. */
static void
relocates(void **state)
{
	struct boot_conf c = { .initrd = -1 };

	make();
	put(kernel + 0x258, 0x3c00000, 8);
	assert_int_equal(load(c, kernel, SIZE), 0);
	assert_int_equal(regs.rip, 0x200200);
	assert_memory_equal(at(0x200000), kernel + SETUP, PAYLOAD);
	put(kernel + 0x258, 0x3800000, 8);
	assert_int_equal(load(c, kernel, SIZE), 0);
	assert_int_equal(regs.rip, 0x3800200);
	put(kernel + 0x258, 0x100000000, 8);
	assert_int_equal(load(c, kernel, SIZE), 0);
	assert_int_equal(regs.rip, 0x200200);
	put(kernel + 0x258, UINT64_MAX, 8);
	assert_int_equal(load(c, kernel, SIZE), 0);
	put(kernel + 0x258, 0, 8);
	assert_int_equal(load(c, kernel, SIZE), 0);
}

static int
with_initrd(uint64_t size)
{
	struct boot_conf c = { .initrd = file("x", 1) };
	int rc;

	assert_int_equal(ftruncate(c.initrd, (off_t)size), 0);
	rc = load(c, kernel, SIZE);
	close(c.initrd);
	return rc;
}

static void
initrds(void **state)
{
	uint64_t room = MEMORY - 0x1800000;

	make();
	/* All the room there is above the kernel. */
	assert_int_equal(with_initrd(room), 0);
	assert_int_equal(le(at(0x7218), 4), 0x1800000);
	assert_int_equal(with_initrd(room + 1), -1);
	assert_string_equal(err,
	    "initrd: does not fit: 41943041 bytes, "
	    "41943040 left above the kernel");
	assert_int_equal(with_initrd(1ULL << 40), -1);
	/* Below what the kernel can take; the limit is its last byte. */
	put(kernel + 0x22c, 0x2ffffff, 4);
	assert_int_equal(with_initrd(0x1000), 0);
	assert_int_equal(le(at(0x7218), 4), 0x2fff000);
	put(kernel + 0x22c, 0x2fffffe, 4);
	assert_int_equal(with_initrd(0x1000), 0);
	assert_int_equal(le(at(0x7218), 4), 0x2ffe000);
	put(kernel + 0x22c, 0xffffffff, 4);
	assert_int_equal(with_initrd(0x1000), 0);
	assert_int_equal(le(at(0x7218), 4), MEMORY - 0x1000);
	put(kernel + 0x22c, 0x1000000, 4);
	assert_int_equal(with_initrd(0x1000), -1);
	assert_string_equal(err,
	    "initrd: does not fit: 4096 bytes, 0 left "
	    "above the kernel");
	assert_int_equal(with_initrd(0), -1);
	assert_string_equal(err, "initrd: empty");
}

static void
cmdlines(void **state)
{
	static char line[0x20000];
	struct boot_conf c = { .initrd = -1, .cmdline = line };

	make();
	memset(line, 'x', 255);
	assert_int_equal(load(c, kernel, SIZE), 0);
	assert_string_equal((char *)at(0x20000), line);
	line[255] = 'x';
	assert_int_equal(load(c, kernel, SIZE), -1);
	assert_string_equal(err,
	    "cmdline: 256 characters, the kernel takes "
	    "255");
	put(kernel + 0x238, 0xffffffff, 4);
	memset(line, 'x', 0xffff);
	assert_int_equal(load(c, kernel, SIZE), 0);
	line[0xffff] = 'x';
	assert_int_equal(load(c, kernel, SIZE), -1);
	assert_string_equal(err,
	    "cmdline: 65536 characters, the kernel takes "
	    "65535");
}

/* clang-format off */
static const struct spoil bad[] = {
	{ "empty", 0, 0, 0, 1, "not a kernel: neither a Linux bzImage nor an "
	    "ELF file; firmware images are not supported yet" },
	{ "magic", 0x202, 1, 'X', 0, "not a kernel: neither a Linux bzImage "
	    "nor an ELF file; firmware images are not supported yet" },
	{ "cut in the magic", 0, 0, 0, 0x205, "not a kernel: neither a Linux "
	    "bzImage nor an ELF file; firmware images are not supported yet" },
	{ "jump", 0x201, 1, 0x61, 0, "kernel: the setup header is too short" },
	{ "no jump", 0x201, 1, 0, 0, "kernel: the setup header is too short" },
	{ "cut in the header", 0, 0, 0, 0x260,
	    "kernel: setup header ends after the file" },
	{ "flag", 0x1fe, 2, 0, 0, "kernel: no boot flag 0xaa55" },
	{ "version", 0x206, 2, 0x20b, 0,
	    "kernel: boot protocol 2.11, 2.12 is needed" },
	{ "no version", 0x206, 2, 0, 0,
	    "kernel: boot protocol 0.00, 2.12 is needed" },
	{ "zImage", 0x211, 1, 0x80, 0, "kernel: a zImage, loaded low" },
	{ "32 bits", 0x236, 2, 0xfffe, 0, "kernel: no 64-bit entry point" },
	{ "setup", 0x1f1, 1, 255, 0,
	    "kernel: setup code ends after the file" },
	{ "cut in setup", 0, 0, 0, SETUP - 1,
	    "kernel: setup code ends after the file" },
	{ "cut after setup", 0, 0, 0, SETUP,
	    "kernel: setup code ends after the file" },
	{ "truncated", 0, 0, 0, SIZE - 16,
	    "kernel: truncated, 12272 of 12288 bytes" },
	{ "syssize", 0x1f4, 4, 0xffffffff, 0,
	    "kernel: truncated, 12288 of 68719476720 bytes" },
	{ "init_size", 0x260, 4, 0xffffffff, 0,
	    "kernel: does not fit: it needs 4294967295 bytes of memory" },
	{ "init_size 2", 0x260, 4, MEMORY, 0,
	    "kernel: does not fit: it needs 67108864 bytes of memory" },
};
/* clang-format on */

static void
refuses(void **state)
{
	static uint8_t fixed[SIZE];
	struct boot_conf c = { .initrd = -1 };

	make();
	spoiled(bad, NELEM(bad), kernel, SIZE);
	memcpy(fixed, kernel, SIZE);
	fixed[0x234] = 0;
	put(fixed + 0x258, 0x3c00000, 8);
	assert_int_equal(load(c, fixed, SIZE), -1);
	assert_string_equal(err,
	    "kernel: needs 8388608 bytes at 0x3c00000, "
	    "where there is no memory");
	put(fixed + 0x258, 0xfffffffffffff000, 8);
	assert_int_equal(load(c, fixed, SIZE), -1);
	put(fixed + 0x258, 0x1000, 8);
	assert_int_equal(load(c, fixed, SIZE), -1);
	fixed[0x234] = 1;
	put(fixed + 0x230, 0x1001, 4);
	assert_int_equal(load(c, fixed, SIZE), -1);
	assert_string_equal(err, "kernel: bad alignment 0x1001");
	put(fixed + 0x230, 0, 4);
	assert_int_equal(load(c, fixed, SIZE), -1);
	assert_string_equal(err, "kernel: bad alignment 0x0");
	put(fixed + 0x230, 0x80000000, 4);
	assert_int_equal(load(c, fixed, SIZE), -1);
	assert_string_equal(err,
	    "kernel: does not fit: it needs 8388608 "
	    "bytes of memory");
	/* 512 bytes: up to the entry point and no further. */
	put(kernel + 0x1f4, 0x20, 4);
	assert_int_equal(load(c, kernel, SETUP + 512), -1);
	assert_string_equal(err, "kernel: the entry point is after the file");
}

static void
descriptors(void **state)
{
	struct boot_conf c = { .kernel = -1, .initrd = -1, .mem = &mem };
	int p[2];

	assert_int_equal(boot_load(&c, &regs, err), -1);
	assert_string_equal(err, "kernel: Bad file descriptor");
	assert_int_equal(pipe(p), 0);
	c.kernel = p[0];
	assert_int_equal(boot_load(&c, &regs, err), -1);
	assert_string_equal(err, "kernel: not a regular file");
	c.kernel = file(kernel, SIZE);
	c.initrd = p[0];
	assert_int_equal(boot_load(&c, &regs, err), -1);
	assert_string_equal(err, "initrd: not a regular file");
	close(p[0]);
	close(p[1]);
	close(c.kernel);
	c.initrd = -1;
	c.kernel = file("", 0);
	assert_int_equal(boot_load(&c, &regs, err), -1);
	assert_string_equal(err, "kernel: empty");
	close(c.kernel);
}

/* Memory that is not there, wherever it would be needed. */
static void
no_memory(void **state)
{
	struct boot_conf c = { .initrd = -1 };

	make();
	gmem_fini(&mem);
	memset(&mem, 0, sizeof(mem));
	mem.fd = -1;
	assert_int_equal(gmem_add(&mem, 0x1000000, 16 << 20, GMEM_RAM), 0);
	assert_int_equal(gmem_create(&mem), 0);
	assert_int_equal(load(c, kernel, SIZE), -1);
	assert_string_equal(err, "no memory at 0x7000");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(boots), T(plain), T(relocates),
		T(initrds), T(cmdlines), T(refuses), T(descriptors),
		T(no_memory) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("boot_linux", tests, NULL, NULL);
}
