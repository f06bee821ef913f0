#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>

/* A filter, made at build time from filter_NAME.def by gen.c. */
struct sb_filter {
	const char *name;
	const struct sock_filter *prog;
	unsigned short len;
	unsigned int ncalls; /* allowed, some by their arguments only */
};

extern const struct sb_filter sb_filters[];
extern const size_t sb_nfilters;

/* Names of system calls by number; empty where there is none. */
#define SB_NCALLS   512
#define SB_CALL_LEN 28
extern const char sb_calls[SB_NCALLS][SB_CALL_LEN];

/* The filter called `name', or NULL. */
const struct sb_filter *sb_find(const char *name);

/*
 * All that a filter may answer to the call `nr' of architecture `arch'
 * (AUDIT_ARCH_X86_64), as its arguments may be: bits.
 */
#define SB_ALLOW   0x01
#define SB_ERROR   0x02
#define SB_TRAP	   0x04
#define SB_KILL	   0x08
#define SB_UNKNOWN 0x10 /* beyond what is understood here: count as allowed */
unsigned int
sb_eval(const struct sock_filter *prog, size_t len, uint32_t arch, uint32_t nr);

#endif
