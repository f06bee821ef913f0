/*
 * Linux bzImage, entered in 64-bit mode, for the vm process.  The Linux/x86
 * boot protocol, "64-bit boot protocol"; offsets are those of its setup
 * header, which is at the same place in file and zero page.
 */
#include <string.h>

#include "vmd/vm/boot_int.h"

#define HDR	      0x1f1
#define HDR_MIN	      0x264 /* up to init_size */
#define HDR_MAX	      0x290 /* where the zero page goes on */

#define SETUP_SECTS   0x1f1
#define SYSSIZE	      0x1f4
#define BOOT_FLAG     0x1fe
#define JUMP	      0x201 /* how far the header goes */
#define VERSION	      0x206
#define LOADER_TYPE   0x210
#define LOADFLAGS     0x211
#define RAMDISK_IMAGE 0x218
#define RAMDISK_SIZE  0x21c
#define CMD_LINE_PTR  0x228
#define INITRD_MAX    0x22c
#define ALIGNMENT     0x230
#define RELOCATABLE   0x234
#define XLOADFLAGS    0x236
#define CMDLINE_SIZE  0x238
#define PREF_ADDRESS  0x258
#define INIT_SIZE     0x260

#define ACPI_RSDP     0x070
#define E820_ENTRIES  0x1e8
#define E820_TABLE    0x2d0
#define PARAMS_SIZE   4096

#define LOADED_HIGH   0x01
#define KERNEL_64     0x01
#define LOADER_OTHER  0xff
#define ENTRY_64      0x200

#define CR0_PE	      0x00000001
#define CR0_ET	      0x00000010
#define CR0_PG	      0x80000000
#define CR4_PAE	      0x00000020
#define EFER_LME      0x0100
#define EFER_LMA      0x0400

#define PTE_P	      0x01
#define PTE_W	      0x02
#define PTE_LARGE     0x80

struct bz {
	uint8_t params[PARAMS_SIZE]; /* the zero page */
	uint64_t setup;		     /* bytes before the kernel proper */
	uint64_t payload;
	uint64_t load; /* where it goes */
};

static uint64_t
field(const struct bz *z, unsigned int off, unsigned int size)
{
	return get_le(z->params + off, size);
}

/* Copy the setup header and check what says whether we can boot it. */
static int
read_header(struct boot *b, struct bz *z)
{
	uint8_t head[HDR_MAX] = { 0 };
	uint64_t n, end;

	n = b->kernel.size < sizeof(head) ? b->kernel.size : sizeof(head);
	if (image_read(b, &b->kernel, head, 0, n) == -1)
		return -1;
	end = 0x202U + head[JUMP];
	if (end < HDR_MIN)
		return boot_fail(b, "kernel: the setup header is too short");
	if (end > sizeof(head))
		end = sizeof(head);
	if (image_inside(b, &b->kernel, "setup header", 0, end) == -1)
		return -1;
	memcpy(z->params + HDR, head + HDR, end - HDR);
	if (field(z, BOOT_FLAG, 2) != 0xaa55)
		return boot_fail(b, "kernel: no boot flag 0xaa55");
	if (field(z, VERSION, 2) < 0x20c)
		return boot_fail(b,
		    "kernel: boot protocol %u.%02u, 2.12 is "
		    "needed",
		    head[VERSION + 1], head[VERSION]);
	if ((z->params[LOADFLAGS] & LOADED_HIGH) == 0)
		return boot_fail(b, "kernel: a zImage, loaded low");
	if ((z->params[XLOADFLAGS] & KERNEL_64) == 0)
		return boot_fail(b, "kernel: no 64-bit entry point");
	return 0;
}

/* How much of the file is the kernel proper. */
static int
measure(struct boot *b, struct bz *z)
{
	uint64_t sects = z->params[SETUP_SECTS];

	z->setup = ((sects == 0 ? 4 : sects) + 1) * 512;
	if (z->setup >= b->kernel.size)
		return boot_fail(b, "kernel: setup code ends after the file");
	z->payload = b->kernel.size - z->setup;
	/* In units of 16, the last one may be incomplete. */
	if (field(z, SYSSIZE, 4) * 16 >= z->payload + 16)
		return boot_fail(b, "kernel: truncated, %llu of %llu bytes",
		    (unsigned long long)z->payload,
		    (unsigned long long)field(z, SYSSIZE, 4) * 16);
	if (z->payload <= ENTRY_64)
		return boot_fail(b,
		    "kernel: the entry point is after the "
		    "file");
	return 0;
}

/* Where it likes to be, or the lowest place where it fits. */
static int
place(struct boot *b, struct bz *z)
{
	uint64_t need = field(z, INIT_SIZE, 4);
	uint64_t align = field(z, ALIGNMENT, 4);

	if (need < z->payload)
		need = z->payload;
	z->load = field(z, PREF_ADDRESS, 8);
	if (z->load < BOOT_LOW || z->load > UINT32_MAX ||
	    boot_ram(b, z->load, need) == NULL) {
		if (z->params[RELOCATABLE] == 0)
			return boot_fail(b,
			    "kernel: needs %llu bytes at "
			    "0x%llx, where there is no memory",
			    (unsigned long long)need,
			    (unsigned long long)z->load);
		if (align < 4096 || (align & (align - 1)) != 0)
			return boot_fail(b, "kernel: bad alignment 0x%llx",
			    (unsigned long long)align);
		z->load = (BOOT_LOW + align - 1) & ~(align - 1);
		if (boot_ram(b, z->load, need) == NULL)
			return boot_fail(b,
			    "kernel: does not fit: it needs "
			    "%llu bytes of memory",
			    (unsigned long long)need);
	}
	b->end = z->load + need;
	return image_read(b, &b->kernel, boot_ram(b, z->load, z->payload),
	    z->setup, z->payload);
}

static int
fill_params(struct boot *b, struct bz *z)
{
	struct boot_mem map[GMEM_MAXRANGES];
	uint64_t initrd, cmdline;
	uint8_t *p = z->params;
	size_t i, n;

	if (boot_initrd(b, field(z, INITRD_MAX, 4) + 1, &initrd) == -1 ||
	    boot_cmdline(b, field(z, CMDLINE_SIZE, 4), &cmdline) == -1)
		return -1;
	p[LOADER_TYPE] = LOADER_OTHER;
	put_le(p + RAMDISK_IMAGE, initrd, 4);
	put_le(p + RAMDISK_SIZE, initrd == 0 ? 0 : b->initrd.size, 4);
	put_le(p + CMD_LINE_PTR, cmdline, 4);
	put_le(p + ACPI_RSDP, b->conf->rsdp, 8);
	n = boot_memmap(b, map, 0);
	p[E820_ENTRIES] = (uint8_t)n;
	for (i = 0; i < n; i++) {
		put_le(p + E820_TABLE + 20 * i, map[i].addr, 8);
		put_le(p + E820_TABLE + 20 * i + 8, map[i].size, 8);
		put_le(p + E820_TABLE + 20 * i + 16, map[i].type, 4);
	}
	return boot_put(b, BOOT_PARAMS, p, PARAMS_SIZE);
}

/* The first 4 GiB as they are, in pages of 2 MiB. */
static int
page_tables(struct boot *b)
{
	uint64_t at = BOOT_PML4;
	uint8_t *p;
	unsigned int i;

	if ((p = boot_ram(b, at, 6 * 4096)) == NULL)
		return boot_fail(b, "no memory for page tables");
	memset(p, 0, 6 * 4096);
	put_le(p, (at + 4096) | PTE_P | PTE_W, 8);
	for (i = 0; i < 4; i++)
		put_le(p + 4096 + 8 * i,
		    (at + (2 + i) * 4096ULL) | PTE_P | PTE_W, 8);
	for (i = 0; i < 4 * 512; i++)
		put_le(p + 2 * 4096 + 8 * i,
		    (uint64_t)i << 21 | PTE_P | PTE_W | PTE_LARGE, 8);
	return 0;
}

int
boot_linux(struct boot *b)
{
	struct boot_regs *r = b->regs;
	struct bz z;

	memset(&z, 0, sizeof(z));
	if (read_header(b, &z) == -1 || measure(b, &z) == -1 ||
	    place(b, &z) == -1 || fill_params(b, &z) == -1 ||
	    page_tables(b) == -1 || boot_gdt(b, 64) == -1)
		return -1;
	boot_flat(r, 64);
	r->cr0 = CR0_PG | CR0_ET | CR0_PE;
	r->cr3 = BOOT_PML4;
	r->cr4 = CR4_PAE;
	r->efer = EFER_LME | EFER_LMA;
	r->rip = z.load + ENTRY_64;
	r->rsi = BOOT_PARAMS;
	r->rsp = BOOT_PML4; /* below the page tables, above the zero page */
	return 0;
}
