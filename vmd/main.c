/*
 * vmd: the command line.
 *
 * Started by a person or the system it becomes the parent; with -P, which
 * only the parent uses, one of the other roles.  With -n it checks the
 * configuration and ends.
 */
#include <bsd/unistd.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/conf/conf.h"
#include "vmd/roles.h"

#define MAX_MACROS 64
#define GUEST_NAME "vmd-guest"

/* What getopt(3) found. */
struct options {
	struct parent_args args;
	const char *macros[MAX_MACROS + 1];
	size_t nmacros;
	const char *role;
	int check;
};

static void
usage(FILE *f)
{
	fprintf(f,
	    "usage: vmd [-dnv] [-D macro=value] [-f file] [-S statedir] "
	    "[-s socket]\n");
}

/*
 * Names must hold when the daemon has left this directory; those in the
 * configuration too, which is read again.
 */
static const char *
start_dir(void)
{
	static char cwd[PATH_MAX];

	if (cwd[0] == '\0' && getcwd(cwd, sizeof(cwd)) == NULL)
		cwd[0] = '\0';
	return cwd;
}

static const char *
absolute(const char *path)
{
	const char *cwd = start_dir();
	char *abs;

	if (path[0] == '/')
		return path;
	if (cwd[0] == '\0')
		errx(1, "%s: no working directory", path);
	if (asprintf(&abs, "%s/%s", cwd, path) == -1)
		err(1, "%s", path);
	return abs;
}

static void
add_macro(struct options *o, const char *arg)
{
	if (strchr(arg, '=') == NULL || arg[0] == '=') {
		warnx("-D %s: not name=value, ignored", arg);
		return;
	}
	if (o->nmacros == MAX_MACROS)
		errx(1, "-D: more than %d macros", MAX_MACROS);
	o->macros[o->nmacros++] = arg;
}

static void
parse(struct options *o, int argc, char **argv)
{
	int ch;

	while ((ch = getopt(argc, argv, "D:P:S:df:hns:v")) != -1) {
		switch (ch) {
		case 'D':
			add_macro(o, optarg);
			break;
		case 'P':
			o->role = optarg;
			break;
		case 'S':
			o->args.statedir = absolute(optarg);
			break;
		case 'd':
			o->args.debug = 1;
			break;
		case 'f':
			o->args.conf = absolute(optarg);
			o->args.ignore_missing_conf = 0;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'n':
			o->check = 1;
			break;
		case 's':
			o->args.socket = absolute(optarg);
			break;
		case 'v':
			o->args.verbose++;
			break;
		default:
			usage(stderr);
			exit(1);
		}
	}
	if (optind != argc) {
		usage(stderr);
		exit(1);
	}
}

static void
complain(void *arg, int warning, const char *file, uint32_t line,
    const char *text)
{
	const char *kind = "";

	if (warning == CONF_WARNING)
		kind = "warning: ";
	else if (warning == CONF_NOTE)
		kind = "note: ";

	if (line != 0)
		fprintf(stderr, "%s:%u: %s%s\n", file, line, kind, text);
	else
		fprintf(stderr, "%s: %s%s\n", file, kind, text);
}

static int
check_conf(const struct options *o)
{
	const struct conf_opts co = {
		.macros = o->macros,
		.flags = CONF_DRYRUN | CONF_FILES |
		    (o->args.ignore_missing_conf ? CONF_MISSING_OK : 0),
		.dir = o->args.dir,
		.report = complain,
	};
	struct conf *c;
	int errors;

	if ((c = conf_load(o->args.conf, &co)) == NULL)
		return 1;
	errors = conf_check(c, &co);
	conf_free(c);
	if (errors > 0)
		return 1;
	fprintf(stderr, "configuration OK\n");
	return 0;
}

/*
 * The program of guests: beside this one, as built, or in ../libexec, as
 * installed.
 */
static int
open_guest_exe(void)
{
	static const char *const places[] = { "/", "/../libexec/" };
	char dir[PATH_MAX], path[PATH_MAX + 64], *slash;
	ssize_t n;
	size_t i;
	int fd;

	if ((n = readlink("/proc/self/exe", dir, sizeof(dir) - 1)) == -1)
		err(1, "/proc/self/exe");
	dir[n] = '\0';
	if ((slash = strrchr(dir, '/')) != NULL)
		*slash = '\0';
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s%s" GUEST_NAME, dir, places[i]);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1)
			return fd;
	}
	err(1, "%s", path);
}

static int
start_role(const struct options *o)
{
	const struct proc_args a = {
		.role = o->role,
		.debug = o->args.debug,
		.verbose = o->args.verbose,
	};

	return role_main(&a);
}

int
main(int argc, char **argv)
{
	static struct options o = {
		.args = {
			.conf = VMD_CONF,
			.socket = VMD_SOCKET,
			.statedir = VMD_STATEDIR,
			.ignore_missing_conf = 1,
		},
	};

	setproctitle_init(argc, argv, environ);
	parse(&o, argc, argv);
	o.args.macros = o.macros;
	o.args.dir = start_dir();
	if (o.role != NULL)
		return start_role(&o);
	if (o.check)
		return check_conf(&o);
	if (geteuid() != 0)
		errx(1, "need root privileges");
	o.args.exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (o.args.exe == -1)
		err(1, "/proc/self/exe");
	o.args.guest_exe = open_guest_exe();
	o.args.passt = VMD_PASST;
	setproctitle("parent");
	return parent_main(&o.args);
}
