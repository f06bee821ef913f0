/* Scaled numbers: what people write, and what must be refused. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/util/scaled.h"

static void
parses(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "7B", 7 },
		{ "1K", 1024 },
		{ "512M", 512ULL << 20 },
		{ "2.5G", 2560ULL << 20 },
		{ ".5k", 512 },
		{ " 1T", 1ULL << 40 },
		{ "3p", 3ULL << 50 },
		{ "7E", 7ULL << 60 },
		{ "9223372036854775807", INT64_MAX },
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(scaled_parse(good[i].text, &v), 0);
		assert_true(v == good[i].bytes);
	}
}

static void
refuses(void **state)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "", EINVAL },
		{ "-1", EINVAL },
		{ "12Q", EINVAL },
		{ "M", EINVAL },
		{ ".", EINVAL },
		{ "1MM", EINVAL },
		{ "1 M", EINVAL },
		{ "8E", ERANGE },
		{ "9223372036854775808", ERANGE },
		{ "99999999999999999999", ERANGE },
		{ "1e3", EINVAL },
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		assert_int_equal(scaled_parse(bad[i].text, &v), -1);
		assert_int_equal(errno, bad[i].err);
	}
}

static void
formats(void **state)
{
	char buf[SCALED_LEN];

	(void)state;
	assert_string_equal(scaled_fmt(buf, 512ULL << 20), "512M");
	assert_string_equal(scaled_fmt(buf, 1ULL << 30), "1.0G");
	assert_string_equal(scaled_fmt(buf, 2560ULL << 20), "2.5G");
	assert_string_equal(scaled_fmt(buf, 100ULL << 30), "100G");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(formats),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("scaled", tests, NULL, NULL);
}
