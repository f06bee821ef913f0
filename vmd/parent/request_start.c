/*
 * A person's request to start: what is asked for, put over what is known.
 *
 * Without settings a known VM starts as it is defined.  With some they hold
 * for one run of a known VM; a VM that is not known is made for the time it
 * runs, which only root may do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

#define START_RESPONSE IMSG_VMDOP_START_VM_RESPONSE

/* Settings that cannot be changed for one run of a known VM. */
#define GIVEN_FIXED                                                            \
	(VMGIVEN_NICS | VMGIVEN_DISKS | VMGIVEN_CDROM | VMGIVEN_INSTANCE)

/* Move `*from' to `*to'. */
static void
move_str(char **to, char **from)
{
	free(*to);
	*to = *from;
	*from = NULL;
}

/* Put what `s' gives over `run'. */
static void
merge(struct vm_spec *run, struct vm_spec *s)
{
	if (s->given & VMGIVEN_BOOT)
		move_str(&run->boot, &s->boot);
	if (s->given & VMGIVEN_INITRD)
		move_str(&run->initrd, &s->initrd);
	if (s->given & VMGIVEN_CMDLINE)
		move_str(&run->cmdline, &s->cmdline);
	if (s->given & VMGIVEN_CPUS && s->cpus != 0)
		run->cpus = s->cpus;
	if (s->given & VMGIVEN_MEMORY && s->memory != 0)
		run->memory = s->memory;
	if (s->given & VMGIVEN_BOOTDEV)
		run->bootdev = s->bootdev;
	run->given |= s->given;
}

/* A VM for one run, as root describes it. */
static enum vmerr
define(struct parent *p, const struct cred *c, const struct vm_spec *s,
    struct vm **v, const char **why)
{
	struct vm_spec *spec;
	uint32_t i;

	*why = vmerr_text(VMERR_NOTFOUND);
	if (s->given == 0)
		return VMERR_NOTFOUND;
	*why = "not permitted to define a VM";
	if (perm_may_define(c) != VMERR_OK)
		return VMERR_PERM;
	*why = "no memory";
	if ((spec = vm_spec_copy(s)) == NULL)
		return VMERR_FAILED;
	/* Nothing of this is a client's to say. */
	spec->uid = c->uid;
	spec->gid = VM_GID_NONE;
	spec->id = 0;
	spec->generation = 0;
	spec->flags &= VMF_OVERCOMMIT;
	for (i = 0; i < spec->ndisks; i++)
		spec->disks[i].layers = spec->disks[i].qcow2 = 0;
	for (i = 0; i < spec->nnics; i++)
		memset(&spec->nics[i].net, 0, sizeof(spec->nics[i].net));
	free(spec->console_log);
	spec->console_log = NULL;
	free(spec->file);
	spec->file = NULL;
	if ((*v = vm_new(p, spec, 0)) == NULL)
		return VMERR_FAILED;
	if (vm_assign_id(*v) == 0)
		return VMERR_OK;
	vm_free(*v);
	*why = "no id is free";
	return VMERR_LIMIT;
}

/*
 * NULL if this vmd can do what `given' asks for; else what vmctl(8) was
 * asked for and cannot have.
 */
static const char *
not_yet(uint32_t given)
{
	if (given & VMGIVEN_INSTANCE)
		return "-t: instances are not supported yet";
	return NULL;
}

/* May this known VM start as `s' says? */
static enum vmerr
known(const struct vm *v, const struct cred *c, const struct vm_spec *s,
    const char **why)
{
	*why = vmerr_text(VMERR_PERM);
	if (vm_may_operate(v, c) != VMERR_OK)
		return VMERR_PERM;
	*why = v->late && v->error != NULL ? v->error :
					     "is still being stopped";
	if (v->state == VMS_STOPPING)
		return VMERR_BUSY;
	*why = vmerr_text(VMERR_RUNNING);
	if (vm_is_up(v))
		return VMERR_RUNNING;
	*why = "exists already, with other settings";
	if (s->given & GIVEN_FIXED)
		return VMERR_EXISTS;
	*why = "only the administrator may change these settings";
	return perm_may_change(c, s->given);
}

/* The run's settings and person. */
static int
prepare(struct vm *v, const struct cred *c, struct vm_spec *s)
{
	struct vm_spec *run;
	struct cred *cred;

	vm_take_next(v);
	if ((run = vm_spec_copy(v->spec)) == NULL)
		return -1;
	if ((cred = cred_copy(c)) == NULL) {
		vm_spec_free(run);
		return -1;
	}
	merge(run, s);
	vm_spec_free(v->run);
	v->run = run;
	cred_free(v->cred);
	v->cred = cred;
	v->run_uid = c->uid;
	v->given = s->given;
	v->held = 0;
	fdlist_close(&v->fds);
	memset(&v->restart, 0, sizeof(v->restart));
	return 0;
}

/* What the client calls a file is one for the opener, which has no cwd. */
static enum vmerr
check_paths(const struct vm_spec *s, const char **why)
{
	const char *paths[3 + VM_MAX_DISKS] = {
		s->given & VMGIVEN_BOOT ? s->boot : NULL,
		s->given & VMGIVEN_INITRD ? s->initrd : NULL,
		s->given & VMGIVEN_CDROM ? s->cdrom : NULL,
	};
	size_t i;

	for (i = 0; i < s->ndisks; i++)
		paths[3 + i] = s->disks[i].path;
	*why = "the path of a file is not absolute";
	for (i = 0; i < 3 + s->ndisks; i++)
		if (paths[i] != NULL && paths[i][0] != '/')
			return VMERR_INVALID;
	return VMERR_OK;
}

static void
start_request(struct parent *p, const struct msg_hdr *hdr, const struct cred *c,
    struct vm_spec *s)
{
	const char *why;
	enum vmerr e;
	struct vm *v;

	if ((why = not_yet(s->given)) != NULL)
		e = VMERR_UNSUPPORTED;
	else if ((e = check_paths(s, &why)) == VMERR_OK) {
		if ((v = vm_find(p, s->name)) != NULL && vm_may_see(v, c))
			e = known(v, c, s, &why);
		else
			e = define(p, c, s, &v, &why);
	}
	if (e == VMERR_OK && prepare(v, c, s) == -1) {
		e = VMERR_FAILED;
		why = "no memory";
		if (!v->from_config)
			vm_free(v);
	}
	if (e == VMERR_OK)
		vm_start(v, hdr);
	else
		answer_fail(p, hdr, START_RESPONSE, e, "%s", why);
}

int
parent_start_vm_request(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vm_spec *s;
	const struct cred *c;

	if ((c = request_cred(peer, m)) == NULL)
		return 0;
	if ((s = vm_spec_get(&m->body)) == NULL || s->name == NULL ||
	    wire_end(&m->body) == -1)
		request_refuse(p, m, VMERR_BADMSG);
	else
		start_request(p, &m->hdr, c, s);
	vm_spec_free(s);
	return 0;
}
