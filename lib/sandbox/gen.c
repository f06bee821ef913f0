/*
 * Build tool: turns the tables filter_*.def into BPF programs with
 * libseccomp and prints them as C.  Nothing of it is in any process of vmd.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/filter.h>
#include <seccomp.h>

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
#define SB_ERRNO(n, e, why)	{ #n, SCMP_SYS(n), e, -1, 0, 0 },

static const struct rule rules_vm[] = {
#include "lib/sandbox/filter_vm.def"
};
static const struct rule rules_control[] = {
#include "lib/sandbox/filter_control.def"
};
static const struct rule rules_priv[] = {
#include "lib/sandbox/filter_priv.def"
};
static const struct rule rules_offline[] = {
#include "lib/sandbox/filter_offline.def"
};

#define FILTER(n)	{ #n, rules_##n, sizeof(rules_##n) / sizeof(rules_##n[0]) }
static const struct {
	const char *name;
	const struct rule *rules;
	size_t n;
} filters[] = {
	FILTER(vm),
	FILTER(control),
	FILTER(offline),
	FILTER(priv),
};
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
	if (rc != 0)
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

int
main(void)
{
	scmp_filter_ctx ctx;
	size_t i, j;
	int fd, rc;

	printf("/* Made by lib/sandbox/gen.c. */\n"
	       "#include \"lib/sandbox/filter.h\"\n\n");
	for (i = 0; i < NFILTERS; i++) {
		if ((ctx = seccomp_init(SCMP_ACT_TRAP)) == NULL)
			die("seccomp_init", ENOMEM);
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		for (j = 0; j < filters[i].n; j++)
			add(ctx, &filters[i].rules[j]);
		if ((fd = memfd_create("bpf", 0)) == -1)
			die("memfd_create", errno);
		if ((rc = seccomp_export_bpf(ctx, fd)) != 0)
			die("seccomp_export_bpf", -rc);
		lseek(fd, 0, SEEK_SET);
		print(filters[i].name, fd);
		close(fd);
		seccomp_release(ctx);
	}
	printf("const struct sb_filter sb_filters[] = {\n");
	for (i = 0; i < NFILTERS; i++)
		printf("\t{ \"%s\", prog_%s, sizeof(prog_%s) / "
		       "sizeof(prog_%s[0]), %zu },\n",
		    filters[i].name, filters[i].name, filters[i].name,
		    filters[i].name, filters[i].n);
	printf("};\nconst size_t sb_nfilters = %zu;\n", NFILTERS);
	return 0;
}
