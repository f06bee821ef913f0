/*
 * Leftovers, in priv: what is on the host with our tag and nobody has named.
 * A daemon that was killed leaves bridges and VRFs; taps go by themselves,
 * but for those that a hostile process has made to stay.
 */

#include <errno.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

struct sweep {
	const char *kind;
	int all;
};

static int
is_named(const struct link *l)
{
	return nic_by_name(l->name) != NULL || switch_by_name(l->name) != NULL;
}

static int
sweep_one(const struct link *l, void *arg)
{
	const struct sweep *s = arg;

	if (strcmp(l->kind, s->kind) != 0 || !link_is_ours(l) ||
	    (!s->all && is_named(l)))
		return 0;
	if (link_del(l->index) == -1 && errno != ENODEV)
		log_warn("%s", l->name);
	else if (!s->all)
		log_info("%s: left behind, removed", l->name);
	return 0;
}

static int
sweep_kind(const char *kind, int all)
{
	struct sweep s = { kind, all };

	return link_each(sweep_one, &s);
}

int
sweep(void)
{
	if (sweep_kind("tun", 0) == -1 || sweep_kind("bridge", 0) == -1)
		return priv_fail("interfaces of the host");
	vrf_tidy(0);
	/* What an earlier priv turned on and nobody needs now. */
	return nic_want_forwarding();
}

/* Taps may be in use to the last and go by themselves. */
void
sweep_end(void)
{
	if (!priv.init)
		return;
	sysctl_forward(0);
	switches_give_back();
	switches_lower();
	sweep_kind("bridge", 1);
	vrf_tidy(1);
	nft_close();
}
