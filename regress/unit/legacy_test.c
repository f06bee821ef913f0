/* Keyboard controller without keyboard, port 0x92, and what resets. */

#include "regress/unit/dev_test.h"

static void
setup(struct fake *f, struct legacy **l)
{
	fake_init(f);
	*l = legacy_new(f->b, &f->m);
	assert_non_null(*l);
}

static void
done(struct fake *f, struct legacy *l)
{
	legacy_free(l);
	bus_free(f->b);
}

/* Exactly these commands reset, out of 256. */
static void
resets(void **state)
{
	struct fake f;
	struct legacy *l;
	unsigned int v;

	setup(&f, &l);
	for (v = 0; v < 256; v++) {
		f.resets = 0;
		OUT(&f, 0x64, v);
		assert_int_equal(f.resets, v >= 0xf0 && (v & 1) == 0);
		OUT(&f, 0x64, 0x20);
		(void)IN(&f, 0x60);
	}
	OUT(&f, 0x64, 0xfe);
	assert_string_equal(f.source, "port 0x64");
	for (v = 0; v < 256; v++) {
		f.resets = 0;
		OUT(&f, 0x64, 0xd1);
		OUT(&f, 0x60, v);
		assert_int_equal(f.resets, (v & 1) == 0);
		OUT(&f, 0x60, 0); /* no command is waiting */
		assert_int_equal(f.resets, (v & 1) == 0);
	}
	for (v = 0; v < 256; v++) {
		f.resets = 0;
		OUT(&f, 0x92, v);
		assert_int_equal(f.resets, v & 1);
		assert_int_equal(IN(&f, 0x92), (v & 0xfe) | 2);
	}
	done(&f, l);
}

static void
controller(void **state)
{
	struct fake f;
	struct legacy *l;

	setup(&f, &l);
	assert_int_equal(IN(&f, 0x64), 0x14);
	assert_int_equal(IN(&f, 0x60), 0);
	assert_int_equal(IN(&f, 0x92), 0x02);
	OUT(&f, 0x64, 0xaa);
	assert_int_equal(IN(&f, 0x64), 0x1d);
	assert_int_equal(IN(&f, 0x60), 0x55);
	assert_int_equal(IN(&f, 0x64), 0x1c);
	assert_int_equal(IN(&f, 0x60), 0);
	OUT(&f, 0x64, 0xab);
	assert_int_equal(IN(&f, 0x64) & 1, 1);
	assert_int_equal(IN(&f, 0x60), 0);
	OUT(&f, 0x64, 0x20);
	assert_int_equal(IN(&f, 0x60), 0x04);
	OUT(&f, 0x64, 0x60);
	OUT(&f, 0x60, 0x47);
	assert_int_equal(IN(&f, 0x64), 0x14);
	OUT(&f, 0x64, 0xad);
	OUT(&f, 0x64, 0xa7);
	OUT(&f, 0x64, 0x20);
	assert_int_equal(IN(&f, 0x60), 0x77);
	OUT(&f, 0x64, 0xae);
	OUT(&f, 0x64, 0xa8);
	OUT(&f, 0x64, 0x20);
	assert_int_equal(IN(&f, 0x60), 0x47);
	OUT(&f, 0x64, 0xd0);
	assert_int_equal(IN(&f, 0x60), 0x03);
	OUT(&f, 0x64, 0xd2);
	OUT(&f, 0x60, 0x99);
	assert_int_equal(IN(&f, 0x60), 0x99);
	/* No keyboard, no mouse: no answer. */
	OUT(&f, 0x60, 0xff);
	OUT(&f, 0x64, 0xd4);
	OUT(&f, 0x60, 0xff);
	assert_int_equal(IN(&f, 0x64) & 1, 0);
	/* The POST port and the neighbours belong to nobody. */
	OUT(&f, 0x80, 0x12);
	assert_int_equal(IN(&f, 0x80), 0xff);
	assert_int_equal(IN(&f, 0x61), 0xff);
	assert_int_equal(bus_read(f.b, 0x92, 2), 0xff02);
	assert_int_equal(f.resets, 0);
	done(&f, l);
	legacy_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets),
		cmocka_unit_test(controller),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("legacy", tests, NULL, NULL);
}
