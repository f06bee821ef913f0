/*
 * stop and wait: progress on standard error, a line for each VM, or JSON.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "vmctl/vmctl.h"

/* Is this an id rather than a name? */
static int
is_id(const char *name)
{
	const char *errstr;

	strtonum(name, 0, UINT32_MAX, &errstr);
	return errstr == NULL;
}

/* The rest of the line for a request that failed; its status. */
static int
failed(const struct vmctl *ctl, const char *name, int waiting,
    const struct vmop_result *r)
{
	int status = vmerr_status((enum vmerr)r->err);
	char *s;

	if (ctl->json)
		return complain_result(ctl, name, r);
	s = result_text(r);
	if (r->err == VMERR_NOTFOUND)
		progress_end("vm not found");
	else if (r->err == VMERR_NOTRUNNING && !waiting)
		progress_end("cannot stop vm that is not running");
	else
		progress_end("failed: %s", s);
	free(s);
	return status == ST_DONE ? ST_FAILED : status;
}

/* An end that nobody asked for has a line of its own. */
static void
print_cause(const struct vmop_result *r)
{
	char *s;

	if (r->exit == VMEXIT_NONE || r->exit == VMEXIT_POWEROFF ||
	    r->exit == VMEXIT_STOPPED)
		return;
	s = safe(r->text != NULL ? r->text : vmexit_text((enum vmexit)r->exit));
	fprintf(stderr, "vmctl: vm %u: %s\n", r->id, s);
	free(s);
}

static int
done(const struct vmctl *ctl, uint32_t answer, int force,
    const struct vmop_result *r)
{
	int ended = answer == IMSG_VMDOP_TERMINATE_VM_EVENT;

	if (ctl->json)
		return print_json(
		    json_pack("{s:I,s:o,s:b,s:o,s:o}", "id", (json_int_t)r->id,
			"name", json_text(r->name), "ended", ended, "exit",
			json_text(ended && r->exit != VMEXIT_NONE ?
				vmexit_text((enum vmexit)r->exit) :
				NULL),
			"exit_text", json_text(ended ? r->text : NULL)));
	if (!ended)
		progress_end("requested to shutdown vm %u", r->id);
	else if (force)
		progress_end("forced to terminate vm %u", r->id);
	else
		progress_end("terminated vm %u", r->id);
	if (ended)
		print_cause(r);
	return ST_DONE;
}

/* Ask for `type' and report in one line. */
static int
ask(struct vmctl *ctl, uint32_t type, char *name, uint32_t flags)
{
	int rc, waiting = type == IMSG_VMDOP_WAIT_VM_REQUEST;
	struct vmop_id op = { .name = name, .flags = flags };
	struct vmop_result r;
	uint32_t answer = IMSG_NONE;

	/* How long a guest takes is its own affair. */
	client_patience(ctl,
	    waiting || flags & VMOP_WAIT ? 0 : client_patience_s);
	if ((rc = client_connect(ctl)) != ST_DONE)
		return rc;
	if (!ctl->json)
		progress_begin(waiting ? "waiting for" : "stopping",
		    is_id(name) ? NULL : name);
	if ((rc = client_ask(ctl, type, &op, &answer, &r)) != ST_DONE)
		return rc;
	if (r.err == VMERR_OK &&
	    (answer == IMSG_VMDOP_TERMINATE_VM_EVENT ||
		answer == IMSG_VMDOP_TERMINATE_VM_RESPONSE))
		rc = done(ctl, answer, (flags & VMOP_FORCE) != 0, &r);
	else {
		if (r.err == VMERR_OK)
			r.err = VMERR_FAILED;
		rc = failed(ctl, name, waiting, &r);
	}
	vmop_result_fini(&r);
	return rc;
}

/* One after the other, whatever becomes of each. */
static int
stop_all(struct vmctl *ctl, uint32_t flags)
{
	struct vm_list l;
	size_t i;
	int rc, one, worst = ST_DONE;

	if ((rc = vm_list_get(ctl, NULL, 0, &l)) == ST_NOTFOUND)
		rc = ST_DONE;
	for (i = 0; i < l.n && rc == ST_DONE; i++) {
		if (!vm_running(&l.vms[i]) && l.vms[i].state != VMS_STARTING)
			continue;
		one = ask(ctl, IMSG_VMDOP_TERMINATE_VM_REQUEST,
		    l.vms[i].spec->name, flags);
		if (one != ST_DONE)
			worst = one;
		if (one == ST_NODAEMON || one == ST_TIMEOUT)
			break;
	}
	vm_list_fini(&l);
	return rc == ST_DONE ? worst : rc;
}

int
cmd_stop(struct vmctl *ctl, int argc, char **argv)
{
	uint32_t flags = 0;
	int c, all = 0;

	while ((c = next_opt(ctl, argc, argv)) != -1) {
		switch (c) {
		case 'a':
			all = 1;
			break;
		case 'f':
			flags |= VMOP_FORCE;
			break;
		case 'w':
			flags |= VMOP_WAIT;
			break;
		default:
			return ST_USAGE;
		}
	}
	if (all)
		return optind == argc ? stop_all(ctl, flags) : ST_USAGE;
	if (one_operand(argc, argv) == NULL)
		return ST_USAGE;
	return ask(ctl, IMSG_VMDOP_TERMINATE_VM_REQUEST, argv[optind], flags);
}

int
cmd_wait(struct vmctl *ctl, int argc, char **argv)
{
	if (next_opt(ctl, argc, argv) != -1 || one_operand(argc, argv) == NULL)
		return ST_USAGE;
	return ask(ctl, IMSG_VMDOP_WAIT_VM_REQUEST, argv[optind], 0);
}
