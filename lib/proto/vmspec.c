/*
 * What a VM is, from vm.conf or vmctl through every process to the guest.
 * The reader checks all of it: it may come from a client.
 */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/vmspec.h"
#include "lib/proto/wire.h"

#define SERIAL_MAX 20
#define IF_MAX	   15 /* IFNAMSIZ - 1 */
#define SWITCH_MAX 63
#define GIVEN_ALL  0x3ffU
#define NICF_ALL   0xffU
#define INSF_ALL   0x7fU
#define VMF_ALL	   0x1fU

struct vm_spec *
vm_spec_new(const char *name)
{
	struct vm_spec *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	if (name != NULL && (s->name = strdup(name)) == NULL) {
		free(s);
		return NULL;
	}
	s->gid = VM_GID_NONE;
	s->ins_gid = VM_GID_NONE;
	s->stop_timeout = VM_STOP_TIMEOUT;
	return s;
}

void
vm_spec_free(struct vm_spec *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < VM_MAX_DISKS; i++) {
		free(s->disks[i].path);
		free(s->disks[i].serial);
	}
	for (i = 0; i < VM_MAX_NICS; i++) {
		free(s->nics[i].ifname);
		free(s->nics[i].sw);
		free(s->nics[i].group);
	}
	free(s->name);
	free(s->parent);
	free(s->boot);
	free(s->initrd);
	free(s->cmdline);
	free(s->cdrom);
	free(s->console_log);
	free(s->file);
	free(s);
}

/* Replace the string at `*s' by a copy of itself; on failure it is NULL. */
static int
own(char **s)
{
	if (*s == NULL)
		return 0;
	*s = strdup(*s);
	return *s == NULL ? -1 : 0;
}

struct vm_spec *
vm_spec_copy(const struct vm_spec *s)
{
	struct vm_spec *c;
	size_t i;
	int bad = 0;

	if ((c = malloc(sizeof(*c))) == NULL)
		return NULL;
	*c = *s;
	bad |= own(&c->name) | own(&c->parent) | own(&c->boot);
	bad |= own(&c->initrd) | own(&c->cmdline) | own(&c->cdrom);
	bad |= own(&c->console_log) | own(&c->file);
	for (i = 0; i < VM_MAX_DISKS; i++)
		bad |= own(&c->disks[i].path) | own(&c->disks[i].serial);
	for (i = 0; i < VM_MAX_NICS; i++)
		bad |= own(&c->nics[i].ifname) | own(&c->nics[i].sw) |
		    own(&c->nics[i].group);
	if (bad) {
		vm_spec_free(c);
		errno = ENOMEM;
		return NULL;
	}
	return c;
}

const char *
vm_name_check(const char *name)
{
	size_t i, len = strlen(name);

	if (len == 0)
		return "empty name";
	if (len >= VM_NAME_MAX)
		return "name too long";
	if (!isalnum((unsigned char)name[0]) || (name[0] & 0x80))
		return "name must start with a letter or a digit";
	for (i = 1; i < len; i++)
		if ((name[i] & 0x80) ||
		    (!isalnum((unsigned char)name[i]) &&
			strchr("._-", name[i]) == NULL))
			return "name has a character other than letters, "
			       "digits, `.', `-' and `_'";
	return NULL;
}

static int
put_disk(struct ibuf *b, const struct disk_spec *d)
{
	if (wire_put_str(b, d->path) == -1 ||
	    wire_put_str(b, d->serial) == -1 ||
	    wire_put_u32(b, d->format) == -1 ||
	    wire_put_u32(b, d->flags) == -1 ||
	    wire_put_u32(b, d->layers) == -1 || wire_put_u32(b, d->qcow2) == -1)
		return -1;
	return 0;
}

static int
put_nic(struct ibuf *b, const struct nic_spec *n)
{
	uint32_t i;

	if (wire_put_str(b, n->ifname) == -1 || wire_put_str(b, n->sw) == -1 ||
	    wire_put_str(b, n->group) == -1 ||
	    wire_put_u32(b, n->flags) == -1 ||
	    wire_put_u32(b, n->rdomain) == -1 ||
	    wire_put_u32(b, n->mtu) == -1 ||
	    ibuf_add(b, n->lladdr, sizeof(n->lladdr)) == -1 ||
	    wire_put_u32(b, n->nforwards) == -1)
		return -1;
	for (i = 0; i < n->nforwards; i++)
		if (net_forward_put(b, &n->forwards[i]) == -1)
			return -1;
	return net_conf_put(b, &n->net);
}

static int
put_strings(struct ibuf *b, const struct vm_spec *s)
{
	if (wire_put_str(b, s->name) == -1 ||
	    wire_put_str(b, s->parent) == -1 ||
	    wire_put_str(b, s->boot) == -1 ||
	    wire_put_str(b, s->initrd) == -1 ||
	    wire_put_str(b, s->cmdline) == -1 ||
	    wire_put_str(b, s->cdrom) == -1 ||
	    wire_put_str(b, s->console_log) == -1 ||
	    wire_put_str(b, s->file) == -1)
		return -1;
	return 0;
}

static int
put_numbers(struct ibuf *b, const struct vm_spec *s)
{
	if (wire_put_u32(b, s->line) == -1 || wire_put_u32(b, s->given) == -1 ||
	    wire_put_u32(b, s->flags) == -1 || wire_put_u32(b, s->id) == -1 ||
	    wire_put_u64(b, s->generation) == -1 ||
	    wire_put_u32(b, s->cpus) == -1 ||
	    wire_put_u64(b, s->memory) == -1 || wire_put_u64(b, s->uid) == -1 ||
	    wire_put_u64(b, (uint64_t)s->gid) == -1 ||
	    wire_put_u64(b, s->ins_uid) == -1 ||
	    wire_put_u64(b, (uint64_t)s->ins_gid) == -1 ||
	    wire_put_u32(b, s->ins_flags) == -1 ||
	    wire_put_u32(b, s->bootdev) == -1 ||
	    wire_put_u32(b, s->restart) == -1 ||
	    wire_put_u32(b, s->stop_timeout) == -1 ||
	    wire_put_u32(b, s->min_nics) == -1 ||
	    wire_put_u32(b, s->ndisks) == -1 || wire_put_u32(b, s->nnics) == -1)
		return -1;
	return 0;
}

int
vm_spec_put(struct ibuf *b, const struct vm_spec *s)
{
	size_t i;

	if (put_strings(b, s) == -1 || put_numbers(b, s) == -1)
		return -1;
	for (i = 0; i < s->ndisks; i++)
		if (put_disk(b, &s->disks[i]) == -1)
			return -1;
	for (i = 0; i < s->nnics; i++)
		if (put_nic(b, &s->nics[i]) == -1)
			return -1;
	return 0;
}

/* An enum below `max'. */
static int
get_enum(struct ibuf *b, uint32_t *v, uint32_t max)
{
	if (wire_get_u32(b, v) == -1)
		return -1;
	if (*v >= max) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* Flags, none but `known'. */
static int
get_flags(struct ibuf *b, uint32_t *v, uint32_t known)
{
	if (wire_get_u32(b, v) == -1)
		return -1;
	if (*v & ~known) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* A user id; root to 2^32-2: the last one means "no change" to setuid(2). */
static int
get_uid(struct ibuf *b, uint64_t *v)
{
	if (wire_get_u64(b, v) == -1)
		return -1;
	if (*v >= UINT32_MAX) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

static int
get_gid(struct ibuf *b, int64_t *v)
{
	uint64_t u;

	if (wire_get_u64(b, &u) == -1)
		return -1;
	if (u >= UINT32_MAX && u != (uint64_t)VM_GID_NONE) {
		errno = EBADMSG;
		return -1;
	}
	*v = (int64_t)u;
	return 0;
}

static int
get_disk(struct ibuf *b, struct disk_spec *d)
{
	uint32_t format;

	if (wire_get_str(b, &d->path, PATH_MAX - 1) == -1 ||
	    wire_get_str(b, &d->serial, SERIAL_MAX) == -1 ||
	    get_enum(b, &format, DISK_FORMAT_MAX) == -1 ||
	    get_flags(b, &d->flags, DISKF_READONLY) == -1 ||
	    get_enum(b, &d->layers, VM_MAX_LAYERS + 1) == -1 ||
	    get_flags(b, &d->qcow2, (1U << d->layers) - 1) == -1)
		return -1;
	if (d->path == NULL) {
		errno = EBADMSG;
		return -1;
	}
	d->format = format;
	return 0;
}

static int
get_nic(struct ibuf *b, struct nic_spec *n)
{
	uint32_t i;

	if (wire_get_str(b, &n->ifname, IF_MAX) == -1 ||
	    wire_get_str(b, &n->sw, SWITCH_MAX) == -1 ||
	    wire_get_str(b, &n->group, IF_MAX) == -1 ||
	    get_flags(b, &n->flags, NICF_ALL) == -1 ||
	    wire_get_u32(b, &n->rdomain) == -1 ||
	    wire_get_u32(b, &n->mtu) == -1 ||
	    ibuf_get(b, n->lladdr, sizeof(n->lladdr)) == -1 ||
	    get_enum(b, &n->nforwards, NET_MAX_FORWARDS + 1) == -1)
		return -1;
	if (n->mtu != 0 && (n->mtu < NET_MIN_MTU || n->mtu > NET_MAX_MTU)) {
		errno = EBADMSG;
		return -1;
	}
	for (i = 0; i < n->nforwards; i++)
		if (net_forward_get(b, &n->forwards[i]) == -1)
			return -1;
	return net_conf_get(b, &n->net);
}

static int
get_strings(struct ibuf *b, struct vm_spec *s)
{
	if (wire_get_str(b, &s->name, VM_NAME_MAX - 1) == -1 ||
	    wire_get_str(b, &s->parent, VM_NAME_MAX - 1) == -1 ||
	    wire_get_str(b, &s->boot, PATH_MAX - 1) == -1 ||
	    wire_get_str(b, &s->initrd, PATH_MAX - 1) == -1 ||
	    wire_get_str(b, &s->cmdline, VM_CMDLINE_MAX - 1) == -1 ||
	    wire_get_str(b, &s->cdrom, PATH_MAX - 1) == -1 ||
	    wire_get_str(b, &s->console_log, PATH_MAX - 1) == -1 ||
	    wire_get_str(b, &s->file, PATH_MAX - 1) == -1)
		return -1;
	if (s->name == NULL || vm_name_check(s->name) != NULL) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

static int
get_numbers(struct ibuf *b, struct vm_spec *s)
{
	uint32_t bootdev, restart;

	if (wire_get_u32(b, &s->line) == -1 ||
	    get_flags(b, &s->given, GIVEN_ALL) == -1 ||
	    get_flags(b, &s->flags, VMF_ALL) == -1 ||
	    wire_get_u32(b, &s->id) == -1 ||
	    wire_get_u64(b, &s->generation) == -1 ||
	    get_enum(b, &s->cpus, VM_MAX_CPUS + 1) == -1 ||
	    wire_get_u64(b, &s->memory) == -1 || get_uid(b, &s->uid) == -1 ||
	    get_gid(b, &s->gid) == -1 || get_uid(b, &s->ins_uid) == -1 ||
	    get_gid(b, &s->ins_gid) == -1 ||
	    get_flags(b, &s->ins_flags, INSF_ALL) == -1 ||
	    get_enum(b, &bootdev, BOOTDEV_MAX) == -1 ||
	    get_enum(b, &restart, RESTART_MAX) == -1 ||
	    get_enum(b, &s->stop_timeout, VM_STOP_TIMEOUT_MAX + 1) == -1 ||
	    get_enum(b, &s->min_nics, VM_MAX_NICS + 1) == -1 ||
	    get_enum(b, &s->ndisks, VM_MAX_DISKS + 1) == -1 ||
	    get_enum(b, &s->nnics, VM_MAX_NICS + 1) == -1)
		return -1;
	s->bootdev = bootdev;
	s->restart = restart;
	if (s->memory != 0 &&
	    (s->memory < VM_MIN_MEMORY || s->memory > VM_MAX_MEMORY)) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

struct vm_spec *
vm_spec_get(struct ibuf *b)
{
	struct vm_spec *s;
	size_t i;
	int saved_errno;

	if ((s = vm_spec_new(NULL)) == NULL)
		return NULL;
	if (get_strings(b, s) == -1 || get_numbers(b, s) == -1)
		goto fail;
	for (i = 0; i < s->ndisks; i++)
		if (get_disk(b, &s->disks[i]) == -1)
			goto fail;
	for (i = 0; i < s->nnics; i++)
		if (get_nic(b, &s->nics[i]) == -1)
			goto fail;
	return s;
fail:
	saved_errno = errno;
	vm_spec_free(s);
	errno = saved_errno;
	return NULL;
}
