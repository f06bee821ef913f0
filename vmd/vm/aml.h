#ifndef VM_AML_H
#define VM_AML_H

#include <stddef.h>
#include <stdint.h>

/*
 * An encoder for the ACPI Machine Language, as much as our DSDT needs.
 * ACPI 6.5, 20.2; resources: 6.4.  A buffer that is too small is noted and
 * reported at the end.
 */
struct aml {
	uint8_t *buf;
	size_t size;
	size_t len;
	int full;
};

void aml_bytes(struct aml *a, const void *p, size_t len);
void aml_byte(struct aml *a, uint8_t v);
/* The shortest integer constant that holds `v'. */
void aml_int(struct aml *a, uint64_t v);
/* A four-letter name segment, '\\' and '_' padding as written. */
void aml_name(struct aml *a, const char *name);
/* Name(name, ...): the object follows. */
void aml_def_name(struct aml *a, const char *name);
void aml_string(struct aml *a, const char *s);
/* EISAID("PNP0A03") */
void aml_eisaid(struct aml *a, const char *id);

/*
 * A thing with a length: begin, contents, end with what begin returned.
 */
size_t aml_device(struct aml *a, const char *name);
size_t aml_scope(struct aml *a, const char *name);
size_t aml_package(struct aml *a, uint8_t n);
void aml_end(struct aml *a, size_t at);

/* Resources: between aml_crs() and aml_crs_end(). */
size_t aml_crs(struct aml *a);
void aml_io(struct aml *a, uint16_t base, uint8_t len);
void aml_irq(struct aml *a, unsigned int irq);
void aml_bus_range(struct aml *a, uint16_t min, uint16_t max);
void aml_io_range(struct aml *a, uint16_t min, uint16_t max);
void aml_mem_range(struct aml *a, uint32_t min, uint32_t max);
void aml_crs_end(struct aml *a, size_t at);

#endif
