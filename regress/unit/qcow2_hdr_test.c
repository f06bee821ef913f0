/*
 * qcow2 headers: good ones give their fields, each malformed one its own
 * sentence; and what qemu-img(1) makes is taken in every variant.
 */

#include <sys/stat.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/disk/qcow2_hdr.h"

#define FILE_SIZE 0x60000ULL
#define CLUSTER	  0x10000

static uint8_t img[CLUSTER];

static void
put(size_t off, unsigned int width, uint64_t v)
{
	uint64_t b = htobe64(v);

	memcpy(img + off, (uint8_t *)&b + 8 - width, width);
}

/* 1 GiB, version 3, a backing file, one of each extension. */
static void
good(void)
{
	memset(img, 0, sizeof(img));
	put(0, 4, QCOW2_MAGIC);
	put(4, 4, 3);
	put(8, 8, 0x200);
	put(16, 4, 8);
	put(20, 4, 16);
	put(24, 8, 1ULL << 30);
	put(36, 4, 2);
	put(40, 8, 0x30000);
	put(48, 8, 0x10000);
	put(56, 4, 1);
	put(96, 4, 4);
	put(100, 4, 104);
	put(104, 4, 0xe2792acaU);
	put(108, 4, 5);
	memcpy(img + 112, "qcow2", 5);
	put(120, 4, 0x6803f857U);
	put(124, 4, 48);
	put(128, 1, 0);
	put(129, 1, 9);
	memcpy(img + 130, "shiny\033", 6);
	memcpy(img + 0x200, "base.img", 8);
}

static void
fields(void **state)
{
	struct qcow2_hdr h;
	char why[128] = "";

	good();
	assert_int_equal(qcow2_hdr_parse(&h, img, sizeof(img), FILE_SIZE,
			     QCOW2_FOR_WRITE, why, sizeof(why)),
	    0);
	assert_string_equal(why, "");
	assert_int_equal(h.version, 3);
	assert_int_equal(h.length, 104);
	assert_int_equal(h.cluster_bits, 16);
	assert_int_equal(h.size, 1ULL << 30);
	assert_int_equal(h.l1_size, 2);
	assert_int_equal(h.l1_off, 0x30000);
	assert_int_equal(h.ref_off, 0x10000);
	assert_int_equal(h.ref_clusters, 1);
	assert_int_equal(h.ref_order, 4);
	assert_int_equal(h.nsnapshots, 0);
	assert_int_equal(h.zstd, 0);
	assert_int_equal(h.backing_fmt, QCOW2_BACKING_QCOW2);
	assert_string_equal(h.backing, "base.img");
}

/* Up to three changes to the good header, and the sentence. */
struct bad {
	const char *why;
	int err;
	unsigned int flags;
	struct {
		uint16_t off;
		uint8_t width;
		uint64_t v;
	} c[3];
};

#define W QCOW2_FOR_WRITE
/* clang-format off */
static const struct bad bads[] = {
	{ "not a qcow2 image", EINVAL, 0, { { 0, 4, 0x514649fa } } },
	{ "version 1 is not supported", ENOTSUP, 0, { { 4, 4, 1 } } },
	{ "version 4 is not supported", ENOTSUP, 0, { { 4, 4, 4 } } },
	{ "clusters of 2^8 bytes: only 2^9 to 2^21 are possible", EINVAL, 0,
	  { { 20, 4, 8 } } },
	{ "clusters of 2^22 bytes: only 2^9 to 2^21 are possible", EINVAL, 0,
	  { { 20, 4, 22 } } },
	{ "clusters of 2^4294967295 bytes: only 2^9 to 2^21 are possible",
	  EINVAL, 0, { { 20, 4, 0xffffffff } } },
	{ "a header of 96 bytes is too short for version 3", EINVAL, 0,
	  { { 100, 4, 96 } } },
	{ "the length of the header, 108, is no multiple of 8", EINVAL, 0,
	  { { 100, 4, 108 } } },
	{ "a header of 65544 bytes does not fit the first cluster", EINVAL, 0,
	  { { 100, 4, 65544 } } },
	{ "refcounts of 2^7 bits: only 1 to 64 are possible", EINVAL, 0,
	  { { 96, 4, 7 } } },
	{ "compression type 2 is not supported", ENOTSUP, 0,
	  { { 100, 4, 112 }, { 104, 1, 2 } } },
	{ "compression type 1 contradicts the incompatible feature bit 3, "
	  "which is 0", EINVAL, 0, { { 100, 4, 112 }, { 104, 1, 1 } } },
	{ "compression type 0 contradicts the incompatible feature bit 3, "
	  "which is 1", EINVAL, 0, { { 72, 8, 8 } } },
	{ "the name of the backing file has 1024 bytes, at most 1023 are "
	  "possible", EINVAL, 0, { { 16, 4, 1024 } } },
	{ "the name of the backing file overlaps the header", EINVAL, 0,
	  { { 8, 8, 96 } } },
	{ "the name of the backing file is not within the first cluster",
	  EINVAL, 0, { { 8, 8, 0xfffc } } },
	{ "the name of the backing file is not within the first cluster",
	  EINVAL, 0, { { 8, 8, UINT64_MAX - 3 } } },
	{ "the name of the backing file contains a NUL", EINVAL, 0,
	  { { 0x203, 1, 0 } } },
	{ "backing format \"vmdk?\" is not supported", ENOTSUP, 0,
	  { { 112, 5, 0x766d646b1bULL } } },
	{ "a name of 16 bytes is no backing format", EINVAL, 0,
	  { { 108, 4, 16 } } },
	{ "two backing formats", EINVAL, 0, { { 120, 4, 0xe2792acaU } } },
	{ "header extension 0x6803f857 of 500 bytes is longer than what "
	  "follows", EINVAL, 0, { { 124, 4, 500 } } },
	{ "header extension 0x6803f857 of 4294967295 bytes is longer than "
	  "what follows", EINVAL, 0, { { 124, 4, 0xffffffff } } },
	{ "incompatible feature bit 9 (shiny?) is not supported", ENOTSUP, 0,
	  { { 72, 8, 1 << 9 } } },
	{ "incompatible feature bit 63 is not supported", ENOTSUP, 0,
	  { { 72, 8, 1ULL << 63 } } },
	{ "external data files are not supported", ENOTSUP, 0,
	  { { 72, 8, 4 } } },
	{ "extended L2 entries are not supported", ENOTSUP, 0,
	  { { 72, 8, 16 } } },
	{ "the image is marked corrupt", EINVAL, 0, { { 72, 8, 2 } } },
	{ "the image was not closed and needs repair", EINVAL, 0,
	  { { 72, 8, 1 } } },
	{ "encryption (AES) is not supported", ENOTSUP, 0, { { 32, 4, 1 } } },
	{ "encryption (LUKS) is not supported", ENOTSUP, 0, { { 32, 4, 2 } } },
	{ "encryption method 3 is unknown", EINVAL, 0, { { 32, 4, 3 } } },
	{ "65537 snapshots: at most 65536 are possible", EINVAL, 0,
	  { { 60, 4, 65537 } } },
	{ "images with internal snapshots can only be read", ENOTSUP, W,
	  { { 60, 4, 1 }, { 64, 8, 0x40000 } } },
	{ "the snapshot table at 0x40200 is not at the beginning of a cluster",
	  EINVAL, 0, { { 60, 4, 1 }, { 64, 8, 0x40200 } } },
	{ "the snapshot table at 0x60000 is beyond the end of the file",
	  EINVAL, 0, { { 60, 4, 1 }, { 64, 8, 0x60000 } } },
	{ "the snapshot table overlaps the header", EINVAL, 0,
	  { { 60, 4, 1 } } },
	{ "a size of 9223372036854775808 bytes is too large: at most "
	  "9223372036854775807", EINVAL, 0,
	  { { 24, 8, 1ULL << 63 } } },
	{ "an L1 table of 17179869184 entries is too large: at most 4194304", EINVAL, 0,
	  { { 24, 8, INT64_MAX } } },
	{ "an L1 table of 4194305 entries is too large: at most 4194304", EINVAL, 0,
	  { { 36, 4, 4194305 } } },
	{ "an L1 table of 2 entries is too small, the size needs 3", EINVAL, 0,
	  { { 24, 8, (1ULL << 30) + 512 } } },
	{ "an L1 table of 0 entries is too small, the size needs 2", EINVAL, 0,
	  { { 36, 4, 0 } } },
	{ "the L1 table at 0x30008 is not at the beginning of a cluster",
	  EINVAL, 0, { { 40, 8, 0x30008 } } },
	{ "the L1 table at 0x60000 is beyond the end of the file", EINVAL, 0,
	  { { 40, 8, 0x60000 } } },
	{ "the L1 table at 0xffffffffffff0000 is beyond the end of the file",
	  EINVAL, 0, { { 40, 8, 0xffffffffffff0000 } } },
	{ "the L1 table overlaps the header", EINVAL, 0, { { 40, 8, 0 } } },
	{ "there is no refcount table", EINVAL, 0, { { 56, 4, 0 } } },
	{ "a refcount table of 129 clusters is too large: at most 128", EINVAL, 0,
	  { { 56, 4, 129 } } },
	{ "the refcount table at 0x10200 is not at the beginning of a cluster",
	  EINVAL, 0, { { 48, 8, 0x10200 } } },
	{ "the refcount table at 0x50000 is beyond the end of the file",
	  EINVAL, 0, { { 48, 8, 0x50000 }, { 56, 4, 2 } } },
	{ "the refcount table overlaps the L1 table", EINVAL, 0,
	  { { 48, 8, 0x20000 }, { 56, 4, 2 } } },
	{ "the refcount table overlaps the header", EINVAL, 0,
	  { { 48, 8, 0 } } },
	{ "a bitmaps extension of 48 bytes instead of 24", EINVAL, 0,
	  { { 120, 4, 0x23852875U }, { 88, 8, 1 } } },
	{ "0 bitmaps: only 1 to 65535 are possible", EINVAL, 0,
	  { { 120, 8, 0x2385287500000018ULL }, { 88, 8, 1 },
	    { 128, 4, 0 } } },
	{ "a directory of 0 bytes is not one of 1 bitmaps", EINVAL, 0,
	  { { 120, 8, 0x2385287500000018ULL }, { 88, 8, 1 },
	    { 128, 4, 1 } } },
};
/* clang-format on */

static void
malformed(void **state)
{
	struct qcow2_hdr h;
	char why[128];
	size_t i, j;

	for (i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		good();
		for (j = 0; j < 3 && bads[i].c[j].width != 0; j++)
			put(bads[i].c[j].off, bads[i].c[j].width,
			    bads[i].c[j].v);
		why[0] = '\0';
		if (qcow2_hdr_parse(&h, img, sizeof(img), FILE_SIZE,
			bads[i].flags, why, sizeof(why)) != -1)
			fail_msg("%s: taken", bads[i].why);
		assert_int_equal(errno, bads[i].err);
		assert_string_equal(why, bads[i].why);
	}
}

/* A check wants to see what is dirty or corrupt. */
static void
for_check(void **state)
{
	struct qcow2_hdr h;
	char why[128];

	good();
	put(72, 8, QCOW2_DIRTY | QCOW2_CORRUPT);
	assert_int_equal(qcow2_hdr_parse(&h, img, sizeof(img), FILE_SIZE,
			     QCOW2_FOR_CHECK, why, sizeof(why)),
	    0);
	assert_int_equal(h.incompat, QCOW2_DIRTY | QCOW2_CORRUPT);
}

/* A file that ends anywhere is refused, without a read behind its end. */
static void
truncated(void **state)
{
	struct qcow2_hdr h;
	char why[128];
	uint8_t *copy;
	size_t len;

	good();
	for (len = 0; len < 0x208; len++) {
		copy = malloc(len + (len == 0));
		assert_non_null(copy);
		memcpy(copy, img, len);
		why[0] = '\0';
		assert_int_equal(qcow2_hdr_parse(&h, copy, len, len, 0, why,
				     sizeof(why)),
		    -1);
		assert_string_not_equal(why, "");
		free(copy);
	}
}

/* The name may end with the first cluster, and has no terminator. */
static void
long_name(void **state)
{
	struct qcow2_hdr h;
	char why[128];

	good();
	put(8, 8, CLUSTER - QCOW2_BACKING_MAX);
	put(16, 4, QCOW2_BACKING_MAX);
	memset(img + CLUSTER - QCOW2_BACKING_MAX, 'n', QCOW2_BACKING_MAX);
	assert_int_equal(qcow2_hdr_parse(&h, img, sizeof(img), FILE_SIZE, 0,
			     why, sizeof(why)),
	    0);
	assert_int_equal(strlen(h.backing), QCOW2_BACKING_MAX);
}

static void
compressed_entry(void **state)
{
	struct qcow2_hdr h = { .cluster_bits = 16 };
	uint64_t e = QCOW2_COMPRESSED | 3ULL << 54 | 0x50010;

	assert_int_equal(qcow2_comp_off(&h, e), 0x50010);
	assert_int_equal(qcow2_comp_len(&h, e), 4 * 512 - 0x10);
}

static char dir[] = "/tmp/qcow2_hdr_test.XXXXXX";
static char file[64];

static int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/image", dir);
	return 0;
}

static int
teardown(void **state)
{
	unlink(file);
	return rmdir(dir);
}

static int
parse_file(struct qcow2_hdr *h, unsigned int flags, char *why, size_t len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), rc;

	assert_int_not_equal(fd, -1);
	rc = qcow2_hdr_read(h, fd, flags, why, len);
	close(fd);
	return rc;
}

/* `why' NULL: must be taken. */
struct variant {
	const char *opts;
	const char *size;
	const char *why;
	uint32_t version, bits, order;
	int zstd;
};

/* clang-format off */
static const struct variant variants[] = {
	{ "compat=1.1", "1G", NULL, 3, 16, 4, 0 },
	{ "compat=0.10", "1G", NULL, 2, 16, 4, 0 },
	{ "cluster_size=512", "100M", NULL, 3, 9, 4, 0 },
	{ "cluster_size=4k", "10G", NULL, 3, 12, 4, 0 },
	{ "cluster_size=2M", "1T", NULL, 3, 21, 4, 0 },
	{ "refcount_bits=1", "1G", NULL, 3, 16, 0, 0 },
	{ "refcount_bits=2", "1G", NULL, 3, 16, 1, 0 },
	{ "refcount_bits=8", "1G", NULL, 3, 16, 3, 0 },
	{ "refcount_bits=64", "1G", NULL, 3, 16, 6, 0 },
	{ "compression_type=zstd", "1G", NULL, 3, 16, 4, 1 },
	{ "lazy_refcounts=on", "1G", NULL, 3, 16, 4, 0 },
	{ "preallocation=metadata", "64M", NULL, 3, 16, 4, 0 },
	{ "compat=1.1", "0", NULL, 3, 16, 4, 0 },
	{ "compat=1.1", "512", NULL, 3, 16, 4, 0 },
	{ "compat=1.1", "63T", NULL, 3, 16, 4, 0 },
	{ "extended_l2=on", "1G", "extended L2 entries are not supported",
	  0, 0, 0, 0 },
	{ "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
	  "1G", "encryption (LUKS) is not supported", 0, 0, 0, 0 },
	{ "backing_file=/nonexistent,backing_fmt=raw", "1G", NULL,
	  3, 16, 4, 0 },
	{ "backing_file=/nonexistent,backing_fmt=vmdk", "1G",
	  "backing format \"vmdk\" is not supported", 0, 0, 0, 0 },
};
/* clang-format on */

static void
made_by_qemu(void **state)
{
	const struct variant *v;
	struct qcow2_hdr h;
	char cmd[512], why[128];
	int rc, tries;
	size_t i;

	if (system("qemu-img --version >/dev/null 2>&1") != 0)
		skip();
	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		v = &variants[i];
		unlink(file);
		snprintf(cmd, sizeof(cmd),
		    "qemu-img create -q -u -f qcow2 --object "
		    "secret,id=s,data=x -o %s %s %s",
		    v->opts, file, v->size);
		/* It measures itself for LUKS, and may be too busy to. */
		for (tries = 0; tries < 20 && system(cmd) != 0; tries++)
			unlink(file);
		assert_true(tries < 20);
		why[0] = '\0';
		rc = parse_file(&h, QCOW2_FOR_WRITE, why, sizeof(why));
		if (v->why != NULL) {
			assert_int_equal(rc, -1);
			assert_string_equal(why, v->why);
			continue;
		}
		if (rc != 0)
			fail_msg("%s %s: %s", v->opts, v->size, why);
		assert_int_equal(h.version, v->version);
		assert_int_equal(h.cluster_bits, v->bits);
		assert_int_equal(h.ref_order, v->order);
		assert_int_equal(h.zstd, v->zstd);
	}
	unlink(file);
}

static void
extras_by_qemu(void **state)
{
	struct qcow2_hdr h;
	char cmd[512], why[128] = "";

	if (system("qemu-img --version >/dev/null 2>&1") != 0)
		skip();
	snprintf(cmd, sizeof(cmd),
	    "qemu-img create -q -f qcow2 %s 1G && "
	    "qemu-img snapshot -c one %s && qemu-img bitmap --add %s b",
	    file, file, file);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(parse_file(&h, 0, why, sizeof(why)), 0);
	assert_int_equal(h.nsnapshots, 1);
	assert_int_equal(h.nbitmaps, 1);
	assert_int_not_equal(h.bitmaps_off, 0);
	assert_int_equal(parse_file(&h, QCOW2_FOR_WRITE, why, sizeof(why)), -1);
	assert_string_equal(why,
	    "images with internal snapshots can only be read");
	unlink(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(malformed),
		cmocka_unit_test(for_check),
		cmocka_unit_test(truncated),
		cmocka_unit_test(long_name),
		cmocka_unit_test(compressed_entry),
		cmocka_unit_test(made_by_qemu),
		cmocka_unit_test(extras_by_qemu),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
