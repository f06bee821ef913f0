/*
 * What the grammar of vm.conf calls for owners, limits and global settings,
 * and what all of build*.c need.
 */

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/scaled.h"
#include "vmd/conf/conf_int.h"

/* As they are written. */
static const char *const words[W_MAX] = {
	[W_BOOT] = "kernel",
	[W_CDROM] = "cdrom",
	[W_CMDLINE] = "cmdline",
	[W_CONSOLE_LOG] = "console log",
	[W_CPUS] = "cpus",
	[W_DISK_FORMAT] = "disk format",
	[W_DISK_SERIAL] = "disk serial",
	[W_GROUP] = "group",
	[W_ID] = "id",
	[W_INITRD] = "initrd",
	[W_INTERFACE] = "interface",
	[W_INTERFACES] = "interfaces",
	[W_LLADDR] = "lladdr",
	[W_MEMORY] = "memory",
	[W_MTU] = "mtu",
	[W_OWNER] = "owner",
	[W_RDOMAIN] = "rdomain",
	[W_RESTART] = "restart",
	[W_STOP_TIMEOUT] = "stop timeout",
	[W_SWITCH] = "switch",
	[W_VMS] = "vms",
};

int
once(struct parser *p, enum conf_word w)
{
	if (p->first[w] == 0) {
		p->first[w] = p->line;
		return 0;
	}
	conf_error(p, "%s specified more than once, first at line %u", words[w],
	    p->first[w]);
	return -1;
}

void
forget(struct parser *p, const enum conf_word *w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p->first[w[i]] = 0;
}

int
set_string(struct parser *p, char **to, const char *s)
{
	free(*to);
	if ((*to = strdup(s)) != NULL)
		return 0;
	conf_error(p, "out of memory");
	return -1;
}

int
set_path(struct parser *p, char **to, const char *what, const char *path)
{
	char full[PATH_MAX];

	if (conf_path(p, path, full) == 0)
		return set_string(p, to, full);
	if (errno == ENAMETOOLONG)
		conf_error(p, "%s path too long", what);
	else
		conf_error(p, "%s %s: %s", what, path, strerror(errno));
	return -1;
}

int
set_number(struct parser *p, uint32_t *to, const char *what, int64_t n,
    int64_t least, int64_t most)
{
	if (n < least || n > most) {
		conf_error(p, "invalid %s: %lld: must be %lld to %lld", what,
		    (long long)n, (long long)least, (long long)most);
		return -1;
	}
	*to = (uint32_t)n;
	return 0;
}

/* --- owners and limits -------------------------------------------------- */

int
owner_number(struct parser *p, int64_t n, struct owner *o)
{
	if (n < 0 || n >= UINT32_MAX) {
		conf_error(p, "failed to get user: %lld", (long long)n);
		return -1;
	}
	o->uid = (uint32_t)n;
	o->gid = VM_GID_NONE;
	return 0;
}

int
owner_string(struct parser *p, const char *s, struct owner *o)
{
	const char *colon = strchr(s, ':');
	size_t len = colon == NULL ? strlen(s) : (size_t)(colon - s);
	struct passwd *pw;
	struct group *gr;
	char user[256];

	o->uid = 0;
	o->gid = VM_GID_NONE;
	if (len >= sizeof(user) || (len == 0 && colon == NULL)) {
		conf_error(p, "failed to get user: %.200s", s);
		return -1;
	}
	memcpy(user, s, len);
	user[len] = '\0';
	if (len > 0) {
		if ((pw = getpwnam(user)) == NULL) {
			conf_error(p, "failed to get user: %s", user);
			return -1;
		}
		o->uid = pw->pw_uid;
	}
	if (colon != NULL) {
		if ((gr = getgrnam(colon + 1)) == NULL) {
			conf_error(p, "failed to get group: %.200s", colon + 1);
			return -1;
		}
		o->gid = gr->gr_gid;
	}
	return 0;
}

void
limit_free(struct conf_limit *l)
{
	if (l == NULL)
		return;
	free(l->name);
	free(l->file);
	free(l);
}

static int
limit_again(struct parser *p, int group, uint32_t id, const char *name)
{
	const struct conf_limit *l;

	TAILQ_FOREACH(l, &p->conf->limits, entry)
		if (l->group == group && l->id == id) {
			conf_error(p,
			    "limit of %s %s specified more than once, first "
			    "at %s:%u",
			    group ? "group" : "user", name, l->file, l->line);
			return -1;
		}
	return 0;
}

int
limit_begin(struct parser *p, int group, const char *name)
{
	struct conf_limit *l;
	struct passwd *pw = NULL;
	struct group *gr = NULL;
	uint32_t id;

	limit_free(p->limit);
	p->limit = NULL;
	memset(p->first, 0, sizeof(p->first));
	if (group)
		gr = getgrnam(name);
	else
		pw = getpwnam(name);
	if (gr == NULL && pw == NULL) {
		conf_error(p, "failed to get %s: %.200s",
		    group ? "group" : "user", name);
		return -1;
	}
	id = gr != NULL ? gr->gr_gid : pw->pw_uid;
	if (limit_again(p, group, id, name) == -1)
		return -1;
	if ((l = calloc(1, sizeof(*l))) == NULL ||
	    (l->name = strdup(name)) == NULL ||
	    (l->file = strdup(p->file)) == NULL) {
		limit_free(l);
		conf_error(p, "out of memory");
		return -1;
	}
	l->line = p->line;
	l->group = group;
	l->id = id;
	p->limit = l;
	return 0;
}

int
limit_number(struct parser *p, enum conf_word w, uint32_t *to, int64_t n)
{
	if (once(p, w) == -1)
		return -1;
	return set_number(p, to, "limit", n, 1, INT32_MAX);
}

int
limit_memory(struct parser *p, const char *s, int64_t n)
{
	if (once(p, W_MEMORY) == -1)
		return -1;
	if (s == NULL && n > 0) {
		p->limit->memory = (uint64_t)n;
		return 0;
	}
	if (s == NULL || scaled_parse(s, &p->limit->memory) == -1 ||
	    p->limit->memory == 0) {
		conf_error(p, "failed to parse size: %s", s == NULL ? "" : s);
		return -1;
	}
	return 0;
}

void
limit_end(struct parser *p)
{
	TAILQ_INSERT_TAIL(&p->conf->limits, p->limit, entry);
	p->limit = NULL;
}

/* --- global ------------------------------------------------------------- */

int
firmware(struct parser *p, const char *path)
{
	struct conf *c = p->conf;

	if (c->firmware != NULL) {
		conf_error(p,
		    "firmware specified more than once, first at "
		    "%s:%u",
		    c->firmware_file, c->firmware_line);
		return -1;
	}
	c->firmware_line = p->line;
	if (set_string(p, &c->firmware_file, p->file) == -1)
		return -1;
	return set_path(p, &c->firmware, "firmware", path);
}

int
status_shows(struct parser *p, const char *what)
{
	int own = strcmp(what, "own") == 0;

	if (!own && strcmp(what, "all") != 0) {
		conf_error(p, "status shows all or own, not %.200s", what);
		return -1;
	}
	if (once_global(p, G_STATUS, "status") == -1)
		return -1;
	p->conf->status_given = 1;
	p->conf->status_own = own;
	return 0;
}

int
agentx_context(struct parser *p, const char *s)
{
	if (strlen(s) > 32) {
		conf_error(p, "agentx context too large");
		return -1;
	}
	return set_string(p, &p->conf->agentx_context, s);
}

int
agentx_path(struct parser *p, const char *s)
{
	if (s[0] != '/') {
		conf_error(p, "agentx path is not absolute");
		return -1;
	}
	if (strlen(s) >= 104) {
		conf_error(p, "agentx path too large");
		return -1;
	}
	return set_string(p, &p->conf->agentx_path, s);
}

int
staggered(struct parser *p, int64_t parallel, int64_t delay)
{
	if (set_number(p, &p->conf->parallel, "parallel", parallel, 1, 4096) ==
	    -1)
		return -1;
	return set_number(p, &p->conf->delay, "delay", delay, 0, 86400);
}

int
reset_limit(struct parser *p, int64_t n, int64_t seconds)
{
	struct conf *c = p->conf;

	if (once_global(p, G_RESET_LIMIT, "reset limit") == -1)
		return -1;
	c->limits_given = 1;
	if (set_number(p, &c->resets, "reset limit", n, 1, CONF_RESETS_MAX) ==
	    -1)
		return -1;
	return set_number(p, &c->resets_seconds, "time of the reset limit",
	    seconds, 1, CONF_RESETS_SECONDS_MAX);
}

int
kill_timeout(struct parser *p, int64_t n)
{
	if (once_global(p, G_KILL_TIMEOUT, "kill timeout") == -1)
		return -1;
	p->conf->limits_given = 1;
	return set_number(p, &p->conf->kill_timeout, "kill timeout", n, 1,
	    CONF_KILL_TIMEOUT_MAX);
}
