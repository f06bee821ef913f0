/*
 * vmmci: every register at every width, what host and guest say to each
 * other, and how long they have for it.
 */

#include <event2/event.h>
#include <stdlib.h>

#include "regress/unit/clock_fake.h"
#include "regress/unit/dev_test.h"
#include "vmd/vm/vmmci.h"

#define IO	  0x1000
#define FEATURES  (IO + 0)
#define GUEST	  (IO + 4)
#define STATUS	  (IO + 18)
#define ISR	  (IO + 19)
#define COMMAND	  (IO + 20)
#define SECONDS	  (IO + 24)
#define USEC	  (IO + 32)

#define ALL	  7
#define DRIVER_OK 4

static struct fake f;
static struct pci *pci;
static struct vmmci *v;
static unsigned int expiries;
static int reboot;
static char why[64];

static void
expired(void *arg, int was_reboot, const char *text)
{
	assert_ptr_equal(arg, &f);
	expiries++;
	reboot = was_reboot;
	snprintf(why, sizeof(why), "%s", text);
}

static int
setup(void **state)
{
	const struct vmmci_ops ops = { expired, &f };

	fake_init(&f);
	f.m.base = event_base_new();
	real_ns = 1700000000 * NSEC + 123456789;
	mono_ns = 5 * NSEC;
	armed_ns = 0;
	expiries = 0;
	why[0] = '\0';
	pci = pci_new(f.b, &f.m);
	v = vmmci_new(f.b, &f.m, pci, &ops);
	return pci == NULL || v == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	vmmci_free(v);
	pci_free(pci);
	bus_free(f.b);
	event_base_free(f.m.base);
	return 0;
}

static uint32_t
in(uint16_t port)
{
	return bus_read(f.b, port, 4);
}

static void
out(uint16_t port, uint32_t val)
{
	bus_write(f.b, port, 4, val);
}

static void
cfg(unsigned int off, unsigned int size, uint32_t val)
{
	bus_write(f.b, 0xcf8, 4, 0x80001800 | (off & 0xfc));
	bus_write(f.b, (uint16_t)(0xcfc + (off & 3)), size, val);
}

static uint32_t
cfg_in(unsigned int off, unsigned int size)
{
	bus_write(f.b, 0xcf8, 4, 0x80001800 | (off & 0xfc));
	return bus_read(f.b, (uint16_t)(0xcfc + (off & 3)), size);
}

/* The guest's driver comes up. */
static void
driver(uint32_t features)
{
	OUT(&f, STATUS, 0);
	OUT(&f, STATUS, 1);
	OUT(&f, STATUS, 3);
	out(GUEST, features);
	OUT(&f, STATUS, 7);
}

/* The time that was asked for passes. */
static void
fire(void)
{
	assert_true(armed_ns > 0);
	mono_ns += armed_ns;
	event_base_loop(f.m.base, EVLOOP_ONCE);
}

static void
armed(int64_t seconds)
{
	assert_true(armed_ns == seconds * NSEC);
}

/* The guest takes its interrupt and finds `cmd'. */
static void
interrupted(uint32_t cmd)
{
	assert_int_equal(f.level, 1);
	assert_int_equal(f.gsi, 11);
	assert_int_equal(cfg_in(6, 2) & 8, 8);
	assert_int_equal(IN(&f, ISR), 2);
	assert_int_equal(f.level, 0);
	assert_int_equal(cfg_in(6, 2) & 8, 0);
	assert_int_equal(IN(&f, ISR), 0);
	assert_int_equal(in(COMMAND), cmd);
}

/* --- registers -------------------------------------------------------- */

static void
function(void **state)
{
	assert_int_equal(cfg_in(0, 4), 0x07770b5d);
	assert_int_equal(cfg_in(8, 4), 0x07800000);
	assert_int_equal(cfg_in(0x2c, 4), 0xffff0b5d);
	assert_int_equal(cfg_in(0x10, 4), 0x1001);
	assert_int_equal(cfg_in(0x3c, 2), 0x010b);
	assert_int_equal(in(FEATURES), 7);
	cfg(0x10, 4, 0xffffffff);
	assert_int_equal(cfg_in(0x10, 4), 0xffffffc1);
	cfg(0x10, 4, 0xe000);
	assert_int_equal(in(FEATURES), 0xffffffff);
	assert_int_equal(in(0xe000), 7);
	cfg(4, 2, 0);
	assert_int_equal(in(0xe000), 0xffffffff);
	cfg(4, 2, 1);
	assert_int_equal(in(0xe000), 7);
	/* It does not hide what is fixed. */
	cfg(0x10, 4, 0x600);
	assert_int_equal(in(0x600), 7);
	cfg(0x10, 4, 0xcc0);
	assert_int_equal(cfg_in(0, 4), 0x07770b5d);
}

/* What a byte of the registers reads after all of them were written. */
static uint8_t
expected(unsigned int off, uint8_t written)
{
	switch (off) {
	case 0:
		return 7;
	case 4:
		return written & 7;
	case 14:
	case 15:
	case 18:
		return written;
	default:
		return 0;
	}
}

/* Each register alone: any value, any width, and nothing else changes. */
static void
registers(void **state)
{
	static const uint8_t values[] = { 0x01, 0x05, 0x80, 0xff };
	unsigned int off, size, i, n;
	uint8_t val;

	real_ns = 0;
	for (n = 0; n < NELEM(values); n++)
		for (size = 1; size <= 4; size *= 2)
			for (off = 0; off + size <= 64; off++) {
				val = values[n];
				OUT(&f, STATUS, 0);
				bus_write(f.b, (uint16_t)(IO + off), size,
				    val * 0x01010101U);
				for (i = 0; i < 64; i++)
					assert_int_equal(
					    IN(&f, (uint16_t)(IO + i)),
					    i >= off && i < off + size ?
						expected(i, val) :
						(i == 0 ? 7 : 0));
			}
	assert_int_equal(expiries, 0);
}

/* Wide reads are what narrow ones are. */
static void
widths(void **state)
{
	unsigned int off, i;
	uint32_t b;

	driver(ALL);
	bus_write(f.b, IO + 14, 2, 0xa55a);
	for (off = 0; off + 4 <= 64; off++) {
		b = 0;
		for (i = 0; i < 4; i++)
			b |= IN(&f, (uint16_t)(IO + off + i)) << 8 * i;
		assert_int_equal(bus_read(f.b, (uint16_t)(IO + off), 4), b);
		assert_int_equal(bus_read(f.b, (uint16_t)(IO + off), 2),
		    b & 0xffff);
	}
	/* The interrupt is taken by any read that covers it. */
	assert_int_equal(vmmci_send(v, VMMCI_REBOOT), 1);
	assert_int_equal(f.level, 1);
	assert_int_equal(in(IO + 16), 0x02070000);
	assert_int_equal(f.level, 0);
}

static void
host_time(void **state)
{
	real_ns = (3LL << 31) * NSEC;
	assert_int_equal(in(SECONDS + 4), 1);
	assert_int_equal(in(SECONDS), 0x80000000);
	assert_int_equal(in(USEC), 0);
	real_ns += 3 * NSEC + 999999999;
	/* As it was when the seconds were read. */
	assert_int_equal(in(USEC), 0);
	assert_int_equal(in(SECONDS + 4), 1);
	assert_int_equal(in(USEC), 0);
	assert_int_equal(in(SECONDS), 0x80000003);
	assert_int_equal(in(USEC), 999999);
	assert_int_equal(in(USEC + 4), 0);
	/* In halves. */
	assert_int_equal(bus_read(f.b, SECONDS, 2), 3);
	real_ns += NSEC << 17;
	assert_int_equal(bus_read(f.b, SECONDS + 2, 2), 0x8000);
}

static void
interrupt_off(void **state)
{
	driver(ALL);
	cfg(4, 2, 0x401);
	vmmci_send(v, VMMCI_REBOOT);
	assert_int_equal(f.rises, 0);
	assert_int_equal(cfg_in(6, 2) & 8, 8);
	cfg(4, 2, 1);
	assert_int_equal(f.level, 1);
	cfg(4, 2, 0x401);
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, ISR), 2);
	cfg(4, 2, 1);
	assert_int_equal(f.level, 0);
	assert_int_equal(f.rises, 1);
}

/* --- commands --------------------------------------------------------- */

/* Without a driver: nothing, whatever else the status says. */
static void
nobody(void **state)
{
	unsigned int s;

	for (s = 0; s < 256; s++) {
		driver(ALL);
		OUT(&f, STATUS, s);
		f.rises = 0;
		armed_ns = 0;
		assert_int_equal(vmmci_send(v, VMMCI_SHUTDOWN),
		    (s & DRIVER_OK) != 0);
		assert_int_equal(f.rises, (s & DRIVER_OK) != 0);
		armed(s & DRIVER_OK ? 3 : 0);
		assert_int_equal(in(COMMAND),
		    s & DRIVER_OK ? VMMCI_SHUTDOWN : VMMCI_NONE);
	}
}

static void
shutdown_in_time(void **state)
{
	driver(ALL);
	assert_int_equal(vmmci_send(v, VMMCI_SHUTDOWN), 1);
	armed(3);
	interrupted(VMMCI_SHUTDOWN);
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(120);
	/* Again is not again. */
	assert_int_equal(vmmci_send(v, VMMCI_SHUTDOWN), 1);
	assert_int_equal(f.level, 0);
	armed(120);
	/* At its end it says so once more. */
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(3);
	mono_ns += NSEC;
	armed_ns = 0;
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(0);
	armed_ns = 2 * NSEC;
	fire();
	assert_int_equal(expiries, 1);
	assert_int_equal(reboot, 0);
	assert_string_equal(why, "powered off through vmmci");
}

static void
no_answer(void **state)
{
	driver(ALL);
	vmmci_send(v, VMMCI_SHUTDOWN);
	interrupted(VMMCI_SHUTDOWN);
	fire();
	assert_int_equal(expiries, 1);
	assert_int_equal(reboot, 0);
	assert_string_equal(why, "no answer to vmmci shutdown");
	driver(ALL);
	vmmci_send(v, VMMCI_REBOOT);
	armed(3);
	fire();
	assert_int_equal(expiries, 2);
	assert_int_equal(reboot, 1);
	assert_string_equal(why, "no answer to vmmci reboot");
}

static void
too_long(void **state)
{
	driver(ALL);
	vmmci_send(v, VMMCI_SHUTDOWN);
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(120);
	fire();
	assert_int_equal(expiries, 1);
	assert_int_equal(reboot, 0);
	assert_string_equal(why, "vmmci shutdown took too long");
	driver(ALL);
	vmmci_send(v, VMMCI_REBOOT);
	interrupted(VMMCI_REBOOT);
	out(COMMAND, VMMCI_REBOOT);
	armed(120);
	out(COMMAND, VMMCI_REBOOT);
	armed(120);
	out(COMMAND, VMMCI_SHUTDOWN); /* it powers down to reboot */
	armed(120);
	fire();
	assert_int_equal(expiries, 2);
	assert_int_equal(reboot, 1);
	assert_string_equal(why, "vmmci reboot took too long");
}

/* The guest powers down on its own, perhaps by halting. */
static void
by_itself(void **state)
{
	driver(ALL);
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(3);
	assert_int_equal(f.rises, 0);
	assert_int_equal(in(COMMAND), VMMCI_NONE);
	armed_ns = 0;
	out(COMMAND, VMMCI_SHUTDOWN); /* no more time by repeating it */
	armed(0);
	mono_ns += 3 * NSEC;
	event_base_loop(f.m.base, EVLOOP_ONCE);
	assert_int_equal(expiries, 1);
	assert_int_equal(reboot, 0);
	assert_string_equal(why, "powered off through vmmci");
	/* Asked to while it does. */
	driver(ALL);
	out(COMMAND, VMMCI_SHUTDOWN);
	vmmci_send(v, VMMCI_SHUTDOWN);
	armed(3);
	interrupted(VMMCI_SHUTDOWN);
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(120);
}

/* What a guest writes means something as an answer only. */
static void
other_words(void **state)
{
	static const uint32_t words[] = { 0, 2, 3, 4, 0x100, 0x101, 0x10001,
		0x1000001, 0xffffffff };
	unsigned int i, size;

	for (i = 0; i < NELEM(words); i++) {
		driver(ALL);
		armed_ns = 0;
		out(COMMAND, words[i]);
		armed(0);
		assert_int_equal(in(COMMAND), 0);
		vmmci_send(v, VMMCI_SHUTDOWN);
		armed_ns = 0;
		out(COMMAND, words[i]);
		armed(0);
		assert_int_equal(in(COMMAND), VMMCI_SHUTDOWN);
	}
	/* A narrow write is a whole one; its upper bytes are nobody's. */
	for (size = 1; size <= 2; size++) {
		driver(ALL);
		vmmci_send(v, VMMCI_SHUTDOWN);
		bus_write(f.b, COMMAND + size, size == 1 ? 1 : 2, 1);
		armed(3);
		bus_write(f.b, COMMAND, size, VMMCI_SHUTDOWN);
		armed(120);
	}
}

static void
reset_stops(void **state)
{
	driver(ALL);
	vmmci_send(v, VMMCI_SHUTDOWN);
	assert_int_equal(f.level, 1);
	OUT(&f, STATUS, 0);
	armed(0);
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, ISR), 0);
	assert_int_equal(in(COMMAND), 0);
	assert_int_equal(in(GUEST), 0);
	assert_int_equal(vmmci_send(v, VMMCI_SHUTDOWN), 0);
	/* It had expired before, and nobody had looked yet. */
	driver(ALL);
	out(COMMAND, VMMCI_SHUTDOWN);
	mono_ns += 4 * NSEC;
	OUT(&f, STATUS, 0);
	event_base_loop(f.m.base, EVLOOP_NONBLOCK);
	assert_int_equal(expiries, 0);
	/* Or was given more time just then. */
	driver(ALL);
	vmmci_send(v, VMMCI_SHUTDOWN);
	mono_ns += 4 * NSEC;
	out(COMMAND, VMMCI_SHUTDOWN);
	event_base_loop(f.m.base, EVLOOP_ONCE);
	assert_int_equal(expiries, 0);
}

static void
set_clock(void **state)
{
	driver(VMMCI_F_ACK | VMMCI_F_TIMESYNC);
	assert_int_equal(vmmci_send(v, VMMCI_SYNCRTC), 0);
	assert_int_equal(f.rises, 0);
	driver(ALL);
	armed_ns = 0;
	assert_int_equal(vmmci_send(v, VMMCI_SYNCRTC), 1);
	armed(0);
	interrupted(VMMCI_SYNCRTC);
	assert_int_equal(vmmci_send(v, VMMCI_SYNCRTC), 1);
	assert_int_equal(f.level, 0); /* not answered yet */
	out(COMMAND, VMMCI_SYNCRTC);
	assert_int_equal(in(COMMAND), VMMCI_NONE);
	assert_int_equal(vmmci_send(v, VMMCI_SYNCRTC), 1);
	interrupted(VMMCI_SYNCRTC);
	/* Something else is more urgent. */
	vmmci_send(v, VMMCI_REBOOT);
	interrupted(VMMCI_REBOOT);
	out(COMMAND, VMMCI_SYNCRTC); /* late */
	assert_int_equal(in(COMMAND), VMMCI_REBOOT);
	vmmci_send(v, VMMCI_SYNCRTC);
	assert_int_equal(in(COMMAND), VMMCI_REBOOT);
	assert_int_equal(f.level, 0);
	/* One that never answers is told each time. */
	driver(VMMCI_F_SYNCRTC);
	vmmci_send(v, VMMCI_SYNCRTC);
	interrupted(VMMCI_SYNCRTC);
	vmmci_send(v, VMMCI_SYNCRTC);
	interrupted(VMMCI_SYNCRTC);
	out(COMMAND, VMMCI_SHUTDOWN);
	armed(3);
}

static void
held(void **state)
{
	driver(ALL);
	vmmci_send(v, VMMCI_SHUTDOWN);
	interrupted(VMMCI_SHUTDOWN);
	mono_ns += NSEC;
	vmmci_pause(v);
	armed(0);
	vmmci_pause(v);
	mono_ns += 1000 * NSEC;
	vmmci_unpause(v);
	armed(2);
	assert_int_equal(in(COMMAND), VMMCI_SHUTDOWN);
	assert_int_equal(f.level, 0);
	fire();
	assert_int_equal(expiries, 1);
	/* It had expired already. */
	driver(ALL);
	vmmci_send(v, VMMCI_SHUTDOWN);
	mono_ns += 9 * NSEC;
	vmmci_pause(v);
	event_base_loop(f.m.base, EVLOOP_NONBLOCK);
	assert_int_equal(expiries, 1);
	vmmci_unpause(v);
	fire();
	assert_int_equal(expiries, 2);
	/* Told while it is held: it has its time from then on. */
	driver(ALL);
	vmmci_pause(v);
	armed_ns = 0;
	vmmci_send(v, VMMCI_SHUTDOWN);
	armed(0);
	mono_ns += 9 * NSEC;
	vmmci_unpause(v);
	armed(3);
	assert_int_equal(in(COMMAND), VMMCI_SHUTDOWN);
	/* Its clock is to be set when it goes on. */
	driver(ALL);
	vmmci_pause(v);
	assert_int_equal(f.level, 0);
	vmmci_unpause(v);
	interrupted(VMMCI_SYNCRTC);
	vmmci_free(NULL);
}

static void
places_taken(void **state)
{
	const struct vmmci_ops ops = { expired, &f };

	assert_null(vmmci_new(f.b, &f.m, pci, &ops));
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(function),
		T(registers),
		T(widths),
		T(host_time),
		T(interrupt_off),
		T(nobody),
		T(shutdown_in_time),
		T(no_answer),
		T(too_long),
		T(by_itself),
		T(other_words),
		T(reset_stops),
		T(set_clock),
		T(held),
		T(places_taken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("vmmci", tests, NULL, NULL);
}
