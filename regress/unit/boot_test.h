#ifndef BOOT_TEST_H
#define BOOT_TEST_H

/* What the tests of the boot loaders share: memory, and files in memfds. */

#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmd/vm/boot.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define MEMORY	 (64ULL << 20)

static struct gmem mem;
static struct boot_regs regs __attribute__((unused));
static char err[BOOT_ERRLEN] __attribute__((unused));

static inline int
memory_setup(void **state)
{
	memset(&mem, 0, sizeof(mem));
	mem.fd = -1;
	if (gmem_add(&mem, 0, 0x9f000, GMEM_RAM) == -1 ||
	    gmem_add(&mem, 0x9f000, 0x1000, GMEM_RESERVED) == -1 ||
	    gmem_add(&mem, 0xc0000, 0x40000, GMEM_RESERVED) == -1 ||
	    gmem_add(&mem, 0x100000, MEMORY - 0x100000, GMEM_RAM) == -1 ||
	    gmem_add(&mem, 0xf0000000, 0xfc00000, GMEM_MMIO) == -1 ||
	    gmem_add(&mem, 0x100000000, 0x100000, GMEM_RAM) == -1)
		return -1;
	return gmem_create(&mem);
}

static inline int
memory_teardown(void **state)
{
	gmem_fini(&mem);
	return 0;
}

static inline int
file(const void *buf, size_t len)
{
	int fd = memfd_create("boot", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, buf, len, 0), (ssize_t)len);
	return fd;
}

/* Boot a file with what is in `c' besides; the memory is zero before. */
static inline int
load(struct boot_conf c, const void *buf, size_t len)
{
	int rc;

	memset(mem.base, 0, mem.size);
	c.kernel = file(buf, len);
	c.mem = &mem;
	rc = boot_load(&c, &regs, err);
	close(c.kernel);
	return rc;
}

static inline uint8_t *
at(uint64_t gpa)
{
	uint8_t *p = gmem_ptr(&mem, gpa, 1);

	assert_non_null(p);
	return p;
}

static inline uint64_t
le(const uint8_t *p, unsigned int size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

static inline void
put(uint8_t *p, uint64_t v, unsigned int size)
{
	memcpy(p, &v, size);
}

/* A change that spoils a file, and what is said about it. */
struct spoil {
	const char *name;
	size_t off;
	unsigned int size;
	uint64_t val;
	size_t truncate; /* to this length; 0: not */
	const char *said;
};

static inline void
spoiled(const struct spoil *s, size_t n, const uint8_t *good, size_t len)
{
	static uint8_t bad[1 << 20];
	struct boot_conf c = { .initrd = -1 };
	size_t i, len_i;
	int rc;

	assert_true(len <= sizeof(bad));
	for (i = 0; i < n; i++) {
		memcpy(bad, good, len);
		put(bad + s[i].off, s[i].val, s[i].size);
		len_i = s[i].truncate != 0 ? s[i].truncate : len;
		rc = load(c, bad, len_i);
		if (rc != -1 || strcmp(err, s[i].said) != 0)
			print_error("# %s: %d %s\n", s[i].name, rc, err);
		assert_int_equal(rc, -1);
		assert_string_equal(err, s[i].said);
	}
}

#define T(x) cmocka_unit_test_setup_teardown(x, memory_setup, memory_teardown)

#endif
