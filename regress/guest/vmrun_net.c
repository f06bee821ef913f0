/*
 * Network devices of vmrun: processes that get a tap of the test's own and a
 * channel to the vm process, as vmm does it.
 */
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"
#include "proc/spawn.h"
#include "regress/guest/vmrun_net.h"

#define HOST4 0x64400102U /* 100.64.1.2, of the first */

static const struct msg_hdr no_request = { 0, 0 };

static struct nic {
	struct net_conf conf;
	int taps[NET_MAX_PAIRS];
	int noring; /* as on a kernel without io_uring */
	struct peer *peer;
	pid_t pid;
	int pidfd;
} nics[VM_MAX_NICS];
static int nnics;

static struct {
	struct event_base *base;
	struct peer *vm;
	const char *exe;
} net;

/* --- taps ------------------------------------------------------------------- */

static int
tap_open(struct nic *n)
{
	struct ifreq r = { 0 };
	uint32_t i;

	memcpy(r.ifr_name, n->conf.ifname, sizeof(r.ifr_name));
	for (i = 0; i < n->conf.pairs; i++) {
		r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
		    (n->conf.pairs > 1 ? IFF_MULTI_QUEUE : 0);
		n->taps[i] = open("/dev/net/tun",
		    O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (n->taps[i] == -1 || ioctl(n->taps[i], TUNSETIFF, &r) == -1)
			return -1;
	}
	if (ioctl(n->taps[0], SIOCGIFHWADDR, &r) == -1)
		return -1;
	memcpy(n->conf.host_mac, r.ifr_hwaddr.sa_data, 6);
	return 0;
}

static int
option(struct net_conf *c, const char *o)
{
	if (strcmp(o, "local") == 0)
		c->flags |= NETF_LOCAL;
	else if (strcmp(o, "locked") == 0)
		c->flags |= NETF_LOCKED;
	else if (strcmp(o, "inet6") == 0)
		c->flags |= NETF_INET6;
	else if (strncmp(o, "pairs=", 6) == 0)
		c->pairs = (uint32_t)atoi(o + 6);
	else if (strncmp(o, "mtu=", 4) == 0)
		c->mtu = (uint32_t)atoi(o + 4);
	else {
		errno = EINVAL;
		return -1;
	}
	return c->pairs >= 1 && c->pairs <= NET_MAX_PAIRS ? 0 : -1;
}

int
net_add(struct vm_spec *s, char *what)
{
	static const uint8_t mac[5] = { 0xfe, 0xe1, 0xbb, 0, 1 };
	static const uint8_t host6[16] = { 0xfd, 0, 0, 0, 0, 0, 0,
		1, [15] = 1 };
	struct nic *n = &nics[nnics];
	char *o;

	if (nnics == VM_MAX_NICS) {
		errno = E2BIG;
		return -1;
	}
	n->conf.pairs = 1;
	n->conf.mtu = 1500;
	n->conf.lease = NET_LEASE;
	memcpy(n->conf.mac, mac, sizeof(mac));
	n->conf.mac[5] = (uint8_t)nnics;
	n->conf.host4 = HOST4 + 2U * (uint32_t)nnics;
	n->conf.guest4 = n->conf.host4 + 1;
	memcpy(n->conf.host6, host6, sizeof(host6));
	n->conf.ndns4 = 1;
	n->conf.dns4[0] = n->conf.host4;
	snprintf(n->conf.ifname, sizeof(n->conf.ifname), "%s",
	    strsep(&what, ","));
	while ((o = strsep(&what, ",")) != NULL)
		if (strcmp(o, "noring") == 0)
			n->noring = 1;
		else if (option(&n->conf, o) == -1)
			return -1;
	if (tap_open(n) == -1)
		return -1;
	s->nics[s->nnics++].net = n->conf;
	nnics++;
	return 0;
}

int
net_count(void)
{
	return nnics;
}

/* --- processes ----------------------------------------------------------------- */

static int
on_log(struct peer *p, struct msg *m)
{
	struct log_line l;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	fprintf(stderr, "vionet%d: %s\n",
	    (int)((struct nic *)peer_arg(p) - nics), l.text);
	log_line_fini(&l);
	return 0;
}

static int
on_ready(struct peer *p, struct msg *m)
{
	struct log_line l;
	uint32_t own;

	if (log_line_get(&m->body, &l) == -1)
		return -1;
	log_line_fini(&l);
	return wire_get_u32(&m->body, &own);
}

static const struct msg_handler msgs[] = {
	{ IMSG_CTL_READY, ROLE_DEVICE, on_ready },
	{ IMSG_CTL_LOG, ROLE_DEVICE, on_log },
};

static void
on_closed(struct peer *p, const char *why)
{
	struct nic *n = peer_arg(p);

	n->peer = NULL;
	peer_free(p);
}

static int
send_start(struct nic *n)
{
	char name[] = "test";
	struct dev_start s = { .kind = DEV_VIONET,
		.idx = (uint32_t)(n - nics),
		.name = name,
		.net = n->conf };
	struct fdlist fds = FDLIST_INIT;
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	int send[NET_MAX_PAIRS], fd;
	uint32_t i;

	for (i = 0; i < n->conf.pairs; i++) {
		fd = fcntl(n->taps[i], F_DUPFD_CLOEXEC, 3);
		send[i] = fd;
		if (fdlist_add(&fds, FD_TAP, s.idx, i, &fd) == -1)
			return -1;
	}
	if (b == NULL || dev_start_put(b, &s) == -1 ||
	    wire_put_fdlist(b, &fds) == -1)
		return -1;
	return peer_send(n->peer, IMSG_DEVOP_START, no_request, b, send, i);
}

static int
send_vm(struct nic *n, int fd, uint32_t flags)
{
	struct dev_id id = { .kind = DEV_VIONET,
		.idx = (uint32_t)(n - nics),
		.flags = flags };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	if (b == NULL || dev_id_put(b, &id) == -1)
		return -1;
	return peer_send(net.vm, IMSG_VMDOP_DEVICE, no_request, b, &fd, 1);
}

/* In the child: as on a kernel without io_uring. */
static int
forbid_ring(void *arg)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

static int
launch(struct nic *n, uint32_t flags)
{
	static const char *const argv[] = { "vionet", NULL };
	struct peer_conf conf = { .role = ROLE_DEVICE,
		.name = "vionet",
		.msgs = msgs,
		.nmsgs = sizeof(msgs) / sizeof(msgs[0]),
		.closed = on_closed,
		.arg = n };
	struct spawn s = { .argv = argv, .keep_stdio = 1, .nfds = 1 };
	int up[2], vm[2];

	if (n->noring)
		s.child = forbid_ring;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, up) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, vm) == -1 ||
	    (s.exe = open(net.exe, O_PATH | O_CLOEXEC)) == -1)
		return -1;
	s.channel = up[1];
	s.fds = &vm[1];
	if ((n->pid = spawn(&s, &n->pidfd)) == -1)
		return -1;
	close(s.exe);
	close(up[1]);
	close(vm[1]);
	if ((n->peer = peer_new(net.base, up[0], &conf)) == NULL ||
	    send_start(n) == -1)
		return -1;
	return send_vm(n, vm[0], flags);
}

int
net_launch(struct event_base *base, struct peer *vm, const char *exe, int idx)
{
	net.base = base;
	net.vm = vm;
	net.exe = exe;
	return launch(&nics[idx], 0);
}

int
net_replace(int idx)
{
	struct nic *n = &nics[idx];

	if (idx >= nnics) {
		errno = ENOENT;
		return -1;
	}
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
	close(n->pidfd);
	if (n->peer != NULL)
		peer_free(n->peer);
	return launch(n, DEVF_REPLACED);
}
