/*
 * What each kind of process should be: a table.  A new kind of process is a
 * row, a new layer is a column, with a check in audit_check.c.
 */

#include <string.h>
#include <linux/capability.h>

#include "lib/sandbox/sandbox.h"
#include "vmctl/audit_want.h"

#define CAPS_ANY (~0ULL)
#define CAPS_VMM                                                               \
	(BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |                \
	    BIT(CAP_KILL) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE))
#define NS_VMM                                                                 \
	(BIT(LOOK_IPC) | BIT(LOOK_MNT) | BIT(LOOK_NET) | BIT(LOOK_USER) |      \
	    BIT(LOOK_UTS))
/* The pipes are libevent's own, for signals. */
#define FDS_LOOP                                                               \
	(BIT(LOOK_EPOLL) | BIT(LOOK_EVENTFD) | BIT(LOOK_NULL) |                \
	    BIT(LOOK_PIPE) | BIT(LOOK_SOCKET) | BIT(LOOK_TIMER))
#define FDS_PARENT                                                             \
	(BIT(LOOK_NFDS) - 1 - BIT(LOOK_VM) - BIT(LOOK_VCPU) - BIT(LOOK_SYSCTL))
#define OWN_BOTH (SB_OWN_LANDLOCK | SB_OWN_NODUMP)
#define OWN_ALL	 (OWN_BOTH | SB_OWN_BITS)

static const struct want wants[PROC_KIND_MAX] = {
	[PROC_PARENT] = {
		.filters = { "parent" },
		.ids = IDS_ROOT,
		.caps = CAPS_ANY,
		.bound = CAPS_ANY,
		.fds = FDS_PARENT,
	},
	[PROC_CONTROL] = {
		.filters = { "control", "parent" },
		.ids = IDS_USER,
		.user = "_vmd",
		.nnp = 1,
		.ns = BIT(LOOK_MNT) | BIT(LOOK_PID),
		.empty_root = 1,
		.fds = FDS_LOOP,
		.own = OWN_BOTH,
	},
	[PROC_PRIV] = {
		.filters = { "priv", "parent" },
		.ids = IDS_USER,
		.user = "_vmdpriv",
		.caps = BIT(CAP_NET_ADMIN),
		.bound = BIT(CAP_NET_ADMIN),
		.nnp = 1,
		.ns = BIT(LOOK_MNT) | BIT(LOOK_PID),
		.empty_root = 1,
		.tun = 1,
		.fds = FDS_LOOP | BIT(LOOK_TUN) | BIT(LOOK_SYSCTL),
		.own = OWN_BOTH,
	},
	[PROC_VMM] = {
		.filters = { "vmm", "parent" },
		.ids = IDS_VMM,
		.caps = CAPS_VMM,
		.bound = CAPS_VMM,
		.nnp = 1,
		.ns = NS_VMM,
		.empty_root = 1,
		/* Those of its guests on their way, or kept for a device. */
		.fds = FDS_PARENT & ~BIT(LOOK_DIR),
		.own = OWN_BOTH,
	},
	[PROC_OPENER] = {
		.filters = { "opener", "parent" },
		.ids = IDS_ANY,
		.caps = CAPS_ANY,
		.bound = CAPS_ANY,
		.nnp = 1,
		.fds = FDS_LOOP | BIT(LOOK_FILE),
	},
	[PROC_VM] = {
		.filters = { "vm", "vmm", "parent" },
		.ids = IDS_SLOT,
		.nnp = 1,
		.ns = NS_VMM | BIT(LOOK_PID),
		.empty_root = 1,
		.fds = FDS_LOOP | BIT(LOOK_FILE) | BIT(LOOK_KVM) |
		    BIT(LOOK_MEMFD) | BIT(LOOK_TTY) | BIT(LOOK_VCPU) |
		    BIT(LOOK_VM),
		.memory = 1,
		.own = OWN_ALL,
	},
	[PROC_IMAGE] = {
		.filters = { "image", "parent" },
		.ids = IDS_USER,
		.user = "_vmd",
		.nnp = 1,
		.ns = BIT(LOOK_MNT) | BIT(LOOK_PID),
		.empty_root = 1,
		.fds = FDS_LOOP | BIT(LOOK_FILE),
		.own = OWN_BOTH,
	},
	/* Not ours: it makes a sandbox of its own, with a user namespace. */
	[PROC_PASST] = {
		.filters = { "parent" },
		.more = 1,
		.ids = IDS_OWN,
		.bound = CAPS_ANY,
		.nnp = 1,
		.ns = BIT(LOOK_IPC) | BIT(LOOK_MNT) | BIT(LOOK_USER) |
		    BIT(LOOK_UTS),
		.empty_root = 1,
		.fds = FDS_LOOP,
	},
};

#define WANT_DEVICE(name, last, kind)                                          \
	{                                                                      \
		.filters = { last, name "_open", "vmm", "parent" },            \
		.ids = IDS_SLOT, .nnp = 1, .ns = NS_VMM | BIT(LOOK_PID),       \
		.empty_root = 1, .fds = FDS_LOOP | BIT(kind) | BIT(LOOK_RING), \
		.memory = 1, .own = OWN_ALL,                                   \
	}

/* Devices, by the last part of their names; without a ring they need more. */
static const struct {
	const char *name;
	struct want ring, sync;
} devices[] = {
	{ "vioblk", WANT_DEVICE("vioblk", "vioblk", LOOK_FILE),
	    WANT_DEVICE("vioblk", "vioblk_sync", LOOK_FILE) },
	{ "vionet", WANT_DEVICE("vionet", "vionet", LOOK_TUN),
	    WANT_DEVICE("vionet", "vionet_sync", LOOK_TUN) },
	{ "vioscsi", WANT_DEVICE("vioscsi", "vioscsi", LOOK_FILE),
	    WANT_DEVICE("vioscsi", "vioscsi_sync", LOOK_FILE) },
};

const struct want *
want_of(const struct subject *s)
{
	const char *name = strrchr(s->info.name, '/');
	size_t i, len;

	if (s->info.kind != PROC_DEV)
		return &wants[s->info.kind];
	for (i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		len = strlen(devices[i].name);
		if (name != NULL &&
		    strncmp(name + 1, devices[i].name, len) == 0 &&
		    strspn(name + 1 + len, "0123456789") ==
			strlen(name + 1 + len))
			return s->look.fds[LOOK_RING] > 0 ? &devices[i].ring :
							    &devices[i].sync;
	}
	return NULL;
}
