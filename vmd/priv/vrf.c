/*
 * Routing domains, in priv: a VRF for each routing table that is asked for.
 * One that the host has is used; ours go with their last member, and the
 * rule that the first VRF of a host leaves behind goes with ours, if it
 * came with them.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

/* Families for which the kernel makes the rule. */
static const int families[] = { AF_INET, AF_INET6, RTNL_FAMILY_IPMR,
	RTNL_FAMILY_IP6MR };
#define NFAMILIES (sizeof(families) / sizeof(families[0]))

#define MAX_TABLE 999999999U /* fits into a name */

static int rule_was_there; /* before our first VRF: it is not ours */

struct find {
	uint32_t table;
	struct link found;
	int ours;
};

static int
look(const struct link *l, void *arg)
{
	struct find *f = arg;

	if (strcmp(l->kind, "vrf") != 0)
		return 0;
	f->ours += link_is_ours(l);
	if (l->table == f->table && f->found.index == 0 &&
	    !link_is_half_made(l))
		f->found = *l;
	return 0;
}

/* The kernel makes it for the first VRF of its life only. */
static int
need_rules(void)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (addr_has_vrf_rule(families[i]) == 0 &&
		    addr_vrf_rule(families[i], 1) == -1 && errno != EEXIST &&
		    errno != EAFNOSUPPORT)
			return priv_fail("rule for VRFs");
	return 0;
}

/* Also what another priv was killed over. */
static int
finish(int index, const char *name, uint32_t table)
{
	struct link_set s = LINK_SET_INIT;

	s.up = 1;
	if (sysctl_quiet(name, 1) == -1)
		return priv_fail("rdomain %u: %s", table, name);
	if (link_set(index, &s) == -1)
		return priv_fail("rdomain %u: %s: up", table, name);
	return need_rules();
}

static int
make(uint32_t table, int ours)
{
	char name[32], alias[32];
	int index, had;

	had = addr_has_vrf_rule(AF_INET) == 1;
	snprintf(name, sizeof(name), "vmd-rd%u", table); /* < IFNAMSIZ */
	snprintf(alias, sizeof(alias), "rdomain%u", table);
	if ((index = link_add_vrf(name, alias, table)) == -1)
		return priv_fail("rdomain %u: %s", table, name);
	if (ours == 0)
		rule_was_there = had;
	if (finish(index, name, table) == -1) {
		link_del(index);
		return -1;
	}
	log_info("%s: made for rdomain %u", name, table);
	return index;
}

int
vrf_get(uint32_t table)
{
	struct find f = { .table = table };

	if (table == 0 || table > MAX_TABLE ||
	    (table >= RT_TABLE_COMPAT && table <= RT_TABLE_LOCAL))
		return priv_failx(VMERR_INVALID,
		    "rdomain %u: not a table for interfaces", table);
	if (link_each(look, &f) == -1)
		return priv_fail("interfaces of the host");
	if (f.found.index == 0)
		return make(table, f.ours);
	if (link_is_ours(&f.found) &&
	    finish(f.found.index, f.found.name, table) == -1)
		return -1;
	return f.found.index;
}

void
vrf_inherit(uint32_t forwarding)
{
	struct find f = { .table = 0 };

	rule_was_there = (forwarding & PRIVFWD_RULE) != 0;
	/* There is none of ours: who has the rule is seen. */
	if (link_each(look, &f) == 0 && f.ours == 0)
		rule_was_there = addr_has_vrf_rule(AF_INET) == 1;
}

uint32_t
vrf_rule(void)
{
	return rule_was_there ? PRIVFWD_RULE : 0;
}

/* --- the end of ours ----------------------------------------------------- */

static int
is_wanted(uint32_t table)
{
	const struct nic *n;
	const struct sw *s;

	TAILQ_FOREACH(n, &priv.nics, entry)
		if ((n->conf.flags & PRIVF_RDOMAIN) && n->conf.rdomain == table)
			return 1;
	TAILQ_FOREACH(s, &priv.sws, entry)
		if (s->rdomain == table)
			return 1;
	return 0;
}

struct tidy {
	int all;
	int remove; /* do it, */
	int goes;   /* or count them */
	int stays;
};

static int
tidy_one(const struct link *l, void *arg)
{
	struct tidy *t = arg;

	if (strcmp(l->kind, "vrf") != 0)
		return 0;
	if (!link_is_ours(l) ||
	    (!t->all && !link_is_half_made(l) && is_wanted(l->table)))
		t->stays++;
	else if (!t->remove)
		t->goes++;
	else if (link_del(l->index) == -1 && errno != ENODEV)
		log_warn("%s", l->name);
	else
		log_info("%s: removed", l->name);
	return 0;
}

/*
 * The rule goes first: as long as there is one of ours, whoever comes after
 * a crash knows that there is something to be done.
 */
void
vrf_tidy(int all)
{
	struct tidy t = { .all = all };
	size_t i;

	if (link_each(tidy_one, &t) == -1) {
		log_warn("interfaces of the host");
		return;
	}
	if (t.goes == 0)
		return;
	for (i = 0; i < NFAMILIES && t.stays == 0 && !rule_was_there; i++)
		addr_vrf_rule(families[i], 0); /* a family may be absent */
	t.remove = 1;
	if (link_each(tidy_one, &t) == -1)
		log_warn("interfaces of the host");
}
