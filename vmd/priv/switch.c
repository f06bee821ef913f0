/*
 * Switches: Linux bridges, in priv.  One that somebody else made is used and
 * left as it is, but that it is brought up when that was asked for, and down
 * at the end; one that was absent is made and goes with its last member.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

static struct sw *
find(const char *name)
{
	struct sw *s;

	TAILQ_FOREACH(s, &priv.sws, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

const struct sw *
switch_by_name(const char *name)
{
	return find(name);
}

static int
check(const struct priv_switch *c)
{
	if (c->ifname == NULL || !name_is_ifname(c->ifname))
		return priv_failx(VMERR_INVALID, "bad name of a bridge");
	if (c->alias == NULL || !name_is_text(c->alias, PRIV_ALIAS_MAX))
		return priv_failx(VMERR_INVALID, "bad alias of a switch");
	if (c->flags & ~(uint32_t)PRIVF_SWITCH)
		return priv_failx(VMERR_INVALID, "bad switch");
	return 0;
}

static uint32_t
table_of(const struct priv_switch *c)
{
	return c->flags & PRIVF_RDOMAIN ? c->rdomain : 0;
}

/* The names of bridges that are made: nothing else is taken for one. */
static int
may_make(const char *name)
{
	return name_is_numbered(name, "bridge") ||
	    name_is_numbered(name, "veb");
}

static int
make(const struct priv_switch *c, struct link *l)
{
	if (!may_make(c->ifname)) {
		errno = ENODEV;
		return priv_fail("%s", c->ifname);
	}
	if (link_add_bridge(c->ifname, c->alias) == -1 ||
	    link_by_name(c->ifname, l) == -1)
		return priv_fail("%s", c->ifname);
	log_info("%s: made", c->ifname);
	return 0;
}

/* Ours: as asked for. */
static int
dress(const struct priv_switch *c, const struct link *l)
{
	struct link_set s = LINK_SET_INIT;
	int vrf = 0;

	/* Whoever made it may have been killed before. */
	if ((l->flags & IFF_UP) == 0 &&
	    sysctl_quiet(c->ifname, (c->flags & PRIVF_INET6) != 0) == -1)
		return priv_fail("%s: /proc/sys/net/ipv6/conf", c->ifname);
	if (table_of(c) != 0 && (vrf = vrf_get(c->rdomain)) == -1)
		return -1;
	s.alias = c->alias;
	s.up = (c->flags & PRIVF_UP) != 0;
	if (l->master != (uint32_t)vrf)
		s.master = vrf;
	if (link_set(l->index, &s) == -1)
		return priv_fail("%s", c->ifname);
	return 0;
}

/* Down, as it was before us; but not another one of that name. */
static void
lower(struct sw *s)
{
	struct link_set down = LINK_SET_INIT;
	struct link l;

	if (!s->raised)
		return;
	s->raised = 0;
	down.up = 0;
	if (link_by_name(s->name, &l) == -1 || l.index != s->index)
		return;
	if (link_set(l.index, &down) == -1)
		log_warn("%s: down", s->name);
}

/* Somebody else's; `*raised' if that was us. */
static int
use(const struct priv_switch *c, const struct link *l, int *raised)
{
	struct link_set s = LINK_SET_INIT;
	struct link m = { .table = 0 };

	if (l->master != 0 && link_by_index((int)l->master, &m) == -1)
		return priv_fail("%s", c->ifname);
	if ((c->flags & PRIVF_RDOMAIN) && m.table != c->rdomain)
		return priv_failx(VMERR_INVALID,
		    "%s: not in rdomain %u, and not vmd's to move", c->ifname,
		    c->rdomain);
	*raised = (c->flags & PRIVF_RAISED) != 0;
	if ((c->flags & PRIVF_UP) == 0 || (l->flags & IFF_UP) != 0)
		return 0;
	s.up = 1;
	if (link_set(l->index, &s) == -1)
		return priv_fail("%s: up", c->ifname);
	*raised = 1;
	return 0;
}

static int
record(const struct priv_switch *c, const struct link *l, int ours, int raised)
{
	struct sw *s = find(c->ifname);

	if (s == NULL) {
		if ((s = calloc(1, sizeof(*s))) == NULL)
			return priv_fail("%s", c->ifname);
		TAILQ_INSERT_TAIL(&priv.sws, s, entry);
	}
	if (s->index != l->index)
		s->raised = s->lent = 0;
	strlcpy(s->name, c->ifname, sizeof(s->name));
	strlcpy(s->alias, c->alias, sizeof(s->alias));
	s->index = l->index;
	s->ours = ours;
	s->flags = c->flags;
	s->rdomain = table_of(c);
	s->raised |= raised;
	if ((c->flags & PRIVF_UP) == 0)
		lower(s);
	return 0;
}

static void
forget(const char *name)
{
	struct sw *s = find(name);

	if (s == NULL)
		return;
	lower(s);
	TAILQ_REMOVE(&priv.sws, s, entry);
	free(s);
}

int
switch_add(const struct priv_switch *c, uint32_t *created)
{
	struct link l = { .index = 0 };
	int made = 0, raised = 0, ours, rc;
	const struct sw *s;

	if (check(c) == -1)
		return -1;
	if (link_by_name(c->ifname, &l) == -1) {
		if (errno != ENODEV)
			return priv_fail("%s", c->ifname);
		l.index = 0;
		made = 1;
	} else if (strcmp(l.kind, "bridge") != 0) {
		return priv_failx(VMERR_INVALID, "%s: not a bridge", c->ifname);
	}
	if (made && make(c, &l) == -1)
		goto undo;
	ours = link_is_ours(&l);
	rc = ours ? dress(c, &l) : use(c, &l, &raised);
	/* Guests may be on one that was there: it stays known. */
	if ((rc == 0 || (ours && !made)) && record(c, &l, ours, raised) == -1)
		rc = -1;
	if (nft_apply() == -1)
		rc = -1;
	if (rc == -1)
		goto undo;
	*created = ours ? PRIVSW_OURS : 0;
	if ((s = find(c->ifname)) != NULL && s->raised)
		*created |= PRIVSW_RAISED;
	vrf_tidy(0); /* one that it was in before */
	return 0;
undo:
	if (made && l.index != 0) {
		link_del(l.index);
		forget(c->ifname);
		nft_apply();
	}
	vrf_tidy(0);
	return -1;
}

static int
is_member(const struct link *l, void *arg)
{
	return l->master == (uint32_t) * (const int *)arg;
}

/* Not ours, gone, or never heard of: nothing is to be done. */
int
switch_del(const char *name)
{
	struct link l;
	int members;

	if (!name_is_ifname(name))
		return priv_failx(VMERR_INVALID, "bad name of a bridge");
	if (link_by_name(name, &l) == 0 && strcmp(l.kind, "bridge") == 0 &&
	    link_is_ours(&l)) {
		if ((members = link_each(is_member, &l.index)) == -1)
			return priv_fail("interfaces of the host");
		if (members != 0)
			return priv_failx(VMERR_BUSY, "%s: still has members",
			    name);
		if (link_del(l.index) == -1 && errno != ENODEV)
			return priv_fail("%s", name);
		log_info("%s: removed", name);
	}
	forget(name);
	vrf_tidy(0);
	return nft_apply();
}

/* --- what our interfaces do to it ---------------------------------------- */

int
switch_again(const char *name, struct link *l)
{
	struct sw *s = find(name);
	struct priv_switch c;

	if (s == NULL || !s->ours) {
		errno = ENODEV;
		return -1;
	}
	c.ifname = s->name;
	c.alias = s->alias;
	c.flags = s->flags;
	c.rdomain = s->rdomain;
	if (make(&c, l) == -1)
		return -1;
	if (dress(&c, l) == -1) {
		link_del(l->index);
		return -1;
	}
	s->index = l->index;
	/* Its master is another one now. */
	return link_by_name(name, l);
}

void
switch_lend(const struct link *l)
{
	struct sw *s = find(l->name);

	if (s == NULL || s->ours || s->lent || s->index != l->index ||
	    link_each(is_member, &s->index) != 0)
		return;
	s->lent = 1;
	s->mtu = l->mtu;
	memcpy(s->mac, l->mac, sizeof(s->mac));
}

/* The kernel has taken both from the members, and now has nothing. */
static void
give_back(struct sw *s)
{
	static const uint8_t none[6];
	struct link_set set = LINK_SET_INIT;
	struct link l;

	if (!s->lent || link_each(is_member, &s->index) != 0)
		return;
	s->lent = 0;
	if (link_by_index(s->index, &l) == -1 || strcmp(l.name, s->name) != 0)
		return;
	if (memcmp(l.mac, s->mac, sizeof(l.mac)) != 0 &&
	    memcmp(s->mac, none, sizeof(none)) != 0)
		set.mac = s->mac;
	if (l.mtu != s->mtu)
		set.mtu = s->mtu;
	if ((set.mac != NULL || set.mtu != -1) && link_set(l.index, &set) == -1)
		log_warn("%s", s->name);
}

void
switches_give_back(void)
{
	struct sw *s;

	TAILQ_FOREACH(s, &priv.sws, entry)
		give_back(s);
}

void
switches_lower(void)
{
	struct sw *s;

	TAILQ_FOREACH(s, &priv.sws, entry)
		lower(s);
}
