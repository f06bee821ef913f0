/*
 * Device processes of a guest, in vmm: started inside the guest's pid
 * namespace as children of ours, each with an id of its own, an image or a
 * tap of its own, and a channel to us and one to the vm process.
 *
 * We keep duplicates of what a device was given, so that one that dies can
 * be started again: device_end.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/vmm/vmm.h"

static const struct msg_hdr no_request = { 0, 0 };

/* Tell the parent what it reports of itself; 0: it has ended. */
static void
report(const struct device *d, uint32_t own)
{
	struct proc_info i = { .name = d->name,
		.kind = PROC_DEV,
		.pid = d->pid,
		.own = own };
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    proc_info_put(b, &i) == -1)
		ibuf_free(b);
	else
		peer_send(d->g->m->up, IMSG_CTL_PROC_REPORT, no_request, b,
		    NULL, 0);
}

/* Its own report of its sandbox, once. */
static int
device_ready(struct peer *p, struct msg *m)
{
	struct device *d = peer_arg(p);

	if (d->own != 0 || peer_log(p, m) == -1 ||
	    wire_get_u32(&m->body, &d->own) == -1 ||
	    (d->own & SB_OWN_REPORT) == 0)
		return -1;
	report(d, d->own);
	return 0;
}

/* clang-format off */
static const struct msg_handler device_msgs[] = {
	{ IMSG_CTL_LOG,		ROLE_DEVICE, peer_log },
	{ IMSG_CTL_READY,	ROLE_DEVICE, device_ready },
};
/* clang-format on */

_Static_assert(1 + VM_MAX_DISKS + VM_MAX_NICS + 1 <= SB_SLOT_IDS,
    "an id for each");

/* The slot's first id is the vm process'. */
static uid_t
own_id(const struct device *d)
{
	if (d->g->ids == 0)
		return 0;
	return d->g->ids + 1 + d->slot;
}

static int
exec_device(struct device *d, int channel, int vm)
{
	const char *const argv[] = { dev_kind_name(d->start.kind), NULL };
	uid_t id = own_id(d);
	const struct spawn s = {
		.exe = d->g->m->exe,
		.argv = argv,
		.channel = channel,
		.fds = &vm,
		.nfds = 1,
		.keep_stdio = 1,
		.pidns = d->g->m->shared_ids || WITHOUT(PIDNS) ? 0 :
								 d->g->pidfd,
		.child = become_nobody,
		.arg = &id,
	};

	return d->pid = spawn(&s, &d->pidfd);
}

/* What it is, and duplicates of all it needs for that. */
static int
send_start(struct device *d)
{
	struct fdlist fds = FDLIST_INIT;
	struct ibuf *b = NULL;
	int send[VM_MAXFDS];
	size_t i, n;

	if (fdlist_dup(&fds, &d->fds) == -1 ||
	    (b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_start_put(b, &d->start) == -1 ||
	    wire_put_fdlist(b, &fds) == -1) {
		fdlist_close(&fds);
		ibuf_free(b);
		return -1;
	}
	n = fds.n;
	for (i = 0; i < n; i++)
		send[i] = fds.ents[i].fd;
	return peer_send(d->peer, IMSG_DEVOP_START, no_request, b, send, n);
}

/* Its channel, for the vm process. */
static int
send_vm(struct device *d, int *fd, uint32_t flags)
{
	struct dev_id id = { .kind = d->start.kind,
		.idx = d->start.idx,
		.flags = flags,
		.run = d->run };
	int send = *fd;
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    dev_id_put(b, &id) == -1) {
		ibuf_free(b);
		return -1;
	}
	*fd = -1;
	return peer_send(d->g->peer, IMSG_VMDOP_DEVICE, no_request, b, &send,
	    1);
}

void
device_kill(struct device *d, const char *why)
{
	if (d->pidfd == -1)
		return;
	if (why != NULL)
		log_warnx("%s: %s, killed", d->name, why);
	pidfd_watch(d->ended, d->g->m->base, d->pidfd);
	syscall(SYS_pidfd_send_signal, d->pidfd, SIGKILL, NULL, 0);
}

static void
device_closed(struct peer *p, const char *why)
{
	device_kill(peer_arg(p), why);
}

/* All that can fail for want of memory, before there is a process. */
static int
watch(struct device *d, int *channel)
{
	struct peer_conf conf = {
		.role = ROLE_DEVICE,
		.name = d->name,
		.msgs = device_msgs,
		.nmsgs = sizeof(device_msgs) / sizeof(device_msgs[0]),
		.closed = device_closed,
		.arg = d,
	};
	int fd = *channel;

	*channel = -1;
	if ((d->peer = peer_new(d->g->m->base, fd, &conf)) == NULL)
		return -1;
	d->ended = event_new(d->g->m->base, -1, EV_READ | EV_PERSIST,
	    device_ended, d);
	if (d->ended == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* Its process is gone, or never was. */
void
device_forget(struct device *d)
{
	if (d->ended != NULL)
		event_free(d->ended);
	d->ended = NULL;
	peer_free(d->peer);
	d->peer = NULL;
	fd_close(&d->pidfd);
	if (d->own != 0)
		report(d, 0);
	d->own = 0;
	d->pid = -1;
}

int
device_launch(struct device *d, uint32_t flags)
{
	int up[2] = { -1, -1 }, vm[2] = { -1, -1 }, saved_errno;

	d->failed = d->lost = 0;
	d->run++;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, up) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, vm) == -1 ||
	    watch(d, &up[0]) == -1 || exec_device(d, up[1], vm[1]) == -1)
		goto fail;
	fd_close(&up[1]);
	fd_close(&vm[1]);
	if (pidfd_watch(d->ended, d->g->m->base, d->pidfd) == -1 ||
	    send_start(d) == -1 || send_vm(d, &vm[0], flags) == -1)
		goto fail;
	if (flags & DEVF_REPLACED)
		d->replaced++;
	return 0;
fail:
	saved_errno = errno;
	if (d->pidfd != -1) {
		/* It may take its time: device_ended() will see. */
		d->lost = 1;
		device_kill(d, NULL);
	} else {
		device_forget(d);
	}
	fd_close(&up[0]);
	fd_close(&up[1]);
	fd_close(&vm[0]);
	fd_close(&vm[1]);
	errno = saved_errno;
	return -1;
}

/* --- what a guest has ---------------------------------------------------- */

static int
take_fds(struct device *d, struct fdlist *from, enum fd_kind kind)
{
	unsigned int sub;
	int fd;

	for (sub = 0; sub < VM_MAX_LAYERS; sub++) {
		if ((fd = fdlist_take(from, kind, d->start.idx, sub)) == -1)
			break;
		if (fdlist_add(&d->fds, kind, d->start.idx, sub, &fd) == -1) {
			fd_close(&fd);
			return -1;
		}
	}
	d->start.layers = sub;
	return 0;
}

static struct device *
device_new(struct guest *g, enum dev_kind kind, uint32_t idx)
{
	struct device *d;
	int n;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->g = g;
	d->pid = -1;
	d->pidfd = -1;
	d->start.kind = kind;
	d->start.idx = idx;
	d->slot = g->ndevices++;
	TAILQ_INSERT_TAIL(&g->devices, d, entry);
	if (kind == DEV_VIOSCSI)
		n = asprintf(&d->name, "vm/%s/%s", g->name,
		    dev_kind_name(kind));
	else
		n = asprintf(&d->name, "vm/%s/%s%u", g->name,
		    dev_kind_name(kind), idx);
	if (n == -1)
		d->name = NULL;
	d->start.name = strdup(g->name);
	return d->name == NULL || d->start.name == NULL ? NULL : d;
}

static int
copy_string(char **to, const char *from)
{
	return from == NULL || (*to = strdup(from)) != NULL ? 0 : -1;
}

static int
new_disk(struct guest *g, const struct vm_spec *spec, uint32_t i,
    struct fdlist *fds)
{
	const struct disk_spec *s = &spec->disks[i];
	struct device *d;

	if ((d = device_new(g, DEV_VIOBLK, i)) == NULL ||
	    copy_string(&d->start.path, s->path) == -1 ||
	    copy_string(&d->start.serial, s->serial) == -1 ||
	    take_fds(d, fds, FD_DISK) == -1)
		return -1;
	d->start.flags = s->flags;
	d->start.qcow2 = s->qcow2;
	return 0;
}

static int
new_nic(struct guest *g, const struct nic_spec *s, uint32_t i,
    struct fdlist *fds)
{
	struct device *d;

	if ((d = device_new(g, DEV_VIONET, i)) == NULL)
		return -1;
	d->start.net = s->net;
	return take_fds(d, fds, FD_TAP);
}

int
devices_new(struct guest *g, const struct vm_spec *spec, struct fdlist *fds)
{
	struct device *d;
	uint32_t i;

	for (i = 0; i < spec->ndisks; i++)
		if (new_disk(g, spec, i, fds) == -1)
			return -1;
	for (i = 0; i < spec->nnics; i++)
		if (new_nic(g, &spec->nics[i], i, fds) == -1)
			return -1;
	if (spec->cdrom == NULL)
		return 0;
	if ((d = device_new(g, DEV_VIOSCSI, 0)) == NULL ||
	    copy_string(&d->start.path, spec->cdrom) == -1)
		return -1;
	d->start.flags = DISKF_READONLY;
	return take_fds(d, fds, FD_CDROM);
}

static void
device_free(struct device *d)
{
	TAILQ_REMOVE(&d->g->devices, d, entry);
	device_forget(d);
	fdlist_close(&d->fds);
	dev_start_fini(&d->start);
	free(d->name);
	free(d);
}

void
devices_free(struct guest *g)
{
	struct device *d;

	while ((d = TAILQ_FIRST(&g->devices)) != NULL)
		device_free(d);
}

int
devices_launch(struct guest *g)
{
	struct device *d;

	TAILQ_FOREACH(d, &g->devices, entry)
		if (device_launch(d, 0) == -1)
			return -1;
	return 0;
}

int
devices_kill(struct guest *g)
{
	struct device *d;
	int n = 0;

	TAILQ_FOREACH(d, &g->devices, entry)
		if (d->pidfd != -1) {
			device_kill(d, NULL);
			n++;
		}
	return n;
}

struct device *
device_find(struct guest *g, uint32_t kind, uint32_t idx)
{
	struct device *d;

	TAILQ_FOREACH(d, &g->devices, entry)
		if (d->start.kind == kind && d->start.idx == idx)
			return d;
	return NULL;
}
