/*
 * Byte buffers: what is written comes back, and nothing is read or written
 * beyond an end.
 */

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

#include "lib/imsg/imsg.h"
#include "regress/unit/imsg_test.h"

#define assert_fails(e, err)                                                   \
	do {                                                                   \
		errno = 0;                                                     \
		assert_true(e);                                                \
		assert_int_equal(errno, err);                                  \
	} while (0)

static void
integers(void **state)
{
	static const uint8_t wire[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
		0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };
	struct ibuf *b = ibuf_dynamic(0, 64);
	uint8_t n8;
	uint16_t n16, h16;
	uint32_t n32, h32;
	uint64_t n64, h64;

	assert_int_equal(ibuf_add_n8(b, 0x01), 0);
	assert_int_equal(ibuf_add_n16(b, 0x0203), 0);
	assert_int_equal(ibuf_add_n32(b, 0x04050607), 0);
	assert_int_equal(ibuf_add_n64(b, 0x08090a0b0c0d0e0f), 0);
	assert_int_equal(ibuf_size(b), sizeof(wire));
	assert_memory_equal(ibuf_data(b), wire, sizeof(wire));
	assert_int_equal(ibuf_add_h16(b, 0x1234), 0);
	assert_int_equal(ibuf_add_h32(b, 0x12345678), 0);
	assert_int_equal(ibuf_add_h64(b, 0x123456789abcdef0), 0);

	assert_int_equal(ibuf_get_n8(b, &n8), 0);
	assert_int_equal(ibuf_get_n16(b, &n16), 0);
	assert_int_equal(ibuf_get_n32(b, &n32), 0);
	assert_int_equal(ibuf_get_n64(b, &n64), 0);
	assert_int_equal(ibuf_get_h16(b, &h16), 0);
	assert_int_equal(ibuf_get_h32(b, &h32), 0);
	assert_int_equal(ibuf_get_h64(b, &h64), 0);
	assert_int_equal(n8, 0x01);
	assert_int_equal(n16, 0x0203);
	assert_int_equal(n32, 0x04050607);
	assert_int_equal(n64, 0x08090a0b0c0d0e0f);
	assert_int_equal(h16, 0x1234);
	assert_int_equal(h32, 0x12345678);
	assert_int_equal(h64, 0x123456789abcdef0);
	assert_int_equal(ibuf_size(b), 0);
	assert_fails(ibuf_get_n8(b, &n8) == -1, EBADMSG);
	ibuf_free(b);
}

static void
integers_too_large(void **state)
{
	struct ibuf *b = ibuf_dynamic(8, 64);

	assert_fails(ibuf_add_n8(b, 0x100) == -1, EINVAL);
	assert_fails(ibuf_add_n16(b, 0x10000) == -1, EINVAL);
	assert_fails(ibuf_add_n32(b, 0x100000000) == -1, EINVAL);
	assert_fails(ibuf_add_h16(b, 0x10000) == -1, EINVAL);
	assert_fails(ibuf_add_h32(b, 0x100000000) == -1, EINVAL);
	assert_int_equal(ibuf_size(b), 0);
	assert_int_equal(ibuf_add_zero(b, 4), 0);
	assert_fails(ibuf_set_n8(b, 0, 0x100) == -1, EINVAL);
	assert_fails(ibuf_set_h32(b, 0, 0x100000000) == -1, EINVAL);
	ibuf_free(b);
}

/* A short read consumes nothing. */
static void
short_reads(void **state)
{
	struct ibuf *b = ibuf_open(3), view;
	char data[8];
	uint32_t v;

	assert_int_equal(ibuf_add(b, "abc", 3), 0);
	assert_fails(ibuf_get_n32(b, &v) == -1, EBADMSG);
	assert_fails(ibuf_get(b, data, 4) == -1, EBADMSG);
	assert_fails(ibuf_get(b, data, SIZE_MAX) == -1, EBADMSG);
	assert_fails(ibuf_skip(b, 4) == -1, EBADMSG);
	assert_fails(ibuf_get_ibuf(b, 4, &view) == -1, EBADMSG);
	assert_fails(ibuf_get_string(b, 4) == NULL, EBADMSG);
	assert_fails(ibuf_get_strbuf(b, data, 4) == -1, EBADMSG);
	assert_int_equal(ibuf_size(b), 3);
	assert_int_equal(ibuf_get(b, data, 3), 0);
	assert_memory_equal(data, "abc", 3);
	ibuf_free(b);
}

static void
limits(void **state)
{
	struct ibuf *b;

	assert_fails(ibuf_dynamic(0, 0) == NULL, EINVAL);
	assert_fails(ibuf_dynamic(9, 8) == NULL, EINVAL);
	b = ibuf_dynamic(0, 8);
	assert_int_equal(ibuf_left(b), 8);
	assert_int_equal(ibuf_add(b, "12345", 5), 0);
	assert_int_equal(ibuf_left(b), 3);
	assert_fails(ibuf_add(b, "6789", 4) == -1, ERANGE);
	assert_fails(ibuf_reserve(b, SIZE_MAX) == NULL, ERANGE);
	assert_fails(ibuf_reserve(b, SIZE_MAX - 4) == NULL, ERANGE);
	assert_fails(ibuf_add_zero(b, 4) == -1, ERANGE);
	assert_int_equal(ibuf_size(b), 5);
	assert_int_equal(ibuf_add(b, "678", 3), 0);
	assert_memory_equal(ibuf_data(b), "12345678", 8);
	assert_fails(ibuf_add_n8(b, 9) == -1, ERANGE);
	ibuf_free(b);
	ibuf_free(NULL);
}

/* Many small pieces, read again from the front. */
static void
growth(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 400000);
	uint32_t i, v;

	for (i = 0; i < 100000; i++)
		assert_int_equal(ibuf_add_n32(b, i), 0);
	assert_fails(ibuf_add_n8(b, 0) == -1, ERANGE);
	for (i = 0; i < 100000; i++) {
		assert_int_equal(ibuf_get_n32(b, &v), 0);
		assert_int_equal(v, i);
	}
	ibuf_rewind(b);
	assert_int_equal(ibuf_size(b), 400000);
	ibuf_free(b);
}

static void
patches(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 64);
	uint16_t v;
	char *p;

	assert_int_equal(ibuf_add_zero(b, 8), 0);
	assert_int_equal(ibuf_set_n16(b, 0, 0xabcd), 0);
	assert_int_equal(ibuf_set_n64(b, 0, 1), 0);
	assert_int_equal(ibuf_set_n32(b, 4, 0x01020304), 0);
	assert_int_equal(ibuf_set(b, 7, "x", 1), 0);
	assert_int_equal(ibuf_set(b, 8, "", 0), 0);
	assert_fails(ibuf_set(b, 9, "", 0) == -1, ERANGE);
	assert_fails(ibuf_set(b, 8, "x", 1) == -1, ERANGE);
	assert_fails(ibuf_set_n32(b, 5, 0) == -1, ERANGE);
	assert_fails(ibuf_seek(b, SIZE_MAX, 1) == NULL, ERANGE);
	assert_fails(ibuf_seek(b, 1, SIZE_MAX) == NULL, ERANGE);
	assert_memory_equal(ibuf_data(b), "\0\0\0\0\1\2\3x", 8);
	/* Positions count from what was not read. */
	assert_int_equal(ibuf_skip(b, 6), 0);
	assert_int_equal(ibuf_set_n16(b, 0, 0x0506), 0);
	assert_int_equal(ibuf_get_n16(b, &v), 0);
	assert_int_equal(v, 0x0506);
	assert_non_null(p = ibuf_reserve(b, 4));
	assert_memory_equal(p, "\0\0\0\0", 4);
	ibuf_free(b);
}

static void
truncation(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 16);

	assert_int_equal(ibuf_add(b, "abcdef", 6), 0);
	assert_int_equal(ibuf_skip(b, 1), 0);
	assert_int_equal(ibuf_truncate(b, 2), 0);
	assert_int_equal(ibuf_size(b), 2);
	assert_int_equal(ibuf_truncate(b, 4), 0);
	assert_memory_equal(ibuf_data(b), "bc\0\0", 4);
	assert_fails(ibuf_truncate(b, 16) == -1, ERANGE);
	assert_int_equal(ibuf_truncate(b, 0), 0);
	assert_int_equal(ibuf_size(b), 0);
	ibuf_free(b);
}

static void
strings(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 64);
	char s[8], *p;

	assert_int_equal(ibuf_add_strbuf(b, "name", 8), 0);
	assert_fails(ibuf_add_strbuf(b, "12345678", 8) == -1, EOVERFLOW);
	assert_int_equal(ibuf_size(b), 8);
	assert_int_equal(ibuf_get_strbuf(b, s, 8), 0);
	assert_string_equal(s, "name");
	/* No NUL: told, and still terminated. */
	assert_int_equal(ibuf_add(b, "12345678", 8), 0);
	assert_fails(ibuf_get_strbuf(b, s, 8) == -1, EOVERFLOW);
	assert_string_equal(s, "1234567");
	assert_fails(ibuf_get_strbuf(b, s, 0) == -1, EINVAL);
	assert_int_equal(ibuf_add(b, "ab\0cd", 5), 0);
	assert_non_null(p = ibuf_get_string(b, 5));
	assert_string_equal(p, "ab");
	assert_int_equal(ibuf_size(b), 0);
	free(p);
	assert_non_null(p = ibuf_get_string(b, 0));
	assert_string_equal(p, "");
	free(p);
	ibuf_free(b);
}

static void
views(void **state)
{
	char data[] = "hello, world";
	struct ibuf a, v, *b = ibuf_dynamic(0, 64);
	uint8_t c;

	ibuf_from_buffer(&a, data, 12);
	assert_int_equal(ibuf_left(&a), 0);
	assert_fails(ibuf_add(&a, "x", 1) == -1, ERANGE);
	assert_fails(ibuf_truncate(&a, 13) == -1, ERANGE);
	assert_int_equal(ibuf_get_ibuf(&a, 5, &v), 0);
	assert_int_equal(ibuf_size(&v), 5);
	assert_int_equal(ibuf_add_ibuf(b, &v), 0);
	assert_int_equal(ibuf_skip(&a, 2), 0);
	ibuf_from_ibuf(&v, &a);
	assert_int_equal(ibuf_get_n8(&v, &c), 0);
	assert_int_equal(c, 'w');
	assert_int_equal(ibuf_size(&a), 5);
	assert_int_equal(ibuf_add_ibuf(b, &a), 0);
	assert_memory_equal(ibuf_data(b), "helloworld", 10);
	ibuf_free(b);
}

static void
descriptors(void **state)
{
	size_t before = count_fds();
	struct ibuf *b = ibuf_dynamic(0, 8);
	int fd;

	assert_false(ibuf_fd_avail(b));
	assert_int_equal(ibuf_fd_get(b), -1);
	ibuf_fd_set(b, -1);
	assert_false(ibuf_fd_avail(b));
	ibuf_fd_set(b, open("/dev/null", O_RDONLY));
	assert_true(ibuf_fd_avail(b));
	/* The one before is closed. */
	ibuf_fd_set(b, open("/dev/null", O_RDONLY));
	assert_int_equal(count_fds(), before + 1);
	fd = ibuf_fd_get(b);
	assert_true(fd >= 0);
	assert_false(ibuf_fd_avail(b));
	assert_int_equal(ibuf_fd_get(b), -1);
	close(fd);
	ibuf_fd_set(b, open("/dev/null", O_RDONLY));
	ibuf_free(b);
	assert_int_equal(count_fds(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(integers_too_large),
		cmocka_unit_test(short_reads),
		cmocka_unit_test(limits),
		cmocka_unit_test(growth),
		cmocka_unit_test(patches),
		cmocka_unit_test(truncation),
		cmocka_unit_test(strings),
		cmocka_unit_test(views),
		cmocka_unit_test(descriptors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
