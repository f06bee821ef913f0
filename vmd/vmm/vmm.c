/*
 * vmm: what the parent asks for.
 *
 * Runs as root of its own user namespace, in an empty root, without a
 * network.  The parent is trusted; what comes from guests (guest.c) is not,
 * and never ends or blocks this process.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <event2/event.h>
#include <linux/capability.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/roles.h"
#include "vmd/vmm/vmm.h"

#define MAXFILES 4096

/* The descriptors everything needs; then the probe runs. */
static int
vmm_receive_fds(struct peer *p, struct msg *m)
{
	struct vmm_role *role = peer_arg(p);
	struct fdlist fds = FDLIST_INIT;
	int id;

	if (wire_get_fdlist(&m->body, &fds, m->fds, m->nfds) == -1)
		return -1;
	fd_close(&role->kvm);
	fd_close(&role->exe);
	role->kvm = fdlist_take(&fds, FD_KVM, 0, 0);
	role->exe = fdlist_take(&fds, FD_GUEST_EXE, 0, 0);
	id = fdlist_take(&fds, FD_IDS, 0, 0);
	fdlist_close(&fds);
	if (role->kvm == -1 || role->exe == -1)
		return -1;
	if (id != -1)
		sandbox_ids_file(id);
	probe_start(role);
	return 0;
}

static int
refuse_start(struct peer *p, const struct msg *m, const struct vm_spec *s,
    enum vmerr e, char *text)
{
	struct vmop_result r = { .err = e, .text = text };

	r.id = s->id;
	r.generation = s->generation;
	return peer_result(p, IMSG_VMDOP_START_VM_RESPONSE, m->hdr, &r);
}

/* A run of the same VM must be reaped first: it holds its files. */
static enum vmerr
may_start(struct vmm_role *role, const struct vm_spec *spec, char *why,
    size_t len)
{
	struct guest *g;

	if (role->ending) {
		snprintf(why, len, "vmm is ending");
		return VMERR_BUSY;
	}
	/* Comes from nobody but us. */
	if (spec->flags & VMF_PROBE || spec->id == 0) {
		snprintf(why, len, "not a VM");
		return VMERR_INVALID;
	}
	TAILQ_FOREACH(g, &role->guests, entry)
		if (g->id == spec->id) {
			snprintf(why, len, "its last run has not ended");
			return VMERR_BUSY;
		}
	return VMERR_OK;
}

static int
vmm_start_vm_request(struct peer *p, struct msg *m)
{
	struct vmm_role *role = peer_arg(p);
	struct fdlist fds = FDLIST_INIT;
	struct vm_spec *spec;
	enum vmerr e;
	char why[256];
	int rc = -1;

	if ((spec = vm_spec_get(&m->body)) == NULL)
		return -1;
	if (wire_get_fdlist(&m->body, &fds, m->fds, m->nfds) == -1)
		goto out;
	rc = 0;
	if ((e = may_start(role, spec, why, sizeof(why))) != VMERR_OK)
		refuse_start(p, m, spec, e, why);
	else if (guest_launch(role, spec, &fds, m->hdr, why, sizeof(why)) ==
	    NULL)
		refuse_start(p, m, spec, VMERR_GUEST, why);
out:
	fdlist_close(&fds);
	vm_spec_free(spec);
	return rc;
}

static uint32_t
answer_type(uint32_t type)
{
	switch (type) {
	case IMSG_VMDOP_PAUSE_VM:
		return IMSG_VMDOP_PAUSE_VM_RESPONSE;
	case IMSG_VMDOP_UNPAUSE_VM:
		return IMSG_VMDOP_UNPAUSE_VM_RESPONSE;
	case IMSG_VMDOP_DEVICES_REQUEST:
		return IMSG_VMDOP_DEVICES_RESPONSE;
	case IMSG_CTL_BREAK:
		return IMSG_CTL_BREAK_RESPONSE;
	case IMSG_CTL_CONSOLE_REQUEST:
		return IMSG_CTL_CONSOLE_RESPONSE;
	default:
		return IMSG_VMDOP_TERMINATE_VM_RESPONSE;
	}
}

static void
terminate(struct peer *p, struct msg *m, struct guest *g,
    const struct vmop_id *v)
{
	const struct msg_hdr none = { 0 };
	struct vmop_result r = { .err = VMERR_OK };

	r.id = g->id;
	r.generation = g->generation;
	if (v->flags & VMOP_FORCE)
		guest_stop(g, v->arg);
	else
		peer_send(g->peer, IMSG_VMDOP_VM_SHUTDOWN, none, NULL, NULL, 0);
	peer_result(p, IMSG_VMDOP_TERMINATE_VM_RESPONSE, m->hdr, &r);
}

/* An order for a guest: stop, pause, unpause, console, break. */
static int
vmm_order(struct peer *p, struct msg *m)
{
	struct vmm_role *role = peer_arg(p);
	uint32_t type = answer_type(m->type);
	struct vmop_id v;
	struct guest *g;

	if (vmop_id_get(&m->body, &v) == -1)
		return -1;
	g = guest_find(role, v.id, v.generation);
	if (g == NULL)
		peer_fail(p, m, type, VMERR_NOTRUNNING, "no such run");
	else if (m->type == IMSG_VMDOP_TERMINATE_VM_REQUEST)
		terminate(p, m, g, &v);
	else if (m->type == IMSG_VMDOP_UNPAUSE_VM && devices_retry(g) == -1)
		peer_fail(p, m, type, VMERR_GUEST,
		    "a device cannot be started again: %s", strerror(errno));
	else if (m->type == IMSG_VMDOP_DEVICES_REQUEST)
		guest_ask_devices(g, m, &v);
	else
		guest_order(g, m, &v, type);
	vmop_id_fini(&v);
	return 0;
}

static void
send_verbose(struct peer *p, const struct vmop_id *v)
{
	const struct msg_hdr none = { 0 };
	struct ibuf *b;

	if (p == NULL)
		return;
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vmop_id_put(b, v) == -1)
		ibuf_free(b);
	else
		peer_send(p, IMSG_CTL_VERBOSE, none, b, NULL, 0);
}

static int
vmm_verbose(struct peer *p, struct msg *m)
{
	struct vmm_role *role = peer_arg(p);
	struct device *d;
	struct guest *g;
	struct vmop_id v;

	if (vmop_id_get(&m->body, &v) == -1)
		return -1;
	log_set_verbose((int)v.arg);
	TAILQ_FOREACH(g, &role->guests, entry) {
		send_verbose(g->peer, &v);
		TAILQ_FOREACH(d, &g->devices, entry)
			send_verbose(d->peer, &v);
	}
	vmop_id_fini(&v);
	return 0;
}

static int
vmm_shutdown(struct peer *p, struct msg *m)
{
	struct vmm_role *role = peer_arg(p);
	struct guest *g;

	role->ending = 1;
	if (role->kill_s > VMM_END_S)
		role->kill_s = VMM_END_S;
	TAILQ_FOREACH(g, &role->guests, entry)
		guest_stop(g, role->kill_s);
	if (TAILQ_EMPTY(&role->guests))
		event_base_loopbreak(role->base);
	return 0;
}

/* clang-format off */
const struct msg_handler vmm_msgs[] = {
	{ IMSG_VMDOP_RECEIVE_VMM_FD,	ROLE_PARENT, vmm_receive_fds },
	{ IMSG_VMDOP_START_VM_REQUEST,	ROLE_PARENT, vmm_start_vm_request },
	{ IMSG_VMDOP_TERMINATE_VM_REQUEST, ROLE_PARENT, vmm_order },
	{ IMSG_VMDOP_PAUSE_VM,		ROLE_PARENT, vmm_order },
	{ IMSG_VMDOP_UNPAUSE_VM,	ROLE_PARENT, vmm_order },
	{ IMSG_CTL_CONSOLE_REQUEST,	ROLE_PARENT, vmm_order },
	{ IMSG_VMDOP_DEVICES_REQUEST,	ROLE_PARENT, vmm_order },
	{ IMSG_CTL_BREAK,		ROLE_PARENT, vmm_order },
	{ IMSG_CTL_VERBOSE,		ROLE_PARENT, vmm_verbose },
	{ IMSG_CTL_SHUTDOWN,		ROLE_PARENT, vmm_shutdown },
};
/* clang-format on */
const size_t vmm_nmsgs = sizeof(vmm_msgs) / sizeof(vmm_msgs[0]);

void
vmm_role_init(struct vmm_role *m, struct event_base *base)
{
	memset(m, 0, sizeof(*m));
	m->base = base;
	m->kvm = m->exe = -1;
	m->launch_s = VMM_LAUNCH_S;
	m->order_s = VMM_ORDER_S;
	m->kill_s = VMM_KILL_S;
	m->close_s = VMM_CLOSE_S;
	m->reap_s = VMM_REAP_S;
	TAILQ_INIT(&m->guests);
}

static void
limits(void)
{
	struct rlimit files, none = { 0, 0 };

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		fatal("getrlimit");
	files.rlim_cur = files.rlim_max < MAXFILES ? files.rlim_max : MAXFILES;
	if (setrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		fatal("setrlimit");
}

/*
 * What we keep: to start processes under other ids, in pid namespaces and
 * with an empty bounding set, and to kill them.  With a user namespace that
 * is not much, without one it is.
 */
static void
narrow(void)
{
	const uint64_t keep = 1ULL << CAP_SETUID | 1ULL << CAP_SETGID |
	    1ULL << CAP_SETPCAP | 1ULL << CAP_KILL | 1ULL << CAP_SYS_ADMIN |
	    1ULL << CAP_SYS_PTRACE;
	int userns, landlock, seccomp;

	limits();
	if ((userns = sandbox_ids_init()) == -1)
		fatal("ids");
	if (userns == 1)
		log_info("no user namespace can be made here: guests have ids "
			 "of their own without one");
	if (sandbox_empty_root() == -1)
		fatal("empty root");
	if (sandbox_caps(keep) == -1)
		fatal("capabilities");
	if (sandbox_nnp() == -1 || sandbox_nodump() == -1)
		fatal("no_new_privs");
	if ((landlock = sandbox_landlock(1)) == -1)
		fatal("landlock");
	if (landlock == 1)
		log_info("this kernel has no landlock");
	if ((seccomp = sandbox_seccomp("vmm", PROC_CHANNEL_FD)) == -1)
		fatal("seccomp");
	if (seccomp == 1)
		log_info("this kernel has no seccomp");
	proc_ready("%s user namespace, %s landlock, %s filter",
	    userns == 1 ? "no" : "with", landlock == 1 ? "no" : "with",
	    seccomp == 1 ? "no" : "with");
}

int
vmm_main(const struct proc_args *a)
{
	struct vmm_role role;
	struct event_base *base;

	proc_init(a);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if ((base = event_base_new()) == NULL)
		fatal("event_base_new");
	vmm_role_init(&role, base);
	if ((role.up = proc_up(base, ROLE_PARENT, vmm_msgs, vmm_nmsgs,
		 &role)) == NULL)
		fatal("channel");
	narrow();
	event_base_dispatch(base);
	if (peer_flush(role.up, 1000) == -1)
		return 1;
	return 0;
}
