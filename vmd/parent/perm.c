/*
 * All rules about who may do what, in one file.
 *
 * Used by the parent for each request of a client.  The credentials come
 * from the kernel through the connection itself, never from what a client
 * or the control process says.  NULL credentials (a connection that was
 * never announced) may do nothing.
 */
#include "lib/proto/msg.h"
#include "lib/proto/vmspec.h"
#include "vmd/parent/perm.h"

/* Whoever can open the socket may send these. */
static const uint32_t everybody[] = {
	IMSG_VMDOP_START_VM_REQUEST,
	IMSG_VMDOP_TERMINATE_VM_REQUEST,
	IMSG_VMDOP_WAIT_VM_REQUEST,
	IMSG_VMDOP_PAUSE_VM,
	IMSG_VMDOP_UNPAUSE_VM,
	IMSG_VMDOP_ENABLE_VM,
	IMSG_VMDOP_DISABLE_VM,
	IMSG_VMDOP_GET_INFO_VM_REQUEST,
	IMSG_CTL_CONSOLE_REQUEST,
	IMSG_CTL_BREAK,
	IMSG_CTL_HOST_REQUEST,
};

/* And these are root's alone. */
static const uint32_t root_only[] = {
	IMSG_CTL_VERBOSE,
	IMSG_CTL_RESET,
	IMSG_CTL_AUDIT_REQUEST,
	IMSG_VMDOP_LOAD,
	IMSG_VMDOP_RELOAD,
};

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static int
listed(const uint32_t *list, size_t n, uint32_t type)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (list[i] == type)
			return 1;
	return 0;
}

enum vmerr
perm_may_request(const struct cred *c, uint32_t type)
{
	if (c == NULL)
		return VMERR_PERM;
	if (listed(everybody, NELEM(everybody), type))
		return VMERR_OK;
	if (c->uid == 0 && listed(root_only, NELEM(root_only), type))
		return VMERR_OK;
	return VMERR_PERM;
}

enum vmerr
perm_may_operate(const struct cred *c, const struct perm_vm *vm)
{
	if (c == NULL)
		return VMERR_PERM;
	if (c->uid == 0)
		return VMERR_OK;
	if (c->uid == vm->owner_uid)
		return VMERR_OK;
	if (vm->running && c->uid == vm->run_uid)
		return VMERR_OK;
	if (vm->owner_gid != VM_GID_NONE &&
	    cred_in_group(c, (gid_t)vm->owner_gid))
		return VMERR_OK;
	return VMERR_PERM;
}

enum vmerr
perm_may_define(const struct cred *c)
{
	return c != NULL && c->uid == 0 ? VMERR_OK : VMERR_PERM;
}

enum vmerr
perm_may_change(const struct cred *c, uint32_t given)
{
	const uint32_t owners = VMGIVEN_BOOT | VMGIVEN_INITRD |
	    VMGIVEN_CMDLINE | VMGIVEN_BOOTDEV;

	if (c == NULL)
		return VMERR_PERM;
	if (c->uid == 0 || (given & ~owners) == 0)
		return VMERR_OK;
	return VMERR_PERM;
}

int
cred_in_group(const struct cred *c, gid_t gid)
{
	size_t i;

	if (c->gid == gid)
		return 1;
	for (i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return 1;
	return 0;
}
