/*
 * What guests that run do not have yet: a changed switch.
 *
 * Whether a switch is up and its routing domain are the bridge's own and
 * follow the configuration at once; its bridge, its group and `locked lladdr'
 * are properties of the taps, which are made when a guest starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/net_int.h"

static int
same(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* NULL, or what of the switch of this interface is another now. */
static const char *
changed(const struct vm *v, uint32_t idx)
{
	const struct nic_spec *s = &v->run->nics[idx];
	const struct priv_nic *n = &v->net->nics[idx].conf;
	const struct conf_switch *sw;
	int locked;

	if (!v->net->nics[idx].made || s->sw == NULL)
		return NULL;
	if ((sw = switch_of(v->parent, s->sw)) == NULL)
		return "removed from the configuration";
	locked = (s->flags & NICF_LOCKED) || (sw->flags & SWITCHF_LOCKED);
	if (!same(sw->ifname, n->bridge))
		return "interface changed";
	if (!same(sw->group, n->swgroup))
		return "group changed";
	if (locked != ((n->flags & PRIVF_LOCKED) != 0))
		return "locked lladdr changed";
	return NULL;
}

int
net_pending(const struct vm *v, char *why, size_t len)
{
	const char *what;
	uint32_t i;

	if (v->net == NULL || v->run == NULL || !vm_is_up(v))
		return 0;
	for (i = 0; i < v->run->nnics; i++) {
		if ((what = changed(v, i)) == NULL)
			continue;
		snprintf(why, len, "interface %u: switch \"%s\": %s", i,
		    v->run->nics[i].sw, what);
		return 1;
	}
	return 0;
}

/* Once for each, as long as it is the same. */
static void
mention(struct vm *v)
{
	char why[NET_WHY_LEN];
	int has = net_pending(v, why, sizeof(why));

	if (has && !same(v->net->pending, why))
		log_info("%s: %s: from its next start on", v->spec->name, why);
	free(v->net->pending);
	v->net->pending = has ? strdup(why) : NULL;
}

void
net_mention_pending(struct parent *p)
{
	struct vm *v;

	TAILQ_FOREACH(v, &p->vms, entry)
		if (v->net != NULL)
			mention(v);
}
