/*
 * The configuration in the parent.  A file is read and checked as a whole;
 * then it is applied, or nothing changes.  Running guests are never touched
 * by it; what it says about them holds when they start again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "lib/util/log.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"

/* Where complaints about a configuration go: the log, and to who asked. */
struct complaints {
	struct parent *parent;
	char *text; /* the first error; while there is none, all warnings */
	size_t len;
	int failed; /* it is an error */
};

/* One more line in `text', if it fits. */
__attribute__((format(printf, 3, 4))) static void
add_line(char *text, size_t len, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + used, len - used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 1 >= len - used)
		text[used] = '\0';
	else
		memcpy(text + used + n, "\n", 2);
}

static void
complain(void *arg, int warning, const char *file, uint32_t line,
    const char *text)
{
	struct complaints *c = arg;
	char where[32] = "";

	if (line != 0)
		snprintf(where, sizeof(where), ":%u", line);
	log_warnx("%s%s: %s%s", file, where, warning ? "warning: " : "", text);
	if (c->len == 0 || c->failed)
		return;
	if (warning) {
		add_line(c->text, c->len, "%s%s: %s", file, where, text);
		return;
	}
	snprintf(c->text, c->len, "%s%s: %s", file, where, text);
	c->failed = 1;
}

/* Nothing of it keeps the configuration from being used. */
static void
mention(void *arg, int warning, const char *file, uint32_t line,
    const char *text)
{
	if (warning == CONF_NOTE)
		log_info("%s:%u: %s", file, line, text);
	else
		complain(arg, 1, file, line, text);
}

static int
known_switch(void *arg, const char *name)
{
	const struct complaints *c = arg;
	const struct conf_switch *sw;

	if (c->parent->conf != NULL)
		TAILQ_FOREACH(sw, &c->parent->conf->switches, entry)
			if (strcmp(sw->name, name) == 0)
				return 1;
	return 0;
}

/*
 * Is an id that `c' fixes taken by another VM that we know?  One that will
 * be defined anew, or forgotten, is in nobody's way unless it is up.
 */
static int
check_ids(struct parent *p, const struct conf *c, unsigned int how, char *why,
    size_t len)
{
	const struct conf_vm *cv;
	const struct vm_spec *s;
	const struct vm *v;

	TAILQ_FOREACH(cv, &c->vms, entry) {
		s = cv->spec;
		if (s->id == 0 || (v = vm_by_id(p, s->id)) == NULL ||
		    strcmp(v->spec->name, s->name) == 0)
			continue;
		if (how & READ_ADD ? vm_find_name(p, s->name) != NULL :
				     !vm_is_up(v))
			continue;
		snprintf(why, len,
		    "%s:%u: vm \"%s\" failed: id %u is that of %s\"%s\"%s",
		    s->file, s->line, s->name, s->id,
		    vm_is_up(v) ? "the running vm " : "vm ", v->spec->name,
		    vm_where(v));
		log_warnx("%s", why);
		return -1;
	}
	return 0;
}

struct conf *
read_conf(struct parent *p, const char *path, unsigned int how, char *why,
    size_t len)
{
	struct complaints co = { .parent = p, .text = why, .len = len };
	struct conf_opts o = {
		.macros = p->args->macros,
		.flags = how & READ_MISSING_OK ? CONF_MISSING_OK : 0,
		.dir = p->args->dir,
		.report = complain,
		.arg = &co,
		.known_switch = known_switch,
	};
	struct conf *c;

	why[0] = '\0';
	if ((c = conf_load(path, &o)) == NULL) {
		if (!co.failed)
			snprintf(why, len, "%s: %s", path, strerror(errno));
		return NULL;
	}
	/*
	 * Files of VMs are not looked for here: a file system that does not
	 * answer must not stop us.  Who starts a VM hears of them.
	 */
	o.report = mention;
	conf_check(c, &o);
	if (check_ids(p, c, how, why, len) == -1) {
		conf_free(c);
		return NULL;
	}
	return c;
}

struct conf *
read_own_conf(struct parent *p, char *why, size_t len)
{
	const struct parent_args *a = p->args;

	return read_conf(p, a->conf,
	    a->ignore_missing_conf ? READ_MISSING_OK : 0, why, len);
}

/* The ids that the file fixes first, then the others. */
static void
assign_ids(struct parent *p)
{
	struct vm *v, *next;
	int fixed;

	for (fixed = 1; fixed >= 0; fixed--)
		TAILQ_FOREACH_SAFE(v, &p->vms, entry, next) {
			if (v->spec->id != 0 || (v->want_id != 0) != fixed)
				continue;
			if (vm_assign_id(v) == 0)
				continue;
			log_warn("%s: no id", v->spec->name);
			vm_free(v);
		}
	if (ids_save(p->ids) == -1)
		log_warn("cannot save ids");
}

/* A new definition of a known VM; one that is up takes it later. */
static void
redefine(struct vm *v, struct vm_spec *spec)
{
	v->from_config = 1;
	vm_spec_free(v->next);
	v->next = NULL;
	v->want_id = spec->id;
	if (!vm_is_up(v)) {
		spec->id = 0;
		vm_spec_free(v->spec);
		v->spec = spec;
		return;
	}
	spec->id = v->spec->id;
	if (vm_spec_same(v->spec, spec))
		vm_spec_free(spec);
	else
		v->next = spec;
}

/* Take over one definition; the VM moves to the end of the list. */
static struct vm *
take_vm(struct parent *p, struct conf_vm *cv)
{
	struct vm_spec *spec = cv->spec;
	struct vm *v;

	if ((v = vm_find_name(p, spec->name)) != NULL && v->doomed)
		return NULL;
	cv->spec = NULL;
	if (v == NULL) {
		if ((v = vm_new(p, spec, 1)) == NULL)
			log_warn("VM not registered");
		return v;
	}
	redefine(v, spec);
	TAILQ_REMOVE(&p->vms, v, entry);
	TAILQ_INSERT_TAIL(&p->vms, v, entry);
	return v;
}

/* Forget what does not run; what runs and is gone ends when it ends. */
static void
drop(struct vm *v)
{
	v->from_config = 0;
	if (v->state == VMS_WAITING)
		vm_cancel(v);
	else if (v->state == VMS_STOPPED)
		vm_free(v);
}

static int
in_conf(const struct conf *c, const char *name)
{
	const struct conf_vm *cv;

	TAILQ_FOREACH(cv, &c->vms, entry)
		if (strcmp(cv->spec->name, name) == 0)
			return 1;
	return 0;
}

/* Who is to be started, and who not any more. */
static void
queue_all(struct parent *p)
{
	struct vm *v, *next;

	TAILQ_FOREACH_SAFE(v, &p->vms, entry, next) {
		if (!v->from_config)
			continue;
		if (v->spec->flags & VMF_DISABLED) {
			if (v->state == VMS_WAITING)
				vm_cancel(v);
		} else if (v->state == VMS_STOPPED && !v->held) {
			vm_event(v, EV_QUEUE);
		}
	}
}

void
conf_own_socket(const struct parent *p, const struct conf *c)
{
	if (p->sock.fd != -1 &&
	    ctlsock_chown(&p->sock, c->socket_uid, c->socket_gid) == -1)
		log_warn("%s: owner", p->sock.path);
}

int
conf_apply(struct parent *p, struct conf *c)
{
	struct conf_vm *cv;
	struct vm *v, *next;

	TAILQ_FOREACH_SAFE(v, &p->vms, entry, next)
		if (v->from_config && !in_conf(c, v->spec->name))
			drop(v);
	TAILQ_FOREACH(cv, &c->vms, entry)
		take_vm(p, cv);
	assign_ids(p);
	queue_all(p);
	conf_free(p->conf);
	p->conf = c;
	conf_own_socket(p, c);
	net_configure(p);
	stagger_start(p);
	return 0;
}

static int
known_limit(const struct parent *p, const struct conf_limit *l)
{
	const struct conf_limit *o;

	TAILQ_FOREACH(o, &p->conf->limits, entry)
		if (o->group == l->group && o->id == l->id)
			return 1;
	return 0;
}

/* Settings that only the daemon's own configuration makes. */
static int
has_settings(const struct conf *c)
{
	return c->socket_given || c->parallel != 0 || c->local_given ||
	    c->local_inet6 || c->local_nat || c->ndns4 > 0 || c->ndns6 > 0 ||
	    c->status_given || c->nntp4 > 0 || c->domain != NULL ||
	    c->firmware != NULL || c->agentx || c->limits_given;
}

/* As a reload, but only what is new; the settings in use stay. */
void
conf_add(struct parent *p, struct conf *c, char *text, size_t len)
{
	struct complaints co = { .parent = p };
	struct conf_switch *sw, *snext;
	struct conf_limit *l, *lnext;
	struct conf_vm *cv;
	struct vm *v;

	if (has_settings(c)) {
		log_warnx("load: global settings are not taken over");
		add_line(text, len, "global settings are not taken over");
	}
	TAILQ_FOREACH_SAFE(l, &c->limits, entry, lnext)
		if (!known_limit(p, l)) {
			TAILQ_REMOVE(&c->limits, l, entry);
			TAILQ_INSERT_TAIL(&p->conf->limits, l, entry);
		}
	TAILQ_FOREACH_SAFE(sw, &c->switches, entry, snext)
		if (!known_switch(&co, sw->name)) {
			TAILQ_REMOVE(&c->switches, sw, entry);
			TAILQ_INSERT_TAIL(&p->conf->switches, sw, entry);
		}
	TAILQ_FOREACH(cv, &c->vms, entry) {
		if (vm_find_name(p, cv->spec->name) != NULL)
			continue;
		if ((v = take_vm(p, cv)) != NULL &&
		    !(v->spec->flags & VMF_DISABLED))
			vm_event(v, EV_QUEUE);
	}
	assign_ids(p);
	conf_free(c);
	net_configure(p);
	stagger_start(p);
}

int
reload(struct parent *p, char *why, size_t len)
{
	struct conf *c;

	c = read_own_conf(p, why, len);
	return c == NULL ? -1 : conf_apply(p, c);
}
