/*
 * Giving back memory; see slim.h.  In processes below vmm, of which each
 * guest has several.
 */
#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "lib/util/slim.h"

#define PAGE	    4096UL
#define STACK_BELOW (256UL << 10) /* looked at */
#define STACK_KEPT  (2 * PAGE)	  /* for whoever is called next */

/* Of each segment of the program that nobody can write, all pages. */
static int
drop_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t from, to;
	unsigned int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || (p->p_flags & PF_W) != 0)
			continue;
		from = (info->dlpi_addr + p->p_vaddr) & ~(PAGE - 1);
		to = info->dlpi_addr + p->p_vaddr + p->p_filesz;
		madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

/* Where nothing is mapped there is nothing to do. */
static void
drop_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	here = (here - STACK_KEPT) & ~(PAGE - 1);
	madvise((void *)(here - STACK_BELOW), STACK_BELOW, MADV_DONTNEED);
}

void
slim(void)
{
	malloc_trim(0);
	drop_stack();
	dl_iterate_phdr(drop_program, NULL);
}
