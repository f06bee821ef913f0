/*
 * Launch of a guest, in vmm: ids that no other guest has, a pid namespace,
 * the program vmd-guest by descriptor, then one message with all there is.
 */

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/vmm/vmm.h"

int
become_nobody(void *arg)
{
	const uid_t *id = arg;

	if (*id != 0 && sandbox_no_gain() == -1)
		return -1;
	if (*id != 0 && !WITHOUT(IDS) &&
	    (setgroups(0, NULL) == -1 || setresgid(*id, *id, *id) == -1 ||
		setresuid(*id, *id, *id) == -1))
		return -1;
	if (*id != 0 && sandbox_no_caps() == -1)
		return -1;
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int
exec_guest(struct guest *g, int channel)
{
	static const char *const argv[] = { "vm", NULL };
	const struct spawn s = {
		.exe = g->m->exe,
		.argv = argv,
		.channel = channel,
		.keep_stdio = 1, /* /dev/null; our root has no other */
		.flags = g->m->shared_ids || WITHOUT(PIDNS) ? 0 : CLONE_NEWPID,
		.child = become_nobody,
		.arg = &g->ids,
	};

	return g->pid = spawn(&s, &g->pidfd);
}

/* The specification and all descriptors, in one message. */
static int
send_start(struct guest *g, const struct vm_spec *spec, struct fdlist *fds)
{
	struct ibuf *b;
	int send[VM_MAXFDS], kvm;
	size_t i, n;

	if ((kvm = fcntl(g->m->kvm, F_DUPFD_CLOEXEC, 3)) == -1)
		return -1;
	if (fdlist_add(fds, FD_KVM, 0, 0, &kvm) == -1) {
		fd_close(&kvm);
		return -1;
	}
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vm_spec_put(b, spec) == -1 || wire_put_fdlist(b, fds) == -1) {
		ibuf_free(b);
		return -1;
	}
	n = fds->n;
	for (i = 0; i < n; i++)
		send[i] = fds->ents[i].fd;
	fds->n = 0;
	return peer_send(g->peer, IMSG_VMDOP_START_VM_REQUEST, g->start, b,
	    send, n);
}

static struct guest *
guest_new(struct vmm_role *m, const struct vm_spec *spec, struct msg_hdr start)
{
	struct guest *g;

	if ((g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	g->m = m;
	g->id = spec->id;
	g->generation = spec->generation;
	g->probe = (spec->flags & VMF_PROBE) != 0;
	g->start = start;
	g->pidfd = -1;
	g->pid = -1;
	TAILQ_INIT(&g->orders);
	TAILQ_INIT(&g->devices);
	TAILQ_INSERT_TAIL(&m->guests, g, entry);
	if ((g->name = strdup(spec->name)) == NULL) {
		guest_free(g);
		return NULL;
	}
	return g;
}

/* All that can fail for want of memory, before there is a process. */
static int
watch(struct guest *g, int *channel)
{
	char name[VM_NAME_MAX + 3];
	struct peer_conf conf = {
		.role = ROLE_VM,
		.name = name,
		.msgs = guest_msgs,
		.nmsgs = guest_nmsgs,
		.closed = guest_closed,
		.arg = g,
	};
	int fd = *channel;

	snprintf(name, sizeof(name), "vm/%s", g->name);
	*channel = -1;
	if ((g->peer = peer_new(g->m->base, fd, &conf)) == NULL)
		return -1;
	g->ended = event_new(g->m->base, -1, EV_READ | EV_PERSIST, guest_ended,
	    g);
	g->deadline = event_new(g->m->base, -1, 0, guest_late, g);
	g->unreaped = event_new(g->m->base, -1, 0, guest_unreaped, g);
	if (g->ended == NULL || g->deadline == NULL || g->unreaped == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* Its process is there: now it has a deadline. */
static int
watch_process(struct guest *g)
{
	struct timeval tv = { .tv_sec = g->m->launch_s };

	if (g->probe && tv.tv_sec > VMM_PROBE_S)
		tv.tv_sec = VMM_PROBE_S;
	if (pidfd_watch(g->ended, g->m->base, g->pidfd) == -1)
		return -1;
	if (event_add(g->deadline, &tv) == -1) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* There are processes, and they may take their time: end.c will see. */
static void
abandon(struct guest *g, const char *why)
{
	snprintf(g->died, sizeof(g->died), "%s", why);
	if ((g->refusal.text = strdup(why)) != NULL) {
		g->refusal.err = VMERR_GUEST;
		g->refusal.id = g->id;
		g->refusal.generation = g->generation;
	}
	devices_kill(g);
	guest_kill(g, g->died, VMERR_GUEST);
}

struct guest *
guest_launch(struct vmm_role *m, const struct vm_spec *spec, struct fdlist *fds,
    struct msg_hdr start, char *why, size_t len)
{
	const char *what = "no memory";
	struct guest *g;
	int sv[2] = { -1, -1 };

	if (m->exe == -1) {
		snprintf(why, len, "vmm is not ready");
		return NULL;
	}
	if ((g = guest_new(m, spec, start)) == NULL)
		goto fail;
	what = "ids";
	if (!m->shared_ids && sandbox_slot_claim(&g->ids) == -1)
		goto fail;
	what = "socketpair";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		goto fail;
	what = "channel";
	if (watch(g, &sv[0]) == -1)
		goto fail;
	what = "vmd-guest";
	if (exec_guest(g, sv[1]) == -1)
		goto fail;
	fd_close(&sv[1]);
	what = "process";
	if (watch_process(g) == -1)
		goto fail;
	what = "devices";
	if (devices_new(g, spec, fds) == -1 || send_start(g, spec, fds) == -1 ||
	    devices_launch(g) == -1)
		goto fail;
	return g;
fail:
	snprintf(why, len, "%s: %s", what, strerror(errno));
	fd_close(&sv[0]);
	fd_close(&sv[1]);
	if (g != NULL && g->pidfd != -1) {
		abandon(g, why);
		return g;
	}
	if (g != NULL)
		guest_free(g);
	return NULL;
}
