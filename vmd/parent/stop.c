/*
 * Ending a VM, in the parent: asking it to, what follows when its process
 * was reaped, and the end of all of them when the daemon ends.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/files.h"
#include "vmd/parent/image.h"
#include "vmd/parent/net.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define EVENT	 IMSG_VMDOP_TERMINATE_VM_EVENT
#define RESPONSE IMSG_VMDOP_TERMINATE_VM_RESPONSE

/* Ask vmm; `hdr' gets its answer. */
static int
send_stop(struct vm *v, int force, const struct msg_hdr *hdr)
{
	struct parent *p = v->parent;
	struct child *vmm = &p->children[CHILD_VMM];
	struct vmop_id op = {
		.name = v->spec->name,
		.flags = force ? VMOP_FORCE : 0,
		.id = v->spec->id,
		.generation = v->generation,
		.arg = p->conf->kill_timeout,
	};
	struct msg_hdr h = { 0 };
	struct request *r;

	if ((r = request_new(p, hdr, RESPONSE, v)) == NULL)
		return -1;
	r->at_vmm = 1;
	h.reqid = r->id;
	if (child_send_id(vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST, h, &op, NULL) ==
	    0)
		return 0;
	request_free(p, r);
	return -1;
}

/* A paused guest cannot see its power button. */
static void
wake(struct vm *v)
{
	struct parent *p = v->parent;
	struct vmop_id op = {
		.name = v->spec->name,
		.id = v->spec->id,
		.generation = v->generation,
	};
	struct msg_hdr h = { .reqid = ++p->next_id };

	child_send_id(&p->children[CHILD_VMM], IMSG_VMDOP_UNPAUSE_VM, h, &op,
	    NULL);
}

static void
stop_late(int fd, short ev, void *arg)
{
	struct vm *v = arg;

	log_warnx("%s: did not stop in time, forced", v->spec->name);
	vm_timer_clear(v);
	if (send_stop(v, 1, NULL) == -1)
		log_warn("%s: forced stop", v->spec->name);
}

static unsigned int
stop_timeout(const struct vm *v)
{
	unsigned int t = v->run->stop_timeout;

	return v->doomed && t > SHUTDOWN_GRACE ? SHUTDOWN_GRACE : t;
}

static void
answer_ok(struct vm *v, const struct msg_hdr *hdr)
{
	const struct vmop_result r = {
		.id = v->spec->id,
		.name = v->spec->name,
	};

	answer(v->parent, hdr, RESPONSE, &r);
}

enum vmerr
vm_stop(struct vm *v, int force, const struct msg_hdr *hdr)
{
	if (v->state == VMS_STOPPED)
		return VMERR_NOTRUNNING;
	if (v->state == VMS_STOPPING && !force)
		return VMERR_STOPPING;
	v->asked = 1;
	if (v->state == VMS_WAITING) {
		answer_ok(v, hdr);
		vm_cancel(v);
		return VMERR_OK;
	}
	if (!v->launched) {
		answer_ok(v, hdr);
		vm_start_failed(v, VMERR_STOPPING, "stopped while starting");
		return VMERR_OK;
	}
	if (v->state == VMS_STARTING)
		force = 1;
	if (v->state == VMS_PAUSED && !force)
		wake(v);
	if (send_stop(v, force, hdr) == -1)
		return VMERR_FAILED;
	if (v->state != VMS_STOPPING)
		vm_event(v, EV_STOP);
	if (force)
		vm_timer_clear(v);
	else if (vm_timer_set(v, stop_timeout(v), stop_late) == -1)
		log_warn("%s: no stop timer", v->spec->name);
	return VMERR_OK;
}

/* Tell those who wait, and those whose request died with the guest. */
static void
tell(struct vm *v)
{
	struct parent *p = v->parent;
	struct request *r, *next;
	const struct vmop_result res = {
		.id = v->spec->id,
		.exit = v->exit,
		.name = v->spec->name,
		.text = v->exit_text,
	};

	TAILQ_FOREACH_SAFE(r, &p->requests, entry, next) {
		if (r->vm != v->spec->id)
			continue;
		if (r->answer == EVENT)
			request_done(p, r, &res);
		else if (r->answer == RESPONSE)
			request_done(p, r, &res);
		else
			request_fail(p, r, VMERR_GONE, "the VM ended");
	}
}

/* It stays down: nothing of the run is left. */
static void
settle(struct vm *v)
{
	struct parent *p = v->parent;

	vm_tty_close(v);
	vm_net_end(v);
	vm_release_files(v);
	vm_spec_free(v->run);
	v->run = NULL;
	v->run_uid = 0;
	if (!v->from_config)
		vm_free(v);
	else
		vm_take_next(v);
	reset_check(p);
	shutdown_check(p);
}

void
vm_cancel(struct vm *v)
{
	vm_timer_clear(v);
	vm_event(v, EV_CANCEL);
	tell(v);
	settle(v);
}

_Static_assert(CONF_RESETS_MAX <= RESTART_LIMIT_MAX, "remember them all");

static int
may_reset(struct vm *v)
{
	const struct conf *c = v->parent->conf;

	return restart_allowed(&v->restart, now_ms(), c->resets,
	    (int64_t)c->resets_seconds * 1000);
}

static void
after(struct vm *v, enum vmexit exit)
{
	const struct vm_spec *s = v->run != NULL ? v->run : v->spec;
	enum restart_how how;
	int asked = v->asked || v->parent->stopping;

	how = restart_how(s->restart, exit, asked, s->bootdev);
	if (how == RESTART_NOW && !may_reset(v)) {
		log_warnx("%s: reset too often", v->spec->name);
		free(v->exit_text);
		v->exit_text = strdup("reset too often");
		how = restart_by_policy(s->restart, exit) ? RESTART_LATER :
							    RESTART_NO;
	}
	if (how == RESTART_LATER && v->held)
		how = RESTART_NO;
	if (how == RESTART_NOW) {
		vm_start(v, NULL);
	} else if (how == RESTART_LATER) {
		vm_tty_close(v);
		vm_net_end(v);
		vm_close_files(v);
		restart_later(v,
		    restart_delay(&v->restart,
			v->started_ms == 0 ? 0 : now_ms() - v->started_ms));
	} else {
		settle(v);
	}
}

/* The text alone says it when it is about the guest's own doing. */
static void
log_end(const struct vm *v)
{
	const char *text = v->exit_text;

	if (text == NULL)
		log_info("%s: %s", v->spec->name, vmexit_text(v->exit));
	else if (v->exit == VMEXIT_FAILED || v->exit == VMEXIT_EMULATION)
		log_info("%s: %s: %s", v->spec->name, vmexit_text(v->exit),
		    text);
	else
		log_info("%s: %s", v->spec->name, text);
}

/* It is gone at last; what kept it from starting stays. */
static void
not_late(struct vm *v, enum vmexit exit)
{
	if (v->late && exit != VMEXIT_LAUNCH) {
		free(v->error);
		v->error = NULL;
	}
	v->late = 0;
}

void
vm_ended(struct vm *v, enum vmexit exit, const char *text)
{
	struct request *r;

	vm_timer_clear(v);
	open_cancel(v->opening);
	v->opening = NULL;
	image_lock_over(&v->retry);
	vm_disks_cancel(v);
	vm_net_cancel(v);
	free(v->exit_text);
	v->exit_text = NULL;
	if (text != NULL && text[0] != '\0' &&
	    strcmp(text, vmexit_text(exit)) != 0)
		v->exit_text = strdup(text);
	v->exit = exit;
	if (exit != VMEXIT_LAUNCH)
		log_end(v);
	not_late(v, exit);
	/* Ended before it was up. */
	if ((r = request_find(v->parent, v->start_req)) != NULL)
		request_fail(v->parent, r, VMERR_GUEST,
		    v->exit_text == NULL ? vmexit_text(exit) : v->exit_text);
	v->start_req = 0;
	v->pid = 0;
	v->launched = 0;
	v->generation = 0; /* events of this run are late from now on */
	vm_event(v, exit == VMEXIT_LAUNCH ? EV_FAIL : EV_EXIT);
	tell(v);
	after(v, exit);
}

void
vm_all_lost(struct parent *p, const char *text)
{
	struct vm *v, *next;

	TAILQ_FOREACH_SAFE(v, &p->vms, entry, next)
		if (v->launched) {
			v->lost = 1;
			vm_ended(v, VMEXIT_FAILED, text);
		}
}

int
parent_terminate_vm_event(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_result res;
	struct vm *v;
	int rc = -1;

	if (vmop_result_get(&m->body, &res) == -1)
		return -1;
	if (wire_end(&m->body) == -1 || res.exit >= VMEXIT_MAX)
		goto out;
	rc = 0;
	v = vm_by_id(p, res.id);
	if (v == NULL || !v->launched || v->generation != res.generation)
		log_debug("late end of VM %u", res.id);
	else
		vm_ended(v, (enum vmexit)res.exit, res.text);
out:
	vmop_result_fini(&res);
	return rc;
}

/* vmm has killed it, and it is still there. */
int
parent_vm_late(struct peer *peer, struct msg *m)
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
	if ((v = vm_by_id(p, res.id)) != NULL && v->launched &&
	    v->generation == res.generation) {
		if (v->state != VMS_STOPPING)
			vm_event(v, EV_STOP);
		v->late = 1;
		free(v->error);
		v->error = res.text;
		res.text = NULL;
		log_warnx("%s: %s", v->spec->name,
		    v->error != NULL ? v->error : "killed, and not gone");
	}
	vmop_result_fini(&res);
	return 0;
}

int
parent_terminate_vm_request(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct request *wait = NULL;
	const char *why;
	struct vmop_id op;
	struct vm *v;
	enum vmerr e;

	if ((v = request_vm(peer, m, &op)) == NULL)
		return 0;
	if (op.flags & VMOP_WAIT &&
	    (wait = request_wait(p, &m->hdr, EVENT, v)) == NULL) {
		answer_cannot_wait(p, &m->hdr, RESPONSE);
		vmop_id_fini(&op);
		return 0;
	}
	e = vm_stop(v, (op.flags & VMOP_FORCE) != 0,
	    wait != NULL ? NULL : &m->hdr);
	why = e == VMERR_STOPPING && v->late && v->error != NULL ?
	    v->error :
	    vmerr_text(e);
	if (e != VMERR_OK && wait != NULL)
		request_fail(p, wait, e, why);
	else if (e != VMERR_OK)
		answer_fail(p, &m->hdr, RESPONSE, e, "%s", why);
	vmop_id_fini(&op);
	return 0;
}

int
parent_wait_vm_request(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_id op;
	struct vm *v;

	if ((v = request_vm(peer, m, &op)) == NULL)
		return 0;
	if (!vm_is_up(v))
		answer_fail(p, &m->hdr, RESPONSE, VMERR_NOTRUNNING, "%s",
		    vmerr_text(VMERR_NOTRUNNING));
	else if (request_wait(p, &m->hdr, EVENT, v) == NULL)
		answer_cannot_wait(p, &m->hdr, RESPONSE);
	vmop_id_fini(&op);
	return 0;
}
