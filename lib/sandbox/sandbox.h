#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a process gives up for good.  Each layer that the running kernel
 * lacks is skipped and named; one that exists and fails is an error.
 */

enum {
	SB_USERNS	= 0x01,
	SB_PIDNS	= 0x02,
	SB_ROOT		= 0x04,
	SB_NETNS	= 0x08,
	SB_CAPS		= 0x10,
	SB_NNP		= 0x20,
	SB_DUMP		= 0x40,
	SB_LANDLOCK	= 0x80,
	SB_SECCOMP	= 0x100,
};

/* --- ids: a range of user and group ids for guests -------------------- */

/*
 * A mapped range, `ids BASE COUNT' of the build (VMD_IDS_BASE, _COUNT).
 * Slots of 32 ids; claimed by locks on `dir'/ids.lock so that daemons share
 * the range.  Slot 0 of a claim is namespace-root and vmm's own.
 */
#define SB_SLOT_IDS	32

/* --- vmm: made by the root parent ------------------------------------- */

/* CLONE_NEW* flags for spawn() of vmm; *lacking gets SB_* bits skipped. */
int	sandbox_vmm_flags(unsigned int *lacking);
/* spawn.started of vmm: writes uid_map, setgroups, gid_map of `pid'. */
int	sandbox_vmm_map(pid_t pid, void *arg);
/*
 * In vmm after exec: private mounts, an empty tmpfs root, pivot_root;
 * 0 or -1 with errno and a word in `what' for the log.
 */
int	sandbox_vmm_root(const char **what);
/*
 * A slot of ids for guest number `slot' (the first free one is chosen),
 * as seen inside the namespace.  -1 with errno EAGAIN: all are taken.
 */
int	sandbox_slot_claim(uid_t *id);
void	sandbox_slot_release(uid_t id);

/* --- any role: after set-up ------------------------------------------- */

/* Caps dropped, no_new_privs, non-dumpable, no core.  0 or -1. */
int	sandbox_lock(const char **what);
/*
 * A Landlock domain that handles everything and grants nothing (`keep_exec':
 * all but EXECUTE).  1 if the kernel has none, 0, or -1 with errno.
 */
int	sandbox_landlock(int keep_exec);
/*
 * Install an embedded filter (made at build time).  `name' is "vm", ...;
 * after it a denied call makes the process send `denied: syscall N' to
 * descriptor `report' and exit.  1: kernel has none, 0, or -1 with errno.
 */
int	sandbox_seccomp(const char *name, int report);

#endif
