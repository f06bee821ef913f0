/*
 * pause and unpause, enable and disable.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmctl/vmctl.h"

static int
ask(struct vmctl *ctl, int argc, char **argv, uint32_t type, const char *what)
{
	struct vmop_id op = { 0 };
	struct vmop_result r;
	uint32_t answer;
	int rc;

	if (next_opt(ctl, argc, argv) != -1 || one_operand(argc, argv) == NULL)
		return ST_USAGE;
	op.name = argv[optind];
	if ((rc = client_ask(ctl, type, &op, &answer, &r)) != ST_DONE)
		return rc;
	if (r.err == VMERR_OK && answer == IMSG_CTL_FAIL)
		r.err = VMERR_FAILED;
	if (r.err != VMERR_OK)
		rc = complain_result(ctl, op.name, &r);
	else if (ctl->json)
		rc = print_json(json_pack("{s:I,s:o}", "id", (json_int_t)r.id,
		    "name", json_text(r.name)));
	else
		fprintf(stderr, "vmctl: %s vm %u successfully\n", what, r.id);
	vmop_result_fini(&r);
	return rc;
}

int
cmd_pause(struct vmctl *ctl, int argc, char **argv)
{
	return ask(ctl, argc, argv, IMSG_VMDOP_PAUSE_VM, "paused");
}

int
cmd_unpause(struct vmctl *ctl, int argc, char **argv)
{
	return ask(ctl, argc, argv, IMSG_VMDOP_UNPAUSE_VM, "unpaused");
}

int
cmd_enable(struct vmctl *ctl, int argc, char **argv)
{
	return ask(ctl, argc, argv, IMSG_VMDOP_ENABLE_VM, "enabled");
}

int
cmd_disable(struct vmctl *ctl, int argc, char **argv)
{
	return ask(ctl, argc, argv, IMSG_VMDOP_DISABLE_VM, "disabled");
}
