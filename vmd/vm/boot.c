/*
 * Boot loaders of the vm process: which one a file is for.  The files come
 * from users; every byte is checked before it counts, and they are only
 * ever read at given places, since other guests may have the same one open.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmd/vm/boot_int.h"

#define UNPACKED_MAX (256ULL << 20)

#define BZ_MAGIC_AT  0x202

int
boot_fail(struct boot *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->err, BOOT_ERRLEN, fmt, ap);
	va_end(ap);
	return -1;
}

static int
load_elf(struct boot *b)
{
	struct elf e;

	if (elf_open(b, &e) == -1)
		return -1;
	if (e.pvh)
		return boot_pvh(b, &e);
	if (e.openbsd)
		return boot_openbsd(b, &e);
	return boot_fail(b,
	    "kernel: an ELF file that is neither for PVH nor "
	    "an OpenBSD kernel");
}

/* What the file begins with decides. */
static int
dispatch(struct boot *b)
{
	uint8_t head[BZ_MAGIC_AT + 4];
	struct image *k = &b->kernel;
	uint64_t n;

	if (image_gunzip(b, k, UNPACKED_MAX) == -1)
		return -1;
	memset(head, 0, sizeof(head));
	n = k->size < sizeof(head) ? k->size : sizeof(head);
	if (image_read(b, k, head, 0, n) == -1)
		return -1;
	if (memcmp(head + BZ_MAGIC_AT, "HdrS", 4) == 0)
		return boot_linux(b);
	if (memcmp(head, ELFMAG, SELFMAG) == 0)
		return load_elf(b);
	return boot_fail(b,
	    "not a kernel: neither a Linux bzImage nor an ELF "
	    "file; firmware images are not supported yet");
}

int
boot_load(const struct boot_conf *c, struct boot_regs *r, char err[BOOT_ERRLEN])
{
	struct boot b;
	int rc = -1;

	memset(&b, 0, sizeof(b));
	b.conf = c;
	b.regs = r;
	b.err = err;
	b.initrd.fd = -1;
	memset(r, 0, sizeof(*r));
	err[0] = '\0';
	if (image_open(&b, &b.kernel, c->kernel, "kernel") == 0 &&
	    (c->initrd == -1 ||
		image_open(&b, &b.initrd, c->initrd, "initrd") == 0))
		rc = dispatch(&b);
	image_close(&b.kernel);
	image_close(&b.initrd);
	return rc;
}
