/* ACPI's fixed hardware: every register and width, button, timer, off. */

#include <time.h>

#include "regress/unit/dev_test.h"

#define STS 0x600
#define EN  0x602
#define CNT 0x604
#define TMR 0x608

static struct fake f;
static struct acpi_pm *a;
static int64_t now_ns;

int __wrap_clock_gettime(clockid_t, struct timespec *);

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	ts->tv_sec = now_ns / 1000000000;
	ts->tv_nsec = now_ns % 1000000000;
	return 0;
}

static int
setup(void **state)
{
	fake_init(&f);
	now_ns = 123456789;
	a = acpi_pm_new(f.b, &f.m);
	return a == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	acpi_pm_free(a);
	bus_free(f.b);
	return 0;
}

static void
registers(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4 };
	unsigned int port, s, i, want;

	for (s = 0; s < NELEM(sizes); s++)
		for (port = STS; port < 0x610; port += sizes[s]) {
			/* Everything but SLP_EN. */
			bus_write(f.b, (uint16_t)port, sizes[s], 0xdfdfdfdf);
			for (i = STS; i < 0x610; i++) {
				want = 0;
				if (i >= port && i < port + sizes[s]) {
					if (i == 0x602)
						want = 0x01;
					if (i == 0x603)
						want = 0x07;
					if (i == 0x604)
						want = 0x02;
					if (i == 0x605)
						want = 0x1c;
				}
				if (i == 0x604)
					want |= 0x01;
				assert_int_equal(IN(&f, (uint16_t)i), want);
			}
			bus_write(f.b, (uint16_t)port, sizes[s], 0);
		}
	assert_int_equal(f.poweroffs, 0);
	assert_int_equal(f.rises, 0);
	assert_int_equal(bus_read(f.b, 0x5fe, 4), 0x0000ffff);
}

static void
button(void **state)
{
	assert_int_equal(acpi_pm_listening(a), 0);
	/* Nobody listens: noted, no interrupt. */
	acpi_pm_button(a);
	assert_int_equal(f.level, 0);
	assert_int_equal(bus_read(f.b, STS, 2), 0x100);
	bus_write(f.b, EN, 2, 0x100);
	assert_int_equal(acpi_pm_listening(a), 1);
	assert_int_equal(f.level, 1);
	assert_int_equal(f.gsi, 9);
	/* Writing 0 leaves it, writing 1 elsewhere too. */
	bus_write(f.b, STS, 2, 0);
	bus_write(f.b, STS, 2, 0xfeff);
	assert_int_equal(f.level, 1);
	bus_write(f.b, STS, 2, 0x100);
	assert_int_equal(f.level, 0);
	assert_int_equal(bus_read(f.b, STS, 2), 0);
	acpi_pm_button(a);
	acpi_pm_button(a);
	assert_int_equal(f.rises, 2);
	/* A byte is enough. */
	OUT(&f, STS + 1, 0x01);
	assert_int_equal(f.level, 0);
	acpi_pm_button(a);
	bus_write(f.b, EN, 2, 0);
	assert_int_equal(f.level, 0);
}

static void
off(void **state)
{
	unsigned int v;

	for (v = 0; v < 0x10000; v += 0x0100) {
		f.poweroffs = 0;
		bus_write(f.b, CNT, 2, v);
		assert_int_equal(f.poweroffs,
		    (v & 0x2000) != 0 && (v >> 10 & 7) == 5);
		assert_int_equal(bus_read(f.b, CNT, 2), (v & 0x1c00) | 0x0001);
	}
	f.poweroffs = 0;
	OUT(&f, CNT + 1, 0x34);
	assert_int_equal(f.poweroffs, 1);
	bus_write(f.b, CNT, 4, 0x3400);
	assert_int_equal(f.poweroffs, 2);
}

static void
timer(void **state)
{
	int64_t start = now_ns;

	assert_int_equal(bus_read(f.b, TMR, 4), 0);
	now_ns = start + 1000000000;
	assert_int_equal(bus_read(f.b, TMR, 4), 3579545);
	assert_int_equal(bus_read(f.b, TMR + 1, 2), 3579545 >> 8 & 0xffff);
	now_ns = start + 1000;
	assert_int_equal(bus_read(f.b, TMR, 4), 3);
	/* Days later, still exact. */
	now_ns = start + 10000000LL * 1000000000;
	assert_int_equal(bus_read(f.b, TMR, 4),
	    (uint32_t)(10000000ULL * 3579545));
	bus_write(f.b, STS, 2, 1);
	bus_write(f.b, EN, 2, 1);
	assert_int_equal(f.level, 0);
	/* The highest bit changes within ten minutes. */
	now_ns += 600LL * 1000000000;
	assert_int_equal(bus_read(f.b, STS, 2), 1);
	assert_int_equal(f.level, 1);
	bus_write(f.b, STS, 2, 1);
	assert_int_equal(f.level, 0);
}

#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(registers), T(button), T(off),
		T(timer) };

	acpi_pm_free(NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("acpi_pm", tests, NULL, NULL);
}
