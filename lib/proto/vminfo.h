#ifndef PROTO_VMINFO_H
#define PROTO_VMINFO_H

#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/devstat.h"
#include "lib/proto/vmerr.h"
#include "lib/proto/vmspec.h"

/*
 * Bodies of the other messages.  Each pair writes and reads one struct; all
 * return 0 or -1 with errno as wire.h says.  A getter allocates the strings
 * (never NULL afterwards unless marked); free them with the *_fini function.
 */

/* States of a VM, in the parent and on the wire. */
enum vm_state {
	VMS_STOPPED,
	VMS_WAITING,  /* for the staggered start, or for `restart' */
	VMS_STARTING, /* launched, not answered yet */
	VMS_RUNNING,
	VMS_PAUSED,
	VMS_STOPPING, /* asked to stop, or killed and not reaped yet */
	VMS_MAX
};
const char *vm_state_text(enum vm_state s);

/* The answer to every request. */
struct vmop_result {
	uint32_t err;  /* enum vmerr */
	uint32_t id;   /* VM, 0 if none */
	uint32_t exit; /* enum vmexit, in a TERMINATE_VM_EVENT */
	int32_t pid;
	uint64_t generation;
	char *name; /* may be NULL */
	char *tty;  /* may be NULL */
	char *text; /* particulars, may be NULL */
};
int vmop_result_put(struct ibuf *b, const struct vmop_result *r);
int vmop_result_get(struct ibuf *b, struct vmop_result *r);
void vmop_result_fini(struct vmop_result *r);

/* Which VM, and how. */
enum {
	VMOP_FORCE = 0x01,
	VMOP_WAIT = 0x02,
	VMOP_READONLY = 0x04, /* console: look, do not type */
	VMOP_DRYRUN = 0x08,   /* reload -n */
	VMOP_HISTORY = 0x10,  /* console: send the history first */
	VMOP_STEAL = 0x20,    /* console: become the writer */
	VMOP_RUN = 0x40,      /* console: history of this run only */
	VMOP_DEVICES = 0x80,  /* list of VMs: with devices */
};
struct vmop_id {
	char *name;	     /* as typed: a name or a number */
	uint32_t flags;	     /* VMOP_* */
	uint32_t id;	     /* below the parent */
	uint64_t generation; /* below the parent */
	uint32_t arg;	     /* timeout in s, level, mode ... */
};
int vmop_id_put(struct ibuf *b, const struct vmop_id *v);
int vmop_id_get(struct ibuf *b, struct vmop_id *v);
void vmop_id_fini(struct vmop_id *v);

/* One VM in the answer to GET_INFO_VM_REQUEST. */
struct vm_info {
	struct vm_spec *spec; /* current one; id is set */
	uint32_t state;	      /* enum vm_state */
	int32_t pid;	      /* 0: none */
	uint64_t resident;    /* bytes; of guest memory and process */
	uint64_t run_uid;     /* who started this run */
	int64_t started;      /* seconds since 1970, 0: never */
	uint32_t exit;	      /* enum vmexit of the last run */
	char *exit_text;      /* may be NULL */
	char *tty;	      /* "/dev/pts/7", NULL if none */
	char *pending;	      /* what the next start changes, or NULL */
	char *error;	   /* of the last failed start, or why it was paused */
	uint32_t held;	   /* disabled by vmctl */
	uint32_t has_devs; /* devs was asked for, and may be seen */
	struct dev_list devs; /* of this run */
};
int vm_info_put(struct ibuf *b, const struct vm_info *i);
int vm_info_get(struct ibuf *b, struct vm_info *i);
void vm_info_fini(struct vm_info *i);

/* A log line on its way up. */
struct log_line {
	uint32_t prio; /* syslog(3), 0..7 */
	char *text;    /* up to 1024 bytes */
};
int log_line_put(struct ibuf *b, const struct log_line *l);
int log_line_get(struct ibuf *b, struct log_line *l);
void log_line_fini(struct log_line *l);
/*
 * A new body with a line, which is cut to what one may have; room for one
 * more word.  NULL with errno.
 */
struct ibuf *log_line_new(int prio, const char *line);

/* What this host's KVM can do, and its network. */
struct host_info {
	char *caps; /* "NAME=value" lines */
	uint32_t probe_ok;
	char *probe; /* what the probe guest showed */
	char *kind;  /* one line for the log */
	/*
	 * What may keep guests offline, a line each; "": nothing, NULL: not
	 * known.  The parent's to say, not vmm's.
	 */
	char *net;
};
int host_info_put(struct ibuf *b, const struct host_info *h);
int host_info_get(struct ibuf *b, struct host_info *h);
void host_info_fini(struct host_info *h);

/* Kinds of processes, as `vmctl audit' knows them. */
enum proc_kind {
	PROC_PARENT,
	PROC_CONTROL,
	PROC_PRIV,
	PROC_VMM,
	PROC_OPENER,
	PROC_IMAGE,
	PROC_VM,
	PROC_DEV,
	PROC_PASST,
	PROC_KIND_MAX
};

/* A process of the daemon. */
struct proc_info {
	char *name;    /* "vmm", "vm/web1", "vm/web1/vioblk0" */
	uint32_t kind; /* enum proc_kind */
	int32_t pid;   /* as the parent sees it */
	uint32_t own;  /* SB_OWN_*, its own report; 0: none, or it ended */
};
int proc_info_put(struct ibuf *b, const struct proc_info *i);
int proc_info_get(struct ibuf *b, struct proc_info *i);
void proc_info_fini(struct proc_info *i);

#endif
