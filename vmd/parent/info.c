/*
 * What `vmctl status' and `vmctl host' show, answered by the parent alone;
 * for numbers of devices see devstats.c.
 *
 * Everybody may list all VMs, but paths, settings and causes of a VM are
 * shown only to those who may operate it; with `status own' in the
 * configuration it is not there for the others at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"

#define END_DATA IMSG_VMDOP_GET_INFO_VM_END_DATA

/* Resident bytes of a process; 0 if that cannot be seen. */
static uint64_t
resident(pid_t pid)
{
	unsigned long long size, pages = 0;
	char path[64];
	FILE *f;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A spec with what everybody may see. */
static struct vm_spec *
public_spec(const struct vm_spec *s)
{
	struct vm_spec *n;

	if ((n = vm_spec_new(s->name)) == NULL)
		return NULL;
	n->id = s->id;
	n->cpus = s->cpus;
	n->memory = s->memory;
	n->uid = s->uid;
	n->gid = s->gid;
	n->flags = s->flags & VMF_DISABLED;
	return n;
}

static void
fill(struct vm *v, int details, int64_t since, struct vm_info *i)
{
	static char changed[] = "changed in the configuration";
	static char removed[] = "removed from the configuration";
	static char network[512];

	memset(i, 0, sizeof(*i));
	i->state = v->state;
	i->pid = v->pid;
	i->resident = resident(v->pid);
	i->run_uid = v->run_uid;
	i->started = v->started;
	i->exit = v->exit;
	i->tty = v->tty;
	i->held = v->held != 0;
	if (!details)
		return;
	i->exit_text = v->exit_text;
	i->error = v->error;
	if (since != 0)
		i->has_devs = (uint32_t)vm_devices(v, since, &i->devs);
	if (vm_has_next(v))
		i->pending = changed;
	else if (vm_is_up(v) && !v->from_config && v->spec->file != NULL)
		i->pending = removed;
	else if (net_pending(v, network, sizeof(network)))
		i->pending = network;
}

static int
send_info(struct peer *peer, struct msg_hdr hdr, struct vm *v,
    const struct cred *c, int64_t since)
{
	const struct vm_spec *s = v->run != NULL ? v->run : v->spec;
	int details = vm_may_operate(v, c) == VMERR_OK, rc = -1;
	struct vm_info i;
	struct ibuf *b;

	fill(v, details, since, &i);
	i.spec = details ? vm_spec_copy(s) : public_spec(s);
	if (i.spec == NULL)
		return -1;
	i.spec->id = v->spec->id;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) != NULL &&
	    vm_info_put(b, &i) == 0) {
		rc = peer_send(peer, IMSG_VMDOP_GET_INFO_VM_DATA, hdr, b, NULL,
		    0);
		b = NULL;
	}
	ibuf_free(b);
	vm_spec_free(i.spec);
	return rc;
}

/* Those that run first, then the others, both in order of definition. */
static int
send_all(struct peer *peer, struct msg_hdr hdr, const struct cred *c,
    int64_t since)
{
	struct parent *p = parent_of(peer);
	struct vm *v;
	int up;

	for (up = 1; up >= 0; up--)
		TAILQ_FOREACH(v, &p->vms, entry)
			if (vm_is_up(v) == up && vm_may_see(v, c) &&
			    send_info(peer, hdr, v, c, since) == -1)
				return -1;
	return 0;
}

void
info_answer(struct parent *p, const struct msg_hdr *hdr, const char *name,
    int64_t since)
{
	struct peer *control = p->children[CHILD_CONTROL].peer;
	const struct cred *c = conn_cred(p, hdr->conn);
	enum vmerr e = VMERR_OK;
	struct vm *v;
	int rc = 0;

	if (control == NULL)
		return;
	if (name == NULL)
		rc = send_all(control, *hdr, c, since);
	else if ((v = vm_find(p, name)) == NULL || !vm_may_see(v, c))
		e = VMERR_NOTFOUND;
	else
		rc = send_info(control, *hdr, v, c, since);
	if (rc == -1)
		e = VMERR_FAILED;
	answer_fail(p, hdr, END_DATA, e, "%s", vmerr_text(e));
}

int
parent_get_info_vm_request(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_id op;
	const char *name;

	if (request_cred(peer, m) == NULL)
		return 0;
	memset(&op, 0, sizeof(op));
	if (vmop_id_get(&m->body, &op) == -1 || wire_end(&m->body) == -1) {
		request_refuse(p, m, VMERR_BADMSG);
		vmop_id_fini(&op);
		return 0;
	}
	name = op.name == NULL || op.name[0] == '\0' ? NULL : op.name;
	if (!(op.flags & VMOP_DEVICES))
		info_answer(p, &m->hdr, name, 0);
	else if (listing_begin(p, &m->hdr, name) == -1)
		answer_cannot_wait(p, &m->hdr, END_DATA);
	vmop_id_fini(&op);
	return 0;
}

static void
send_host(struct parent *p, const struct msg_hdr *hdr)
{
	struct peer *control = p->children[CHILD_CONTROL].peer;
	struct host_info h = p->host;
	struct ibuf *b;

	if (control == NULL || hdr->reqid == 0)
		return;
	h.net = net_notes(p);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    host_info_put(b, &h) == -1) {
		ibuf_free(b);
		answer_fail(p, hdr, IMSG_CTL_FAIL, VMERR_FAILED, "no memory");
		return;
	}
	peer_send(control, IMSG_CTL_HOST_RESPONSE, *hdr, b, NULL, 0);
}

int
parent_host_request(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);

	if (request_cred(peer, m) == NULL)
		return 0;
	if (wire_end(&m->body) == -1)
		request_refuse(p, m, VMERR_BADMSG);
	else if (p->host.caps != NULL)
		send_host(p, &m->hdr);
	else if (request_wait(p, &m->hdr, IMSG_CTL_HOST_RESPONSE, NULL) == NULL)
		answer_cannot_wait(p, &m->hdr, IMSG_CTL_FAIL);
	return 0;
}

/* vmm reports the host once, after its probe guest has run. */
int
parent_host_response(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct request *r, *next;
	struct host_info h;

	memset(&h, 0, sizeof(h));
	if (host_info_get(&m->body, &h) == -1)
		return -1;
	if (wire_end(&m->body) == -1 || h.caps == NULL) {
		host_info_fini(&h);
		return -1;
	}
	host_info_fini(&p->host);
	p->host = h;
	if (h.kind != NULL)
		log_from("host", LOG_INFO, h.kind);
	TAILQ_FOREACH_SAFE(r, &p->requests, entry, next)
		if (r->answer == IMSG_CTL_HOST_RESPONSE) {
			send_host(p, &r->hdr);
			request_free(p, r);
		}
	return 0;
}
