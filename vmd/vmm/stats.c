/*
 * The devices of a guest in numbers: what its process says of them, and what
 * we know of their processes.
 */

#include <string.h>

#include "lib/proto/devstat.h"
#include "lib/proto/wire.h"
#include "vmd/vmm/vmm.h"

/* What we have started counts; of the rest of `said' only the numbers. */
static void
merge(struct guest *g, struct dev_list *said, struct dev_list *l)
{
	const struct dev_stats *s;
	struct dev_stats *d;
	struct device *dev;

	memset(l, 0, sizeof(*l));
	TAILQ_FOREACH(dev, &g->devices, entry) {
		d = dev_list_add(l, dev->start.kind, dev->start.idx);
		if (d == NULL)
			return;
		s = dev_list_find(said, d->kind, d->idx);
		if (s != NULL)
			*d = *s;
		d->state = dev->pidfd != -1 ? DEVST_RUNNING : DEVST_GONE;
		d->replaced = dev->replaced;
	}
}

static void
pass_on(struct guest *g, const struct order *o, struct dev_list *said)
{
	struct vmop_result r = { .id = g->id, .generation = g->generation };
	struct msg m = { .hdr = o->hdr };
	struct dev_list l;
	struct ibuf *b;

	merge(g, said, &l);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vmop_result_put(b, &r) == -1 || dev_list_put(b, &l) == -1) {
		ibuf_free(b);
		peer_fail(g->m->up, &m, o->answer, VMERR_FAILED, "no memory");
		return;
	}
	peer_send(g->m->up, o->answer, o->hdr, b, NULL, 0);
}

int
guest_devices(struct peer *p, struct msg *m)
{
	struct guest *g = peer_arg(p);
	struct order *o = order_find(g, m);
	struct dev_list said;

	if (o == NULL || dev_list_get(&m->body, &said) == -1 ||
	    wire_end(&m->body) == -1)
		return -1;
	if (!o->answered)
		pass_on(g, o, &said);
	order_free(g, o);
	return 0;
}

void
guest_ask_devices(struct guest *g, struct msg *m, const struct vmop_id *v)
{
	const uint32_t answer = IMSG_VMDOP_DEVICES_RESPONSE;
	const struct order *o;

	/* Who is late with one answer is not asked for more of them. */
	TAILQ_FOREACH(o, &g->orders, entry)
		if (o->answer == answer && o->answered) {
			peer_fail(g->m->up, m, answer, VMERR_TIMEOUT,
			    "%s does not answer", g->name);
			return;
		}
	guest_order(g, m, v, answer);
}
