/* The 16550A: every register, both modes, and each edge of its interrupt. */

#include <sys/timerfd.h>

#include <event2/event.h>
#include <stdio.h>

#include "regress/unit/dev_test.h"

#define COM  0x3f8
#define RBR  (COM + 0)
#define IER  (COM + 1)
#define IIR  (COM + 2)
#define FCR  (COM + 2)
#define LCR  (COM + 3)
#define MCR  (COM + 4)
#define LSR  (COM + 5)
#define MSR  (COM + 6)
#define SCR  (COM + 7)
#define OUT2 0x08
#define LOOP 0x10

static struct fake f;
static struct uart *u;
static uint8_t sent[4096];
static size_t nsent;
static unsigned int rooms;
static uint64_t armed_ns;

int __real_timerfd_settime(int, int, const struct itimerspec *,
    struct itimerspec *);
int __wrap_timerfd_settime(int, int, const struct itimerspec *,
    struct itimerspec *);

/* What was asked for is noted; it comes at once. */
int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new,
    struct itimerspec *old)
{
	struct itimerspec its = *new;

	armed_ns = (uint64_t) new->it_value.tv_sec * 1000000000 +
	    (uint64_t) new->it_value.tv_nsec;
	its.it_value.tv_sec = 0;
	its.it_value.tv_nsec = armed_ns != 0;
	return __real_timerfd_settime(fd, flags, &its, old);
}

static void
output(void *arg, const uint8_t *buf, size_t len)
{
	assert_ptr_equal(arg, &f);
	assert_true(nsent + len <= sizeof(sent));
	memcpy(sent + nsent, buf, len);
	nsent += len;
}

static void
room(void *arg)
{
	rooms++;
}

static int
setup(void **state)
{
	const struct uart_ops ops = { output, room, &f };

	fake_init(&f);
	f.m.base = event_base_new();
	nsent = rooms = 0;
	u = uart_new(f.b, &f.m, &ops);
	return u == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	uart_free(u);
	bus_free(f.b);
	event_base_free(f.m.base);
	return 0;
}

static size_t
in(const char *s)
{
	return uart_input(u, (const uint8_t *)s, strlen(s));
}

static void
registers(void **state)
{
	unsigned int v;

	assert_int_equal(IN(&f, IER), 0);
	assert_int_equal(IN(&f, IIR), 0x01);
	assert_int_equal(IN(&f, LCR), 0);
	assert_int_equal(IN(&f, MCR), 0);
	assert_int_equal(IN(&f, LSR), 0x60);
	assert_int_equal(IN(&f, MSR), 0xb0);
	assert_int_equal(IN(&f, RBR), 0);
	for (v = 0; v < 256; v++) {
		OUT(&f, SCR, v);
		assert_int_equal(IN(&f, SCR), v);
		OUT(&f, LCR, v);
		assert_int_equal(IN(&f, LCR), v);
		OUT(&f, LCR, 0x80);
		OUT(&f, COM, v);
		OUT(&f, COM + 1, v ^ 0xff);
		assert_int_equal(IN(&f, COM), v);
		assert_int_equal(IN(&f, COM + 1), v ^ 0xff);
		OUT(&f, LCR, 0x03);
		OUT(&f, IER, v);
		assert_int_equal(IN(&f, IER), v & 0x0f);
		OUT(&f, MCR, v);
		assert_int_equal(IN(&f, MCR), v & 0x1f);
		OUT(&f, LSR, v);
		OUT(&f, MSR, v);
	}
	OUT(&f, MCR, 0);
	OUT(&f, IER, 0);
	assert_int_equal(IN(&f, IIR), 0x01);
	for (v = 0; v < 256; v++) {
		OUT(&f, FCR, v);
		assert_int_equal(IN(&f, IIR) & 0xfe,
		    (v & 1) != 0 ? 0xc0 : 0x00);
	}
	assert_int_equal(nsent, 0);
	/* Four registers at a time. */
	OUT(&f, FCR, 0);
	OUT(&f, LCR, 0x03);
	(void)IN(&f, MSR);
	(void)IN(&f, LSR); /* breaks while it was looped back */
	assert_int_equal(bus_read(f.b, COM + 4, 4), 0xffb06000);
}

/* All of the transmitter's interrupt's reasons to come and to go. */
static void
thre(void **state)
{
	OUT(&f, MCR, OUT2);
	OUT(&f, RBR, 'a');
	assert_int_equal(f.rises, 0);
	OUT(&f, IER, 0x02);
	assert_int_equal(f.level, 1);
	assert_int_equal(f.gsi, 4);
	assert_int_equal(IN(&f, IIR), 0x02);
	/* Reading it cleared it. */
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, IIR), 0x01);
	/* Once more only if it was off. */
	OUT(&f, IER, 0x02);
	assert_int_equal(f.level, 0);
	OUT(&f, IER, 0x00);
	OUT(&f, IER, 0x02);
	assert_int_equal(f.level, 1);
	/* A character sent while it is pending: a new edge. */
	f.rises = f.falls = 0;
	OUT(&f, RBR, 'b');
	assert_int_equal(f.falls, 1);
	assert_int_equal(f.rises, 1);
	assert_int_equal(f.level, 1);
	(void)IN(&f, IIR);
	assert_int_equal(f.level, 0);
	OUT(&f, RBR, 'c');
	assert_int_equal(f.level, 1);
	OUT(&f, IER, 0);
	assert_int_equal(f.level, 0);
	assert_int_equal(nsent, 3);
	assert_memory_equal(sent, "abc", 3);
	assert_int_equal(IN(&f, LSR), 0x60);
	/* A higher reason hides it and does not clear it. */
	OUT(&f, IER, 0x03);
	assert_int_equal(in("x"), 1);
	assert_int_equal(IN(&f, IIR), 0x04);
	assert_int_equal(IN(&f, IIR), 0x04);
	assert_int_equal(IN(&f, RBR), 'x');
	assert_int_equal(IN(&f, IIR), 0x02);
	assert_int_equal(IN(&f, IIR), 0x01);
}

static void
no_fifo(void **state)
{
	OUT(&f, MCR, OUT2);
	OUT(&f, IER, 0x01);
	assert_int_equal(in("hello"), 1);
	assert_int_equal(f.level, 1);
	assert_int_equal(IN(&f, IIR), 0x04);
	assert_int_equal(IN(&f, LSR), 0x61);
	assert_int_equal(in("ello"), 0);
	assert_int_equal(rooms, 0);
	assert_int_equal(IN(&f, RBR), 'h');
	assert_int_equal(rooms, 1);
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, LSR), 0x60);
	assert_int_equal(IN(&f, RBR), 'h');
	assert_int_equal(rooms, 1);
	assert_int_equal(in("e"), 1);
	assert_int_equal(IN(&f, RBR), 'e');
	assert_int_equal(rooms, 1);
	assert_int_equal(f.rises, 2);
}

/* OUT2 is the gate. */
static void
gate(void **state)
{
	OUT(&f, IER, 0x01);
	in("x");
	assert_int_equal(IN(&f, IIR), 0x04);
	assert_int_equal(f.level, 0);
	OUT(&f, MCR, OUT2);
	assert_int_equal(f.level, 1);
	OUT(&f, MCR, OUT2 | LOOP);
	assert_int_equal(f.level, 0);
	OUT(&f, MCR, OUT2);
	assert_int_equal(f.level, 1);
	OUT(&f, MCR, 0);
	assert_int_equal(f.level, 0);
}

static void
trigger_levels(void **state)
{
	static const unsigned int level[] = { 1, 4, 8, 14 };
	unsigned int t, i, n;

	OUT(&f, MCR, OUT2);
	OUT(&f, IER, 0x01);
	for (t = 0; t < 4; t++)
		for (n = 1; n <= 17; n++) {
			OUT(&f, FCR, 0);
			OUT(&f, FCR, 0x01 | t << 6);
			for (i = 0; i < n; i++)
				assert_int_equal(in("x"), i < 16);
			assert_int_equal(f.level, 1);
			assert_int_equal(IN(&f, IIR),
			    n >= level[t] ? 0xc4 : 0xcc);
		}
	OUT(&f, FCR, 0x03);
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, LSR), 0x60);
}

/* Below the trigger level: at once, and after four characters each. */
static void
timeout(void **state)
{
	OUT(&f, LCR, 0x83);
	OUT(&f, COM, 12);
	OUT(&f, LCR, 0x03);
	OUT(&f, MCR, OUT2);
	OUT(&f, IER, 0x01);
	OUT(&f, FCR, 0xc1);
	assert_int_equal(in("abc"), 3);
	assert_int_equal(IN(&f, IIR), 0xcc);
	assert_int_equal(f.rises, 1);
	armed_ns = 0;
	assert_int_equal(IN(&f, RBR), 'a');
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, IIR), 0xc1);
	assert_int_equal(armed_ns, 4166666);
	event_base_loop(f.m.base, EVLOOP_ONCE);
	assert_int_equal(f.rises, 2);
	assert_int_equal(IN(&f, IIR), 0xcc);
	assert_int_equal(IN(&f, RBR), 'b');
	assert_int_equal(f.level, 0);
	/* New input is as good. */
	assert_int_equal(in("d"), 1);
	assert_int_equal(f.level, 1);
	assert_int_equal(IN(&f, RBR), 'c');
	assert_int_equal(IN(&f, RBR), 'd');
	assert_int_equal(f.level, 0);
	event_base_loop(f.m.base, EVLOOP_NONBLOCK);
	assert_int_equal(f.level, 0);
	/* Divisor 0 is no division by 0. */
	OUT(&f, LCR, 0x83);
	OUT(&f, COM, 0);
	OUT(&f, LCR, 0x03);
	in("xy");
	(void)IN(&f, RBR);
	assert_int_equal(armed_ns, 347222);
	/* Interrupts turned on when something is there already. */
	OUT(&f, IER, 0);
	OUT(&f, IER, 1);
	assert_int_equal(f.level, 1);
}

static void
pressure(void **state)
{
	char buf[41];
	unsigned int i, n = 0;

	memset(buf, 0, sizeof(buf));
	for (i = 0; i < 40; i++)
		buf[i] = (char)('A' + i);
	OUT(&f, FCR, 0x41);
	while (n < 40) {
		n += (unsigned int)in(buf + n);
		rooms = 0;
		for (i = n > 32 ? 32 : n - 16; i < n; i++) {
			assert_int_equal(rooms, 0);
			assert_int_equal(IN(&f, LSR), 0x61);
			assert_int_equal(IN(&f, RBR), buf[i]);
		}
		assert_int_equal(rooms, n < 40);
	}
	/* Clearing makes room as well. */
	assert_int_equal(in(buf), 16);
	rooms = 0;
	OUT(&f, FCR, 0x41);
	assert_int_equal(rooms, 0);
	OUT(&f, FCR, 0x43);
	assert_int_equal(rooms, 1);
	assert_int_equal(IN(&f, LSR), 0x60);
	assert_int_equal(in("q"), 1);
	OUT(&f, FCR, 0);
	assert_int_equal(IN(&f, LSR), 0x60);
}

static void
breaks(void **state)
{
	OUT(&f, MCR, OUT2);
	OUT(&f, IER, 0x04);
	OUT(&f, FCR, 0x01);
	in("a");
	uart_break(u);
	in("b");
	/* It is spoken of when it gets to the head. */
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, LSR), 0xe1);
	assert_int_equal(IN(&f, RBR), 'a');
	assert_int_equal(f.level, 1);
	assert_int_equal(IN(&f, IIR), 0xc6);
	assert_int_equal(IN(&f, LSR), 0xf1);
	assert_int_equal(f.level, 0);
	assert_int_equal(IN(&f, LSR), 0x61);
	assert_int_equal(IN(&f, RBR), 0);
	assert_int_equal(IN(&f, RBR), 'b');
	/* Without FIFO, and with no room: an overrun. */
	OUT(&f, FCR, 0);
	uart_break(u);
	assert_int_equal(IN(&f, LSR), 0x71);
	uart_break(u);
	assert_int_equal(IN(&f, LSR), 0x63);
}

static void
loopback(void **state)
{
	unsigned int v, want;

	OUT(&f, MCR, LOOP);
	(void)IN(&f, MSR);
	for (v = 0; v < 16; v++) {
		OUT(&f, MCR, LOOP | v);
		want = (v & 2) << 3 | (v & 1) << 5 | (v & 4) << 4 |
		    (v & 8) << 4;
		assert_int_equal(IN(&f, MSR) & 0xf0, want);
		assert_int_equal(IN(&f, MSR), want);
	}
	/* Deltas; RI counts when it ends. */
	OUT(&f, MCR, LOOP);
	assert_int_equal(IN(&f, MSR), 0x0f);
	OUT(&f, MCR, LOOP | 0x0f);
	OUT(&f, IER, 0x08);
	assert_int_equal(IN(&f, IIR), 0x00);
	assert_int_equal(IN(&f, MSR), 0xfb);
	assert_int_equal(IN(&f, IIR), 0x01);
	/* What is sent comes back and goes nowhere else. */
	OUT(&f, FCR, 0x01);
	for (v = 0; v < 17; v++)
		OUT(&f, RBR, 'a' + v);
	assert_int_equal(nsent, 0);
	assert_int_equal(IN(&f, LSR), 0x63);
	assert_int_equal(in("x"), 0);
	for (v = 0; v < 16; v++)
		assert_int_equal(IN(&f, RBR), 'a' + v);
	assert_int_equal(rooms, 0);
	OUT(&f, LCR, 0x43);
	assert_int_equal(IN(&f, LSR), 0xf1);
	assert_int_equal(IN(&f, RBR), 0);
	OUT(&f, MCR, 0);
	assert_int_equal(rooms, 1);
	assert_int_equal(in("x"), 1);
	assert_int_equal(f.rises, 0);
}

/* How Linux and others find out what they have. */
static void
detection(void **state)
{
	OUT(&f, IER, 0);
	OUT(&f, IER, 0x0f);
	assert_int_equal(IN(&f, IER), 0x0f);
	OUT(&f, IER, 0);
	OUT(&f, MCR, LOOP | 0x0a);
	assert_int_equal(IN(&f, MSR) & 0xf0, 0x90);
	OUT(&f, MCR, 0);
	OUT(&f, FCR, 1);
	assert_int_equal(IN(&f, IIR) >> 6, 3);
	OUT(&f, LCR, 0x80);
	assert_int_not_equal(IN(&f, IIR), 0);
	OUT(&f, LCR, 0xbf);
	assert_int_not_equal(IN(&f, IIR), 0);
	OUT(&f, LCR, 0);
	OUT(&f, FCR, 0x21);
	assert_int_equal(IN(&f, IIR) >> 5, 6);
	OUT(&f, IER, 0x40);
	assert_int_equal(IN(&f, IER), 0);
	/* No "THRE bug": it comes each time it is turned on. */
	OUT(&f, IER, 0x02);
	assert_int_equal(IN(&f, IIR) & 0x0f, 0x02);
	OUT(&f, IER, 0);
	OUT(&f, IER, 0x02);
	assert_int_equal(IN(&f, IIR) & 0x0f, 0x02);
}

#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(registers), T(thre), T(no_fifo),
		T(gate), T(trigger_levels), T(timeout), T(pressure), T(breaks),
		T(loopback), T(detection) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("uart", tests, NULL, NULL);
}
