/*
 * COM1 of a guest, a 16550A, in the vm process.  The vcpu threads read and
 * write its registers; bytes from people come from the console on the main
 * thread.  As in National's PC16550D data sheet, except that the line is
 * infinitely fast: what is written has been sent, and what has come in is
 * all there is, so a reception below the trigger level times out at once.
 */
#include <stdlib.h>

#include "vmd/vm/device.h"
#include "vmd/vm/timer.h"

#define COM1	     0x3f8
#define COM1_IRQ     4
#define FIFO	     16

#define IER_RX	     0x01
#define IER_THRE     0x02
#define IER_LINE     0x04
#define IER_MODEM    0x08
#define IER_MASK     0x0f

#define IIR_MODEM    0x00
#define IIR_NONE     0x01
#define IIR_THRE     0x02
#define IIR_RX	     0x04
#define IIR_LINE     0x06
#define IIR_TIMEOUT  0x0c
#define IIR_FIFO     0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT     0xc9

#define LCR_BREAK    0x40
#define LCR_DLAB     0x80

#define MCR_DTR	     0x01
#define MCR_RTS	     0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOP     0x10
#define MCR_MASK     0x1f

#define LSR_DR	     0x01
#define LSR_OE	     0x02
#define LSR_PE	     0x04
#define LSR_FE	     0x08
#define LSR_BI	     0x10
#define LSR_THRE     0x20
#define LSR_TEMT     0x40
#define LSR_FIFO     0x80
#define LSR_ERRORS   (LSR_OE | LSR_PE | LSR_FE | LSR_BI)

#define MSR_DCTS     0x01
#define MSR_DDSR     0x02
#define MSR_TERI     0x04
#define MSR_DDCD     0x08
#define MSR_CTS	     0x10
#define MSR_DSR	     0x20
#define MSR_RI	     0x40
#define MSR_DCD	     0x80

struct uart {
	struct bus *b;
	const struct machine *m;
	struct uart_ops ops;
	struct timer timer; /* character timeout */

	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t lsr;   /* errors not read yet */
	uint8_t delta; /* low half of MSR */
	uint8_t thre;  /* the transmitter's interrupt is pending */
	uint8_t timeout;
	uint8_t last; /* what RBR shows when it is empty */

	/* Characters, and in `err' what LSR will say about them. */
	struct {
		uint8_t c, err;
	} fifo[FIFO];
	unsigned int head, count;

	int hungry; /* input was refused */
	int level;
};

static int
fifo_on(const struct uart *u)
{
	return (u->fcr & FCR_ENABLE) != 0;
}

static int
loop(const struct uart *u)
{
	return (u->mcr & MCR_LOOP) != 0;
}

static unsigned int
depth(const struct uart *u)
{
	return fifo_on(u) ? FIFO : 1;
}

static unsigned int
trigger(const struct uart *u)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return fifo_on(u) ? levels[u->fcr >> 6] : 1;
}

/* The modem's lines: wired to a terminal, or to ourselves. */
static uint8_t
lines(const struct uart *u)
{
	uint8_t v = 0;

	if (!loop(u))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	if ((u->mcr & MCR_RTS) != 0)
		v |= MSR_CTS;
	if ((u->mcr & MCR_DTR) != 0)
		v |= MSR_DSR;
	if ((u->mcr & MCR_OUT1) != 0)
		v |= MSR_RI;
	if ((u->mcr & MCR_OUT2) != 0)
		v |= MSR_DCD;
	return v;
}

static uint8_t
iir(const struct uart *u)
{
	if ((u->ier & IER_LINE) != 0 && u->lsr != 0)
		return IIR_LINE;
	if ((u->ier & IER_RX) != 0 && u->count >= trigger(u))
		return IIR_RX;
	if ((u->ier & IER_RX) != 0 && u->timeout)
		return IIR_TIMEOUT;
	if ((u->ier & IER_THRE) != 0 && u->thre)
		return IIR_THRE;
	if ((u->ier & IER_MODEM) != 0 && u->delta != 0)
		return IIR_MODEM;
	return IIR_NONE;
}

/* OUT2 gates the interrupt on a PC; looped back, its pin is off. */
static void
update(struct uart *u)
{
	int level;

	level = iir(u) != IIR_NONE && (u->mcr & MCR_OUT2) != 0 && !loop(u);
	if (level != u->level) {
		u->level = level;
		u->m->irq(u->m->arg, COM1_IRQ, level);
	}
}

/* --- receiver --------------------------------------------------------- */

/* The character at the head is what LSR speaks of from now on. */
static void
expose(struct uart *u)
{
	if (u->count > 0) {
		u->lsr |= u->fifo[u->head].err;
		u->fifo[u->head].err = 0;
	}
}

static void
push(struct uart *u, uint8_t c, uint8_t err)
{
	unsigned int tail = (u->head + u->count) % FIFO;

	if (u->count == depth(u)) {
		u->lsr |= LSR_OE;
		return;
	}
	u->fifo[tail].c = c;
	u->fifo[tail].err = err;
	u->count++;
	if (u->count == 1)
		expose(u);
}

/* Nothing follows what is there below the trigger level. */
static void
settle(struct uart *u)
{
	u->timeout = fifo_on(u) && u->count > 0;
}

/* What was refused may come now. */
static void
feed(struct uart *u)
{
	if (!u->hungry || u->count > 0 || loop(u))
		return;
	u->hungry = 0;
	u->ops.room(u->ops.arg);
}

static void
flush(struct uart *u)
{
	u->head = u->count = 0;
	u->timeout = 0;
	timer_arm(&u->timer, 0);
	feed(u);
}

/* Four characters of ten bits, in ns. */
static uint64_t
timeout_ns(const struct uart *u)
{
	uint64_t div = (uint64_t)u->dlm << 8 | u->dll;

	if (div == 0)
		div = 1;
	return div * 40 * 1000000000 / 115200;
}

/*
 * A read takes the timeout back until four character times later, so a
 * driver that reads one character an interrupt sees an edge for each.
 */
static uint8_t
pop(struct uart *u)
{
	u->timeout = 0;
	if (u->count == 0)
		return u->last;
	u->last = u->fifo[u->head].c;
	u->head = (u->head + 1) % FIFO;
	u->count--;
	expose(u);
	if (u->count == 0)
		feed(u);
	else if (u->count < trigger(u) && (u->ier & IER_RX) != 0)
		timer_arm(&u->timer, timeout_ns(u));
	return u->last;
}

static void
fire(void *arg)
{
	struct uart *u = arg;

	bus_lock(u->b);
	settle(u);
	update(u);
	bus_unlock(u->b);
}

/* --- registers -------------------------------------------------------- */

static uint8_t
read_iir(struct uart *u)
{
	uint8_t v = iir(u);

	if (v == IIR_THRE)
		u->thre = 0;
	return fifo_on(u) ? v | IIR_FIFO : v;
}

static uint8_t
read_lsr(struct uart *u)
{
	uint8_t v = u->lsr | LSR_THRE | LSR_TEMT;
	unsigned int i;

	if (u->count > 0)
		v |= LSR_DR;
	if (fifo_on(u) && (u->lsr & (LSR_ERRORS & ~LSR_OE)) != 0)
		v |= LSR_FIFO;
	for (i = 0; fifo_on(u) && i < u->count; i++)
		if (u->fifo[(u->head + i) % FIFO].err != 0)
			v |= LSR_FIFO;
	u->lsr = 0;
	return v;
}

static uint32_t
uart_read(void *dev, uint16_t port, unsigned int size)
{
	struct uart *u = dev;
	int dlab = (u->lcr & LCR_DLAB) != 0;
	uint8_t v = 0;

	switch (port - COM1) {
	case 0:
		v = dlab ? u->dll : pop(u);
		break;
	case 1:
		v = dlab ? u->dlm : u->ier;
		break;
	case 2:
		v = read_iir(u);
		break;
	case 3:
		v = u->lcr;
		break;
	case 4:
		v = u->mcr;
		break;
	case 5:
		v = read_lsr(u);
		break;
	case 6:
		v = lines(u) | u->delta;
		u->delta = 0;
		break;
	case 7:
		v = u->scr;
		break;
	}
	update(u);
	return v;
}

/*
 * Sent at once; but the interrupt goes away and comes back, or a driver on
 * an edge-triggered line would never hear of it.
 */
static void
transmit(struct uart *u, uint8_t c)
{
	u->thre = 0;
	update(u);
	if (loop(u)) {
		push(u, c, 0);
		settle(u);
	} else
		u->ops.output(u->ops.arg, &c, 1);
	u->thre = 1;
}

static void
write_ier(struct uart *u, uint8_t v)
{
	uint8_t on = v & (uint8_t)~u->ier;

	u->ier = v & IER_MASK;
	if ((on & IER_THRE) != 0)
		u->thre = 1;
	if ((on & IER_RX) != 0)
		settle(u);
}

static void
write_fcr(struct uart *u, uint8_t v)
{
	int changed = ((v ^ u->fcr) & FCR_ENABLE) != 0;

	u->fcr = (v & FCR_ENABLE) != 0 ? v & FCR_KEPT : 0;
	if (changed || (fifo_on(u) && (v & FCR_CLEAR_RX) != 0))
		flush(u);
}

static void
write_lcr(struct uart *u, uint8_t v)
{
	uint8_t on = v & (uint8_t)~u->lcr;

	u->lcr = v;
	if (loop(u) && (on & LCR_BREAK) != 0) {
		push(u, 0, LSR_BI);
		settle(u);
	}
}

static void
write_mcr(struct uart *u, uint8_t v)
{
	uint8_t was = lines(u), diff;

	u->mcr = v & MCR_MASK;
	diff = was ^ lines(u);
	if ((diff & MSR_CTS) != 0)
		u->delta |= MSR_DCTS;
	if ((diff & MSR_DSR) != 0)
		u->delta |= MSR_DDSR;
	if ((diff & was & MSR_RI) != 0)
		u->delta |= MSR_TERI;
	if ((diff & MSR_DCD) != 0)
		u->delta |= MSR_DDCD;
	feed(u);
}

/* LSR and MSR are not for writing. */
static void
uart_write(void *dev, uint16_t port, unsigned int size, uint32_t val)
{
	struct uart *u = dev;
	int dlab = (u->lcr & LCR_DLAB) != 0;
	uint8_t v = (uint8_t)val;

	switch (port - COM1) {
	case 0:
		if (dlab)
			u->dll = v;
		else
			transmit(u, v);
		break;
	case 1:
		if (dlab)
			u->dlm = v;
		else
			write_ier(u, v);
		break;
	case 2:
		write_fcr(u, v);
		break;
	case 3:
		write_lcr(u, v);
		break;
	case 4:
		write_mcr(u, v);
		break;
	case 7:
		u->scr = v;
		break;
	}
	update(u);
}

/* --- for the rest of the process -------------------------------------- */

static const struct device_ops uart_ports = {
	.name = "com1",
	.base = COM1,
	.len = 8,
	.width = 1,
	.read = uart_read,
	.write = uart_write,
};

struct uart *
uart_new(struct bus *b, const struct machine *m, const struct uart_ops *ops)
{
	struct uart *u;

	if ((u = calloc(1, sizeof(*u))) == NULL)
		return NULL;
	u->b = b;
	u->m = m;
	u->ops = *ops;
	u->dll = 1;
	u->thre = 1;
	if (timer_init(&u->timer, m->base, fire, u) == -1 ||
	    bus_add(b, &uart_ports, u) == -1) {
		uart_free(u);
		return NULL;
	}
	return u;
}

void
uart_free(struct uart *u)
{
	if (u == NULL)
		return;
	timer_fini(&u->timer);
	free(u);
}

size_t
uart_input(struct uart *u, const uint8_t *buf, size_t len)
{
	size_t n = 0;

	bus_lock(u->b);
	if (!loop(u))
		while (n < len && u->count < depth(u))
			push(u, buf[n++], 0);
	if (n < len)
		u->hungry = 1;
	if (n > 0)
		settle(u);
	update(u);
	bus_unlock(u->b);
	return n;
}

void
uart_break(struct uart *u)
{
	bus_lock(u->b);
	if (!loop(u)) {
		push(u, 0, LSR_BI);
		settle(u);
	}
	update(u);
	bus_unlock(u->b);
}
