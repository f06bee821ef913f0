/*
 * What can be said of a configuration only when all of it was read: names,
 * ids and addresses that clash, VMs that could never start.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vmd/conf/conf_int.h"

static void
vm_error(struct parser *p, const struct vm_spec *s, const char *text)
{
	conf_report_at(p, 0, s->file, s->line, "vm \"%s\" failed: %s", s->name,
	    text);
}

static const struct vm_spec *
find(const struct conf *c, const char *name)
{
	const struct conf_vm *v;

	TAILQ_FOREACH(v, &c->vms, entry)
		if (strcmp(v->spec->name, name) == 0)
			return v->spec;
	return NULL;
}

/* Something to boot from: of its own, or of the template it comes from. */
static void
check_devices(struct parser *p, const struct vm_spec *s)
{
	const struct vm_spec *from = s;
	int depth;

	for (depth = 0; depth < 16; depth++) {
		if (from->boot != NULL || from->cdrom != NULL ||
		    from->ndisks > 0)
			return;
		if (from->parent == NULL)
			break;
		/* One that is not in this file may be known already. */
		if ((from = find(p->conf, from->parent)) == NULL)
			return;
	}
	vm_error(p, s, "no kernel or disk/cdrom specified");
}

static void
check_pair(struct parser *p, const struct vm_spec *s, const struct vm_spec *o)
{
	if (s != o && strcmp(s->name, o->name) == 0)
		conf_report_at(p, 0, s->file, s->line,
		    "vm \"%s\" failed: defined before, at %s:%u", s->name,
		    o->file, o->line);
	if (s != o && s->id != 0 && s->id == o->id)
		conf_report_at(p, 0, s->file, s->line,
		    "vm \"%s\" failed: id %u is that of vm \"%s\"", s->name,
		    s->id, o->name);
	conf_check_net_pair(p, s, o);
}

static const struct conf_switch *
switch_of(const struct parser *p, const char *name)
{
	const struct conf_switch *sw;

	TAILQ_FOREACH(sw, &p->conf->switches, entry)
		if (strcmp(sw->name, name) == 0)
			return sw;
	return NULL;
}

static void
check_switches(struct parser *p, const struct vm_spec *s)
{
	const struct conf_switch *sw;
	const struct nic_spec *n;
	uint32_t i;

	for (i = 0; i < s->nnics; i++) {
		n = &s->nics[i];
		if (n->sw == NULL)
			continue;
		sw = switch_of(p, n->sw);
		if (sw != NULL && sw->flags & SWITCHF_RDOMAIN &&
		    n->flags & NICF_RDOMAIN && n->rdomain != sw->rdomain)
			conf_report_at(p, 1, s->file, s->line,
			    "vm \"%s\": interface %u: rdomain %u is not that "
			    "of switch \"%s\"",
			    s->name, i, n->rdomain, n->sw);
		if (sw != NULL ||
		    (p->opts->known_switch != NULL &&
			p->opts->known_switch(p->opts->arg, n->sw)))
			continue;
		conf_report_at(p, 1, s->file, s->line,
		    "vm \"%s\": switch \"%s\" is not defined", s->name, n->sw);
	}
}

static void
check_vm(struct parser *p, const struct vm_spec *s)
{
	const struct conf_vm *o;
	const char *why;

	if ((why = vm_name_check(s->name)) != NULL)
		vm_error(p, s, why);
	if (s->parent != NULL && (why = vm_name_check(s->parent)) != NULL)
		vm_error(p, s, why);
	if (s->parent != NULL && find(p->conf, s->parent) == NULL)
		conf_report_at(p, 0, s->file, s->line,
		    "vm \"%s\" failed: no vm \"%s\" to be an instance of",
		    s->name, s->parent);
	check_devices(p, s);
	check_switches(p, s);
	if (s->initrd != NULL && s->boot == NULL && s->parent == NULL)
		vm_error(p, s, "initrd without a kernel");
	if (s->cmdline != NULL && s->boot == NULL && s->parent == NULL)
		vm_error(p, s, "cmdline without a kernel");
	TAILQ_FOREACH(o, &p->conf->vms, entry) {
		check_pair(p, s, o->spec);
		if (o->spec == s) /* pairs once each */
			break;
	}
}

/* Each switch against those before it. */
static void
check_switch_names(struct parser *p)
{
	const struct conf_switch *sw, *o;

	TAILQ_FOREACH(sw, &p->conf->switches, entry)
		TAILQ_FOREACH(o, &p->conf->switches, entry) {
			if (o == sw)
				break;
			if (strcmp(sw->name, o->name) != 0)
				continue;
			conf_report_at(p, 0, sw->file, sw->line,
			    "switch \"%s\" failed: defined before, at %s:%u",
			    sw->name, o->file, o->line);
			break;
		}
}

void
conf_check_all(struct parser *p)
{
	const struct conf_vm *v;

	check_switch_names(p);
	TAILQ_FOREACH(v, &p->conf->vms, entry)
		check_vm(p, v->spec);
	conf_check_nets(p);
}

/* --- files ---------------------------------------------------------------- */

/* NULL, or why it could never be opened. */
static const char *
bad_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return strerror(errno);
	return S_ISDIR(st.st_mode) ? strerror(EISDIR) : NULL;
}

/* The same of a disk or CD-ROM image. */
static const char *
bad_image(const struct vm_spec *s, const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return strerror(errno);
	if (S_ISDIR(st.st_mode))
		return strerror(EISDIR);
	if (S_ISBLK(st.st_mode))
		return s->uid == 0 ?
		    NULL :
		    "a block device, which only VMs of root may have";
	if (!S_ISREG(st.st_mode))
		return "not a regular file or block device";
	return st.st_size == 0 ? "is empty" : NULL;
}

static int
file_error(const struct vm_spec *s, const char *path, const char *what,
    const char *why, const struct conf_opts *o)
{
	char text[4096 + 256];

	if (why == NULL)
		return 0;
	snprintf(text, sizeof(text), "vm \"%s\": %s %s: %s", s->name, what,
	    path, why);
	o->report(o->arg, 0, s->file, s->line, text);
	return 1;
}

static int
check_file(const struct vm_spec *s, const char *path, const char *what,
    const struct conf_opts *o)
{
	return path == NULL ? 0 : file_error(s, path, what, bad_file(path), o);
}

static int
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	    x.st_ino == y.st_ino;
}

/* Who writes an image has it alone. */
static int
check_twice(const struct vm_spec *s, uint32_t nr, const struct conf_opts *o)
{
	const struct disk_spec *a = &s->disks[nr], *b;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		b = &s->disks[i];
		if (!(a->flags & b->flags & DISKF_READONLY) &&
		    strcmp(a->path, "/dev/null") != 0 &&
		    same_file(a->path, b->path))
			return file_error(s, a->path, "disk",
			    "used by another disk of this VM", o);
	}
	return 0;
}

/* The placeholder of a template is no image: never start one with it. */
static int
check_disk(const struct vm_spec *s, const struct disk_spec *d,
    const struct conf_opts *o)
{
	char text[256];

	if (strcmp(d->path, "/dev/null") != 0)
		return o->flags & CONF_FILES ?
		    file_error(s, d->path,
			"failed to parse disks:", bad_image(s, d->path), o) :
		    0;
	if (s->flags & VMF_DISABLED && !(o->flags & CONF_DRYRUN))
		return 0;
	snprintf(text, sizeof(text), "vm \"%s\": disk /dev/null is no image",
	    s->name);
	o->report(o->arg, s->flags & VMF_DISABLED, s->file, s->line, text);
	return !(s->flags & VMF_DISABLED);
}

static int
check_firmware(const struct conf *c, const struct conf_opts *o)
{
	char text[4096 + 256];
	const char *why;

	if (c->firmware == NULL || (why = bad_file(c->firmware)) == NULL)
		return 0;
	snprintf(text, sizeof(text), "firmware %s: %s", c->firmware, why);
	o->report(o->arg, 0, c->firmware_file, c->firmware_line, text);
	return 1;
}

/* What a VM boots from beside its disks. */
static int
check_boot(const struct vm_spec *s, const struct conf_opts *o)
{
	int errors = check_file(s, s->boot, "kernel path not found:", o);

	errors += check_file(s, s->initrd, "initrd", o);
	if (s->cdrom != NULL)
		errors += file_error(s, s->cdrom, "cdrom",
		    bad_image(s, s->cdrom), o);
	return errors;
}

int
conf_check(const struct conf *c, const struct conf_opts *o)
{
	const struct conf_vm *v;
	const struct vm_spec *s;
	uint32_t i;
	int errors = 0, files = (o->flags & CONF_FILES) != 0;

	if (files)
		errors += check_firmware(c, o);
	TAILQ_FOREACH(v, &c->vms, entry) {
		s = v->spec;
		if (files)
			errors += check_boot(s, o);
		for (i = 0; i < s->ndisks; i++) {
			errors += check_disk(s, &s->disks[i], o);
			if (files)
				errors += check_twice(s, i, o);
		}
	}
	conf_note_nets(c, o);
	return errors;
}
