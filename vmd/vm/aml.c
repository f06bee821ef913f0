/*
 * ACPI Machine Language for the tables of a guest; see aml.h.  Called by
 * acpi.c in the vm process, with nothing that comes from a guest.
 */
#include <string.h>

#include "vmd/vm/aml.h"

#define OP_NAME	      0x08
#define OP_BYTE	      0x0a
#define OP_WORD	      0x0b
#define OP_DWORD      0x0c
#define OP_STRING     0x0d
#define OP_QWORD      0x0e
#define OP_SCOPE      0x10
#define OP_BUFFER     0x11
#define OP_PACKAGE    0x12
#define OP_EXT	      0x5b
#define OP_EXT_DEVICE 0x82

#define PKG_BYTES     3 /* always the three byte form of PkgLength */

#define RES_IRQ	      0x22
#define RES_IO	      0x47
#define RES_END	      0x79
#define RES_DWORD     0x87
#define RES_WORD      0x88
#define RANGE_MEM     0
#define RANGE_IO      1
#define RANGE_BUS     2
#define RANGE_FIXED   0x0c /* producer, both ends fixed */
#define MEM_RW	      0x01
#define IO_ENTIRE     0x03

void
aml_bytes(struct aml *a, const void *p, size_t len)
{
	if (len > a->size - a->len) {
		a->full = 1;
		return;
	}
	memcpy(a->buf + a->len, p, len);
	a->len += len;
}

void
aml_byte(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, 1);
}

/* Little-endian. */
static void
number(struct aml *a, uint64_t v, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		aml_byte(a, (uint8_t)(v >> 8 * i));
}

void
aml_int(struct aml *a, uint64_t v)
{
	if (v <= 1)
		aml_byte(a, (uint8_t)v); /* ZeroOp, OneOp */
	else if (v <= 0xff) {
		aml_byte(a, OP_BYTE);
		number(a, v, 1);
	} else if (v <= 0xffff) {
		aml_byte(a, OP_WORD);
		number(a, v, 2);
	} else if (v <= 0xffffffff) {
		aml_byte(a, OP_DWORD);
		number(a, v, 4);
	} else {
		aml_byte(a, OP_QWORD);
		number(a, v, 8);
	}
}

void
aml_name(struct aml *a, const char *name)
{
	aml_bytes(a, name, strlen(name));
}

void
aml_def_name(struct aml *a, const char *name)
{
	aml_byte(a, OP_NAME);
	aml_name(a, name);
}

void
aml_string(struct aml *a, const char *s)
{
	aml_byte(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

static uint32_t
hex(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits, four hexadecimal digits; big-endian. */
void
aml_eisaid(struct aml *a, const char *id)
{
	uint32_t v = 0;
	int i;

	for (i = 0; i < 3; i++)
		v = v << 5 | ((uint32_t)id[i] & 0x1f);
	for (; i < 7; i++)
		v = v << 4 | hex(id[i]);
	aml_byte(a, OP_DWORD);
	number(a, __builtin_bswap32(v), 4);
}

/* Leave room for a PkgLength. */
static size_t
begin(struct aml *a)
{
	size_t at = a->len;

	number(a, 0, PKG_BYTES);
	return at;
}

void
aml_end(struct aml *a, size_t at)
{
	size_t len = a->len - at;

	if (a->full)
		return;
	a->buf[at] = (uint8_t)((PKG_BYTES - 1) << 6 | (len & 0xf));
	a->buf[at + 1] = (uint8_t)(len >> 4);
	a->buf[at + 2] = (uint8_t)(len >> 12);
}

size_t
aml_device(struct aml *a, const char *name)
{
	size_t at;

	aml_byte(a, OP_EXT);
	aml_byte(a, OP_EXT_DEVICE);
	at = begin(a);
	aml_name(a, name);
	return at;
}

size_t
aml_scope(struct aml *a, const char *name)
{
	size_t at;

	aml_byte(a, OP_SCOPE);
	at = begin(a);
	aml_name(a, name);
	return at;
}

size_t
aml_package(struct aml *a, uint8_t n)
{
	size_t at;

	aml_byte(a, OP_PACKAGE);
	at = begin(a);
	aml_byte(a, n);
	return at;
}

/* --- resources -------------------------------------------------------- */

/* Name(_CRS, Buffer(length) { ... }), the length as a word. */
size_t
aml_crs(struct aml *a)
{
	size_t at;

	aml_def_name(a, "_CRS");
	aml_byte(a, OP_BUFFER);
	at = begin(a);
	aml_byte(a, OP_WORD);
	number(a, 0, 2);
	return at;
}

void
aml_crs_end(struct aml *a, size_t at)
{
	size_t len, word = at + PKG_BYTES + 1;

	aml_byte(a, RES_END);
	aml_byte(a, 0); /* checksum not used */
	if (a->full)
		return;
	len = a->len - (word + 2);
	a->buf[word] = (uint8_t)len;
	a->buf[word + 1] = (uint8_t)(len >> 8);
	aml_end(a, at);
}

void
aml_io(struct aml *a, uint16_t base, uint8_t len)
{
	aml_byte(a, RES_IO);
	aml_byte(a, 1); /* all 16 bits are decoded */
	number(a, base, 2);
	number(a, base, 2);
	aml_byte(a, 1);
	aml_byte(a, len);
}

void
aml_irq(struct aml *a, unsigned int irq)
{
	aml_byte(a, RES_IRQ);
	number(a, 1U << irq, 2);
}

/* An address space that the device passes on to what is below it. */
static void
range(struct aml *a, unsigned int size, uint8_t type, uint8_t flags,
    const uint32_t ends[2])
{
	aml_byte(a, size == 2 ? RES_WORD : RES_DWORD);
	number(a, 3 + 5 * size, 2);
	aml_byte(a, type);
	aml_byte(a, RANGE_FIXED);
	aml_byte(a, flags);
	number(a, 0, size); /* granularity */
	number(a, ends[0], size);
	number(a, ends[1], size);
	number(a, 0, size); /* translation */
	number(a, (uint64_t)ends[1] - ends[0] + 1, size);
}

void
aml_bus_range(struct aml *a, uint16_t min, uint16_t max)
{
	range(a, 2, RANGE_BUS, 0, (const uint32_t[]){ min, max });
}

void
aml_io_range(struct aml *a, uint16_t min, uint16_t max)
{
	range(a, 2, RANGE_IO, IO_ENTIRE, (const uint32_t[]){ min, max });
}

void
aml_mem_range(struct aml *a, uint32_t min, uint32_t max)
{
	range(a, 4, RANGE_MEM, MEM_RW, (const uint32_t[]){ min, max });
}
