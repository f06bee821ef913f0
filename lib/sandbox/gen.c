/*
 * Build tool: turns the tables filter_*.def into BPF programs with
 * libseccomp and prints them as C, with the names of all system calls.
 * Nothing of it is in any process of vmd.
 *
 * A table has one row per system call and the reason for it: SB any
 * arguments, SB_ARG one argument under a mask, SB_CMD the second argument,
 * SB_IOCTL a request, SB_ERRNO an error instead, unless another row allows
 * the call.  All else is a trap.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <seccomp.h>

#include "lib/sandbox/filter.h"

struct rule {
	const char *name;
	int nr;
	int err; /* 0: allow */
	int arg; /* -1: any arguments */
	unsigned long long mask;
	unsigned long long value;
};

/* clang-format off */
#define SB(n, why)		{ #n, SCMP_SYS(n), 0, -1, 0, 0 },
#define SB_ARG(n, a, m, v, why)	{ #n, SCMP_SYS(n), 0, a, m, v },
#define SB_CMD(n, v, why)	{ #n, SCMP_SYS(n), 0, 1, 0xffffffff, v },
#define SB_IOCTL(v, why)	SB_CMD(ioctl, v, why)
#define SB_ERRNO(n, e, why)	{ #n, SCMP_SYS(n), e, -1, 0, 0 },

/* Made from the names of the tables: rules_NAME[] each, FILTERS of all. */
#include "rules.h"

#define FILTER(n)	{ #n, rules_##n, sizeof(rules_##n) / sizeof(rules_##n[0]) },
static const struct {
	const char *name;
	const struct rule *rules;
	size_t n;
} filters[] = { FILTERS };
/* clang-format on */

#define NFILTERS (sizeof(filters) / sizeof(filters[0]))

static void __attribute__((noreturn)) die(const char *what, int err)
{
	fprintf(stderr, "gen: %s: %s\n", what, strerror(err));
	exit(1);
}

static void
add(scmp_filter_ctx ctx, const struct rule *r)
{
	struct scmp_arg_cmp cmp = {
		.arg = (unsigned int)r->arg,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = r->mask,
		.datum_b = r->value,
	};
	uint32_t act;
	int rc;

	act = r->err ? SCMP_ACT_ERRNO((unsigned int)r->err) : SCMP_ACT_ALLOW;
	if (r->arg == -1)
		rc = seccomp_rule_add_array(ctx, act, r->nr, 0, NULL);
	else
		rc = seccomp_rule_add_array(ctx, act, r->nr, 1, &cmp);
	if (rc != 0 && rc != -EEXIST)
		die(r->name, -rc);
}

static void
print(const char *name, int fd)
{
	struct sock_filter f;

	printf("static const struct sock_filter prog_%s[] = {\n", name);
	while (read(fd, &f, sizeof(f)) == (ssize_t)sizeof(f))
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", f.code, f.jt, f.jf,
		    f.k);
	printf("};\n\n");
}

/* Tables include each other: what one allows another may not refuse. */
static int
allowed(const struct rule *rules, size_t n, int nr)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rules[i].nr == nr && rules[i].err == 0)
			return 1;
	return 0;
}

/* How many calls a table allows. */
static size_t
ncalls(const struct rule *rules, size_t n)
{
	size_t count = 0;
	int nr;

	for (nr = 0; nr < SB_NCALLS; nr++)
		count += (size_t)allowed(rules, n, nr);
	return count;
}

static void
make_filter(size_t nr)
{
	const struct rule *rules = filters[nr].rules;
	size_t i, n = filters[nr].n;
	scmp_filter_ctx ctx;
	int fd, rc;
	FILE *f;

	if ((ctx = seccomp_init(SCMP_ACT_TRAP)) == NULL)
		die("seccomp_init", ENOMEM);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (i = 0; i < n; i++)
		if (rules[i].err == 0 || !allowed(rules, n, rules[i].nr))
			add(ctx, &rules[i]);
	if ((f = tmpfile()) == NULL)
		die("tmpfile", errno);
	fd = fileno(f);
	if ((rc = seccomp_export_bpf(ctx, fd)) != 0)
		die("seccomp_export_bpf", -rc);
	lseek(fd, 0, SEEK_SET);
	print(filters[nr].name, fd);
	fclose(f);
	seccomp_release(ctx);
}

/* An array of arrays: nothing to relocate, no page dirty. */
static void
print_names(void)
{
	char *name;
	int nr;

	printf("const char sb_calls[SB_NCALLS][SB_CALL_LEN] = {\n");
	for (nr = 0; nr < SB_NCALLS; nr++) {
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
		if (name != NULL && strlen(name) < SB_CALL_LEN)
			printf("\t[%d] = \"%s\",\n", nr, name);
		free(name);
	}
	printf("};\n");
}

int
main(void)
{
	size_t i;

	printf("/* Made by lib/sandbox/gen.c. */\n"
	       "#include \"lib/sandbox/filter.h\"\n\n");
	for (i = 0; i < NFILTERS; i++)
		make_filter(i);
	printf("const struct sb_filter sb_filters[] = {\n");
	for (i = 0; i < NFILTERS; i++)
		printf("\t{ \"%s\", prog_%s, sizeof(prog_%s) / "
		       "sizeof(prog_%s[0]), %zu },\n",
		    filters[i].name, filters[i].name, filters[i].name,
		    filters[i].name, ncalls(filters[i].rules, filters[i].n));
	printf("};\nconst size_t sb_nfilters = %zu;\n\n", NFILTERS);
	print_names();
	return 0;
}
