/*
 * enable and disable of vmctl(8), in the parent: a VM that is held is not
 * started by the daemon itself, whatever the configuration says, until
 * somebody enables or starts it.  What runs goes on.
 */
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

static enum vmerr
check(const struct vm *v, int hold)
{
	if (hold)
		return v->held ? VMERR_HELD : VMERR_OK;
	return v->held ? VMERR_OK : VMERR_NOTHELD;
}

/* It may be gone afterwards. */
static void
set(struct vm *v, int hold)
{
	struct parent *p = v->parent;

	log_info("%s: %s", v->spec->name, hold ? "disabled" : "enabled");
	v->held = hold;
	if (hold && v->state == VMS_WAITING) {
		v->asked = 1;
		vm_cancel(v);
	} else if (!hold && v->state == VMS_STOPPED && v->from_config &&
	    !(v->spec->flags & VMF_DISABLED) && !p->stopping) {
		vm_event(v, EV_QUEUE);
		stagger_more(p);
	}
}

int
parent_hold_vm(struct peer *peer, struct msg *m)
{
	int hold = m->type == IMSG_VMDOP_DISABLE_VM;
	struct vmop_result res = { 0 };
	struct vmop_id op;
	struct vm *v;
	enum vmerr e;

	if ((v = request_vm(peer, m, &op)) == NULL)
		return 0;
	if ((e = check(v, hold)) != VMERR_OK) {
		answer_fail(v->parent, &m->hdr, IMSG_CTL_FAIL, e, "%s",
		    vmerr_text(e));
	} else {
		res.id = v->spec->id;
		res.name = v->spec->name;
		answer(v->parent, &m->hdr, IMSG_CTL_OK, &res);
		set(v, hold);
	}
	vmop_id_fini(&op);
	return 0;
}
