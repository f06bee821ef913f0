#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a process gives up for good.  A layer that the running kernel lacks
 * is skipped and named; one that exists and fails is an error.
 */

/* --- ids: a range of user and group ids for guests -------------------- */

/*
 * Build settings: the range used when /etc/subuid has no line for _vmd.
 * Slots of 32 ids each.  Several daemons share the range: slots, one of them
 * for vmm itself, are claimed by OFD locks on one file.
 */
#ifndef VMD_IDS_BASE
#define VMD_IDS_BASE 1900000000U
#endif
#ifndef VMD_IDS_COUNT
#define VMD_IDS_COUNT 65536U
#endif
#define SB_SLOT_IDS    40
#define SB_IDS_FILE    "/run/vmd-ids"
#define SB_EXIT_DENIED 31 /* exit status after a denied system call */

/*
 * The file of locks, in the root parent, opened afresh for each vmm: what it
 * claimed is free when its last descriptor is closed.  -1 with errno.
 */
int sandbox_ids_open(void);
/*
 * In vmm: which ids there are, by /proc/self/uid_map; call before
 * sandbox_empty_root().  0 in the user namespace that the parent made, 1 if
 * there is none and the ids are taken as they are, -1 with errno.
 */
int sandbox_ids_init(void);
/*
 * The file of locks, which is taken.  It is one descriptor for the life of
 * vmm, so no change of root matters to it.
 */
void sandbox_ids_file(int fd);
/*
 * Claim the first free slot; `*id' is its first user and group id as seen
 * inside the namespace.  -1 with errno EAGAIN: all are taken.
 */
int sandbox_slot_claim(uid_t *id);
void sandbox_slot_release(uid_t id);

/*
 * Claim a slot for a process that is in no user namespace of vmm's, in the
 * root parent: `*id' is its first user and group id.  Returns a descriptor
 * (close-on-exec); the slot is free when it is closed.  -1 with errno EAGAIN:
 * all are taken.
 */
int sandbox_slot_outside(uid_t *id);

/* --- vmm: made by the root parent ------------------------------------- */

/*
 * CLONE_NEW* flags for spawn() of vmm.  `*lacking' is 1 if there can be no
 * user namespace here (we are root of a chroot): guests get ids of their
 * own without one.
 */
int sandbox_vmm_flags(unsigned int *lacking);
/*
 * spawn.started of vmm: claims a slot for it, which becomes the first in the
 * namespace, and writes uid_map and gid_map of `pid'.  The lock is in what
 * sandbox_ids_open() returns next.
 */
int sandbox_vmm_map(pid_t pid, void *arg);
/* spawn.child of vmm: become root of the new namespace. */
int sandbox_vmm_child(void *arg);

/* --- any role --------------------------------------------------------- */

/*
 * A mount namespace of its own with an empty, read-only root.  0 or -1 with
 * errno.
 */
int sandbox_empty_root(void);
/*
 * Before that: the root will have dev/net/tun, for `uid' alone, if the host
 * has one; a place where the host's own is, if there can be no other.
 */
void sandbox_root_tun(uid_t uid);
/*
 * No capabilities, no_new_privs, non-dumpable, no core.  Before threads are
 * made.  0, or -1 with errno and in `what' what failed.
 */
int sandbox_lock(const char **what);
/* Two parts of that.  0 or -1 with errno. */
int sandbox_nnp(void);
int sandbox_nodump(void);
/*
 * Keep the capabilities of `keep' (bits 1ULL << CAP_X) and lose all others,
 * also what an exec could bring back.  Needs CAP_SETPCAP.  0 or -1 with
 * errno.
 */
int sandbox_caps(uint64_t keep);
/*
 * Between clone and exec, with CAP_SETPCAP: an empty bounding set, and
 * securebits, locked, by which neither an exec nor a change of ids ever
 * gives capabilities; nor does that take any, so sandbox_no_caps() is to
 * follow.  0 or -1 with errno.
 */
int sandbox_no_gain(void);
/* No capabilities from now on.  0 or -1 with errno. */
int sandbox_no_caps(void);
/* 1 if the securebits are those. */
int sandbox_has_bits(void);
/*
 * A Landlock domain that handles everything and grants nothing
 * (`keep_exec': all but EXECUTE and READ_FILE, which execveat(2) needs).
 * After sandbox_lock(), before threads are made.  1 if the kernel has none,
 * 0, or -1 with errno.
 */
int sandbox_landlock(int keep_exec);
/*
 * Before that, at most SB_GRANTS times: the next domain lets files at and
 * below `fd' (its owner's, open until then) be read and written, and grants
 * nothing else for it.
 */
#define SB_GRANTS 4
void sandbox_landlock_grant(int fd);
/* Whether the kernel has it. */
int sandbox_has_landlock(void);
/* Its part of sandbox_own(). */
unsigned int sandbox_landlock_own(void);
/*
 * From now on a call that a filter denies makes the process say `denied:
 * system call N (NAME)' on `fd' and exit with SB_EXIT_DENIED: as a CTL_LOG
 * message, or, if `prefix' is not NULL, as a line of text after that (which
 * must last).  It does not survive an exec; until the next call of this a
 * denied call is death by SIGSYS.  0 or -1 with errno.
 */
int sandbox_traps(int fd, const char *prefix);
/*
 * What this process has done to itself and nobody can see from outside, as
 * of its filter: its own report, sent up with CTL_READY.  A bit for the
 * report itself, so that it is never 0.
 */
#define SB_OWN_REPORT	   0x01
#define SB_OWN_LANDLOCK	   0x02 /* in a domain */
#define SB_OWN_NO_LANDLOCK 0x04 /* the kernel has none */
#define SB_OWN_NODUMP	   0x08 /* not dumpable */
#define SB_OWN_BITS	   0x10 /* securebits, see sandbox_no_gain() */
unsigned int sandbox_own(void);
/*
 * Put the filter called `name' (filter_NAME.def) on all threads; no_new_privs
 * or CAP_SYS_ADMIN must be there.  It holds for all that is started later.
 * `channel' is for sandbox_traps(), -1 if that was called.  Threads are made
 * before the filter called vm, which has neither clone nor clone3.  1: the
 * kernel has none, 0, or -1 with errno; ENOENT: no such filter.
 */
int sandbox_seccomp(const char *name, int channel);

#endif
