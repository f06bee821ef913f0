/*
 * Starting a VM, in the parent: who may, with which settings, the files and
 * the terminal, then one message to vmm with everything in it.
 *
 *	vm_start() -> vm_open_files() -> vm_launch() -> START_VM_RESPONSE
 *
 * Each step either leads to the next or to vm_start_failed(), which answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "lib/util/scaled.h"
#include "vmd/parent/files.h"
#include "vmd/parent/limit.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define LAUNCH_TIMEOUT 45 /* seconds */
#define START_RESPONSE IMSG_VMDOP_START_VM_RESPONSE

const char *
vm_unsupported(const struct vm_spec *s)
{
	if (s->flags & (VMF_SEV | VMF_SEVES))
		return "needs AMD SEV, not supported";
	if (s->parent != NULL || s->given & VMGIVEN_INSTANCE)
		return "instances are not supported yet";
	if (s->bootdev == BOOTDEV_NET)
		return "boot device net is not supported yet";
	if (s->bootdev != BOOTDEV_AUTO)
		return "boot devices are not supported yet";
	return NULL;
}

/* What the host can give without swapping, or UINT64_MAX if unknown. */
static uint64_t
mem_available(void)
{
	char line[128];
	unsigned long long kb;
	uint64_t n = UINT64_MAX;
	FILE *f;

	if ((f = fopen("/proc/meminfo", "re")) == NULL)
		return n;
	while (n == UINT64_MAX && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			n = (uint64_t)kb * 1024;
	fclose(f);
	return n;
}

static int
check_memory(struct vm *v)
{
	char need[SCALED_LEN], have[SCALED_LEN];
	uint64_t avail;

	/* Once launched it is a reset, and had its memory until now. */
	if (v->run->flags & VMF_OVERCOMMIT || v->run->generation != 0 ||
	    v->run->memory <= (avail = mem_available()))
		return 0;
	vm_start_failed(v, VMERR_LIMIT,
	    "needs %s of memory, the host has %s available",
	    scaled_fmt(need, v->run->memory), scaled_fmt(have, avail));
	return -1;
}

static int
check_limits(struct vm *v)
{
	char why[1024];

	/* A guest that resets has not stopped in between. */
	if (v->run->generation != 0 || limit_check(v, why, sizeof(why)) == 0)
		return 0;
	vm_start_failed(v, VMERR_LIMIT, "%s", why);
	return -1;
}

static void
fill_defaults(struct vm_spec *s)
{
	if (s->cpus == 0)
		s->cpus = 1;
	if (s->memory == 0)
		s->memory = VM_DEFAULT_MEMORY;
	if (s->stop_timeout == 0)
		s->stop_timeout = VM_STOP_TIMEOUT;
}

void
vm_start(struct vm *v, const struct msg_hdr *hdr)
{
	struct parent *p = v->parent;
	struct request *r;
	const char *why;

	if (vm_event(v, EV_START) == -1) {
		answer_fail(p, hdr, START_RESPONSE, VMERR_FAILED,
		    "cannot start while %s", vm_state_text(v->state));
		return;
	}
	vm_timer_clear(v);
	v->asked = 0;
	v->launched = v->lost = 0;
	v->open_step = 0;
	v->started_ms = 0;
	v->generation = ++p->generation;
	fill_defaults(v->run);
	if ((r = request_new(p, hdr, START_RESPONSE, v)) == NULL) {
		answer_fail(p, hdr, START_RESPONSE, VMERR_FAILED, "no memory");
		vm_start_failed(v, VMERR_FAILED, "no memory");
		return;
	}
	v->start_req = r->id;
	if (p->stopping)
		vm_start_failed(v, VMERR_BUSY, "vmd is shutting down");
	else if ((why = vm_unsupported(v->run)) != NULL)
		vm_start_failed(v, VMERR_UNSUPPORTED, "%s%s", why, vm_where(v));
	else if (check_limits(v) == 0 && check_memory(v) == 0)
		vm_open_files(v);
}

void
vm_start_self(struct vm *v)
{
	struct vm_spec *run;

	vm_take_next(v);
	cred_free(v->cred);
	v->cred = NULL;
	v->run_uid = v->spec->uid;
	v->given = 0;
	if ((run = vm_spec_copy(v->spec)) == NULL) {
		log_warn("%s: cannot start", v->spec->name);
		return;
	}
	vm_keep_disks(v, run);
	vm_spec_free(v->run);
	v->run = run;
	vm_start(v, NULL);
}

/* Everything vmm needs, in one message; the request id is ours. */
static int
send_start(struct vm *v, struct peer *vmm, uint64_t id)
{
	struct msg_hdr hdr = { .reqid = id };
	struct fdlist fds = FDLIST_INIT;
	struct ibuf *b = NULL;
	int send[VM_MAXFDS], fd, rc = -1;
	size_t i, n;

	if (fdlist_dup(&fds, &v->fds) == -1)
		goto out;
	if ((fd = fcntl(v->tty_master, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    fdlist_add(&fds, FD_TTY, 0, 0, &fd) == -1)
		goto out;
	if ((fd = fcntl(v->ring, F_DUPFD_CLOEXEC, 3)) == -1 ||
	    fdlist_add(&fds, FD_CONSOLE, 0, 0, &fd) == -1)
		goto out;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vm_spec_put(b, v->run) == -1 || wire_put_fdlist(b, &fds) == -1)
		goto out;
	for (i = 0, n = fds.n; i < n; i++)
		send[i] = fds.ents[i].fd;
	fds.n = 0; /* peer_send() takes them and the buffer */
	rc = peer_send(vmm, IMSG_VMDOP_START_VM_REQUEST, hdr, b, send, n);
	b = NULL;
out:
	ibuf_free(b);
	fdlist_close(&fds);
	return rc;
}

/* vmm has a deadline of its own; this is for a vmm that does not keep it. */
static void
launch_late(int fd, short ev, void *arg)
{
	struct vm *v = arg;
	struct request *r = request_find(v->parent, v->start_req);

	log_warnx("%s: not up in time", v->spec->name);
	vm_timer_clear(v);
	/* vmm still answers it by its number, and that is the VM's end. */
	if (r != NULL)
		request_fail(v->parent, r, VMERR_TIMEOUT, "not up in time");
	vm_stop(v, 1, NULL);
}

void
vm_launch(struct vm *v)
{
	struct parent *p = v->parent;
	struct peer *vmm = p->children[CHILD_VMM].peer;
	struct request *r = request_find(p, v->start_req);

	if (vmm == NULL) {
		vm_start_failed(v, VMERR_GONE, "vmm is being started again");
		return;
	}
	if (vm_tty_open(v) == -1) {
		vm_start_failed(v, VMERR_FAILED, "tty: %s", strerror(errno));
		return;
	}
	v->run->id = v->spec->id;
	v->run->generation = v->generation;
	if (r == NULL || send_start(v, vmm, r->id) == -1) {
		vm_start_failed(v, VMERR_FAILED, "launch: %s", strerror(errno));
		return;
	}
	r->at_vmm = 1;
	v->launched = 1;
	if (vm_timer_set(v, LAUNCH_TIMEOUT, launch_late) == -1)
		log_warn("%s: no launch timer", v->spec->name);
	v->started = time(NULL);
	v->started_ms = now_ms();
}

void
vm_start_failed(struct vm *v, enum vmerr e, const char *fmt, ...)
{
	struct parent *p = v->parent;
	struct request *r = request_find(p, v->start_req);
	struct vmop_result res = { .err = e, .id = v->spec->id };
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = text_of(fmt, ap);
	va_end(ap);
	if (r == NULL || r->hdr.reqid == 0 || client_may_log(p))
		log_warnx("%s: not started: %s", v->spec->name,
		    text == NULL ? vmerr_text(e) : text);
	free(v->error);
	v->error = text;
	v->start_req = 0;
	if (r != NULL) {
		/* A person who is told need not be served by `restart'. */
		v->asked |= r->hdr.reqid != 0;
		res.name = v->spec->name;
		res.text = text;
		request_done(p, r, &res);
	}
	vm_ended(v, VMEXIT_LAUNCH, text);
}

/* The guest process is up. */
static void
started(struct vm *v, const struct vmop_result *from)
{
	struct parent *p = v->parent;
	struct request *r = request_find(p, v->start_req);
	struct vmop_result res = { .id = v->spec->id, .pid = from->pid };

	v->start_req = 0;
	v->pid = from->pid;
	free(v->error);
	v->error = NULL;
	if (v->state == VMS_STARTING) {
		vm_timer_clear(v);
		vm_event(v, EV_UP);
	}
	log_info("%s: started, id %u, tty %s", v->spec->name, v->spec->id,
	    v->tty);
	res.name = v->spec->name;
	res.tty = v->tty;
	if (r != NULL)
		request_done(p, r, &res);
}

int
parent_start_vm_response(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct vmop_result res;
	struct vm *v;
	int rc = -1;

	if (vmop_result_get(&m->body, &res) == -1)
		return -1;
	if (wire_end(&m->body) == -1 || res.err >= VMERR_MAX)
		goto out;
	rc = 0;
	TAILQ_FOREACH(v, &p->vms, entry)
		if (v->start_req != 0 && v->start_req == m->hdr.reqid)
			break;
	if (v == NULL || !v->launched)
		log_debug("late start response from vmm");
	else if (res.err == VMERR_OK)
		started(v, &res);
	else
		vm_start_failed(v, (enum vmerr)res.err, "%s",
		    res.text == NULL ? vmerr_text((enum vmerr)res.err) :
				       res.text);
out:
	vmop_result_fini(&res);
	return rc;
}
