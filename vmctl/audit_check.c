/*
 * Whether a process is what it should be: one check for each column of the
 * table in audit_want.c.
 */

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <linux/audit.h>
#include <linux/capability.h>

#include "lib/sandbox/sandbox.h"
#include "vmctl/audit.h"
#include "vmctl/audit_want.h"

/* --- words ------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
add(char text[CHECK_TEXT], const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, CHECK_TEXT - n, fmt, ap);
	va_end(ap);
}

static void
add_caps(char text[CHECK_TEXT], uint64_t caps)
{
	static const struct {
		int cap;
		const char *name;
	} names[] = {
		{ CAP_KILL, "kill" },
		{ CAP_SETGID, "setgid" },
		{ CAP_SETUID, "setuid" },
		{ CAP_SETPCAP, "setpcap" },
		{ CAP_NET_ADMIN, "net_admin" },
		{ CAP_SYS_PTRACE, "sys_ptrace" },
		{ CAP_SYS_ADMIN, "sys_admin" },
	};
	uint64_t rest = caps;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		rest &= ~BIT(names[i].cap);
	if (caps == 0 || rest != 0)
		add(text, caps == 0 ? "none" : "0x%llx",
		    (unsigned long long)caps);
	else
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (caps & BIT(names[i].cap))
				add(text, "%s%s",
				    (caps & (BIT(names[i].cap) - 1)) ? " " : "",
				    names[i].name);
}

/* --- checks ------------------------------------------------------------ */

static void
check_tree(const struct subject *s, const struct want *w, struct finding *f)
{
	f->ok = s->below || s->info.kind == PROC_PARENT;
	add(f->value, "%s the parent",
	    s->below  ? "below" :
		f->ok ? "is" :
			"not below");
	add(f->wanted, "below the parent");
}

/* Where no user namespace can be made there is none. */
static int
no_userns(void)
{
	static int known;
	static unsigned int lacking;

	if (!known)
		sandbox_vmm_flags(&lacking);
	known = 1;
	return lacking != 0;
}

static int
all_are(const uint32_t id[4], uint32_t want)
{
	return id[0] == want && id[1] == want && id[2] == want && id[3] == want;
}

static int
in_slot(const struct subject *s)
{
	const struct look *l = &s->look;

	return s->slot != -1 && !s->shared_slot && all_are(l->gid, l->gid[0]) &&
	    check_slot(l, l->gid[0]) == s->slot;
}

static void
check_ids(const struct subject *s, const struct want *w, struct finding *f)
{
	const struct look *l = &s->look;
	const struct passwd *pw;

	add(f->value, "uid %u, gid %u, %u groups", l->uid[0], l->gid[0],
	    l->ngroups);
	if (l->mixed != NULL) {
		add(f->wanted, "all threads alike (%s)", l->mixed);
		return;
	}
	switch (w->ids) {
	case IDS_ANY:
		f->ok = 1;
		return;
	case IDS_ROOT:
		f->ok = all_are(l->uid, 0);
		add(f->wanted, "root");
		return;
	case IDS_USER:
		pw = getpwnam(w->user);
		f->ok = pw != NULL && all_are(l->uid, pw->pw_uid) &&
		    all_are(l->gid, pw->pw_gid) && l->ngroups == 0;
		add(f->wanted, "%s, no groups", w->user);
		return;
	case IDS_VMM:
		f->ok = all_are(l->uid, no_userns() ? 0 : l->map_root) &&
		    (no_userns() || l->map_root != 0) && l->ngroups == 0;
		add(f->wanted, "root of its user namespace only, no groups");
		return;
	case IDS_SLOT:
		f->ok = all_are(l->uid, l->uid[0]) && l->ngroups == 0 &&
		    in_slot(s);
		add(f->wanted, "ids that no other guest has, no groups");
		return;
	case IDS_OWN:
		f->ok = all_are(l->uid, l->uid[0]) &&
		    all_are(l->gid, l->uid[0]) && l->ngroups == 0 &&
		    s->slot != -1 && !s->shared_slot;
		add(f->wanted, "ids that nobody else has, no groups");
		return;
	}
}

static void
check_caps(const struct subject *s, const struct want *w, struct finding *f)
{
	const struct look *l = &s->look;
	uint64_t have = l->caps[CAP_SET_INH] | l->caps[CAP_SET_PRM] |
	    l->caps[CAP_SET_EFF] | l->caps[CAP_SET_AMB];
	uint64_t may = w->ids == IDS_ANY && !all_are(l->uid, 0) ? 0 : w->caps;
	int bits = (s->info.own & SB_OWN_BITS) != 0;

	add_caps(f->value, have);
	add(f->value, ", bounding ");
	add_caps(f->value, l->caps[CAP_SET_BND]);
	add(f->wanted, "at most ");
	add_caps(f->wanted, may);
	add(f->wanted, ", bounding ");
	add_caps(f->wanted, w->bound);
	f->ok = (have & ~may) == 0 && (l->caps[CAP_SET_BND] & ~w->bound) == 0;
	if ((w->own & SB_OWN_BITS) == 0)
		return;
	add(f->value, ", securebits %s (own report)",
	    bits ? "locked" : "not locked");
	add(f->wanted, ", securebits locked");
	f->ok &= bits;
}

static void
check_nnp(const struct subject *s, const struct want *w, struct finding *f)
{
	add(f->value, "%s", s->look.nnp ? "yes" : "no");
	add(f->wanted, "yes");
	f->ok = s->look.nnp || !w->nnp;
}

/* May filters called as in `w' together allow `nr'? */
static int
wanted_call(const struct want *w, uint32_t nr)
{
	const struct sb_filter *p;
	size_t i;

	for (i = 0; i < NFILTERS_MAX && w->filters[i] != NULL; i++) {
		p = sb_find(w->filters[i]);
		if (p == NULL ||
		    (sb_eval(p->prog, p->len, AUDIT_ARCH_X86_64, nr) &
			SB_ALLOW) == 0)
			return 0;
	}
	return 1;
}

/* The calls in force have to be among those of the tables. */
static void
compare_calls(const struct look *l, const struct want *w, struct finding *f)
{
	uint32_t nr;

	f->ok = !l->other_arch;
	if (l->other_arch)
		add(f->wanted, "no calls of other architectures");
	for (nr = 0; nr < SB_NCALLS; nr++) {
		if (!l->allowed[nr] || wanted_call(w, nr))
			continue;
		add(f->wanted, "%s%u (%s)", f->ok ? "without " : ", ", nr,
		    sb_calls[nr]);
		f->ok = 0;
	}
}

static void
check_filter(const struct subject *s, const struct want *w, struct finding *f)
{
	const struct look *l = &s->look;
	unsigned int n = 0;

	while (n < NFILTERS_MAX && w->filters[n] != NULL)
		n++;
	n += w->more;
	if (l->seccomp != 2) {
		add(f->value, "none");
		add(f->wanted, "%s", w->filters[0]);
		return;
	}
	add(f->value, "%u filter%s", l->nfilters, l->nfilters == 1 ? "" : "s");
	if (!l->filters_read) {
		add(f->value, ", not readable: %s", strerror(l->filters_errno));
		add(f->wanted, "%s", w->filters[0]);
		return;
	}
	add(f->value, ", %u calls", l->nallowed);
	if (l->nfilters >= n)
		compare_calls(l, w, f);
	else
		add(f->wanted, "%u filters, %s the last", n, w->filters[0]);
}

static void
check_namespaces(const struct subject *s, const struct want *w,
    struct finding *f)
{
	const struct look *l = &s->look;
	unsigned int i, own = 0, want = w->ns;

	if (no_userns())
		want &= (unsigned int)~BIT(LOOK_USER);
	add(f->value, "own:");
	add(f->wanted, "own:");
	for (i = 0; i < LOOK_NNS; i++) {
		if (l->ns[i] != 0 && l->ns[i] != s->parent->ns[i]) {
			own |= 1U << i;
			add(f->value, " %s", look_ns_names[i]);
		}
		if (want & (1U << i))
			add(f->wanted, " %s", look_ns_names[i]);
	}
	f->ok = (want & ~own) == 0 && !s->shared_pids;
	if (s->shared_pids)
		add(f->wanted, ", none of another guest");
}

static void
check_root(const struct subject *s, const struct want *w, struct finding *f)
{
	const struct look *l = &s->look;
	int empty = l->root_empty || (w->tun && l->root_tun);

	add(f->value, "%s, %s%s",
	    l->root_empty   ? "empty" :
		l->root_tun ? "/dev/net/tun alone" :
			      "not empty",
	    l->root_rdonly ? "read-only" : "writable",
	    l->root_same ? ", as the host's" : "");
	add(f->wanted, "%s, read-only",
	    w->tun ? "/dev/net/tun alone" : "empty");
	f->ok = !w->empty_root || (empty && l->root_rdonly && !l->root_same);
}

static void
check_fds(const struct subject *s, const struct want *w, struct finding *f)
{
	const struct look *l = &s->look;
	unsigned int i;

	f->ok = 1;
	for (i = 0; i < LOOK_NFDS; i++) {
		if (l->fds[i] == 0)
			continue;
		add(f->value, "%s%u %s", f->value[0] == '\0' ? "" : ", ",
		    l->fds[i], look_fd_names[i]);
		if (w->fds & (1U << i))
			continue;
		add(f->wanted, "%s %s", f->ok ? "no" : ",", look_fd_names[i]);
		f->ok = 0;
	}
}

static void
check_memory(const struct subject *s, const struct want *w, struct finding *f)
{
	unsigned int n = s->look.nmemory;

	add(f->value, "%s", n > 0 ? "mapped" : "not mapped");
	if (n > 1)
		add(f->value, ", of more than one guest");
	else if (s->other_memory)
		add(f->value, ", not only by its guest");
	add(f->wanted, w->memory ? "that of its guest" : "not mapped");
	f->ok = w->memory ? n <= 1 && !s->other_memory : n == 0;
}

static void
check_landlock(const struct subject *s, const struct want *w, struct finding *f)
{
	uint32_t own = s->info.own;

	add(f->value, "%s (own report)",
	    own & SB_OWN_LANDLOCK	 ? "yes" :
		own & SB_OWN_NO_LANDLOCK ? "none in this kernel" :
					   "no");
	add(f->wanted, "yes");
	f->ok = (w->own & SB_OWN_LANDLOCK & ~own) == 0 ||
	    ((own & SB_OWN_NO_LANDLOCK) && !sandbox_has_landlock());
}

static void
check_dumpable(const struct subject *s, const struct want *w, struct finding *f)
{
	add(f->value, "%s (own report)",
	    s->info.own & SB_OWN_NODUMP ? "no" : "yes");
	add(f->wanted, "no");
	f->ok = (w->own & SB_OWN_NODUMP & ~s->info.own) == 0;
}

static const struct {
	const char *what;
	void (*check)(const struct subject *s, const struct want *w,
	    struct finding *f);
} checks[] = {
	{ "process", check_tree },
	{ "ids", check_ids },
	{ "capabilities", check_caps },
	{ "no_new_privs", check_nnp },
	{ "filter", check_filter },
	{ "namespaces", check_namespaces },
	{ "root", check_root },
	{ "descriptors", check_fds },
	{ "guest memory", check_memory },
	{ "landlock", check_landlock },
	{ "dumpable", check_dumpable },
};

#define NCHECKS (sizeof(checks) / sizeof(checks[0]))

int
check_subject(struct subject *s)
{
	/* A device that we do not know may have nothing. */
	static const struct want nothing = { .filters = { "none" } };
	const struct want *w = want_of(s);
	size_t i;

	if (w == NULL)
		w = &nothing;
	s->ok = 1;
	if ((s->findings = calloc(NCHECKS, sizeof(*s->findings))) == NULL)
		return -1;
	s->nfindings = NCHECKS;
	for (i = 0; i < NCHECKS; i++) {
		s->findings[i].what = checks[i].what;
		checks[i].check(s, w, &s->findings[i]);
		s->ok &= s->findings[i].ok;
	}
	return 0;
}
