/* What the process image says, on the wire. */

#include "regress/unit/proto_test.h"

#include "lib/proto/imginfo.h"
#include "lib/proto/wire.h"

static int
decode(struct ibuf *b)
{
	struct image_info i;

	if (image_info_get(b, &i) == -1)
		return -1;
	image_info_fini(&i);
	return 0;
}

/* 0, or the errno of reading what was written. */
static int
through(const struct image_info *i)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);
	int rc;

	assert_non_null(b);
	assert_int_equal(image_info_put(b, i), 0);
	rc = decode_part(b, ibuf_size(b), decode);
	ibuf_free(b);
	return rc == 0 ? 0 : errno;
}

static char name[] = "../base.img";
static char error[] = "is encrypted";

static void
round_trip(void **state)
{
	const struct image_info i = { DISK_QCOW2, 1 << 30, name, DISK_RAW,
		NULL };
	const struct image_info e = { .error = error };
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);
	struct image_info got;

	assert_int_equal(image_info_put(b, &i), 0);
	check_truncation(b, decode);
	assert_int_equal(image_info_get(b, &got), 0);
	assert_int_equal(got.format, DISK_QCOW2);
	assert_int_equal(got.size, 1 << 30);
	assert_string_equal(got.backing, name);
	assert_int_equal(got.backing_format, DISK_RAW);
	assert_null(got.error);
	image_info_fini(&got);
	assert_null(got.backing);
	ibuf_free(b);
	b = ibuf_dynamic(0, BODY_MAX);
	assert_int_equal(image_info_put(b, &e), 0);
	check_truncation(b, decode);
	ibuf_free(b);
}

static void
refused(void **state)
{
	char empty[] = "";
	const struct image_info bad[] = {
		{ DISK_AUTO, 512, NULL, DISK_AUTO, NULL },
		{ DISK_FORMAT_MAX, 512, NULL, DISK_AUTO, NULL },
		{ DISK_RAW, (uint64_t)INT64_MAX + 1, NULL, DISK_AUTO, NULL },
		{ DISK_RAW, 512, name, DISK_AUTO, NULL },
		{ DISK_RAW, 512, NULL, DISK_RAW, NULL },
		{ DISK_QCOW2, 512, NULL, DISK_RAW, NULL },
		{ DISK_QCOW2, 512, empty, DISK_RAW, NULL },
		{ DISK_QCOW2, 512, name, DISK_FORMAT_MAX, NULL },
		{ DISK_QCOW2, 512, NULL, DISK_AUTO, error },
		{ DISK_AUTO, 512, NULL, DISK_AUTO, error },
		{ DISK_AUTO, 0, NULL, DISK_AUTO, empty },
		{ DISK_AUTO, 0, name, DISK_AUTO, error },
	};
	const struct image_info good = { DISK_RAW, INT64_MAX, NULL, DISK_AUTO,
		NULL };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(through(&bad[i]), EBADMSG);
	assert_int_equal(through(&good), 0);
}

static void
long_names(void **state)
{
	char *backing = repeat('b', IMAGE_BACKING_MAX);
	char *too_long = repeat('b', IMAGE_BACKING_MAX + 1);
	char *text = repeat('e', IMAGE_ERROR_MAX + 1);
	struct image_info i = { DISK_QCOW2, 512, backing, DISK_AUTO, NULL };
	const struct image_info e = { .error = text };

	assert_int_equal(through(&i), 0);
	i.backing = too_long;
	assert_int_equal(through(&i), EMSGSIZE);
	assert_int_equal(through(&e), EMSGSIZE);
	free(backing);
	free(too_long);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(refused),
		cmocka_unit_test(long_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
