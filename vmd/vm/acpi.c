/*
 * The ACPI tables of a guest, written by the vm process into its memory
 * before it starts: RSDP, XSDT, FADT with FACS, MADT, DSDT.  They describe
 * what acpi_pm.c, pci.c, uart.c and rtc.c do.  ACPI 6.5, 5.2.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmd/vm/acpi_pm.h"
#include "vmd/vm/aml.h"
#include "vmd/vm/mmio.h"
#include "vmd/vm/pci.h"
#include "vmd/vm/boot.h"

#define AREA	 0xe0000ULL
#define AREA_LEN 0x4000U
#define MAX_CPUS 64

/* Where in the area; the DSDT has the rest. */
#define AT_RSDP	   0x000
#define AT_XSDT	   0x040
#define AT_FACS	   0x080 /* 64 byte boundary */
#define AT_FADT	   0x100
#define AT_MADT	   0x400
#define AT_DSDT	   0x800

#define HEAD	   36

#define FADT_LEN   276
#define FADT_REV   6
#define FADT_MINOR 5
/* Offsets of ACPI 6.5, table 5.9. */
#define FADT_FACS	36
#define FADT_DSDT	40
#define FADT_PROFILE	45
#define FADT_SCI	46
#define FADT_EVT	56
#define FADT_CNT	64
#define FADT_TMR	76
#define FADT_EVT_LEN	88
#define FADT_CNT_LEN	89
#define FADT_TMR_LEN	91
#define FADT_C2		96
#define FADT_C3		98
#define FADT_CENTURY	108
#define FADT_BOOT	109
#define FADT_FLAGS	112
#define FADT_RESET	116
#define FADT_RESETVAL	128
#define FADT_MINORREV	131
#define FADT_XFACS	132
#define FADT_XDSDT	140
#define FADT_XEVT	148
#define FADT_XCNT	172
#define FADT_XTMR	208

#define PROFILE_DESKTOP 1
#define BOOT_LEGACY	0x01 /* there is a COM1 */
#define BOOT_NO_VGA	0x04
#define F_WBINVD	(1U << 0)
#define F_PROC_C1	(1U << 2)
#define F_SLP_BUTTON	(1U << 5) /* none in the fixed hardware */
#define F_FIX_RTC	(1U << 6) /* no wake-up by the RTC */
#define F_TMR_VAL_EXT	(1U << 8) /* 32 bits */
#define F_RESET_REG	(1U << 10)

#define CENTURY_REG	0x32
#define C2_NONE		101 /* microseconds: not supported */
#define C3_NONE		1001

#define LAPIC		0xfee00000U
#define IOAPIC		0xfec00000U

static void
put(uint8_t *p, uint64_t v, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint8_t
checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum += *p++;
	return (uint8_t)-sum;
}

/* The header that all tables but RSDP and FACS share; contents are there. */
static void
header(uint8_t *t, const char *sig, uint8_t rev, size_t len)
{
	memcpy(t, sig, 4);
	put(t + 4, len, 4);
	t[8] = rev;
	t[9] = 0;
	memcpy(t + 10, "VMD   ", 6);
	memcpy(t + 16, "VMDLINUX", 8);
	put(t + 24, 1, 4);
	memcpy(t + 28, "VMD ", 4);
	put(t + 32, 1, 4);
	t[9] = checksum(t, len);
}

static void
rsdp(uint8_t *t)
{
	memcpy(t, "RSD PTR ", 8);
	memcpy(t + 9, "VMD   ", 6);
	t[15] = 2;
	put(t + 20, 36, 4);
	put(t + 24, AREA + AT_XSDT, 8);
	t[8] = checksum(t, 20);
	t[32] = checksum(t, 36);
}

static void
xsdt(uint8_t *t)
{
	put(t + HEAD, AREA + AT_FADT, 8);
	put(t + HEAD + 8, AREA + AT_MADT, 8);
	header(t, "XSDT", 1, HEAD + 16);
}

static void
facs(uint8_t *t)
{
	memcpy(t, "FACS", 4);
	put(t + 4, 64, 4);
	t[32] = 2;
}

/* Generic address structure: `len' bytes of ports at `port'. */
static void
gas(uint8_t *p, uint16_t port, uint8_t len)
{
	p[0] = 1;
	p[1] = (uint8_t)(8 * len);
	p[3] = len == 4 ? 3 : len; /* byte, word, dword */
	put(p + 4, port, 8);
}

/* ACPI is on from the start: no SMI command. */
static void
fadt(uint8_t *t)
{
	put(t + FADT_FACS, AREA + AT_FACS, 4);
	put(t + FADT_DSDT, AREA + AT_DSDT, 4);
	t[FADT_PROFILE] = PROFILE_DESKTOP;
	put(t + FADT_SCI, ACPI_SCI, 2);
	put(t + FADT_EVT, ACPI_PM1_EVT, 4);
	put(t + FADT_CNT, ACPI_PM1_CNT, 4);
	put(t + FADT_TMR, ACPI_PM_TMR, 4);
	t[FADT_EVT_LEN] = 4;
	t[FADT_CNT_LEN] = 2;
	t[FADT_TMR_LEN] = 4;
	put(t + FADT_C2, C2_NONE, 2);
	put(t + FADT_C3, C3_NONE, 2);
	t[FADT_CENTURY] = CENTURY_REG;
	put(t + FADT_BOOT, BOOT_LEGACY | BOOT_NO_VGA, 2);
	put(t + FADT_FLAGS,
	    F_WBINVD | F_PROC_C1 | F_SLP_BUTTON | F_FIX_RTC | F_TMR_VAL_EXT |
		F_RESET_REG,
	    4);
	gas(t + FADT_RESET, RESET_PORT, 1);
	t[FADT_RESETVAL] = RESET_VALUE;
	t[FADT_MINORREV] = FADT_MINOR;
	put(t + FADT_XDSDT, AREA + AT_DSDT, 8);
	gas(t + FADT_XEVT, ACPI_PM1_EVT, 4);
	t[FADT_XEVT + 3] = 2; /* two halves */
	gas(t + FADT_XCNT, ACPI_PM1_CNT, 2);
	gas(t + FADT_XTMR, ACPI_PM_TMR, 4);
	header(t, "FACP", FADT_REV, FADT_LEN);
}

/* An interrupt source override: ISA `irq' is `gsi'. */
static uint8_t *
override(uint8_t *p, uint8_t irq, uint8_t gsi, uint8_t flags)
{
	p[0] = 2;
	p[1] = 10;
	p[3] = irq;
	put(p + 4, gsi, 4);
	put(p + 8, flags, 2);
	return p + 10;
}

/* LAPIC ids are indexes, one IOAPIC, LINT1 is NMI everywhere. */
static void
madt(uint8_t *t, unsigned int ncpus)
{
	uint8_t *p = t + 44;
	unsigned int i;

	put(t + HEAD, LAPIC, 4);
	put(t + 40, 1, 4); /* there are two 8259s as well */
	for (i = 0; i < ncpus; i++, p += 8) {
		p[0] = 0;
		p[1] = 8;
		p[2] = (uint8_t)i;
		p[3] = (uint8_t)i;
		put(p + 4, 1, 4);
	}
	p[0] = 1;
	p[1] = 12;
	put(p + 4, IOAPIC, 4);
	p = override(p + 12, 0, 2, 0x05);	   /* edge, active high */
	p = override(p, ACPI_SCI, ACPI_SCI, 0x0d); /* level, active high */
	p[0] = 4;
	p[1] = 6;
	p[2] = 0xff;
	p[5] = 1;
	header(t, "APIC", 4, (size_t)(p + 6 - t));
}

/* --- DSDT ------------------------------------------------------------- */

/* Devices with ports and perhaps an interrupt (0: none). */
static const struct isa {
	const char *name, *hid;
	uint16_t port;
	uint8_t len, irq;
} isa_devices[] = {
	{ "COM1", "PNP0501", 0x3f8, 8, 4 },
	{ "RTC_", "PNP0B00", 0x70, 2, 8 },
	{ "SPKR", "PNP0800", 0x61, 1, 0 },
	{ "PMIO", "PNP0C02", ACPI_PM_BASE, ACPI_PM_LEN, 0 },
};

static void
isa(struct aml *a, const struct isa *d)
{
	size_t dev, crs;

	dev = aml_device(a, d->name);
	aml_def_name(a, "_HID");
	aml_eisaid(a, d->hid);
	aml_def_name(a, "_UID");
	aml_int(a, 1);
	crs = aml_crs(a);
	aml_io(a, d->port, d->len);
	if (d->irq != 0)
		aml_irq(a, d->irq);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

/* Which line INTA of each slot is; no function has another pin. */
static void
pci_lines(struct aml *a)
{
	size_t all, one;
	unsigned int slot;

	aml_def_name(a, "_PRT");
	all = aml_package(a, PCI_SLOTS - 1);
	for (slot = 1; slot < PCI_SLOTS; slot++) {
		one = aml_package(a, 4);
		aml_int(a, slot << 16 | 0xffff);
		aml_int(a, 0); /* INTA */
		aml_int(a, 0); /* not by a link device */
		aml_int(a, pci_irq(slot));
		aml_end(a, one);
	}
	aml_end(a, all);
}

/* Windows: all ports but ours, and two below 4 GiB where no memory is. */
static void
pci_root(struct aml *a)
{
	size_t dev, crs, i;

	dev = aml_device(a, "PCI0");
	aml_def_name(a, "_HID");
	aml_eisaid(a, "PNP0A03");
	aml_def_name(a, "_UID");
	aml_int(a, 0);
	crs = aml_crs(a);
	aml_bus_range(a, 0, 255);
	aml_io(a, 0xcf8, 8);
	aml_io_range(a, 0x0000, 0x0cf7);
	aml_io_range(a, 0x0d00, 0xffff);
	aml_mem_range(a, MMIO_LOW, MMIO_LOW_END - 1);
	aml_mem_range(a, MMIO_HIGH, MMIO_HIGH_END - 1);
	aml_crs_end(a, crs);
	pci_lines(a);
	for (i = 0; i < sizeof(isa_devices) / sizeof(isa_devices[0]); i++)
		isa(a, &isa_devices[i]);
	aml_end(a, dev);
}

static void
processors(struct aml *a, unsigned int ncpus)
{
	char name[5];
	unsigned int i;
	size_t dev;

	for (i = 0; i < ncpus && i < MAX_CPUS; i++) {
		snprintf(name, sizeof(name), "CP%02X", i);
		dev = aml_device(a, name);
		aml_def_name(a, "_HID");
		aml_string(a, "ACPI0007");
		aml_def_name(a, "_UID");
		aml_int(a, i);
		aml_end(a, dev);
	}
}

static int
dsdt(uint8_t *t, size_t size, unsigned int ncpus)
{
	struct aml a = { .buf = t, .size = size, .len = HEAD };
	size_t sb, pkg;
	int i;

	sb = aml_scope(&a, "\\_SB_");
	pci_root(&a);
	processors(&a, ncpus);
	aml_end(&a, sb);
	aml_def_name(&a, "\\_S5_");
	pkg = aml_package(&a, 4);
	for (i = 0; i < 2; i++)
		aml_int(&a, ACPI_SLP_S5);
	for (i = 0; i < 2; i++)
		aml_int(&a, 0);
	aml_end(&a, pkg);
	if (a.full) {
		errno = ENOSPC;
		return -1;
	}
	header(t, "DSDT", 2, a.len);
	return 0;
}

uint64_t
acpi_tables(const struct gmem *mem, unsigned int ncpus)
{
	uint8_t *t;

	if (ncpus < 1 || ncpus > MAX_CPUS) {
		errno = EINVAL;
		return 0;
	}
	if ((t = gmem_ptr(mem, AREA, AREA_LEN)) == NULL)
		return 0;
	memset(t, 0, AREA_LEN);
	rsdp(t + AT_RSDP);
	xsdt(t + AT_XSDT);
	facs(t + AT_FACS);
	fadt(t + AT_FADT);
	madt(t + AT_MADT, ncpus);
	if (dsdt(t + AT_DSDT, AREA_LEN - AT_DSDT, ncpus) == -1)
		return 0;
	return AREA + AT_RSDP;
}
