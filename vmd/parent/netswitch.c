/*
 * Switches: the bridges of the configuration, as priv was told of them.
 *
 * A bridge is known by its interface; several switches may be one.  It is
 * made when the configuration is taken over, and removed, if it was made
 * for us, when neither the configuration nor a running VM has it any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/net_int.h"

static void
switch_free(struct netswitch *s)
{
	TAILQ_REMOVE(&s->parent->net->switches, s, entry);
	free(s->ifname);
	free(s->alias);
	free(s->why);
	free(s);
}

static struct netswitch *
switch_new(struct parent *p, const char *ifname)
{
	struct netswitch *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	if ((s->ifname = strdup(ifname)) == NULL) {
		free(s);
		return NULL;
	}
	s->parent = p;
	TAILQ_INSERT_TAIL(&p->net->switches, s, entry);
	return s;
}

struct netswitch *
switch_find(struct parent *p, const char *ifname)
{
	struct netswitch *s;

	TAILQ_FOREACH(s, &p->net->switches, entry)
		if (strcmp(s->ifname, ifname) == 0)
			return s;
	return NULL;
}

const struct conf_switch *
switch_of(const struct parent *p, const char *name)
{
	const struct conf_switch *sw;

	TAILQ_FOREACH(sw, &p->conf->switches, entry)
		if (strcmp(sw->name, name) == 0)
			return sw;
	return NULL;
}

/* Said once, until it works again. */
static void
failed(struct netswitch *s, const char *why)
{
	if (s->why == NULL || strcmp(s->why, why) != 0)
		log_warnx("%s: %s: %s", s->where, s->ifname, why);
	free(s->why);
	s->why = strdup(why);
	s->state = NETSW_FAILED;
}

static void
answered(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	struct netswitch *s = arg;

	if (r->err == VMERR_OK) {
		s->ours = (r->created & PRIVSW_OURS) != 0;
		s->raised = (r->created & PRIVSW_RAISED) != 0;
	}
	/* Of several orders the last one says how it is. */
	if (--s->orders > 0)
		return;
	if (r->err == VMERR_GONE) {
		s->state = NETSW_NEW; /* the next priv is told */
	} else if (r->err != VMERR_OK) {
		failed(s, r->text);
	} else {
		s->state = NETSW_READY;
		free(s->why);
		s->why = NULL;
	}
	switches_tidy(s->parent);
}

static struct ibuf *
body_of(const struct netswitch *s, uint32_t flags)
{
	struct priv_switch m = {
		.ifname = s->ifname,
		.alias = s->alias,
		.flags = s->flags | flags,
		.rdomain = s->rdomain,
	};
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return NULL;
	if (priv_switch_put(b, &m) == 0)
		return b;
	ibuf_free(b);
	return NULL;
}

static void
ask(struct netswitch *s, uint32_t flags)
{
	struct ibuf *b = body_of(s, flags);

	if (b != NULL &&
	    order_new(s->parent, IMSG_PRIV_SWITCH, b, 0, answered, s) != NULL) {
		s->state = NETSW_ASKED;
		s->orders++;
		return;
	}
	if (errno == EPIPE)
		s->state = NETSW_NEW;
	else
		failed(s, strerror(errno));
}

/* What an earlier priv made of it. */
static uint32_t
before(const struct netswitch *s)
{
	return (s->ours ? PRIVF_ADOPT : 0) | (s->raised ? PRIVF_RAISED : 0);
}

/* As the configuration has it.  1 if that is new. */
static int
describe(struct netswitch *s, const struct conf_switch *sw)
{
	uint32_t flags = 0, rdomain = 0;
	char *alias;
	int changed;

	if (sw->flags & SWITCHF_UP)
		flags |= PRIVF_UP;
	if (sw->flags & SWITCHF_RDOMAIN) {
		flags |= PRIVF_RDOMAIN;
		rdomain = sw->rdomain;
	}
	if (asprintf(&alias, "switch-%.*s", 100, sw->name) == -1)
		alias = NULL;
	changed = s->alias == NULL || alias == NULL ||
	    strcmp(s->alias, alias) != 0 || s->flags != flags ||
	    s->rdomain != rdomain;
	free(s->alias);
	s->alias = alias;
	s->flags = flags;
	s->rdomain = rdomain;
	snprintf(s->where, sizeof(s->where), "%s:%u: switch \"%s\"",
	    sw->file == NULL ? "?" : sw->file, sw->line, sw->name);
	return changed;
}

static void
take(struct parent *p, const struct conf_switch *sw)
{
	struct netswitch *s;
	int known;

	if (sw->ifname == NULL)
		return;
	if ((s = switch_find(p, sw->ifname)) == NULL &&
	    (s = switch_new(p, sw->ifname)) == NULL) {
		log_warn("switch \"%s\"", sw->name);
		return;
	}
	/* The first one of several says how it is. */
	if (s->wanted)
		return;
	s->wanted = 1;
	known = s->state == NETSW_READY || s->state == NETSW_ASKED;
	if (describe(s, sw) || !known)
		ask(s, before(s));
}

static void
deleted(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	if (r->err != VMERR_OK && r->err != VMERR_GONE)
		log_warnx("switch not removed: %s", r->text);
}

void
switches_tidy(struct parent *p)
{
	struct netswitch *s, *next;
	struct ibuf *b;

	TAILQ_FOREACH_SAFE(s, &p->net->switches, entry, next) {
		if (s->wanted || s->orders > 0 || net_bridge_used(p, s->ifname))
			continue;
		/* A priv that is not there sweeps when it is back. */
		if ((s->ours || s->raised) &&
		    (b = order_name(s->ifname)) != NULL)
			order_new(p, IMSG_PRIV_SWITCH_DEL, b, 0, deleted, NULL);
		switch_free(s);
	}
}

void
switches_reconcile(struct parent *p)
{
	const struct conf_switch *sw;
	struct netswitch *s;

	TAILQ_FOREACH(s, &p->net->switches, entry)
		s->wanted = 0;
	TAILQ_FOREACH(sw, &p->conf->switches, entry)
		take(p, sw);
	switches_tidy(p);
}

void
switches_tell(struct parent *p)
{
	struct netswitch *s;

	TAILQ_FOREACH(s, &p->net->switches, entry)
		ask(s, before(s));
}

struct netswitch *
switch_need(struct parent *p, const char *ifname)
{
	struct netswitch *s = switch_find(p, ifname);

	if (s != NULL && (s->state == NETSW_FAILED || s->state == NETSW_NEW))
		ask(s, before(s));
	return s;
}

void
switches_free(struct parent *p)
{
	struct netswitch *s;

	while ((s = TAILQ_FIRST(&p->net->switches)) != NULL)
		switch_free(s);
}
