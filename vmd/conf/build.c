/*
 * What the grammar of vm.conf calls for VMs: each option is checked and put
 * into the one that is being read.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/util/scaled.h"
#include "vmd/conf/conf_int.h"

#define SERIAL_LEN 20
#define ID_MAX	   0x7fffffff

int
vm_begin(struct parser *p, const char *name, const char *parent)
{
	struct vm_spec *s;

	vm_spec_free(p->vm);
	p->vm = NULL;
	p->nic = NULL;
	memset(p->first, 0, sizeof(p->first));
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
	static const enum conf_word words[] = { W_DISK_FORMAT, W_DISK_SERIAL };

	if (p->vm->ndisks == VM_MAX_DISKS) {
		conf_error(p, "too many disks: at most %d", VM_MAX_DISKS);
		return -1;
	}
	if (set_path(p, &p->vm->disks[p->vm->ndisks].path, "disk", path) == -1)
		return -1;
	p->vm->ndisks++;
	p->vm->given |= VMGIVEN_DISKS;
	forget(p, words, sizeof(words) / sizeof(words[0]));
	return 0;
}

int
vm_disk_format(struct parser *p, const char *format)
{
	if (once(p, W_DISK_FORMAT) == -1)
		return -1;
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

	if (once(p, W_DISK_SERIAL) == -1)
		return -1;
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

int
vm_boot(struct parser *p, const char *path)
{
	p->vm->given |= VMGIVEN_BOOT;
	if (once(p, W_BOOT) == -1)
		return -1;
	return set_path(p, &p->vm->boot, "kernel", path);
}

int
vm_cdrom(struct parser *p, const char *path)
{
	p->vm->given |= VMGIVEN_CDROM;
	if (once(p, W_CDROM) == -1)
		return -1;
	return set_path(p, &p->vm->cdrom, "cdrom", path);
}

int
vm_initrd(struct parser *p, const char *path)
{
	p->vm->given |= VMGIVEN_INITRD;
	if (once(p, W_INITRD) == -1)
		return -1;
	return set_path(p, &p->vm->initrd, "initrd", path);
}

int
vm_console_log(struct parser *p, const char *path)
{
	if (once(p, W_CONSOLE_LOG) == -1)
		return -1;
	return set_path(p, &p->vm->console_log, "console log", path);
}

int
vm_cmdline(struct parser *p, const char *text)
{
	if (once(p, W_CMDLINE) == -1)
		return -1;
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
		    "at least %lluMB",
		    text, VM_MIN_MEMORY / VM_MEMORY_UNIT);
		return -1;
	}
	if (bytes > VM_MAX_MEMORY) {
		conf_error(p,
		    "failed to parse size: %s: memory size too large "
		    "(limit is %s)",
		    text, scaled_fmt(limit, VM_MAX_MEMORY));
		return -1;
	}
	p->vm->memory = bytes & ~(VM_MEMORY_UNIT - 1);
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

	if (once(p, W_MEMORY) == -1)
		return -1;
	snprintf(text, sizeof(text), "%lld", (long long)n);
	return set_memory(p, n < 0 ? 0 : (uint64_t)n, text);
}

int
vm_memory_string(struct parser *p, const char *s)
{
	uint64_t bytes;

	if (once(p, W_MEMORY) == -1)
		return -1;
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
	/* A second one after 0 is none. */
	if (n != 0 && once(p, W_INTERFACES) == -1)
		return -1;
	if (n < 0 || n > VM_MAX_NICS) {
		conf_error(p, "too many interfaces: %lld: at most %d",
		    (long long)n, VM_MAX_NICS);
		return -1;
	}
	p->vm->min_nics = (uint32_t)n;
	return 0;
}

int
vm_owner(struct parser *p, const struct owner *o)
{
	if (once(p, W_OWNER) == -1)
		return -1;
	p->vm->uid = o->uid;
	p->vm->gid = o->gid;
	return 0;
}

int
vm_cpus(struct parser *p, int64_t n)
{
	if (once(p, W_CPUS) == -1)
		return -1;
	p->vm->given |= VMGIVEN_CPUS;
	return set_number(p, &p->vm->cpus, "cpus", n, 1, VM_MAX_CPUS);
}

int
vm_id(struct parser *p, int64_t n)
{
	if (once(p, W_ID) == -1)
		return -1;
	return set_number(p, &p->vm->id, "id", n, 1, ID_MAX);
}

int
vm_stop_timeout(struct parser *p, int64_t n)
{
	if (once(p, W_STOP_TIMEOUT) == -1)
		return -1;
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

	if (once(p, W_RESTART) == -1)
		return -1;
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
