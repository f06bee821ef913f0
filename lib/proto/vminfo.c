/*
 * Bodies of all messages but the VM's specification: each writer stands
 * beside its reader, field by field.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"

#define TEXT_MAX     2048
#define LOG_MAX	     1024
#define NAME_MAX_LEN WIRE_STR_MAX /* load: a path */

static const char *const states[VMS_MAX] = {
	[VMS_STOPPED] = "stopped",
	[VMS_WAITING] = "waiting",
	[VMS_STARTING] = "starting",
	[VMS_RUNNING] = "running",
	[VMS_PAUSED] = "paused",
	[VMS_STOPPING] = "stopping",
};

const char *
vm_state_text(enum vm_state s)
{
	if ((unsigned int)s >= VMS_MAX)
		return "unknown";
	return states[s];
}

/* -1 with EBADMSG unless `v' is below `max'. */
static int
below(uint32_t v, uint32_t max)
{
	if (v < max)
		return 0;
	errno = EBADMSG;
	return -1;
}

int
vmop_result_put(struct ibuf *b, const struct vmop_result *r)
{
	if (wire_put_u32(b, r->err) == -1 || wire_put_u32(b, r->id) == -1 ||
	    wire_put_u32(b, r->exit) == -1 ||
	    wire_put_u32(b, (uint32_t)r->pid) == -1 ||
	    wire_put_u64(b, r->generation) == -1 ||
	    wire_put_str(b, r->name) == -1 || wire_put_str(b, r->tty) == -1 ||
	    wire_put_str(b, r->text) == -1)
		return -1;
	return 0;
}

int
vmop_result_get(struct ibuf *b, struct vmop_result *r)
{
	uint32_t pid;

	memset(r, 0, sizeof(*r));
	if (wire_get_u32(b, &r->err) == -1 || wire_get_u32(b, &r->id) == -1 ||
	    wire_get_u32(b, &r->exit) == -1 || wire_get_u32(b, &pid) == -1 ||
	    wire_get_u64(b, &r->generation) == -1 ||
	    wire_get_str(b, &r->name, VM_NAME_MAX - 1) == -1 ||
	    wire_get_str(b, &r->tty, TEXT_MAX) == -1 ||
	    wire_get_str(b, &r->text, WIRE_STR_MAX) == -1 ||
	    below(r->err, VMERR_MAX) == -1 || below(r->exit, VMEXIT_MAX) == -1)
		goto fail;
	r->pid = (int32_t)pid;
	return 0;
fail:
	vmop_result_fini(r);
	return -1;
}

void
vmop_result_fini(struct vmop_result *r)
{
	int saved_errno = errno;

	free(r->name);
	free(r->tty);
	free(r->text);
	memset(r, 0, sizeof(*r));
	errno = saved_errno;
}

int
vmop_id_put(struct ibuf *b, const struct vmop_id *v)
{
	if (wire_put_str(b, v->name) == -1 || wire_put_u32(b, v->flags) == -1 ||
	    wire_put_u32(b, v->id) == -1 ||
	    wire_put_u64(b, v->generation) == -1 ||
	    wire_put_u32(b, v->arg) == -1)
		return -1;
	return 0;
}

int
vmop_id_get(struct ibuf *b, struct vmop_id *v)
{
	const uint32_t known = VMOP_FORCE | VMOP_WAIT | VMOP_READONLY |
	    VMOP_DRYRUN | VMOP_HISTORY | VMOP_STEAL | VMOP_RUN | VMOP_DEVICES;

	memset(v, 0, sizeof(*v));
	if (wire_get_str(b, &v->name, NAME_MAX_LEN) == -1 ||
	    wire_get_u32(b, &v->flags) == -1 || wire_get_u32(b, &v->id) == -1 ||
	    wire_get_u64(b, &v->generation) == -1 ||
	    wire_get_u32(b, &v->arg) == -1)
		goto fail;
	if (v->flags & ~known) {
		errno = EBADMSG;
		goto fail;
	}
	return 0;
fail:
	vmop_id_fini(v);
	return -1;
}

void
vmop_id_fini(struct vmop_id *v)
{
	int saved_errno = errno;

	free(v->name);
	memset(v, 0, sizeof(*v));
	errno = saved_errno;
}

int
vm_info_put(struct ibuf *b, const struct vm_info *i)
{
	if (vm_spec_put(b, i->spec) == -1 || wire_put_u32(b, i->state) == -1 ||
	    wire_put_u32(b, (uint32_t)i->pid) == -1 ||
	    wire_put_u64(b, i->resident) == -1 ||
	    wire_put_u64(b, i->run_uid) == -1 ||
	    wire_put_u64(b, (uint64_t)i->started) == -1 ||
	    wire_put_u32(b, i->exit) == -1 ||
	    wire_put_str(b, i->exit_text) == -1 ||
	    wire_put_str(b, i->tty) == -1 ||
	    wire_put_str(b, i->pending) == -1 ||
	    wire_put_str(b, i->error) == -1 || wire_put_u32(b, i->held) == -1 ||
	    wire_put_u32(b, i->has_devs) == -1)
		return -1;
	return i->has_devs ? dev_list_put(b, &i->devs) : 0;
}

int
vm_info_get(struct ibuf *b, struct vm_info *i)
{
	uint64_t started;
	uint32_t pid;

	memset(i, 0, sizeof(*i));
	if ((i->spec = vm_spec_get(b)) == NULL ||
	    wire_get_u32(b, &i->state) == -1 || wire_get_u32(b, &pid) == -1 ||
	    wire_get_u64(b, &i->resident) == -1 ||
	    wire_get_u64(b, &i->run_uid) == -1 ||
	    wire_get_u64(b, &started) == -1 ||
	    wire_get_u32(b, &i->exit) == -1 ||
	    wire_get_str(b, &i->exit_text, TEXT_MAX) == -1 ||
	    wire_get_str(b, &i->tty, TEXT_MAX) == -1 ||
	    wire_get_str(b, &i->pending, WIRE_STR_MAX) == -1 ||
	    wire_get_str(b, &i->error, WIRE_STR_MAX) == -1 ||
	    wire_get_u32(b, &i->held) == -1 ||
	    wire_get_u32(b, &i->has_devs) == -1 ||
	    below(i->state, VMS_MAX) == -1 ||
	    below(i->exit, VMEXIT_MAX) == -1 || below(i->held, 2) == -1 ||
	    below(i->has_devs, 2) == -1 ||
	    (i->has_devs && dev_list_get(b, &i->devs) == -1))
		goto fail;
	i->pid = (int32_t)pid;
	i->started = (int64_t)started;
	return 0;
fail:
	vm_info_fini(i);
	return -1;
}

void
vm_info_fini(struct vm_info *i)
{
	int saved_errno = errno;

	vm_spec_free(i->spec);
	free(i->exit_text);
	free(i->tty);
	free(i->pending);
	free(i->error);
	memset(i, 0, sizeof(*i));
	errno = saved_errno;
}

int
log_line_put(struct ibuf *b, const struct log_line *l)
{
	if (wire_put_u32(b, l->prio) == -1)
		return -1;
	return wire_put_str(b, l->text);
}

int
log_line_get(struct ibuf *b, struct log_line *l)
{
	memset(l, 0, sizeof(*l));
	if (wire_get_u32(b, &l->prio) == -1 ||
	    wire_get_str(b, &l->text, LOG_MAX) == -1)
		return -1;
	if (l->prio > 7 || l->text == NULL) {
		log_line_fini(l);
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

void
log_line_fini(struct log_line *l)
{
	int saved_errno = errno;

	free(l->text);
	memset(l, 0, sizeof(*l));
	errno = saved_errno;
}

struct ibuf *
log_line_new(int prio, const char *line)
{
	struct log_line l = { .prio = (uint32_t)prio };
	char text[LOG_MAX + 1];
	struct ibuf *b;

	snprintf(text, sizeof(text), "%s", line);
	l.text = text;
	if ((b = ibuf_dynamic(0, 2 * sizeof(text))) == NULL)
		return NULL;
	if (log_line_put(b, &l) == -1) {
		ibuf_free(b);
		return NULL;
	}
	return b;
}

int
host_info_put(struct ibuf *b, const struct host_info *h)
{
	if (wire_put_str(b, h->caps) == -1 ||
	    wire_put_u32(b, h->probe_ok) == -1 ||
	    wire_put_str(b, h->probe) == -1 || wire_put_str(b, h->kind) == -1)
		return -1;
	return wire_put_str(b, h->net);
}

int
host_info_get(struct ibuf *b, struct host_info *h)
{
	memset(h, 0, sizeof(*h));
	if (wire_get_str(b, &h->caps, WIRE_STR_MAX) == -1 ||
	    wire_get_u32(b, &h->probe_ok) == -1 ||
	    wire_get_str(b, &h->probe, WIRE_STR_MAX) == -1 ||
	    wire_get_str(b, &h->kind, TEXT_MAX) == -1 ||
	    wire_get_str(b, &h->net, WIRE_STR_MAX) == -1 ||
	    below(h->probe_ok, 2) == -1)
		goto fail;
	if (h->caps == NULL || h->probe == NULL || h->kind == NULL) {
		errno = EBADMSG;
		goto fail;
	}
	return 0;
fail:
	host_info_fini(h);
	return -1;
}

void
host_info_fini(struct host_info *h)
{
	int saved_errno = errno;

	free(h->caps);
	free(h->probe);
	free(h->kind);
	free(h->net);
	memset(h, 0, sizeof(*h));
	errno = saved_errno;
}

int
proc_info_put(struct ibuf *b, const struct proc_info *i)
{
	if (wire_put_str(b, i->name) == -1 || wire_put_u32(b, i->kind) == -1 ||
	    wire_put_u32(b, (uint32_t)i->pid) == -1 ||
	    wire_put_u32(b, i->own) == -1)
		return -1;
	return 0;
}

int
proc_info_get(struct ibuf *b, struct proc_info *i)
{
	uint32_t pid;

	memset(i, 0, sizeof(*i));
	if (wire_get_str(b, &i->name, TEXT_MAX) == -1 ||
	    wire_get_u32(b, &i->kind) == -1 || wire_get_u32(b, &pid) == -1 ||
	    wire_get_u32(b, &i->own) == -1 ||
	    below(i->kind, PROC_KIND_MAX) == -1)
		goto fail;
	if (i->name == NULL || pid == 0 || pid > INT32_MAX) {
		errno = EBADMSG;
		goto fail;
	}
	i->pid = (int32_t)pid;
	return 0;
fail:
	proc_info_fini(i);
	return -1;
}

void
proc_info_fini(struct proc_info *i)
{
	int saved_errno = errno;

	free(i->name);
	memset(i, 0, sizeof(*i));
	errno = saved_errno;
}
