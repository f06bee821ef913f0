/*
 * What a filter may answer to a system call, whatever its arguments are: for
 * `vmctl audit', which reads the filters of others out of the kernel, and
 * for tests of our own.
 *
 * The program is run with the architecture and the number known and all
 * else unknown; where it asks about the unknown both ways are gone.
 */

#include <stdint.h>
#include <string.h>
#include <linux/seccomp.h>

#include "lib/sandbox/filter.h"

#define MAXSTEPS 100000

struct run {
	const struct sock_filter *prog;
	size_t len;
	uint32_t arch;
	uint32_t nr;
	unsigned int steps;
};

static unsigned int
action(uint32_t ret)
{
	switch (ret & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
		return SB_KILL;
	case SECCOMP_RET_TRAP:
		return SB_TRAP;
	case SECCOMP_RET_ERRNO:
		return SB_ERROR;
	default: /* allow, log, trace, notify */
		return SB_ALLOW;
	}
}

static int
compare(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGT:
		return a > k;
	case BPF_JGE:
		return a >= k;
	default:
		return (a & k) != 0;
	}
}

/* The accumulator is `a' if `known'.  A path is at most `len' long. */
static unsigned int
walk(struct run *r, size_t pc, int known, uint32_t a)
{
	const struct sock_filter *f;

	for (; pc < r->len && r->steps < MAXSTEPS; pc++) {
		r->steps++;
		f = &r->prog[pc];
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			known = f->k == offsetof(struct seccomp_data, nr) ||
			    f->k == offsetof(struct seccomp_data, arch);
			a = f->k == 0 ? r->nr : r->arch;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			if (!known)
				return walk(r, pc + 1 + f->jt, 0, 0) |
				    walk(r, pc + 1 + f->jf, 0, 0);
			pc += compare(f->code, a, f->k) ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return action(f->k);
		default: /* not one of ours */
			return SB_ALLOW | SB_UNKNOWN;
		}
	}
	return SB_ALLOW | SB_UNKNOWN;
}

unsigned int
sb_eval(const struct sock_filter *prog, size_t len, uint32_t arch, uint32_t nr)
{
	struct run r = { .prog = prog, .len = len, .arch = arch, .nr = nr };

	return walk(&r, 0, 0, 0);
}

const struct sb_filter *
sb_find(const char *name)
{
	size_t i;

	for (i = 0; i < sb_nfilters; i++)
		if (strcmp(sb_filters[i].name, name) == 0)
			return &sb_filters[i];
	return NULL;
}
