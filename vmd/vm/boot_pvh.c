/*
 * Kernels that are entered as a PVH guest, in 32-bit protected mode, for
 * the vm process: Linux' vmlinux, FreeBSD, unikernels.  Xen's "x86/HVM
 * direct boot ABI".
 */
#include <string.h>

#include "vmd/vm/boot_int.h"

#define INFO_MAGIC   0x336ec578U
#define INFO_VERSION 1
#define INFO_SIZE    56
#define MODULE_SIZE  32
#define MAP_SIZE     24

#define CR0_PE	     0x01
#define CR0_ET	     0x10

static int
start_info(struct boot *b, uint64_t initrd, uint64_t cmdline)
{
	struct boot_mem map[GMEM_MAXRANGES];
	uint8_t info[INFO_SIZE] = { 0 }, module[MODULE_SIZE] = { 0 };
	uint8_t table[GMEM_MAXRANGES * MAP_SIZE] = { 0 };
	size_t i, n;

	n = boot_memmap(b, map, 0);
	for (i = 0; i < n; i++) {
		put_le(table + i * MAP_SIZE, map[i].addr, 8);
		put_le(table + i * MAP_SIZE + 8, map[i].size, 8);
		put_le(table + i * MAP_SIZE + 16, map[i].type, 4);
	}
	put_le(info, INFO_MAGIC, 4);
	put_le(info + 4, INFO_VERSION, 4);
	if (initrd != 0) {
		put_le(module, initrd, 8);
		put_le(module + 8, b->initrd.size, 8);
		put_le(info + 12, 1, 4);
		put_le(info + 16, BOOT_MODULE, 8);
	}
	put_le(info + 24, cmdline, 8);
	put_le(info + 32, b->conf->rsdp, 8);
	put_le(info + 40, BOOT_PARAMS, 8);
	put_le(info + 48, n, 4);
	if (boot_put(b, BOOT_INFO, info, sizeof(info)) == -1 ||
	    boot_put(b, BOOT_MODULE, module, sizeof(module)) == -1)
		return -1;
	return boot_put(b, BOOT_PARAMS, table, n * MAP_SIZE);
}

int
boot_pvh(struct boot *b, const struct elf *e)
{
	struct boot_regs *r = b->regs;
	uint64_t initrd, cmdline;

	if (e->pvh_entry > UINT32_MAX)
		return boot_fail(b,
		    "kernel: the PVH entry point is above "
		    "4 GiB");
	if (elf_load(b, e, UINT64_MAX, e->pvh_entry) == -1 ||
	    boot_initrd(b, UINT32_MAX, &initrd) == -1 ||
	    boot_cmdline(b, BOOT_CMDLINE_MAX, &cmdline) == -1 ||
	    start_info(b, initrd, cmdline) == -1 || boot_gdt(b, 32) == -1)
		return -1;
	boot_flat(r, 32);
	r->cr0 = CR0_ET | CR0_PE;
	r->rip = e->pvh_entry;
	r->rbx = BOOT_INFO;
	return 0;
}
