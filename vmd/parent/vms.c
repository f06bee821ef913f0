/*
 * The list of VMs the parent knows, in the order of their definition.
 */
#include <bsd/stdlib.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/files.h"
#include "vmd/parent/net.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

static int
id_used(void *arg, uint32_t id)
{
	return vm_by_id(arg, id) != NULL;
}

struct vm *
vm_new(struct parent *p, struct vm_spec *spec, int from_config)
{
	struct vm *v;

	if ((v = calloc(1, sizeof(*v))) == NULL) {
		vm_spec_free(spec);
		return NULL;
	}
	v->parent = p;
	v->spec = spec;
	v->want_id = spec->id;
	spec->id = 0;
	v->from_config = from_config;
	v->tty_master = v->tty_slave = v->ring = -1;
	TAILQ_INSERT_TAIL(&p->vms, v, entry);
	return v;
}

int
vm_assign_id(struct vm *v)
{
	struct parent *p = v->parent;

	v->spec->id = ids_assign(p->ids, v->spec->name, v->want_id,
	    v->from_config, id_used, p);
	return v->spec->id == 0 ? -1 : 0;
}

int
vm_has_next(const struct vm *v)
{
	return v->next != NULL ||
	    (v->want_id != 0 && v->want_id != v->spec->id);
}

void
vm_take_next(struct vm *v)
{
	uint32_t old = v->spec->id;

	if (v->next != NULL) {
		vm_spec_free(v->spec);
		v->spec = v->next;
		v->next = NULL;
	}
	v->spec->id = old;
	if (v->want_id == 0 || v->want_id == old)
		return;
	if (vm_assign_id(v) == -1) {
		log_warnx("%s: id %u is taken, keeps %u", v->spec->name,
		    v->want_id, old);
		v->spec->id = old;
	} else if (ids_save(v->parent->ids) == -1) {
		log_warn("cannot save ids");
	}
}

static struct ibuf *
flat(const struct vm_spec *s)
{
	struct vm_spec c = *s;
	struct ibuf *b;

	c.file = NULL;
	c.line = 0;
	c.id = 0;
	c.generation = 0;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return NULL;
	if (vm_spec_put(b, &c) == 0)
		return b;
	ibuf_free(b);
	return NULL;
}

int
vm_spec_same(const struct vm_spec *a, const struct vm_spec *b)
{
	struct ibuf *x = flat(a), *y = flat(b);
	int same;

	same = x != NULL && y != NULL && ibuf_size(x) == ibuf_size(y) &&
	    memcmp(ibuf_data(x), ibuf_data(y), ibuf_size(x)) == 0;
	ibuf_free(x);
	ibuf_free(y);
	return same;
}

void
vm_free(struct vm *v)
{
	TAILQ_REMOVE(&v->parent->vms, v, entry);
	ids_release(v->parent->ids, v->spec->name);
	open_cancel(v->opening);
	vm_disks_cancel(v);
	vm_net_end(v);
	vm_timer_clear(v);
	vm_tty_close(v);
	fd_close(&v->ring);
	fdlist_close(&v->fds);
	cred_free(v->cred);
	vm_spec_free(v->run);
	vm_spec_free(v->next);
	vm_spec_free(v->spec);
	free(v->exit_text);
	free(v->error);
	free(v);
}

void
vm_timer_clear(struct vm *v)
{
	if (v->timer != NULL)
		event_free(v->timer);
	v->timer = NULL;
}

int
vm_timer_set(struct vm *v, unsigned int seconds, void (*fn)(int, short, void *))
{
	const struct timeval tv = { .tv_sec = seconds };

	vm_timer_clear(v);
	v->timer = event_new(v->parent->base, -1, 0, fn, v);
	return v->timer == NULL ? -1 : event_add(v->timer, &tv);
}

struct vm *
vm_by_id(struct parent *p, uint32_t id)
{
	struct vm *v;

	TAILQ_FOREACH(v, &p->vms, entry)
		if (v->spec->id == id)
			return v;
	return NULL;
}

struct vm *
vm_find_name(struct parent *p, const char *name)
{
	struct vm *v;

	TAILQ_FOREACH(v, &p->vms, entry)
		if (strcmp(v->spec->name, name) == 0)
			return v;
	return NULL;
}

struct vm *
vm_find(struct parent *p, const char *name)
{
	const char *errstr;
	struct vm *v;
	uint32_t id;

	if (name == NULL)
		return NULL;
	if ((v = vm_find_name(p, name)) != NULL)
		return v;
	id = (uint32_t)strtonum(name, 1, UINT32_MAX, &errstr);
	return errstr == NULL ? vm_by_id(p, id) : NULL;
}

int
vm_is_up(const struct vm *v)
{
	return v->state != VMS_STOPPED && v->state != VMS_WAITING;
}

const char *
vm_where(const struct vm *v)
{
	static char buf[1024];

	if (v->spec->file == NULL)
		return "";
	snprintf(buf, sizeof(buf), " (%s:%u)", v->spec->file, v->spec->line);
	return buf;
}

enum vmerr
vm_may_operate(const struct vm *v, const struct cred *c)
{
	const struct perm_vm pv = {
		.owner_uid = v->spec->uid,
		.owner_gid = v->spec->gid,
		.running = vm_is_up(v),
		.run_uid = v->run_uid,
	};

	return perm_may_operate(c, &pv);
}

int
vm_may_see(const struct vm *v, const struct cred *c)
{
	const struct conf *conf = v->parent->conf;

	return conf == NULL || !conf->status_own ||
	    vm_may_operate(v, c) == VMERR_OK;
}
