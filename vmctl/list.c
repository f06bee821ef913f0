/*
 * The list of VMs, as the daemon sends it: one message for each, then the
 * end.  The names in it are the daemon's word; print.c encodes them.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "vmctl/vmctl.h"

#define LIST_MAX 65536

static int
malformed(struct vmctl *ctl, const char *why)
{
	complain(ctl, NULL, "%s", why);
	return ST_FAILED;
}

/* Append the VM in `a'. */
static int
add(struct vmctl *ctl, struct answer *a, struct vm_list *l)
{
	struct vm_info *v;

	if (l->n >= LIST_MAX)
		return malformed(ctl, "list of VMs too long");
	v = reallocarray(l->vms, l->n + 1, sizeof(*v));
	if (v == NULL)
		return malformed(ctl, strerror(errno));
	l->vms = v;
	if (vm_info_get(&a->body, &v[l->n]) == -1)
		return malformed(ctl, "malformed list of VMs");
	l->n++;
	if (wire_end(&a->body) == -1)
		return malformed(ctl, "malformed list of VMs");
	return ST_DONE;
}

/* The end of the list; its result becomes the status. */
static int
finish(struct vmctl *ctl, struct answer *a, const char *name)
{
	struct vmop_result r;
	int rc;

	if ((rc = answer_result(ctl, a, &r)) != ST_DONE)
		return rc;
	if (r.err == VMERR_NOTFOUND)
		rc = ST_NOTFOUND;
	else if (r.err != VMERR_OK)
		rc = complain_result(ctl, name, &r);
	else if (a->type == IMSG_CTL_FAIL)
		rc = malformed(ctl, "command failed");
	vmop_result_fini(&r);
	return rc;
}

int
vm_list_get(struct vmctl *ctl, const char *name, uint32_t flags,
    struct vm_list *l)
{
	struct vmop_id op = { .flags = flags };
	struct answer a;
	char *copy = NULL;
	int rc, end = 0;

	memset(l, 0, sizeof(*l));
	if (name != NULL && (copy = strdup(name)) == NULL)
		return malformed(ctl, strerror(errno));
	op.name = copy;
	rc = client_send_id(ctl, IMSG_VMDOP_GET_INFO_VM_REQUEST, &op);
	free(copy);
	while (rc == ST_DONE && !end) {
		if ((rc = client_recv(ctl, &a)) != ST_DONE)
			break;
		if (a.type == IMSG_VMDOP_GET_INFO_VM_DATA)
			rc = add(ctl, &a, l);
		else if (a.type == IMSG_VMDOP_GET_INFO_VM_END_DATA ||
		    a.type == IMSG_CTL_FAIL) {
			rc = finish(ctl, &a, name);
			end = 1;
		} else
			rc = malformed(ctl, "unexpected answer");
		answer_fini(&a);
	}
	return rc;
}

void
vm_list_fini(struct vm_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		vm_info_fini(&l->vms[i]);
	free(l->vms);
	memset(l, 0, sizeof(*l));
}
