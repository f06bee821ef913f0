#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * A guest of our own: plain integer code in ring 0, 64-bit, first 4 GiB
 * identity mapped, one processor, interrupts off.  guest_main() is called
 * with what the boot loader handed over (PVH start info).
 *
 * Everything here is emulated on hosts without hardware virtualisation,
 * some million instructions a second: idle in guest_idle(), and do not
 * spin for an interrupt.
 */

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t addr, size, cmdline, reserved;
};

void guest_main(const struct start_info *si);

/* ACPI PM block, as the FADT says on this machine. */
#define PM1_STS 0x600
#define PM1_EN	0x602
#define PM1_CNT 0x604
#define PM_TMR	0x608

static inline void
outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void
outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void
outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t
inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint16_t
inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t
inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t
load32(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline void
store32(uint64_t addr, uint32_t v)
{
	*(volatile uint32_t *)addr = v;
}

static inline uint64_t
rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline uint64_t
rdmsr(uint32_t i)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(i));
	return (uint64_t)hi << 32 | lo;
}

static inline void
wrmsr(uint32_t i, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(i), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

/* Sleep until an interrupt was handled; they are off again afterwards. */
static inline void
guest_idle(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

/*
 * Go on with `fn', which does not return, in ring 3, where code runs at full
 * speed.  Interrupts are off there, ports are allowed.  It sleeps in
 * user_idle(), as guest_idle() does, and ends with user_off().
 */
void user_mode(void (*fn)(void)) __attribute__((noreturn));

static inline void
user_idle(void)
{
	__asm__ volatile("int3" : : : "memory");
}

static inline void __attribute__((noreturn)) user_off(void)
{
	outw(PM1_CNT, 5 << 10 | 1 << 13);
	for (;;)
		user_idle();
}

/* Errors and BREAKs that COM1 told put_char(), for who reads COM1. */
extern volatile uint8_t line_status;
/* COM1, polled. */
void put_char(char c);
void put(const char *s);
void put_hex(uint64_t v);
void put_dec(uint64_t v);
/* "name 0x1f\n" and "name 31\n" */
void say_hex(const char *name, uint64_t v);
void say_dec(const char *name, uint64_t v);
/* Print "PASS what" or "FAIL what". */
void check(int ok, const char *what);

int str_eq(const char *a, const char *b);
/* memcmp(3), memset(3) and memcpy(3), which the compiler wants as well. */
int memcmp(const void *a, const void *b, size_t n);
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

/* Ends: through ACPI's S5; by halting with interrupts off. */
void power_off(void) __attribute__((noreturn));
void halt(void) __attribute__((noreturn));

/* Interrupts.  Handlers: __attribute__((interrupt)). */
struct frame;
typedef void (*handler)(struct frame *);
void idt_set(unsigned int vector, handler h);
/* Both 8259s at vectors 0x20 and 0x28, all masked but the cascade. */
void pic_init(void);
void pic_unmask(unsigned int irq);
void pic_eoi(unsigned int irq);
/* Local APIC on, spurious vector 0xff; ExtINT on LINT0. */
#define LAPIC 0xfee00000ULL
void lapic_init(void);
void lapic_eoi(void);
/* Route an IOAPIC pin to a vector of this processor. */
#define IOAPIC 0xfec00000ULL
void ioapic_route(unsigned int pin, uint8_t vector, int level);
void ioapic_mask(unsigned int pin);

/* The 3.579545 MHz PM timer, 24 or 32 bits: ticks since `from'. */
#define PM_HZ 3579545U
uint32_t pm_now(void);
uint32_t pm_since(uint32_t from);
/* Busy wait on it. */
void pm_wait_us(uint32_t us);

/* ACPI: the table with signature `sig', or NULL. */
struct acpi_head {
	char sig[4];
	uint32_t len;
	uint8_t rev, sum;
	char oem[6], oem_table[8];
	uint32_t oem_rev, creator, creator_rev;
} __attribute__((packed));
const struct acpi_head *acpi_find(const struct start_info *si, const char *sig);
int acpi_sum_ok(const void *p, size_t len);

#endif
