/*
 * Walks the ACPI tables; then powers off as they say: at once, or with
 * `button' on the command line when the power button is pressed.
 */
#include "guest.h"

static uint16_t pm1_evt, pm1_cnt;
static volatile int pressed;

static void __attribute__((interrupt)) on_sci(struct frame *f)
{
	if (inw(pm1_evt) & 1 << 8) {
		outw(pm1_evt, 1 << 8);
		pressed = 1;
	}
	pic_eoi(9);
}

static uint32_t
field32(const struct acpi_head *t, size_t off)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)t + off, sizeof(v));
	return v;
}

static uint64_t
field64(const struct acpi_head *t, size_t off)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)t + off, sizeof(v));
	return v;
}

/* SLP_TYPa of S5: Name (_S5, Package () { byte, ... }), or -1. */
static int
s5_type(const struct acpi_head *dsdt)
{
	const uint8_t *p = (const uint8_t *)dsdt + sizeof(*dsdt);
	const uint8_t *end = (const uint8_t *)dsdt + dsdt->len - 10;

	for (; p < end; p++) {
		if (memcmp(p, "_S5_", 4) != 0 || p[4] != 0x12)
			continue;
		/* Name, package, its length of 1 to 4 bytes, count. */
		p += 5;
		p += 2 + (p[0] >> 6);
		return *p == 0x0a ? p[1] : *p;
	}
	return -1;
}

static void
madt_print(const struct acpi_head *madt)
{
	const uint8_t *p = (const uint8_t *)madt + 44;
	const uint8_t *end = (const uint8_t *)madt + madt->len;

	for (; p + 2 <= end && p[1] >= 2; p += p[1]) {
		if (p[0] == 0 && (p[4] & 1))
			say_dec("lapic", p[3]);
		else if (p[0] == 1)
			say_hex("ioapic", load32((uint64_t)p + 4));
		else if (p[0] == 2) {
			put("override ");
			put_dec(p[3]);
			say_dec(" gsi", load32((uint64_t)p + 4));
		}
	}
}

void
guest_main(const struct start_info *si)
{
	const uint8_t *rsdp = (const uint8_t *)si->rsdp;
	const struct acpi_head *xsdt, *fadt, *madt, *dsdt;
	uint64_t at;
	int type;

	check(memcmp(rsdp, "RSD PTR ", 8) == 0 && acpi_sum_ok(rsdp, 20) &&
		acpi_sum_ok(rsdp, 36),
	    "RSDP");
	xsdt = acpi_find(si, "XSDT");
	fadt = acpi_find(si, "FACP");
	madt = acpi_find(si, "APIC");
	check(acpi_sum_ok(xsdt, xsdt->len), "XSDT");
	check(fadt != NULL && acpi_sum_ok(fadt, fadt->len), "FADT");
	check(madt != NULL && acpi_sum_ok(madt, madt->len), "MADT");
	at = fadt->len >= 148 ? field64(fadt, 140) : 0;
	if (at == 0)
		at = field32(fadt, 40);
	dsdt = (const struct acpi_head *)at;
	check(memcmp(dsdt->sig, "DSDT", 4) == 0 && acpi_sum_ok(dsdt, dsdt->len),
	    "DSDT");
	madt_print(madt);
	pm1_evt = (uint16_t)field32(fadt, 56);
	pm1_cnt = (uint16_t)field32(fadt, 64);
	say_hex("pm1_evt", pm1_evt);
	say_hex("pm1_cnt", pm1_cnt);
	check((inw(pm1_cnt) & 1) != 0, "ACPI mode");
	type = s5_type(dsdt);
	check(type >= 0, "_S5");

	if (si->cmdline != 0 && str_eq((const char *)si->cmdline, "button")) {
		idt_set(0x29, on_sci);
		pic_init();
		pic_unmask(9);
		outw(pm1_evt, 0xffff);
		outw(pm1_evt + 2, 1 << 8);
		put("waiting\n");
		while (!pressed)
			guest_idle();
		put("pressed\n");
	}
	outw(pm1_cnt, (uint16_t)(type << 10 | 1 << 13));
	put("still here\n");
	halt();
}
