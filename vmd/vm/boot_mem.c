/*
 * Guest memory as the boot loaders of the vm process fill it: memory map,
 * initrd, command line, descriptor table.  Addresses and lengths come from
 * files and are checked here.
 */
#include <string.h>

#include "vmd/vm/boot_int.h"

#define PAGE	 4096ULL

#define CODE32	 0x00cf9b000000ffffULL
#define CODE64	 0x00af9b000000ffffULL
#define DATA	 0x00cf93000000ffffULL

#define SEL_CODE 0x10
#define SEL_DATA 0x18

void
put_le(uint8_t *p, uint64_t v, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

uint64_t
get_le(const uint8_t *p, unsigned int size)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

uint8_t *
boot_ram(const struct boot *b, uint64_t gpa, uint64_t len)
{
	const struct gmem *m = b->conf->mem;
	const struct gmem_range *r;
	size_t i;

	for (i = 0; i < m->nranges; i++) {
		r = &m->ranges[i];
		if (r->type == GMEM_RAM && gpa >= r->gpa &&
		    gpa - r->gpa <= r->size && len <= r->size - (gpa - r->gpa))
			return gmem_ptr(m, gpa, len);
	}
	return NULL;
}

int
boot_put(struct boot *b, uint64_t gpa, const void *buf, uint64_t len)
{
	uint8_t *p;

	if ((p = boot_ram(b, gpa, len)) == NULL)
		return boot_fail(b, "no memory at 0x%llx",
		    (unsigned long long)gpa);
	memcpy(p, buf, len);
	return 0;
}

uint64_t
boot_low_end(const struct boot *b)
{
	return gmem_low_end(b->conf->mem);
}

size_t
boot_memmap(const struct boot *b, struct boot_mem map[GMEM_MAXRANGES],
    int holes)
{
	const struct gmem *m = b->conf->mem;
	size_t i, n = 0;

	for (i = 0; i < m->nranges; i++) {
		if (m->ranges[i].type == GMEM_MMIO && !holes)
			continue;
		map[n].addr = m->ranges[i].gpa;
		map[n].size = m->ranges[i].size;
		map[n++].type = m->ranges[i].type == GMEM_RAM ? 1 : 2;
	}
	return n;
}

int
boot_initrd(struct boot *b, uint64_t max, uint64_t *gpa)
{
	struct image *im = &b->initrd;
	uint64_t top = boot_low_end(b);
	uint8_t *p;

	*gpa = 0;
	if (im->fd == -1)
		return 0;
	if (top > max)
		top = max;
	if (b->end > top || im->size > top - b->end ||
	    ((top - im->size) & ~(PAGE - 1)) < b->end)
		return boot_fail(b,
		    "initrd: does not fit: %llu bytes, %llu "
		    "left above the kernel",
		    (unsigned long long)im->size,
		    (unsigned long long)(b->end > top ? 0 : top - b->end));
	*gpa = (top - im->size) & ~(PAGE - 1);
	if ((p = boot_ram(b, *gpa, im->size)) == NULL)
		return boot_fail(b, "initrd: no memory at 0x%llx",
		    (unsigned long long)*gpa);
	return image_read(b, im, p, 0, im->size);
}

int
boot_cmdline(struct boot *b, uint64_t max, uint64_t *gpa)
{
	const char *s = b->conf->cmdline;
	size_t len;

	*gpa = 0;
	if (s == NULL)
		return 0;
	if (max > BOOT_CMDLINE_MAX - 1)
		max = BOOT_CMDLINE_MAX - 1;
	if ((len = strlen(s)) > max)
		return boot_fail(b,
		    "cmdline: %zu characters, the kernel "
		    "takes %llu",
		    len, (unsigned long long)max);
	*gpa = BOOT_CMDLINE;
	return boot_put(b, BOOT_CMDLINE, s, len + 1);
}

void
boot_flat(struct boot_regs *r, int bits)
{
	const struct vmm_seg data = { .sel = SEL_DATA,
		.type = 3,
		.s = 1,
		.present = 1,
		.db = 1,
		.g = 1,
		.limit = 0xffffffff };

	r->ds = r->es = r->fs = r->gs = r->ss = data;
	r->cs = data;
	r->cs.sel = SEL_CODE;
	r->cs.type = 11;
	r->cs.l = bits == 64;
	r->cs.db = bits == 32;
	memset(&r->tr, 0, sizeof(r->tr));
	r->tr.type = 11; /* busy TSS */
	r->tr.present = 1;
	r->tr.limit = 0x67;
	memset(&r->ldt, 0, sizeof(r->ldt));
	r->ldt.type = 2;
	r->ldt.unusable = 1;
	r->rflags = 2;
	r->gdt_base = BOOT_GDT;
	r->gdt_limit = 4 * 8 - 1;
}

int
boot_gdt(struct boot *b, int bits)
{
	uint8_t gdt[4 * 8] = { 0 };

	put_le(gdt + SEL_CODE, bits == 64 ? CODE64 : CODE32, 8);
	put_le(gdt + SEL_DATA, DATA, 8);
	return boot_put(b, BOOT_GDT, gdt, sizeof(gdt));
}
