#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <stddef.h>
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

#endif
