/*
 * status and show: the table of VMs; show NAME: its devices and
 * interfaces as well.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmctl/vmctl.h"

static int
print_list(const struct vmctl *ctl, const struct vm_list *l, int only_running)
{
	int rc = ST_DONE;
	size_t i;

	if (!ctl->json)
		print_header();
	for (i = 0; i < l->n; i++) {
		if (only_running && !vm_running(&l->vms[i]))
			continue;
		if (!ctl->json) {
			print_row(&l->vms[i]);
			print_devices(&l->vms[i]);
			print_nics(&l->vms[i]);
		} else if (print_json(vm_json(&l->vms[i])) != ST_DONE)
			rc = ST_FAILED;
	}
	return rc;
}

int
cmd_status(struct vmctl *ctl, int argc, char **argv)
{
	int c, rc, only_running = 0, status;
	const char *name = NULL;
	uint32_t flags = 0;
	struct vm_list l;

	while ((c = next_opt(ctl, argc, argv)) != -1) {
		if (c != 'r')
			return ST_USAGE;
		only_running = 1;
	}
	if (argc - optind > 1)
		return ST_USAGE;
	if (optind < argc)
		name = argv[optind];
	if (ctl->json || (name != NULL && strcmp(ctl->cmd->name, "show") == 0))
		flags = VMOP_DEVICES;
	rc = vm_list_get(ctl, name, flags, &l);
	if (rc == ST_DONE || rc == ST_NOTFOUND) {
		status = print_list(ctl, &l, only_running);
		if (rc == ST_DONE)
			rc = status;
	}
	if (rc == ST_NOTFOUND)
		complain(ctl, name, "%s", vmerr_text(VMERR_NOTFOUND));
	vm_list_fini(&l);
	return rc;
}
