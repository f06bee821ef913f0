/*
 * vm.conf: one run of the parser, from a path to a configuration.  Used by
 * the parent and by vmd -n; the file may come from anyone who may load one.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmd/conf/conf_int.h"
#include "build/gen/parse.h"

int conf_yyparse(struct parser *p);

static struct conf *
conf_new(void)
{
	struct conf *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	TAILQ_INIT(&c->vms);
	TAILQ_INIT(&c->switches);
	TAILQ_INIT(&c->limits);
	c->resets = CONF_RESETS;
	c->resets_seconds = CONF_RESETS_SECONDS;
	c->kill_timeout = CONF_KILL_TIMEOUT;
	c->local_prefix = CONF_LOCAL_PREFIX;
	c->local_mask = CONF_LOCAL_MASK;
	return c;
}

static void
free_switch(struct conf_switch *sw)
{
	if (sw == NULL)
		return;
	free(sw->name);
	free(sw->ifname);
	free(sw->group);
	free(sw->file);
	free(sw);
}

void
conf_free(struct conf *c)
{
	struct conf_switch *sw;
	struct conf_limit *l;
	struct conf_vm *v;

	if (c == NULL)
		return;
	while ((v = TAILQ_FIRST(&c->vms)) != NULL) {
		TAILQ_REMOVE(&c->vms, v, entry);
		vm_spec_free(v->spec);
		free(v);
	}
	while ((sw = TAILQ_FIRST(&c->switches)) != NULL) {
		TAILQ_REMOVE(&c->switches, sw, entry);
		free_switch(sw);
	}
	while ((l = TAILQ_FIRST(&c->limits)) != NULL) {
		TAILQ_REMOVE(&c->limits, l, entry);
		limit_free(l);
	}
	free(c->firmware);
	free(c->firmware_file);
	free(c->nat_file);
	free(c->domain);
	free(c->agentx_context);
	free(c->agentx_path);
	free(c);
}

int
conf_path(const struct parser *p, const char *path, char *full)
{
	const char *dir = p->opts->dir;
	char cwd[PATH_MAX];
	int n;

	if (path[0] == '/') {
		n = snprintf(full, PATH_MAX, "%s", path);
	} else {
		if (dir == NULL && (dir = getcwd(cwd, sizeof(cwd))) == NULL)
			return -1;
		if (dir[0] == '\0') {
			errno = ENOENT;
			return -1;
		}
		n = snprintf(full, PATH_MAX, "%s/%s", dir, path);
	}
	if (n >= 0 && n < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/* -D name=value, split at the last `='. */
static int
add_macros(struct parser *p)
{
	const char *const *arg;
	char *name, *eq;
	int rc = 0;

	for (arg = p->opts->macros; arg != NULL && *arg != NULL; arg++) {
		if ((name = strdup(*arg)) == NULL)
			return -1;
		if ((eq = strrchr(name, '=')) != NULL) {
			*eq = '\0';
			rc = macro_set(p, name, eq + 1, 1);
		}
		free(name);
		if (rc == -1)
			return -1;
	}
	return 0;
}

static void
report_unused(struct parser *p, const char *path)
{
	const struct macro *m;

	TAILQ_FOREACH(m, &p->macros, entry)
		if (!m->used)
			conf_report_at(p, 1, path, 0, "macro '%s' not used",
			    m->name);
}

/* Open the first file.  1: there is none, and that is fine. */
static int
open_first(struct parser *p, const char *path)
{
	if (conf_push(p, path) == 0)
		return 0;
	if (errno == ENOENT && (p->opts->flags & CONF_MISSING_OK))
		return 1;
	conf_report_at(p, 0, path, 0, "%s", strerror(errno));
	return -1;
}

static void
parser_fini(struct parser *p)
{
	int i;

	for (i = 0; i < G_MAX; i++)
		free(p->global_file[i]);
	while (p->src != NULL)
		conf_pop(p);
	macros_free(p);
	vm_spec_free(p->vm);
	free_switch(p->sw);
	limit_free(p->limit);
	free(p->back);
	free(p->file);
	free(p);
}

struct conf *
conf_load(const char *path, const struct conf_opts *o)
{
	struct parser *p;
	struct conf *c;
	int rc;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	TAILQ_INIT(&p->macros);
	p->opts = o;
	if ((p->conf = conf_new()) == NULL || add_macros(p) == -1)
		conf_report_at(p, 0, path, 0, "out of memory");
	else if ((rc = open_first(p, path)) == 0) {
		if (conf_yyparse(p) != 0 && p->errors == 0)
			conf_error(p, "syntax error");
		if (p->errors == 0)
			conf_check_all(p);
		if (p->errors == 0)
			report_unused(p, path);
	}
	c = p->conf;
	if (p->errors > 0) {
		conf_free(c);
		c = NULL;
	}
	parser_fini(p);
	if (c == NULL)
		errno = EINVAL;
	return c;
}
