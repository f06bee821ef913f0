/*
 * What the administrator asks of the daemon as a whole: load, log, reload,
 * reset.  Answered by CTL_OK or CTL_FAIL.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "vmctl/vmctl.h"

enum {
	RESET_VMS = 0x01,
	RESET_SWITCHES = 0x02
};

/* Ask; `r' is the good answer, to be freed, only with ST_DONE. */
static int
ask(struct vmctl *ctl, uint32_t type, const struct vmop_id *op,
    const char *name, struct vmop_result *r)
{
	uint32_t answer = IMSG_NONE;
	int rc;

	if ((rc = client_ask(ctl, type, op, &answer, r)) != ST_DONE)
		return rc;
	if (answer == IMSG_CTL_OK && r->err == VMERR_OK)
		return ST_DONE;
	if (r->err == VMERR_OK)
		r->err = VMERR_FAILED;
	rc = complain_result(ctl, name, r);
	vmop_result_fini(r);
	return rc;
}

/* Ask, and say nothing when it is done. */
static int
ask_silently(struct vmctl *ctl, uint32_t type, const struct vmop_id *op,
    const char *name)
{
	struct vmop_result r;
	int rc;

	if ((rc = ask(ctl, type, op, name, &r)) == ST_DONE)
		vmop_result_fini(&r);
	return rc;
}

/* What was done all the same, a line each. */
static void
warn_lines(const struct vmctl *ctl, const char *name, char *text)
{
	char *line, *s;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		s = safe(line);
		complain(ctl, name, "warning: %s", s);
		free(s);
	}
}

int
cmd_load(struct vmctl *ctl, int argc, char **argv)
{
	struct vmop_id op = { 0 };
	struct vmop_result r;
	char path[PATH_MAX];
	const char *file;
	int rc;

	if (next_opt(ctl, argc, argv) != -1 ||
	    (file = one_operand(argc, argv)) == NULL)
		return ST_USAGE;
	if (realpath(file, path) == NULL) {
		complain(ctl, file, "%s", strerror(errno));
		return ST_FAILED;
	}
	op.name = path;
	if ((rc = ask(ctl, IMSG_VMDOP_LOAD, &op, file, &r)) != ST_DONE)
		return rc;
	warn_lines(ctl, file, r.text);
	vmop_result_fini(&r);
	return ST_DONE;
}

int
cmd_log(struct vmctl *ctl, int argc, char **argv)
{
	struct vmop_id op = { 0 };
	const char *word;

	if (next_opt(ctl, argc, argv) != -1 ||
	    (word = one_operand(argc, argv)) == NULL || word[0] == '\0')
		return ST_USAGE;
	if (strncasecmp("verbose", word, strlen(word)) == 0)
		op.arg = 2;
	else if (strncasecmp("brief", word, strlen(word)) != 0)
		return ST_USAGE;
	return ask_silently(ctl, IMSG_CTL_VERBOSE, &op, NULL);
}

int
cmd_reset(struct vmctl *ctl, int argc, char **argv)
{
	struct vmop_id op = { .arg = RESET_VMS | RESET_SWITCHES };
	const char *word;

	if (next_opt(ctl, argc, argv) != -1 || argc - optind > 1)
		return ST_USAGE;
	word = optind < argc ? argv[optind] : "all";
	if (strcasecmp(word, "vms") == 0)
		op.arg = RESET_VMS;
	else if (strcasecmp(word, "switches") == 0)
		op.arg = RESET_SWITCHES;
	else if (strcasecmp(word, "all") != 0)
		return ST_USAGE;
	client_patience(ctl, 0); /* answered when all guests have ended */
	return ask_silently(ctl, IMSG_CTL_RESET, &op, NULL);
}

/* "change web1 when it starts again" */
static void
print_change(const struct vmctl *ctl, const char *line)
{
	char action[16] = "", name[VM_NAME_MAX] = "", when[64] = "", *s;

	if (!ctl->json ||
	    sscanf(line, "%15s %63s %63[^\n]", action, name, when) < 2) {
		s = safe(line);
		printf("%s\n", s);
		free(s);
		return;
	}
	print_json(json_pack("{s:o,s:o,s:o}", "action", json_text(action),
	    "name", json_text(name), "when",
	    json_text(when[0] == '\0' ? NULL : when)));
}

int
cmd_reload(struct vmctl *ctl, int argc, char **argv)
{
	struct vmop_id op = { 0 };
	struct vmop_result r;
	char *line, *rest;
	int c, rc;

	while ((c = next_opt(ctl, argc, argv)) != -1) {
		if (c != 'n')
			return ST_USAGE;
		op.flags |= VMOP_DRYRUN;
	}
	if (optind != argc)
		return ST_USAGE;
	if ((rc = ask(ctl, IMSG_VMDOP_RELOAD, &op, NULL, &r)) != ST_DONE)
		return rc;
	if (!(op.flags & VMOP_DRYRUN))
		warn_lines(ctl, NULL, r.text);
	rest = op.flags & VMOP_DRYRUN ? r.text : NULL;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			print_change(ctl, line);
	vmop_result_fini(&r);
	return ST_DONE;
}
