/*
 * vmctl: the control program of vmd.
 *
 * Finds the command in a table, which is all there is to know about it, and
 * runs it.  Command words may be abbreviated to any unique prefix.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "vmctl/vmctl.h"

/* clang-format off */
const struct cmd commands[] = {
	{ "audit",   "j",	"[-j] [name]",			cmd_audit },
	{ "console", "fr",	"[-fr] id | name",		cmd_console },
	{ "create",  "b:i:js:",	"[-j] [-b base | -i disk] [-s size] disk", cmd_create },
	{ "disable", "j",	"[-j] id | name",		cmd_disable },
	{ "disk",    "jr",	"[-j] info file | check [-r] file", cmd_disk },
	{ "enable",  "j",	"[-j] id | name",		cmd_enable },
	{ "host",    "j",	"[-j]",				cmd_host },
	{ "load",    "",	"file",				cmd_load },
	{ "log",     "",	"brief | verbose",		cmd_log },
	{ "pause",   "j",	"[-j] id | name",		cmd_pause },
	{ "reload",  "jn",	"[-jn]",			cmd_reload },
	{ "reset",   "",	"[all | switches | vms]",	cmd_reset },
	{ "show",    "jr",	"[-jr] [id | name]",		cmd_status },
	{ "start",   "a:B:b:cd:I:i:jLm:n:p:r:t:",
	  "[-cjL] [-a cmdline] [-B device] [-b path] [-d disk]\n"
	  "\t    [-I initrd] [-i count] [-m size] [-n switch] [-p cpus]\n"
	  "\t    [-r path] [-t name] id | name",		cmd_start },
	{ "status",  "jr",	"[-jr] [id | name]",		cmd_status },
	{ "stop",    "afjw",	"[-fjw] id | name | -a",	cmd_stop },
	{ "unpause", "j",	"[-j] id | name",		cmd_unpause },
	{ "wait",    "j",	"[-j] id | name",		cmd_wait },
};
/* clang-format on */
const size_t ncommands = sizeof(commands) / sizeof(commands[0]);

static int
usage(FILE *f, const struct cmd *cmd)
{
	size_t i;

	if (cmd != NULL) {
		fprintf(f,
		    "usage:  vmctl [-jv] [-s socket] [-t seconds] %s %s\n",
		    cmd->name, cmd->usage);
		return ST_USAGE;
	}
	fprintf(f,
	    "usage:  vmctl [-hjv] [-s socket] [-t seconds] command "
	    "[arg ...]\n");
	for (i = 0; i < ncommands; i++)
		fprintf(f, "\tvmctl %s %s\n", commands[i].name,
		    commands[i].usage);
	return ST_USAGE;
}

/* The command `word' abbreviates, or NULL after a message. */
static const struct cmd *
find_command(const char *word)
{
	const struct cmd *found = NULL;
	size_t i;
	char *s;

	for (i = 0; i < ncommands; i++) {
		if (strncmp(commands[i].name, word, strlen(word)) != 0)
			continue;
		if (found != NULL) {
			s = safe(word);
			fprintf(stderr, "vmctl: ambiguous argument: %s\n", s);
			free(s);
			return NULL;
		}
		found = &commands[i];
	}
	if (found == NULL) {
		s = safe(word);
		fprintf(stderr, "vmctl: unknown argument: %s\n", s);
		free(s);
	}
	return found;
}

int
next_opt(struct vmctl *ctl, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, ctl->cmd->opts)) == 'j')
		ctl->json = 1;
	return c;
}

const char *
one_operand(int argc, char **argv)
{
	return argc - optind == 1 ? argv[optind] : NULL;
}

static int
run(struct vmctl *ctl, int argc, char **argv)
{
	static char name[] = "vmctl";
	int rc;

	argv[0] = name; /* as getopt(3) complains */
	optind = 0;	/* and begins anew */
	rc = ctl->cmd->run(ctl, argc, argv);
	client_close(ctl);
	if (rc == ST_USAGE)
		usage(stderr, ctl->cmd);
	if (fflush(stdout) == EOF && rc == ST_DONE) {
		complain(ctl, NULL, "cannot write to standard output");
		rc = ST_FAILED;
	}
	return rc;
}

static int
set_patience(struct vmctl *ctl, const char *arg)
{
	const char *why;
	char *s;

	ctl->patience_s = (unsigned int)strtonum(arg, 0, PATIENCE_MAX_S, &why);
	ctl->patience_given = 1;
	if (why == NULL)
		return 0;
	s = safe(arg);
	fprintf(stderr, "vmctl: -t %s: %s: must be 0 to %d\n", s, why,
	    PATIENCE_MAX_S);
	free(s);
	return -1;
}

int
vmctl_main(int argc, char **argv)
{
	struct vmctl ctl = {
		.socket = VMCTL_SOCKET,
		.fd = -1,
		.patience_s = client_patience_s,
	};
	int c;

	/* Options may follow operands, whatever the environment says. */
	unsetenv("POSIXLY_CORRECT");
	signal(SIGPIPE, SIG_IGN);
	optind = 0;
	while ((c = getopt(argc, argv, "+hjs:t:v")) != -1) {
		switch (c) {
		case 'h':
			usage(stdout, NULL);
			return ST_DONE;
		case 'j':
			ctl.json = 1;
			break;
		case 's':
			ctl.socket = optarg;
			break;
		case 't':
			if (set_patience(&ctl, optarg) == -1)
				return usage(stderr, NULL);
			break;
		case 'v':
			ctl.verbose++;
			break;
		default:
			return usage(stderr, NULL);
		}
	}
	if (optind >= argc || (ctl.cmd = find_command(argv[optind])) == NULL)
		return usage(stderr, NULL);
	return run(&ctl, argc - optind, argv + optind);
}
