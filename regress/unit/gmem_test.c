/* Guest memory: what a guest may name, and what it may not. */

#include "regress/unit/proto_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util/gmem.h"

#define NOEXEC	  0x8U /* MFD_NOEXEC_SEAL */
#define SEAL_EXEC 0x20 /* F_SEAL_EXEC */

#define KB	  1024ULL
#define MB	  (1024 * KB)
#define GB	  (1024 * MB)

/*
 * 0		RAM, 640K
 * 640K		reserved, 384K
 * 1M		RAM, 3M
 * 4M		MMIO, 1M
 * 5M		RAM, 64K; then nothing
 * 4G		RAM, 64K
 */
static struct gmem g;

static int old_kernel;	  /* one that does not know NOEXEC */
static int only_noexec;	  /* one told not to allow anything else */
static unsigned int made; /* flags of the last one */

int __real_memfd_create(const char *name, unsigned int flags);
int __wrap_memfd_create(const char *name, unsigned int flags);

int
__wrap_memfd_create(const char *name, unsigned int flags)
{
	made = flags;
	if (old_kernel && (flags & NOEXEC)) {
		errno = EINVAL;
		return -1;
	}
	if (only_noexec && !(flags & NOEXEC)) {
		errno = EACCES;
		return -1;
	}
	return __real_memfd_create(name, flags);
}

static int
setup(void **state)
{
	memset(&g, 0, sizeof(g));
	g.fd = -1;
	if (gmem_add(&g, 0, 640 * KB, GMEM_RAM) == -1 ||
	    gmem_add(&g, 640 * KB, 384 * KB, GMEM_RESERVED) == -1 ||
	    gmem_add(&g, 1 * MB, 3 * MB, GMEM_RAM) == -1 ||
	    gmem_add(&g, 4 * MB, 1 * MB, GMEM_MMIO) == -1 ||
	    gmem_add(&g, 5 * MB, 64 * KB, GMEM_RAM) == -1 ||
	    gmem_add(&g, 4 * GB, 64 * KB, GMEM_RAM) == -1)
		return -1;
	return gmem_create(&g);
}

static int
teardown(void **state)
{
	gmem_fini(&g);
	gmem_fini(&g);
	return 0;
}

static void
refused(uint64_t gpa, uint64_t len)
{
	errno = 0;
	assert_null(gmem_ptr(&g, gpa, len));
	assert_int_equal(errno, EFAULT);
}

static void
table(void **state)
{
	struct gmem t = { .fd = -1 };
	uint64_t i;

	assert_fails(gmem_add(&t, 1, 4096, GMEM_RAM), EINVAL);
	assert_fails(gmem_add(&t, 0, 4095, GMEM_RAM), EINVAL);
	assert_fails(gmem_add(&t, 0, 0, GMEM_RAM), EINVAL);
	assert_fails(gmem_add(&t, 4096, UINT64_MAX - 4095, GMEM_RAM), EINVAL);
	assert_fails(gmem_add(&t, UINT64_MAX - 4095, 8192, GMEM_RAM), EINVAL);
	assert_int_equal(t.nranges, 0);
	assert_int_equal(gmem_add(&t, 8192, 8192, GMEM_RAM), 0);
	assert_fails(gmem_add(&t, 0, 4096, GMEM_RAM), EINVAL);
	assert_fails(gmem_add(&t, 8192, 4096, GMEM_RAM), EINVAL);
	assert_fails(gmem_add(&t, 12288, 8192, GMEM_RAM), EINVAL);
	assert_int_equal(gmem_add(&t, 16384, 4096, GMEM_RAM), 0);
	for (i = 2; i < GMEM_MAXRANGES; i++)
		assert_int_equal(gmem_add(&t, i * MB, 4096, GMEM_RAM), 0);
	assert_fails(gmem_add(&t, i * MB, 4096, GMEM_RAM), ENOSPC);
}

static void
layout(void **state)
{
	assert_int_equal(g.size, 6 * MB + 64 * KB);
	assert_true(gmem_low_end(&g) == 4 * MB);
	/* All agree within a huge page; the file need not have our holes. */
	assert_int_equal((uintptr_t)g.base % GMEM_HUGE, 0);
	assert_ptr_equal(gmem_ptr(&g, 0, 640 * KB), g.base);
	assert_ptr_equal(gmem_ptr(&g, 5 * MB, 1), g.base + 5 * MB);
	assert_ptr_equal(gmem_ptr(&g, 4 * GB, 1), g.base + 6 * MB);
}

static void
edges(void **state)
{
	uint8_t *p = gmem_ptr(&g, 1 * MB, 3 * MB);

	assert_non_null(p);
	p[0] = p[3 * MB - 1] = 1;
	refused(1 * MB, 3 * MB + 1);
	refused(1 * MB + 1, 3 * MB);
	assert_ptr_equal(gmem_ptr(&g, 4 * MB - 1, 1), p + 3 * MB - 1);
	refused(4 * MB - 1, 2);
	refused(4 * MB, 1);
	refused(4 * MB, 0);
	refused(5 * MB - 1, 1);
	refused(5 * MB + 64 * KB, 1);
	refused(4 * GB - 1, 2);
	refused(4 * GB + 64 * KB, 0);
	assert_non_null(gmem_ptr(&g, 4 * GB + 64 * KB - 8, 8));
	/* Two ranges side by side are not one. */
	refused(640 * KB - 1, 2);
}

static void
overflows(void **state)
{
	refused(1 * MB, UINT64_MAX);
	refused(2 * MB, UINT64_MAX - 2 * MB + 1);
	refused(2 * MB, UINT64_MAX - 2 * MB + 2);
	refused(UINT64_MAX, 1);
	refused(UINT64_MAX, UINT64_MAX);
	refused(UINT64_MAX - 4095, 8192);
	refused(1ULL << 63, 1ULL << 63);
	assert_fails(gmem_read(&g, UINT64_MAX, NULL, 2), EFAULT);
	assert_fails(gmem_write(&g, UINT64_MAX - 1, "abc", 3), EFAULT);
}

static void
copies(void **state)
{
	uint8_t in[64], out[64];
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i + 1);
	/* Over the seam of two ranges. */
	assert_int_equal(gmem_write(&g, 640 * KB - 32, in, 64), 0);
	assert_memory_equal(gmem_ptr(&g, 640 * KB, 32), in + 32, 32);
	assert_int_equal(gmem_read(&g, 640 * KB - 32, out, 64), 0);
	assert_memory_equal(in, out, 64);
	assert_int_equal(gmem_write(&g, 1 * MB - 1, in, 2), 0);
	/* Not into a hole, nor into devices. */
	assert_fails(gmem_write(&g, 4 * MB - 32, in, 64), EFAULT);
	assert_fails(gmem_read(&g, 4 * MB - 32, out, 64), EFAULT);
	assert_fails(gmem_read(&g, 5 * MB + 64 * KB - 1, out, 2), EFAULT);
	assert_fails(gmem_read(&g, 4 * MB, out, 1), EFAULT);
	assert_int_equal(gmem_read(&g, 4 * MB, out, 0), 0);
}

static void
sealed(void **state)
{
	int flags = fcntl(g.fd, F_GET_SEALS);

	assert_int_equal(flags & ~SEAL_EXEC,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_fails(ftruncate(g.fd, 0), EPERM);
	assert_fails(ftruncate(g.fd, 1 << 30), EPERM);
	assert_true(fcntl(g.fd, F_GETFD) & FD_CLOEXEC);
}

/* Never to be executed, where the kernel can promise that. */
static void
no_exec(void **state)
{
	struct gmem t = { .fd = -1 }, u;
	int fd = __real_memfd_create("known", NOEXEC), copy, have = fd != -1;

	close(fd);
	assert_int_equal(gmem_add(&t, 0, 1 * MB, GMEM_RAM), 0);
	old_kernel = 1;
	assert_int_equal(gmem_create(&t), 0);
	assert_int_equal(made & NOEXEC, 0);
	old_kernel = 0;
	gmem_fini(&t);
	if (!have)
		skip();
	only_noexec = 1;
	assert_int_equal(gmem_create(&t), 0);
	only_noexec = 0;
	assert_true(fcntl(t.fd, F_GET_SEALS) & SEAL_EXEC);
	assert_fails(fchmod(t.fd, 0700), EPERM);
	/* Another process takes it so. */
	u = t;
	assert_true((copy = dup(t.fd)) != -1);
	assert_int_equal(gmem_attach(&u, &copy), 0);
	gmem_fini(&u);
	gmem_fini(&t);
}

/* Nothing to be had before it is there, or when there is too much of it. */
static void
failures(void **state)
{
	struct gmem t = { .fd = -1 };
	int before = count_fds();

	assert_int_equal(gmem_create(&t), -1);
	assert_int_equal(gmem_add(&t, 0, 1ULL << 60, GMEM_RAM), 0);
	errno = 0;
	assert_null(gmem_ptr(&t, 0, 1));
	assert_int_equal(errno, EFAULT);
	assert_int_equal(gmem_create(&t), -1);
	assert_int_equal(t.fd, -1);
	assert_null(t.base);
	assert_true(gmem_low_end(&t) == 1ULL << 60);
	t.nranges = 0;
	assert_true(gmem_low_end(&t) == 0);
	assert_int_equal(count_fds(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		TEST(layout),
		TEST(edges),
		TEST(overflows),
		TEST(copies),
		TEST(sealed),
		cmocka_unit_test(no_exec),
		cmocka_unit_test(failures),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
