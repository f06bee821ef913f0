#ifndef VMM_STATE_H
#define VMM_STATE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The saved state's buffer and items, between the files of libvmm that
 * write and read it.
 */

enum {
	ST_HEAD = 1,
	ST_CHIP,
	ST_PIT,
	ST_CLOCK,
	ST_TSC_KHZ,
	ST_CPUID,
	ST_SREGS2,
	ST_REGS,
	ST_XSAVE,
	ST_XCRS,
	ST_DEBUG,
	ST_LAPIC,
	ST_MSRS,
	ST_EVENTS,
	ST_MP,
};

struct state_item {
	uint32_t kind;
	uint32_t len;
	uint64_t cpu;
};

/* Written: `len' of `size' bytes are used.  Read: `len' is the position. */
struct state_buf {
	uint8_t *buf;
	size_t len;
	size_t size;
};

/* Append an item of `len' zeros; where they are, until the next call. */
void *state_put(struct state_buf *s, uint32_t kind, uint64_t cpu, size_t len);
/* The next item, which must be of this kind; NULL with errno EBADMSG. */
const void *
state_get(struct state_buf *s, uint32_t kind, uint64_t cpu, size_t *len);

struct vmm_vcpu;
int state_msrs_save(struct state_buf *s, struct vmm_vcpu *c);
int state_msrs_restore(struct state_buf *s, struct vmm_vcpu *c);

#endif
