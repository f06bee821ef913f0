/*
 * Pause and unpause, in the parent.  The state changes when the guest
 * process has confirmed, not before.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

static enum vmerr
check(const struct vm *v, int pausing)
{
	switch (v->state) {
	case VMS_RUNNING:
		return pausing ? VMERR_OK : VMERR_NOTPAUSED;
	case VMS_PAUSED:
		return pausing ? VMERR_PAUSED : VMERR_OK;
	case VMS_STOPPING:
		return VMERR_STOPPING;
	default:
		return VMERR_NOTRUNNING;
	}
}

int
parent_pause_vm(struct peer *peer, struct msg *m)
{
	struct vmop_id op;
	struct vm *v;
	enum vmerr e;

	if ((v = request_vm(peer, m, &op)) == NULL)
		return 0;
	if ((e = check(v, m->type == IMSG_VMDOP_PAUSE_VM)) == VMERR_OK)
		e = request_forward(v, m, 0, NULL);
	if (e != VMERR_OK)
		answer_fail(v->parent, &m->hdr, answer_type(m->type), e, "%s",
		    vmerr_text(e));
	vmop_id_fini(&op);
	return 0;
}

/* Note the new state; parent_result() passes the answer on. */
int
parent_pause_vm_response(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct request *r = request_find(p, m->hdr.reqid);
	int pausing = m->type == IMSG_VMDOP_PAUSE_VM_RESPONSE;
	struct vmop_result res;
	struct ibuf body;
	struct vm *v;

	ibuf_from_ibuf(&body, &m->body); /* they are read again */
	if (vmop_result_get(&body, &res) == -1)
		return -1;
	if (res.err == VMERR_OK && r != NULL && r->answer == m->type &&
	    (v = vm_by_id(p, r->vm)) != NULL &&
	    v->generation == r->generation &&
	    v->state == (pausing ? VMS_RUNNING : VMS_PAUSED)) {
		vm_event(v, pausing ? EV_PAUSE : EV_UNPAUSE);
		free(v->error);
		v->error = NULL;
		log_info("%s: %s, id %u", v->spec->name,
		    pausing ? "paused" : "unpaused", v->spec->id);
	}
	vmop_result_fini(&res);
	return parent_result(peer, m);
}

/* vmm paused it by itself: a device of it is gone. */
int
parent_vm_paused(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_result res;
	struct vm *v;

	if (vmop_result_get(&m->body, &res) == -1)
		return -1;
	if (wire_end(&m->body) == -1) {
		vmop_result_fini(&res);
		return -1;
	}
	if ((v = vm_by_id(p, res.id)) != NULL &&
	    v->generation == res.generation &&
	    (v->state == VMS_RUNNING || v->state == VMS_PAUSED)) {
		if (v->state == VMS_RUNNING)
			vm_event(v, EV_PAUSE);
		free(v->error);
		v->error = res.text;
		res.text = NULL;
		log_warnx("%s: paused, id %u: %s", v->spec->name, v->spec->id,
		    v->error != NULL ? v->error : "no cause given");
	}
	vmop_result_fini(&res);
	return 0;
}
