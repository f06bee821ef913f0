/*
 * What our test guests share: serial output, interrupt controllers, the PM
 * timer, ACPI tables.  See guest.h.
 */
#include "guest.h"

#define COM1 0x3f8

struct gate {
	uint16_t off0, sel;
	uint8_t ist, type;
	uint16_t off1;
	uint32_t off2, zero;
};
extern struct gate idt[256];

volatile uint8_t line_status;

void
put_char(char c)
{
	uint8_t lsr;

	/* Who reads it has it cleared, and has to tell the others. */
	do {
		lsr = inb(COM1 + 5);
		__asm__ volatile("lock orb %1, %0"
				 : "+m"(line_status)
				 : "q"((uint8_t)(lsr & 0x1e))
				 : "memory", "cc");
	} while (!(lsr & 0x20));
	outb(COM1, (uint8_t)c);
}

void
put(const char *s)
{
	while (*s != '\0')
		put_char(*s++);
}

void
put_hex(uint64_t v)
{
	int shift = 60;

	put("0x");
	while (shift > 0 && (v >> shift & 15) == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[v >> shift & 15]);
}

void
put_dec(uint64_t v)
{
	char buf[24];
	int n = 0;

	do
		buf[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		put_char(buf[--n]);
}

void
say_hex(const char *name, uint64_t v)
{
	put(name);
	put_char(' ');
	put_hex(v);
	put_char('\n');
}

void
say_dec(const char *name, uint64_t v)
{
	put(name);
	put_char(' ');
	put_dec(v);
	put_char('\n');
}

void
check(int ok, const char *what)
{
	put(ok ? "PASS " : "FAIL ");
	put(what);
	put_char('\n');
}

int
str_eq(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n > 0; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *
memset(void *p, int c, size_t n)
{
	volatile uint8_t *x = p;

	while (n-- > 0)
		*x++ = (uint8_t)c;
	return p;
}

void *
memcpy(void *to, const void *from, size_t n)
{
	volatile uint8_t *x = to;
	const uint8_t *y = from;

	while (n-- > 0)
		*x++ = *y++;
	return to;
}

void
halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void
power_off(void)
{
	outw(PM1_CNT, 5 << 10 | 1 << 13);
	halt();
}

void
idt_set(unsigned int vector, handler h)
{
	uint64_t a = (uint64_t)h;
	struct gate *g = &idt[vector];

	g->off0 = (uint16_t)a;
	g->sel = 8;
	g->ist = 0;
	g->type = 0x8e;
	g->off1 = (uint16_t)(a >> 16);
	g->off2 = (uint32_t)(a >> 32);
}

void user_enter(void (*fn)(void)) __attribute__((noreturn));
void on_user_idle(struct frame *f);
extern uint64_t gdt[];

void
user_mode(void (*fn)(void))
{
	static uint8_t stack[4096] __attribute__((aligned(16)));
	static uint8_t tss[104 + 8192 + 1]; /* all ports are allowed */
	uint64_t a = (uint64_t)tss, top = (uint64_t)stack + sizeof(stack);

	memcpy(tss + 4, &top, sizeof(top));
	tss[102] = 104;
	tss[sizeof(tss) - 1] = 0xff;
	gdt[6] = (a & 0xffffff) << 16 | (a >> 24 & 0xff) << 56 | 0x89ULL << 40 |
	    (sizeof(tss) - 1);
	gdt[7] = a >> 32;
	idt_set(3, on_user_idle);
	idt[3].type = 0xee; /* may be called from ring 3 */
	user_enter(fn);
}

void
pic_init(void)
{
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, 0xfb);
	outb(0xa1, 0xff);
}

void
pic_unmask(unsigned int irq)
{
	uint16_t port = irq < 8 ? 0x21 : 0xa1;

	outb(port, inb(port) & ~(1 << (irq & 7)));
}

void
pic_eoi(unsigned int irq)
{
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

void
lapic_init(void)
{
	store32(LAPIC + 0xf0, 0x1ff);
	store32(LAPIC + 0x80, 0);
	store32(LAPIC + 0x350, 0x700);
}

void
lapic_eoi(void)
{
	store32(LAPIC + 0xb0, 0);
}

static void
ioapic_write(uint32_t reg, uint32_t v)
{
	store32(IOAPIC, reg);
	store32(IOAPIC + 0x10, v);
}

void
ioapic_route(unsigned int pin, uint8_t vector, int level)
{
	ioapic_write(0x11 + 2 * pin, load32(LAPIC + 0x20) & 0xff000000);
	ioapic_write(0x10 + 2 * pin, vector | (level ? 1 << 15 : 0));
}

void
ioapic_mask(unsigned int pin)
{
	ioapic_write(0x10 + 2 * pin, 1 << 16);
}

uint32_t
pm_now(void)
{
	return inl(PM_TMR) & 0xffffff;
}

uint32_t
pm_since(uint32_t from)
{
	return (pm_now() - from) & 0xffffff;
}

void
pm_wait_us(uint32_t us)
{
	uint32_t from = pm_now();

	while (pm_since(from) < us * 358 / 100)
		;
}

int
acpi_sum_ok(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *b++);
	return sum == 0;
}

const struct acpi_head *
acpi_find(const struct start_info *si, const char *sig)
{
	const uint8_t *rsdp = (const uint8_t *)si->rsdp;
	const struct acpi_head *x, *t;
	uint64_t addr;
	uint32_t i;

	memcpy(&addr, rsdp + 24, sizeof(addr));
	x = (const struct acpi_head *)addr;
	if (memcmp(sig, "XSDT", 4) == 0)
		return x;
	for (i = sizeof(*x); i + 8 <= x->len; i += 8) {
		memcpy(&addr, (const uint8_t *)x + i, sizeof(addr));
		t = (const struct acpi_head *)addr;
		if (memcmp(t->sig, sig, 4) == 0)
			return t;
	}
	return NULL;
}
