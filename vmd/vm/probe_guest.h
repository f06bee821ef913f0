#ifndef VM_PROBE_GUEST_H
#define VM_PROBE_GUEST_H

#include <stdint.h>

/*
 * The probe's code, position independent, between probe_code and
 * probe_code_end; 64-bit, ring 0, identity mapped.  Each test announces
 * itself on PROBE_BEGIN, then says PROBE_OK or PROBE_BAD; an exception is
 * PROBE_ABSENT.  It goes on with the next test and says PROBE_DONE at the
 * end.  The offsets are relative to probe_code.
 */
#define PROBE_BEGIN  0xe0
#define PROBE_OK     0xe1
#define PROBE_BAD    0xe2
#define PROBE_ABSENT 0xe3
#define PROBE_DONE   0xe4

extern const uint8_t probe_code[], probe_code_end[];
extern const uint32_t probe_fault;   /* handler of exceptions */
extern const uint32_t probe_trap;    /* handler of int3 and int 0x80 */
extern const uint32_t probe_tests[]; /* where each test begins */
extern const uint32_t probe_ntests;

/* Names in the order of probe_tests. */
extern const char *const probe_names[];
extern const uint32_t probe_nnames;

#endif
