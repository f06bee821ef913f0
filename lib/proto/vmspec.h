#ifndef PROTO_VMSPEC_H
#define PROTO_VMSPEC_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/netconf.h"

/*
 * What a VM is: the same structure from vm.conf or vmctl through parent and
 * vmm to the guest process.
 */

#define VM_NAME_MAX    64 /* with the NUL */
#define VM_MAX_CPUS    64
#define VM_MAX_DISKS   16
#define VM_MAX_NICS    16
#define VM_MAX_LAYERS  16 /* of one disk */
#define VM_MEMORY_UNIT (1ULL << 20)
/* With less there is no memory above 1 MiB, where kernels begin. */
#define VM_MIN_MEMORY	    (2ULL << 20)
#define VM_MAX_MEMORY	    (1ULL << 40)
#define VM_DEFAULT_MEMORY   (512ULL << 20)
#define VM_STOP_TIMEOUT	    120 /* seconds */
#define VM_STOP_TIMEOUT_MAX 86400
#define VM_CMDLINE_MAX	    2048 /* Linux' COMMAND_LINE_SIZE */
#define VM_GID_NONE	    ((int64_t)-1)

/* What a start request or a vm block gave. */
enum {
	VMGIVEN_CPUS = 0x01,
	VMGIVEN_BOOT = 0x02,
	VMGIVEN_MEMORY = 0x04,
	VMGIVEN_NICS = 0x08,
	VMGIVEN_DISKS = 0x10,
	VMGIVEN_CDROM = 0x20,
	VMGIVEN_INSTANCE = 0x40,
	VMGIVEN_BOOTDEV = 0x80,
	VMGIVEN_INITRD = 0x100,
	VMGIVEN_CMDLINE = 0x200,
};

enum vm_bootdev {
	BOOTDEV_AUTO,
	BOOTDEV_DISK,
	BOOTDEV_CDROM,
	BOOTDEV_NET,
	BOOTDEV_MAX
};
enum vm_restart {
	RESTART_NEVER,
	RESTART_ON_FAILURE,
	RESTART_ALWAYS,
	RESTART_MAX
};
enum disk_format {
	DISK_AUTO,
	DISK_RAW,
	DISK_QCOW2,
	DISK_FORMAT_MAX
};

enum {
	DISKF_READONLY = 0x01,
};

struct disk_spec {
	char *path;
	char *serial; /* NULL if not given; 20 bytes */
	enum disk_format format;
	uint32_t flags; /* DISKF_* */
	/*
	 * Its chain, as the parent has opened it: FD_DISK descriptors with
	 * this disk's index, sub 0 on top.
	 */
	uint32_t layers; /* how many, 0: not opened yet */
	uint32_t qcow2;	 /* bit n: layer n is qcow2, else raw */
};

enum {
	NICF_UP = 0x01,
	NICF_LOCKED = 0x02, /* locked lladdr */
	NICF_LOCAL = 0x04,
	NICF_RDOMAIN = 0x08,  /* rdomain was given */
	NICF_LLADDR = 0x10,   /* lladdr was given */
	NICF_NAT = 0x20,      /* out to the world by masquerading */
	NICF_ISOLATED = 0x40, /* sees no other isolated one */
	NICF_USER = 0x80,     /* user mode: no tap */
};

struct nic_spec {
	char *ifname; /* "tapN", or NULL for the next free */
	char *sw;     /* switch, or NULL */
	char *group;  /* or NULL */
	uint32_t flags;
	uint32_t rdomain;
	uint32_t mtu; /* 0: not given */
	uint8_t lladdr[6];
	uint32_t nforwards;
	struct net_forward forwards[NET_MAX_FORWARDS];
	struct net_conf net; /* of this run, by the parent */
};

/* What an instance may set itself (allow instance). */
enum {
	INSF_BOOT = 0x01,
	INSF_MEMORY = 0x02,
	INSF_INTERFACE = 0x04,
	INSF_DISK = 0x08,
	INSF_CDROM = 0x10,
	INSF_INSTANCE = 0x20,
	INSF_OWNER = 0x40, /* ins_uid/ins_gid were given */
};

enum {
	VMF_DISABLED = 0x01,
	VMF_SEV = 0x02,
	VMF_SEVES = 0x04,
	VMF_OVERCOMMIT = 0x08, /* memory overcommit */
	VMF_PROBE = 0x10,      /* vmm's probe guest, see vmm.c */
};

struct vm_spec {
	char *name;
	char *parent; /* template of an instance, or NULL */
	char *boot;   /* path, or NULL: default firmware */
	char *initrd;
	char *cmdline;
	char *cdrom;
	char *console_log;
	char *file; /* where it was defined, or NULL */
	uint32_t line;
	uint32_t given;	     /* VMGIVEN_* */
	uint32_t flags;	     /* VMF_* */
	uint32_t id;	     /* fixed or assigned id, 0: none yet */
	uint64_t generation; /* of this launch; 0 before it */
	uint32_t cpus;	     /* 1..VM_MAX_CPUS; 0: default */
	uint64_t memory;     /* bytes; 0: default */
	uint64_t uid;	     /* owner */
	int64_t gid;	     /* or VM_GID_NONE */
	uint64_t ins_uid;
	int64_t ins_gid;
	uint32_t ins_flags; /* INSF_* */
	enum vm_bootdev bootdev;
	enum vm_restart restart;
	uint32_t stop_timeout; /* seconds */
	uint32_t min_nics;     /* `interfaces N' */
	uint32_t ndisks;
	uint32_t nnics;
	struct disk_spec disks[VM_MAX_DISKS];
	struct nic_spec nics[VM_MAX_NICS];
};

/* A spec of defaults with a copy of `name' (may be NULL).  NULL: ENOMEM. */
struct vm_spec *vm_spec_new(const char *name);
struct vm_spec *vm_spec_copy(const struct vm_spec *s);
void vm_spec_free(struct vm_spec *s);

/* Write `s'.  0, or -1 with errno. */
int vm_spec_put(struct ibuf *b, const struct vm_spec *s);
/*
 * Read a spec.  Every count, enum, flag and string is checked: the name by
 * vm_name_valid(), cpus, memory, uid, gid, stop_timeout by their ranges.  The
 * caller frees.  NULL with errno EBADMSG, EMSGSIZE or ENOMEM.
 */
struct vm_spec *vm_spec_get(struct ibuf *b);

/*
 * NULL if `name' may name a VM, else what is wrong with it: letters,
 * digits, `.', `-', `_', not starting with one of these three, 1 to
 * VM_NAME_MAX - 1 bytes.
 */
const char *vm_name_check(const char *name);

#endif
