/*
 * Quotas of users and groups, in the parent: `limit' of vm.conf(5).
 *
 * Nothing is counted ahead: what is in use is added up from the list of VMs
 * each time one starts, so nothing can be forgotten or counted twice.
 */
#include <stdio.h>

#include "lib/util/scaled.h"
#include "vmd/parent/limit.h"
#include "vmd/parent/parent.h"

#define AMOUNT_LEN 24 /* more than SCALED_LEN */

enum unit {
	CPUS,
	SIZE,
	NICS,
	VMS
};
static const char *const units[] = {
	[CPUS] = "cpus",
	[SIZE] = "memory",
	[NICS] = "interfaces",
	[VMS] = "vms",
};

/* Where the sentence goes. */
struct reason {
	char *text;
	size_t len;
};

struct usage {
	uint64_t cpus;
	uint64_t memory;
	uint64_t nics;
	uint64_t vms;
};

/* The last answer about a user: many VMs have the same owner. */
struct member {
	uint32_t gid;
	uint64_t uid;
	int known;
	int yes;
};

static int
is_member(struct member *m, uint64_t uid)
{
	struct cred *c;

	if (m->known && m->uid == uid)
		return m->yes;
	c = cred_of_user((uid_t)uid);
	m->known = 1;
	m->uid = uid;
	m->yes = c != NULL && cred_in_group(c, m->gid);
	cred_free(c);
	return m->yes;
}

/* Does `l' count what belongs to the owner of `s'? */
static int
counts(const struct conf_limit *l, const struct vm_spec *s, struct member *m)
{
	if (!l->group)
		/* `owner :group' is nobody's VM but the group's. */
		return s->uid == l->id &&
		    (s->uid != 0 || s->gid == VM_GID_NONE);
	if (s->gid == (int64_t)l->id)
		return 1;
	return s->uid != 0 && is_member(m, s->uid);
}

static void
add(struct usage *u, const struct vm_spec *s)
{
	u->cpus += s->cpus;
	u->memory += s->memory;
	u->nics += s->nnics > s->min_nics ? s->nnics : s->min_nics;
	u->vms++;
}

/* In the one unit that is a size, or a plain number. */
static const char *
amount(char buf[AMOUNT_LEN], enum unit unit, uint64_t n)
{
	if (unit == SIZE)
		return scaled_fmt(buf, n);
	snprintf(buf, AMOUNT_LEN, "%llu", (unsigned long long)n);
	return buf;
}

static int
too_much(const struct conf_limit *l, enum unit unit, uint64_t used,
    uint64_t more, uint64_t most, struct reason *r)
{
	char a[AMOUNT_LEN], b[AMOUNT_LEN], c[AMOUNT_LEN];

	if (most == 0 || (used <= most && more <= most - used))
		return 0;
	snprintf(r->text, r->len,
	    "limit of %s %s (%s:%u): %s: %s allowed, %s in use, this VM needs "
	    "%s",
	    l->group ? "group" : "user", l->name, l->file, l->line, units[unit],
	    amount(a, unit, most), amount(b, unit, used),
	    amount(c, unit, more));
	return 1;
}

static int
exceeds(const struct conf_limit *l, const struct vm *v, struct reason *r)
{
	struct member m = { .gid = l->id };
	struct usage used = { 0 }, more = { 0 };
	const struct vm *w;

	if (!counts(l, v->run, &m))
		return 0;
	TAILQ_FOREACH(w, &v->parent->vms, entry)
		if (w != v && vm_is_up(w) && counts(l, w->run, &m))
			add(&used, w->run);
	add(&more, v->run);
	return too_much(l, VMS, used.vms, more.vms, l->vms, r) ||
	    too_much(l, CPUS, used.cpus, more.cpus, l->cpus, r) ||
	    too_much(l, SIZE, used.memory, more.memory, l->memory, r) ||
	    too_much(l, NICS, used.nics, more.nics, l->nics, r);
}

int
limit_check(const struct vm *v, char *why, size_t len)
{
	const struct conf *c = v->parent->conf;
	const struct conf_limit *l;
	struct reason r = { why, len };

	if (c != NULL)
		TAILQ_FOREACH(l, &c->limits, entry)
			if (exceeds(l, v, &r))
				return -1;
	return 0;
}
