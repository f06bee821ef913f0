#ifndef PARENT_PERM_H
#define PARENT_PERM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/proto/vmerr.h"

/*
 * Who is asking, and what that person may do.
 */

/* A person as the kernel knows one. */
struct cred {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary */
	size_t ngroups;
};

#define CRED_MAXGROUPS 65536 /* the kernel's limit */

/*
 * Of the process that connected the socket `fd', by SO_PEERCRED and
 * SO_PEERGROUPS.  The caller frees.  NULL with errno.
 */
struct cred *cred_of_socket(int fd);
/* Of a user as after a login, from the user database.  As above. */
struct cred *cred_of_user(uid_t uid);
struct cred *cred_copy(const struct cred *c);
void cred_free(struct cred *c); /* NULL is fine */
int cred_in_group(const struct cred *c, gid_t gid);

/* What the rules need to know about a VM. */
struct perm_vm {
	uint64_t owner_uid;
	int64_t owner_gid; /* VM_GID_NONE: no group */
	int running;
	uint64_t run_uid; /* who started this run */
};

/* May `c' send a request of this type at all?  VMERR_OK or VMERR_PERM. */
enum vmerr perm_may_request(const struct cred *c, uint32_t type);
/* May `c' start, stop, wait for, pause or look into this VM? */
enum vmerr perm_may_operate(const struct cred *c, const struct perm_vm *vm);
/* May `c' define a VM that is not in the configuration? */
enum vmerr perm_may_define(const struct cred *c);
/*
 * May `c', who may operate the VM, change these VMGIVEN_* settings for one
 * run?  Sizes are the administrator's; what boots is the owner's.
 */
enum vmerr perm_may_change(const struct cred *c, uint32_t given);

#endif
