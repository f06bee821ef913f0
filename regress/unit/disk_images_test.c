/*
 * Images as qemu-img makes them, in all variants, read through both
 * engines; what can only be read, and what is refused.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "regress/unit/disk_rig.h"

#define K    1024ULL
#define SIZE (3 * 1024 * K + 512)

static const char *const top[] = { "top", NULL };

/* Random, repeating and empty parts. */
static void
make_data(void)
{
	uint64_t i, v;
	FILE *f;

	rig_seed(7);
	assert_non_null(f = fopen("data.raw", "w"));
	for (i = 0; i < SIZE / 8; i++) {
		v = i >> 13 & 1 ? rig_random() : i >> 14 & 1 ? i >> 9 : 0;
		assert_int_equal(fwrite(&v, 8, 1, f), 1);
	}
	assert_int_equal(fclose(f), 0);
}

static uint8_t *
load(const char *name, uint64_t size)
{
	uint8_t *buf = calloc(1, size);
	int fd;

	assert_non_null(buf);
	assert_int_not_equal(fd = open(name, O_RDONLY | O_CLOEXEC), -1);
	assert_int_equal(pread(fd, buf, size, 0), (ssize_t)size);
	close(fd);
	return buf;
}

/* All of it, in pieces of all sizes. */
static void
same(const char *const *chain, const uint8_t *want, uint64_t size)
{
	uint8_t *buf = malloc(256 * K);
	uint64_t off, n;
	struct rig g;
	int sync;

	assert_non_null(buf);
	for (sync = 0; sync < 2; sync++) {
		assert_int_equal(rig_open(&g, chain, DISK_RDONLY, sync), 0);
		assert_int_equal(disk_size(g.d), size);
		for (off = 0; off < size; off += n) {
			n = 512 * (1 + rig_random() % 512);
			n = n < size - off ? n : size - off;
			assert_int_equal(rig_rw(&g, DISK_READ, buf, n, off), 0);
			assert_memory_equal(buf, want + off, n);
		}
		assert_int_equal(rig_close(&g), 0);
	}
	free(buf);
}

static void
same_as_qemu(const char *const *chain, uint64_t size)
{
	uint8_t *want;

	rig_sh("qemu-img convert -O raw %s want", chain[0]);
	want = load("want", size);
	same(chain, want, size);
	free(want);
}

static void
test_variants(void **state)
{
	static const char *const sizes[] = { "512", "1k", "2k", "4k", "8k",
		"16k", "32k", "64k", "128k", "256k", "512k", "1m", "2m" };
	static const char *const kinds[] = { "-o ", "-o compat=0.10,", "-c -o ",
		"-c -o compat=0.10,", "-c -o compression_type=zstd,",
		"-S 0 -o refcount_bits=8," };
	uint8_t *want = load("data.raw", SIZE);
	size_t i, j;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++) {
			rig_sh("qemu-img convert -O qcow2 %scluster_size=%s "
			       "data.raw top",
			    kinds[j], sizes[i]);
			same(top, want, SIZE);
		}
	free(want);
}

static void
test_preallocated(void **state)
{
	static const char *const how[] = { "metadata", "falloc", "full" };
	size_t i;

	for (i = 0; i < 3; i++) {
		rig_sh("qemu-img create -q -f qcow2 -o preallocation=%s top "
		       "%llu",
		    how[i], SIZE);
		same_as_qemu(top, SIZE);
	}
}

/* Zero clusters, with and without a place; over another image. */
static void
test_zero(void **state)
{
	static const char *const chain[] = { "top", "data.raw", NULL };

	rig_sh("qemu-img create -q -f qcow2 -b data.raw -F raw top");
	rig_sh("qemu-io -f qcow2 -c 'write -P 5 0 256k' -c 'write -z 64k 64k' "
	       "-c 'write -zu 128k 64k' -c 'write -z 1m 128k' "
	       "-c 'discard 2m 64k' top >/dev/null");
	same_as_qemu(chain, SIZE);
}

static void
test_chain_of_16(void **state)
{
	static const char names[16][4] = { "l15", "l14", "l13", "l12", "l11",
		"l10", "l9", "l8", "l7", "l6", "l5", "l4", "l3", "l2", "l1",
		"l0" };
	const char *chain[17] = { NULL };
	int i;

	rig_sh("qemu-img convert -c -O qcow2 data.raw l0");
	for (i = 1; i < 16; i++) {
		/* Longer and shorter ones, of several cluster sizes. */
		rig_sh("qemu-img create -q -f qcow2 -b l%d -F qcow2 "
		       "-o cluster_size=%dk l%d %d",
		    i - 1, 1 << i % 7, i, (2 << 20) + 524288 * (i % 4));
		rig_sh("qemu-io -f qcow2 -c 'write -P %d %dk 40k' l%d "
		       ">/dev/null",
		    i, i * 100 + 3, i);
	}
	for (i = 0; i < 16; i++)
		chain[i] = names[i];
	same_as_qemu(chain, (2 << 20) + 524288 * 3);
}

static int
refused(unsigned int flags, const char *say)
{
	struct rig g;
	int error;

	error = rig_open(&g, top, flags, 0);
	assert_int_not_equal(error, 0);
	if (strstr(g.why, say) == NULL)
		print_message("not \"%s\": %s\n", say, g.why);
	assert_non_null(strstr(g.why, say));
	return error;
}

static void
test_snapshot(void **state)
{
	rig_sh("qemu-img convert -O qcow2 data.raw top");
	rig_sh("qemu-img snapshot -c one top");
	rig_sh("qemu-io -f qcow2 -c 'write -P 9 0 100k' top >/dev/null");
	assert_int_equal(refused(0, "snapshots"), ENOTSUP);
	same_as_qemu(top, SIZE);
	/* Without it, it is an image as any. */
	rig_sh("qemu-img snapshot -d one top");
	same_as_qemu(top, SIZE);
}

static void
poke(const char *name, uint64_t off, unsigned int byte)
{
	uint8_t b = (uint8_t)byte;
	int fd;

	assert_int_not_equal(fd = open(name, O_WRONLY | O_CLOEXEC), -1);
	assert_int_equal(pwrite(fd, &b, 1, (off_t)off), 1);
	close(fd);
}

static void
test_refused(void **state)
{
	rig_sh("qemu-img create -q -f qcow2 -o extended_l2=on,"
	       "cluster_size=64k top 1m");
	assert_int_equal(refused(0, "extended L2"), ENOTSUP);
	rig_sh("qemu-img create -q -f qcow2 -o data_file=d.raw top 1m");
	assert_int_equal(refused(0, "external data"), ENOTSUP);
	rig_sh("qemu-img create -q -f qcow2 top 1m");
	poke("top", 79, 1);
	assert_int_equal(refused(0, "repair"), EINVAL);
	poke("top", 79, 2);
	assert_int_equal(refused(0, "corrupt"), EINVAL);
	assert_int_equal(refused(DISK_RDONLY, "corrupt"), EINVAL);
	poke("top", 79, 0);
	poke("top", 72, 0x80);
	assert_int_equal(refused(0, "bit 63"), ENOTSUP);
	rig_sh("head -c 1000 data.raw > top");
	assert_int_equal(refused(0, "not a qcow2"), EINVAL);
	rig_sh(": > top");
	refused(0, "");
}

/* A writer who does not know a feature clears its bit; a reader does not. */
static void
test_autoclear(void **state)
{
	struct rig g;
	uint8_t *hdr;
	int i;

	rig_sh("qemu-img create -q -f qcow2 top 1m");
	poke("top", 88, 0x40);
	poke("top", 95, 0x08);
	for (i = 0; i < 2; i++) {
		assert_int_equal(rig_open(&g, top, i == 0 ? DISK_RDONLY : 0, 0),
		    0);
		assert_int_equal(rig_close(&g), 0);
		hdr = load("top", 104);
		assert_int_equal(hdr[88], i == 0 ? 0x40 : 0);
		assert_int_equal(hdr[95], i == 0 ? 0x08 : 0);
		free(hdr);
	}
	rig_sh("qemu-img check -q -f qcow2 top");
}

/* What a table refers to is wrong: an error, and others go on. */
static void
test_broken_tables(void **state)
{
	char buf[512];
	struct rig g;

	memset(buf, 1, sizeof(buf));
	rig_sh("qemu-img create -q -f qcow2 top 1g");
	rig_sh("qemu-io -f qcow2 -c 'write -P 5 0 512' "
	       "-c 'write -P 6 600m 512' top >/dev/null");
	poke("top", 0x30006, 0x11); /* the first L2 table */
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	assert_int_equal(rig_rw(&g, DISK_READ, buf, 512, 0), EIO);
	assert_int_equal(rig_rw(&g, DISK_WRITE, buf, 512, 0), EIO);
	assert_int_equal(rig_range(&g, DISK_ZERO, 0, 65536, 1), EIO);
	assert_int_equal(rig_rw(&g, DISK_READ, buf, 512, 600ULL << 20), 0);
	assert_int_equal(buf[0], 6);
	assert_int_equal(rig_close(&g), 0);
	rig_sh("qemu-img convert -c -O qcow2 data.raw top");
	rig_sh("dd if=/dev/zero of=top bs=1k seek=320 count=200 conv=notrunc "
	       "status=none");
	assert_int_equal(rig_open(&g, top, 0, 0), 0);
	assert_int_equal(rig_rw(&g, DISK_READ, buf, 512, 131072), EIO);
	assert_int_equal(rig_rw(&g, DISK_WRITE, buf, 512, 131072), EIO);
	assert_int_equal(rig_rw(&g, DISK_READ, buf, 512, 131072), EIO);
	assert_int_equal(rig_close(&g), 0);
}

static int
enter(void **state)
{
	if (rig_enter(state) == -1)
		return -1;
	make_data();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variants),
		cmocka_unit_test(test_preallocated),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_chain_of_16),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_autoclear),
		cmocka_unit_test(test_broken_tables),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("disk_images", tests, enter,
	    rig_leave);
}
