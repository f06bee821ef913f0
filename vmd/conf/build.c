/*
 * What the grammar of vm.conf calls: each option is checked and put into the
 * VM, switch or limit that is being read.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <bsd/stdlib.h>

#include "lib/util/scaled.h"
#include "vmd/conf/conf_int.h"

#define GROUP_LEN   15 /* of an interface group, also of a name */
#define SWITCH_LEN  63
#define SERIAL_LEN  20
#define RDOMAIN_MAX 255
#define ID_MAX	    0x7fffffff

enum {
	SEEN_MEMORY = 0x01,
	SEEN_INTERFACES = 0x02,
};

/* Copy `s' to `*to', which had nothing. */
static int
set_string(struct parser *p, char **to, const char *s)
{
	free(*to);
	if ((*to = strdup(s)) != NULL)
		return 0;
	conf_error(p, "out of memory");
	return -1;
}

/* A path that means the same in any directory. */
static int
set_path(struct parser *p, char **to, const char *what, const char *path)
{
	char dir[PATH_MAX], full[2 * PATH_MAX + 2];

	full[0] = '\0';
	if (path[0] != '/') {
		if (getcwd(dir, sizeof(dir)) == NULL) {
			conf_error(p, "%s %s: %s", what, path, strerror(errno));
			return -1;
		}
		strcpy(full, dir);
		strcat(full, "/");
	}
	if (strlen(full) + strlen(path) >= PATH_MAX) {
		conf_error(p, "%s path too long", what);
		return -1;
	}
	strcat(full, path);
	return set_string(p, to, full);
}

/* --- VMs ---------------------------------------------------------------- */

int
vm_begin(struct parser *p, const char *name, const char *parent)
{
	struct vm_spec *s;

	vm_spec_free(p->vm);
	p->vm = NULL;
	p->nic = NULL;
	p->seen = 0;
	if (strlen(name) >= VM_NAME_MAX) {
		conf_error(p, "vm name too long");
		return -1;
	}
	if (parent != NULL && strlen(parent) >= VM_NAME_MAX) {
		conf_error(p, "vm %s name too long", parent);
		return -1;
	}
	if ((s = vm_spec_new(name)) == NULL ||
	    (parent != NULL && (s->parent = strdup(parent)) == NULL) ||
	    (s->file = strdup(p->file)) == NULL) {
		vm_spec_free(s);
		conf_error(p, "out of memory");
		return -1;
	}
	s->line = p->line;
	if (parent != NULL)
		s->given |= VMGIVEN_INSTANCE;
	p->vm = s;
	return 0;
}

/* `interfaces N' is a minimum: plain ones are added. */
static void
add_plain_nics(struct vm_spec *s)
{
	while (s->nnics < s->min_nics) {
		s->nics[s->nnics].flags = NICF_UP;
		s->nnics++;
	}
	if (s->nnics > 0)
		s->given |= VMGIVEN_NICS;
}

void
vm_end(struct parser *p)
{
	struct conf_vm *v;

	add_plain_nics(p->vm);
	if ((v = calloc(1, sizeof(*v))) == NULL) {
		conf_error(p, "out of memory");
		return;
	}
	v->spec = p->vm;
	p->vm = NULL;
	p->nic = NULL;
	TAILQ_INSERT_TAIL(&p->conf->vms, v, entry);
}

static struct disk_spec *
last_disk(struct parser *p)
{
	return &p->vm->disks[p->vm->ndisks - 1];
}

int
vm_disk(struct parser *p, const char *path)
{
	if (p->vm->ndisks == VM_MAX_DISKS) {
		conf_error(p, "too many disks: at most %d", VM_MAX_DISKS);
		return -1;
	}
	if (set_path(p, &p->vm->disks[p->vm->ndisks].path, "disk", path) == -1)
		return -1;
	p->vm->ndisks++;
	p->vm->given |= VMGIVEN_DISKS;
	return 0;
}

int
vm_disk_format(struct parser *p, const char *format)
{
	if (strcasecmp(format, "raw") == 0) {
		last_disk(p)->format = DISK_RAW;
	} else if (strcasecmp(format, "qcow2") == 0) {
		last_disk(p)->format = DISK_QCOW2;
	} else {
		conf_error(p, "unrecognized disk format %s", format);
		return -1;
	}
	return 0;
}

int
vm_disk_serial(struct parser *p, const char *serial)
{
	const char *s;

	for (s = serial; *s != '\0'; s++)
		if (!isprint((unsigned char)*s) || (*s & 0x80))
			break;
	if (*s != '\0' || s == serial || s - serial > SERIAL_LEN) {
		conf_error(p,
		    "invalid disk serial: %s: 1 to %d printable "
		    "characters",
		    serial, SERIAL_LEN);
		return -1;
	}
	return set_string(p, &last_disk(p)->serial, serial);
}

void
vm_disk_readonly(struct parser *p)
{
	last_disk(p)->flags |= DISKF_READONLY;
}

/* A path that may be given once. */
static int
once(struct parser *p, char **to, const char *what, const char *path)
{
	if (*to != NULL) {
		conf_error(p, "%s specified more than once", what);
		return -1;
	}
	return set_path(p, to, what, path);
}

int
vm_boot(struct parser *p, const char *path)
{
	p->vm->given |= VMGIVEN_BOOT;
	return once(p, &p->vm->boot, "kernel", path);
}

int
vm_cdrom(struct parser *p, const char *path)
{
	p->vm->given |= VMGIVEN_CDROM;
	return once(p, &p->vm->cdrom, "cdrom", path);
}

int
vm_initrd(struct parser *p, const char *path)
{
	p->vm->given |= VMGIVEN_INITRD;
	return once(p, &p->vm->initrd, "initrd", path);
}

int
vm_console_log(struct parser *p, const char *path)
{
	return once(p, &p->vm->console_log, "console log", path);
}

int
vm_cmdline(struct parser *p, const char *text)
{
	if (p->vm->cmdline != NULL) {
		conf_error(p, "cmdline specified more than once");
		return -1;
	}
	if (strlen(text) >= VM_CMDLINE_MAX) {
		conf_error(p, "cmdline too long: at most %d bytes",
		    VM_CMDLINE_MAX - 1);
		return -1;
	}
	p->vm->given |= VMGIVEN_CMDLINE;
	return set_string(p, &p->vm->cmdline, text);
}

static int
set_memory(struct parser *p, uint64_t bytes, const char *text)
{
	char limit[SCALED_LEN];

	if (bytes < VM_MIN_MEMORY) {
		conf_error(p,
		    "failed to parse size: %s: memory size must be "
		    "at least 1MB",
		    text);
		return -1;
	}
	if (bytes > VM_MAX_MEMORY) {
		conf_error(p,
		    "failed to parse size: %s: memory size too large "
		    "(limit is %s)",
		    text, scaled_fmt(limit, VM_MAX_MEMORY));
		return -1;
	}
	p->seen |= SEEN_MEMORY;
	p->vm->memory = bytes & ~(VM_MIN_MEMORY - 1);
	p->vm->given |= VMGIVEN_MEMORY;
	if (p->vm->memory != bytes && (p->opts->flags & CONF_DRYRUN))
		conf_warning(p, "memory size rounded to %lluM",
		    (unsigned long long)(p->vm->memory >> 20));
	return 0;
}

int
vm_memory_number(struct parser *p, int64_t n)
{
	char text[32];

	if (p->seen & SEEN_MEMORY) {
		conf_error(p, "memory specified more than once");
		return -1;
	}
	snprintf(text, sizeof(text), "%lld", (long long)n);
	return set_memory(p, n < 0 ? 0 : (uint64_t)n, text);
}

int
vm_memory_string(struct parser *p, const char *s)
{
	uint64_t bytes;

	if (p->seen & SEEN_MEMORY) {
		conf_error(p, "memory specified more than once");
		return -1;
	}
	if (scaled_parse(s, &bytes) == -1) {
		conf_error(p, "failed to parse size: %s: %s", s,
		    strerror(errno));
		return -1;
	}
	return set_memory(p, bytes, s);
}

int
vm_interfaces(struct parser *p, int64_t n)
{
	if (p->seen & SEEN_INTERFACES) {
		conf_error(p, "interfaces specified more than once");
		return -1;
	}
	if (n < 0 || n > VM_MAX_NICS) {
		conf_error(p, "too many interfaces: %lld: at most %d",
		    (long long)n, VM_MAX_NICS);
		return -1;
	}
	p->seen |= SEEN_INTERFACES;
	p->vm->min_nics = (uint32_t)n;
	return 0;
}

/* A number from `least' to `most'. */
static int
set_number(struct parser *p, uint32_t *to, const char *what, int64_t n,
    int64_t least, int64_t most)
{
	if (n < least || n > most) {
		conf_error(p, "invalid %s: %lld: must be %lld to %lld", what,
		    (long long)n, (long long)least, (long long)most);
		return -1;
	}
	*to = (uint32_t)n;
	return 0;
}

int
vm_cpus(struct parser *p, int64_t n)
{
	p->vm->given |= VMGIVEN_CPUS;
	return set_number(p, &p->vm->cpus, "cpus", n, 1, VM_MAX_CPUS);
}

int
vm_id(struct parser *p, int64_t n)
{
	return set_number(p, &p->vm->id, "id", n, 1, ID_MAX);
}

int
vm_stop_timeout(struct parser *p, int64_t n)
{
	return set_number(p, &p->vm->stop_timeout, "stop timeout", n, 1,
	    VM_STOP_TIMEOUT_MAX);
}

int
vm_restart(struct parser *p, const char *how)
{
	static const char *const names[RESTART_MAX] = {
		[RESTART_NEVER] = "never",
		[RESTART_ON_FAILURE] = "on-failure",
		[RESTART_ALWAYS] = "always",
	};
	int i;

	for (i = 0; i < RESTART_MAX; i++)
		if (strcmp(how, names[i]) == 0) {
			p->vm->restart = (enum vm_restart)i;
			return 0;
		}
	conf_error(p,
	    "invalid restart: %s: must be never, on-failure or "
	    "always",
	    how);
	return -1;
}

/* --- interfaces --------------------------------------------------------- */

/* `prefix' and a unit number? */
static int
has_unit(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(name, prefix, n) != 0 || name[n] == '\0')
		return 0;
	return strspn(name + n, "0123456789") == strlen(name + n);
}

int
nic_begin(struct parser *p, const char *type, int local)
{
	struct vm_spec *s = p->vm;

	if (s->nnics == VM_MAX_NICS) {
		conf_error(p, "too many interfaces: %u: at most %d",
		    s->nnics + 1, VM_MAX_NICS);
		return -1;
	}
	if (type != NULL && strlen(type) > GROUP_LEN) {
		conf_error(p, "interface name too long: %s", type);
		return -1;
	}
	if (type != NULL && strcmp(type, "tap") != 0 &&
	    !has_unit(type, "tap")) {
		conf_error(p, "invalid interface: %s: must be tap or tapN",
		    type);
		return -1;
	}
	p->nic = &s->nics[s->nnics++];
	p->nic->flags = NICF_UP;
	if (local)
		p->nic->flags |= NICF_LOCAL;
	s->given |= VMGIVEN_NICS;
	if (type != NULL && strcmp(type, "tap") != 0)
		return set_string(p, &p->nic->ifname, type);
	return 0;
}

int
nic_lladdr(struct parser *p, const char *addr, int lock)
{
	struct ether_addr ea;

	if (lock)
		p->nic->flags |= NICF_LOCKED;
	if (addr == NULL)
		return 0;
	if (ether_aton_r(addr, &ea) == NULL ||
	    strspn(addr, "0123456789abcdefABCDEF:") != strlen(addr) ||
	    (ea.ether_addr_octet[0] & 1)) {
		conf_error(p, "invalid address: %s", addr);
		return -1;
	}
	memcpy(p->nic->lladdr, ea.ether_addr_octet, sizeof(p->nic->lladdr));
	p->nic->flags |= NICF_LLADDR;
	return 0;
}

int
set_switch_name(struct parser *p, const char *name)
{
	if (strlen(name) > SWITCH_LEN) {
		conf_error(p, "switch name too long: %s", name);
		return -1;
	}
	return set_string(p, &p->nic->sw, name);
}

int
set_group(struct parser *p, char **to, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > GROUP_LEN ||
	    isdigit((unsigned char)name[len - 1])) {
		conf_error(p, "invalid group name: %s", name);
		return -1;
	}
	return set_string(p, to, name);
}

int
set_rdomain(struct parser *p, uint32_t *to, int64_t n)
{
	if (n < 0 || n > RDOMAIN_MAX) {
		conf_error(p, "invalid rdomain: %lld", (long long)n);
		return -1;
	}
	*to = (uint32_t)n;
	return 0;
}

/* --- switches ----------------------------------------------------------- */

static void
switch_free(struct conf_switch *sw)
{
	if (sw == NULL)
		return;
	free(sw->name);
	free(sw->ifname);
	free(sw->group);
	free(sw->file);
	free(sw);
}

int
sw_begin(struct parser *p, const char *name)
{
	struct conf_switch *sw;

	switch_free(p->sw);
	p->sw = NULL;
	if (strlen(name) > SWITCH_LEN) {
		conf_error(p, "switch name too long: %s", name);
		return -1;
	}
	if ((sw = calloc(1, sizeof(*sw))) == NULL ||
	    (sw->name = strdup(name)) == NULL ||
	    (sw->file = strdup(p->file)) == NULL) {
		switch_free(sw);
		conf_error(p, "out of memory");
		return -1;
	}
	sw->line = p->line;
	sw->flags = SWITCHF_UP;
	p->sw = sw;
	return 0;
}

int
sw_interface(struct parser *p, const char *name)
{
	if (strlen(name) > GROUP_LEN) {
		conf_error(p, "switch interface too long: %s", name);
		return -1;
	}
	if (!has_unit(name, "bridge") && !has_unit(name, "veb")) {
		conf_error(p,
		    "invalid switch interface: %s: must be bridgeN "
		    "or vebN",
		    name);
		return -1;
	}
	return set_string(p, &p->sw->ifname, name);
}

void
sw_end(struct parser *p, int enabled)
{
	struct conf_switch *sw = p->sw;

	p->sw = NULL;
	if (sw->ifname == NULL)
		conf_error(p, "switch \"%s\" is missing interface name",
		    sw->name);
	if (sw->ifname == NULL || !enabled)
		switch_free(sw);
	else
		TAILQ_INSERT_TAIL(&p->conf->switches, sw, entry);
}

/* --- owners and limits -------------------------------------------------- */

int
owner_number(struct parser *p, int64_t n, struct owner *o)
{
	if (n < 0 || n >= UINT32_MAX) {
		conf_error(p, "failed to get user: %lld", (long long)n);
		return -1;
	}
	o->uid = (uint32_t)n;
	o->gid = VM_GID_NONE;
	return 0;
}

int
owner_string(struct parser *p, const char *s, struct owner *o)
{
	const char *colon = strchr(s, ':');
	size_t len = colon == NULL ? strlen(s) : (size_t)(colon - s);
	struct passwd *pw;
	struct group *gr;
	char user[256];

	o->uid = 0;
	o->gid = VM_GID_NONE;
	if (len >= sizeof(user) || (len == 0 && colon == NULL)) {
		conf_error(p, "failed to get user: %.200s", s);
		return -1;
	}
	memcpy(user, s, len);
	user[len] = '\0';
	if (len > 0) {
		if ((pw = getpwnam(user)) == NULL) {
			conf_error(p, "failed to get user: %s", user);
			return -1;
		}
		o->uid = pw->pw_uid;
	}
	if (colon != NULL) {
		if ((gr = getgrnam(colon + 1)) == NULL) {
			conf_error(p, "failed to get group: %.200s", colon + 1);
			return -1;
		}
		o->gid = gr->gr_gid;
	}
	return 0;
}

static void
limit_free(struct conf_limit *l)
{
	if (l != NULL)
		free(l->file);
	free(l);
}

int
limit_begin(struct parser *p, int group, const char *name)
{
	struct conf_limit *l;
	struct passwd *pw = NULL;
	struct group *gr = NULL;

	limit_free(p->limit);
	p->limit = NULL;
	if (group)
		gr = getgrnam(name);
	else
		pw = getpwnam(name);
	if (gr == NULL && pw == NULL) {
		conf_error(p, "failed to get %s: %.200s",
		    group ? "group" : "user", name);
		return -1;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL ||
	    (l->file = strdup(p->file)) == NULL) {
		limit_free(l);
		conf_error(p, "out of memory");
		return -1;
	}
	l->line = p->line;
	l->group = group;
	l->id = gr != NULL ? gr->gr_gid : pw->pw_uid;
	p->limit = l;
	return 0;
}

int
limit_number(struct parser *p, uint32_t *to, int64_t n)
{
	return set_number(p, to, "limit", n, 1, INT32_MAX);
}

int
limit_memory(struct parser *p, const char *s, int64_t n)
{
	if (s == NULL && n > 0) {
		p->limit->memory = (uint64_t)n;
		return 0;
	}
	if (s == NULL || scaled_parse(s, &p->limit->memory) == -1 ||
	    p->limit->memory == 0) {
		conf_error(p, "failed to parse size: %s", s == NULL ? "" : s);
		return -1;
	}
	return 0;
}

void
limit_end(struct parser *p)
{
	TAILQ_INSERT_TAIL(&p->conf->limits, p->limit, entry);
	p->limit = NULL;
}

/* --- global ------------------------------------------------------------- */

/* Split "address/length"; the length, -1 if absent, -2 if bad. */
static int
split_prefix(const char *s, char *addr, size_t len)
{
	const char *slash = strchr(s, '/'), *why;
	size_t n = slash == NULL ? strlen(s) : (size_t)(slash - s);
	int bits;

	if (n >= len)
		return -2;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (slash == NULL)
		return -1;
	bits = (int)strtonum(slash + 1, 0, 128, &why);
	return why == NULL ? bits : -2;
}

/* "10/8" means 10.0.0.0/8. */
static int
parse_v4(char *addr, size_t len, struct in_addr *in)
{
	size_t i, dots = 0;

	for (i = 0; addr[i] != '\0'; i++)
		dots += addr[i] == '.';
	for (; dots < 3 && strlen(addr) + 2 < len; dots++)
		strcat(addr, ".0");
	return inet_pton(AF_INET, addr, in) == 1 ? 0 : -1;
}

int
local_prefix(struct parser *p, const char *s)
{
	const char *why = NULL;
	struct in_addr in = { 0 };
	char addr[64];
	uint32_t mask = 0;
	int bits;

	if ((bits = split_prefix(s, addr, sizeof(addr))) == -1)
		bits = 16;
	if (bits == -2 || parse_v4(addr, sizeof(addr), &in) == -1)
		why = "invalid format";
	else if (bits < 1)
		why = "bad mask";
	else if (bits > 16)
		why = "bad mask: the length must be 1 to 16";
	if (why == NULL) {
		mask = ~0U << (32 - bits);
		if (ntohl(in.s_addr) & ~mask)
			why = "bad mask";
	}
	if (why != NULL) {
		conf_error(p, "invalid local prefix: %s", why);
		return -1;
	}
	p->conf->local_prefix = ntohl(in.s_addr);
	p->conf->local_mask = mask;
	p->conf->local_given = 1;
	return 0;
}

int
local_prefix6(struct parser *p, const char *s)
{
	const char *why = NULL;
	struct in6_addr in6 = { 0 };
	char addr[64];
	int bits, i;

	if ((bits = split_prefix(s, addr, sizeof(addr))) == -1)
		bits = 64;
	if (bits == -2 || inet_pton(AF_INET6, addr, &in6) != 1)
		why = "invalid format";
	else if (bits > 64)
		why = "too large";
	for (i = bits; why == NULL && i < 128; i++)
		if (in6.s6_addr[i / 8] & (0x80 >> (i % 8)))
			why = "bad mask";
	if (why != NULL) {
		conf_error(p, "invalid local inet6 prefix: %s", why);
		return -1;
	}
	memcpy(p->conf->local_prefix6, in6.s6_addr, 16);
	p->conf->local_prefix6_given = 1;
	p->conf->local_inet6 = 1;
	return 0;
}

int
agentx_context(struct parser *p, const char *s)
{
	if (strlen(s) > 32) {
		conf_error(p, "agentx context too large");
		return -1;
	}
	return set_string(p, &p->conf->agentx_context, s);
}

int
agentx_path(struct parser *p, const char *s)
{
	if (s[0] != '/') {
		conf_error(p, "agentx path is not absolute");
		return -1;
	}
	if (strlen(s) >= 104) {
		conf_error(p, "agentx path too large");
		return -1;
	}
	return set_string(p, &p->conf->agentx_path, s);
}

int
staggered(struct parser *p, int64_t parallel, int64_t delay)
{
	if (set_number(p, &p->conf->parallel, "parallel", parallel, 1, 4096) ==
	    -1)
		return -1;
	return set_number(p, &p->conf->delay, "delay", delay, 0, 86400);
}
