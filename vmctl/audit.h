#ifndef VMCTL_AUDIT_H
#define VMCTL_AUDIT_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "lib/proto/vminfo.h"
#include "lib/sandbox/filter.h"

/*
 * `vmctl audit': what a process of the daemon is, as seen from outside, and
 * what it should be.
 */

/* --- audit_look.c: what is there --------------------------------------- */

enum look_ns {
	LOOK_CGROUP,
	LOOK_IPC,
	LOOK_MNT,
	LOOK_NET,
	LOOK_PID,
	LOOK_USER,
	LOOK_UTS,
	LOOK_NNS
};
extern const char *const look_ns_names[LOOK_NNS];

/* Kinds of descriptors. */
enum look_fd {
	LOOK_DIR,
	LOOK_EPOLL,
	LOOK_EVENTFD,
	LOOK_FILE, /* regular, or a block device */
	LOOK_KVM,
	LOOK_MEMFD,
	LOOK_NULL,
	LOOK_OTHER,
	LOOK_PIDFD,
	LOOK_PIPE,
	LOOK_RING, /* io_uring */
	LOOK_SOCKET,
	LOOK_SYSCTL, /* the directory /proc/sys/net */
	LOOK_TIMER,
	LOOK_TTY,
	LOOK_TUN,
	LOOK_VCPU,
	LOOK_VM,
	LOOK_NFDS
};
extern const char *const look_fd_names[LOOK_NFDS];

enum {
	CAP_SET_INH,
	CAP_SET_PRM,
	CAP_SET_EFF,
	CAP_SET_BND,
	CAP_SET_AMB,
	CAP_SETS
};

#define LOOK_NMEMORY 2 /* one more than anybody may have */

struct look {
	pid_t pid;
	/* The same in all threads, or `mixed' names what is not. */
	uint32_t uid[4]; /* real, effective, saved, file system */
	uint32_t gid[4];
	unsigned int ngroups;
	uint64_t caps[CAP_SETS];
	unsigned int nnp;
	unsigned int seccomp; /* mode: 2 is filter */
	unsigned int nfilters;
	unsigned int nthreads;
	const char *mixed;
	/* Of uid_map: who is root in there, and the range. */
	uint32_t map_root, map_base, map_count; /* 0: none */
	ino_t ns[LOOK_NNS];			/* 0: not readable */
	int root_same;				/* as ours */
	int root_empty;				/* nothing in it */
	int root_tun;				/* nothing but dev/net/tun */
	int root_rdonly;
	unsigned int fds[LOOK_NFDS];
	/* Guest memory that is mapped, each once. */
	ino_t memory[LOOK_NMEMORY];
	unsigned int nmemory;
	/* The filters together. */
	int filters_read;  /* 0: `filters_why' is the reason */
	int filters_errno; /* errno */
	uint8_t allowed[SB_NCALLS];
	unsigned int nallowed;
	int other_arch; /* something of another architecture is allowed */
};

/* 0, or -1 with errno; ENOENT or ESRCH: it has ended. */
int look_at(pid_t pid, struct look *l);
/* All processes below `pid', into `*pids' (the caller frees); -1: errno. */
ssize_t look_below(pid_t pid, pid_t **pids);
/* Whether it is still there. */
int look_alive(pid_t pid);

/* --- audit_check.c: what should be there ------------------------------- */

#define CHECK_TEXT 256

/* One thing about one process. */
struct finding {
	const char *what;
	int ok;
	char value[CHECK_TEXT];	 /* in words */
	char wanted[CHECK_TEXT]; /* if it is not ok */
};

struct subject {
	struct proc_info info;
	struct look look;
	struct look *parent; /* of the daemon */
	int below;	     /* the parent, by /proc */
	long slot;	     /* of ids, -1: none */
	int shared_slot;     /* another guest has it as well */
	int shared_pids;     /* or its pid namespace */
	int other_memory;    /* it has memory that is not its guest's */
	struct finding *findings;
	size_t nfindings;
	int ended; /* before or while we looked */
	int ok;
};

/* Fill its findings.  0 or -1 with errno. */
int check_subject(struct subject *s);

/* --- audit_shared.c ---------------------------------------------------- */

/* The slot of ids that `id' is in, -1: not one for guests. */
long check_slot(const struct look *l, uint32_t id);
/*
 * What no process shows by itself: fills slot, shared_slot, shared_pids and
 * other_memory.
 */
void check_shared(struct subject *s, size_t n);

#endif
