#ifndef BOOT_FUZZ_H
#define BOOT_FUZZ_H

/* What the fuzzers of the boot loaders share: one memory, files in memfds. */

#include <sys/mman.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmd/vm/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static inline const struct gmem *
fuzz_mem(void)
{
	static struct gmem mem = { .fd = -1 };

	if (mem.nranges == 0 &&
	    (gmem_add(&mem, 0, 0x9f000, GMEM_RAM) == -1 ||
		gmem_add(&mem, 0xc0000, 0x40000, GMEM_RESERVED) == -1 ||
		gmem_add(&mem, 0x100000, 0x2000000, GMEM_RAM) == -1 ||
		gmem_create(&mem) == -1))
		abort();
	return &mem;
}

static inline int
fuzz_file(const void *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd == -1 || pwrite(fd, data, len, 0) != (ssize_t)len)
		abort();
	return fd;
}

/* Boot it.  A refusal has a sentence. */
static inline void
fuzz_boot(const void *kernel, size_t len, int initrd, const char *cmdline)
{
	struct boot_conf c = { .initrd = initrd,
		.cmdline = cmdline,
		.mem = fuzz_mem(),
		.rsdp = 0xe0000 };
	char err[BOOT_ERRLEN];
	struct boot_regs r;
	int rc;

	c.kernel = fuzz_file(kernel, len);
	rc = boot_load(&c, &r, err);
	if ((rc != 0 && rc != -1) || (rc == -1 && strlen(err) < 8))
		abort();
	close(c.kernel);
}

#endif
