/*
 * What only root may ask, in the parent: load, reload, reset and the
 * verbosity of the log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"

enum {
	RESET_VMS = 0x01,
	RESET_SWITCHES = 0x02
};

static void
ctl_answer(struct parent *p, struct msg *m, enum vmerr e, char *text)
{
	const struct vmop_result r = {
		.err = e,
		.text = text[0] == '\0' ? NULL : text,
	};

	ibuf_skip(&m->body, ibuf_size(&m->body));
	answer(p, &m->hdr, e == VMERR_OK ? IMSG_CTL_OK : IMSG_CTL_FAIL, &r);
}

/* One line for each VM that a reload would add, change or remove. */
static void
preview(struct parent *p, struct conf *c, char *text, size_t len)
{
	struct conf_vm *cv;
	struct vm *v;
	FILE *f;

	if ((f = fmemopen(text, len, "w")) == NULL)
		return;
	TAILQ_FOREACH(cv, &c->vms, entry) {
		if ((v = vm_find_name(p, cv->spec->name)) == NULL)
			fprintf(f, "add %s\n", cv->spec->name);
		else if (cv->spec->id == 0)
			cv->spec->id = v->spec->id;
		if (v != NULL &&
		    (v->spec->id != cv->spec->id ||
			!vm_spec_same(v->spec, cv->spec)))
			fprintf(f, "change %s%s\n", cv->spec->name,
			    vm_is_up(v) ? " when it starts again" : "");
	}
	TAILQ_FOREACH(v, &p->vms, entry) {
		TAILQ_FOREACH(cv, &c->vms, entry)
			if (strcmp(cv->spec->name, v->spec->name) == 0)
				break;
		if (cv == NULL && v->from_config)
			fprintf(f, "remove %s%s\n", v->spec->name,
			    vm_is_up(v) ? " when it ends" : "");
	}
	fclose(f);
	text[len - 1] = '\0';
}

/*
 * A request of a client about the configuration: `fn' sees to it, and may
 * say more in `text': why not, or what is odd or was ignored.
 */
static int
conf_request(struct peer *peer, struct msg *m,
    enum vmerr (*fn)(struct parent *p, const struct vmop_id *op, char *text,
	size_t len))
{
	struct parent *p = parent_of(peer);
	char text[WIRE_STR_MAX] = "";
	struct vmop_id op = { 0 };
	enum vmerr e = VMERR_BADMSG;

	if (request_cred(peer, m) == NULL)
		return 0;
	if (vmop_id_get(&m->body, &op) == 0 && wire_end(&m->body) == 0)
		e = fn(p, &op, text, sizeof(text));
	ctl_answer(p, m, e, text);
	vmop_id_fini(&op);
	return 0;
}

static enum vmerr
do_reload(struct parent *p, const struct vmop_id *op, char *text, size_t len)
{
	struct conf *c;

	if (!(op->flags & VMOP_DRYRUN)) {
		log_info("reload requested");
		return reload(p, text, len) == -1 ? VMERR_CONFIG : VMERR_OK;
	}
	if ((c = read_own_conf(p, text, len)) == NULL)
		return VMERR_CONFIG;
	text[0] = '\0'; /* changes only: `vmd -n' has the warnings */
	preview(p, c, text, len);
	conf_free(c);
	return VMERR_OK;
}

static enum vmerr
do_load(struct parent *p, const struct vmop_id *op, char *text, size_t len)
{
	struct conf *c;

	if (op->name == NULL || op->name[0] != '/') {
		snprintf(text, len, "not an absolute path");
		return VMERR_INVALID;
	}
	if ((c = read_conf(p, op->name, READ_ADD, text, len)) == NULL)
		return VMERR_CONFIG;
	conf_add(p, c, text, len);
	return VMERR_OK;
}

int
parent_reload(struct peer *peer, struct msg *m)
{
	return conf_request(peer, m, do_reload);
}

int
parent_load(struct peer *peer, struct msg *m)
{
	return conf_request(peer, m, do_load);
}

void
reset_check(struct parent *p)
{
	const struct vmop_result ok = { 0 };
	struct request *r, *next;
	struct vm *v;

	TAILQ_FOREACH(v, &p->vms, entry)
		if (v->doomed)
			return;
	TAILQ_FOREACH_SAFE(r, &p->requests, entry, next)
		if (r->answer == IMSG_CTL_OK)
			request_done(p, r, &ok);
}

static void
reset_vms(struct parent *p)
{
	struct vm *v, *next;

	ids_clear(p->ids);
	if (ids_save(p->ids) == -1)
		log_warn("cannot save ids");
	net_forget(p);
	TAILQ_FOREACH(v, &p->vms, entry) {
		v->doomed = 1;
		v->from_config = 0;
	}
	TAILQ_FOREACH_SAFE(v, &p->vms, entry, next) {
		if (v->state == VMS_STOPPED)
			vm_free(v);
		else if (v->state != VMS_STOPPING)
			vm_stop(v, 0, NULL);
	}
}

/* Their bridges, if they are ours, go when no guest has them any more. */
static void
reset_switches(struct parent *p)
{
	struct conf_switch *sw;

	while ((sw = TAILQ_FIRST(&p->conf->switches)) != NULL) {
		TAILQ_REMOVE(&p->conf->switches, sw, entry);
		free(sw->name);
		free(sw->ifname);
		free(sw->group);
		free(sw->file);
		free(sw);
	}
	net_configure(p);
}

int
parent_reset(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_id op = { 0 };
	char none[] = "";

	if (request_cred(peer, m) == NULL)
		return 0;
	if (vmop_id_get(&m->body, &op) == -1 || wire_end(&m->body) == -1) {
		ctl_answer(p, m, VMERR_BADMSG, none);
		return 0;
	}
	/* Answered when the last one is gone: then a load finds none. */
	if (request_wait(p, &m->hdr, IMSG_CTL_OK, NULL) == NULL) {
		answer_cannot_wait(p, &m->hdr, IMSG_CTL_FAIL);
		vmop_id_fini(&op);
		return 0;
	}
	log_info("reset requested");
	if (op.arg & RESET_SWITCHES && p->conf != NULL)
		reset_switches(p);
	if (op.arg & RESET_VMS)
		reset_vms(p);
	reset_check(p);
	vmop_id_fini(&op);
	return 0;
}

int
parent_verbose(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_id op = { 0 };
	struct msg_hdr none = { 0 };
	enum vmerr e = VMERR_OK;
	char text[] = "";
	int i;

	if (request_cred(peer, m) == NULL)
		return 0;
	if (vmop_id_get(&m->body, &op) == -1 || wire_end(&m->body) == -1 ||
	    op.arg > 2) {
		e = VMERR_BADMSG;
	} else {
		p->verbose = (int)op.arg;
		log_set_verbose(p->verbose);
		for (i = 0; i < NCHILDREN; i++)
			child_send_id(&p->children[i], IMSG_CTL_VERBOSE, none,
			    &op, NULL);
	}
	ctl_answer(p, m, e, text);
	vmop_id_fini(&op);
	return 0;
}
