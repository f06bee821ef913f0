/*
 * start: a VM of the configuration as it is or with other settings for this
 * run, or a VM that lives as long as it runs.
 *
 * Files go to the daemon by name, from the root; it opens them with the
 * rights of the one who asks.
 */

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/util/scaled.h"
#include "vmctl/vmctl.h"

struct start {
	struct vmctl *ctl;
	struct vm_spec *spec;
	unsigned int nics; /* of -i, 0: not given */
	int attach;
};

/* Complain about an option; ST_USAGE is for what getopt(3) can see. */
static int
bad(struct start *s, int opt, const char *why)
{
	char *arg = safe(optarg);

	complain(s->ctl, NULL, "-%c %s: %s", opt, arg, why);
	free(arg);
	return ST_FAILED;
}

/* The one place of an option that may be given once. */
static int
once(struct start *s, int opt, uint32_t given)
{
	if (!(s->spec->given & given)) {
		s->spec->given |= given;
		return ST_DONE;
	}
	complain(s->ctl, NULL, "-%c given twice", opt);
	return ST_USAGE;
}

/* `file' from the root, as it is: who opens it follows its links. */
static char *
full_path(const char *file)
{
	char *cwd, *path;

	if (file[0] == '/')
		return strdup(file);
	if ((cwd = getcwd(NULL, 0)) == NULL)
		return NULL;
	if (asprintf(&path, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, file) ==
	    -1)
		path = NULL;
	free(cwd);
	return path;
}

static int
take_path(struct start *s, int opt, const char *file, char **path)
{
	if (file[0] == '\0')
		return bad(s, opt, "not a name of a file");
	if ((*path = full_path(file)) == NULL)
		return bad(s, opt, strerror(errno));
	return ST_DONE;
}

static int
opt_file(struct start *s, int opt, uint32_t given, char **path)
{
	int rc;

	if ((rc = once(s, opt, given)) != ST_DONE)
		return rc;
	return take_path(s, opt, optarg, path);
}

/* One that can be read but not written.  The daemon finds out by itself. */
static int
read_only(const char *path)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, O_RDWR | flags);

	if (fd != -1) {
		close(fd);
		return 0;
	}
	if (errno != EACCES && errno != EROFS && errno != EPERM)
		return 0;
	if ((fd = open(path, O_RDONLY | flags)) == -1)
		return 0;
	close(fd);
	return 1;
}

/* "[raw:|qcow2:]path" */
static int
opt_disk(struct start *s)
{
	struct vm_spec *v = s->spec;
	const char *file = optarg;
	struct disk_spec *d;
	int rc;

	if (v->ndisks >= VM_MAX_DISKS) {
		complain(s->ctl, NULL, "-d: too many disks: at most %d",
		    VM_MAX_DISKS);
		return ST_FAILED;
	}
	d = &v->disks[v->ndisks];
	d->format = DISK_AUTO;
	if (strncmp(file, "raw:", 4) == 0) {
		d->format = DISK_RAW;
		file += 4;
	} else if (strncmp(file, "qcow2:", 6) == 0) {
		d->format = DISK_QCOW2;
		file += 6;
	}
	rc = take_path(s, 'd', file, &d->path);
	if (rc == ST_DONE && read_only(d->path)) {
		d->flags |= DISKF_READONLY;
		fprintf(stderr, "vmctl: disk %s is read-only\n", file);
	}
	if (d->path != NULL)
		v->ndisks++;
	v->given |= VMGIVEN_DISKS;
	return rc;
}

/* -L, or -n with `sw'. */
static int
opt_nic(struct start *s, int opt, const char *sw)
{
	struct vm_spec *v = s->spec;
	struct nic_spec *n;

	if (v->nnics >= VM_MAX_NICS) {
		complain(s->ctl, NULL, "-%c: too many interfaces: at most %d",
		    opt, VM_MAX_NICS);
		return ST_FAILED;
	}
	n = &v->nics[v->nnics];
	n->flags = NICF_UP | (sw == NULL ? NICF_LOCAL : 0);
	if (sw != NULL) {
		if (sw[0] == '\0' || strlen(sw) >= VM_NAME_MAX)
			return bad(s, opt, "not a name of a switch");
		if ((n->sw = strdup(sw)) == NULL)
			return bad(s, opt, strerror(errno));
	}
	v->nnics++;
	v->given |= VMGIVEN_NICS;
	return ST_DONE;
}

static int
opt_nics(struct start *s)
{
	const char *err;

	if (s->nics != 0) {
		complain(s->ctl, NULL, "-i given twice");
		return ST_USAGE;
	}
	s->nics = (unsigned int)strtonum(optarg, 1, VM_MAX_NICS, &err);
	if (err != NULL)
		return bad(s, 'i', err);
	s->spec->given |= VMGIVEN_NICS;
	return ST_DONE;
}

static int
opt_cpus(struct start *s)
{
	const char *err;
	int rc;

	if ((rc = once(s, 'p', VMGIVEN_CPUS)) != ST_DONE)
		return rc;
	s->spec->cpus = (uint32_t)strtonum(optarg, 1, VM_MAX_CPUS, &err);
	return err == NULL ? ST_DONE : bad(s, 'p', err);
}

static int
opt_memory(struct start *s)
{
	char why[32];
	uint64_t bytes;
	int rc;

	if ((rc = once(s, 'm', VMGIVEN_MEMORY)) != ST_DONE)
		return rc;
	if (scaled_parse(optarg, &bytes) == -1)
		return bad(s, 'm', "not a size");
	if (bytes < VM_MIN_MEMORY) {
		snprintf(why, sizeof(why), "less than %lluM",
		    VM_MIN_MEMORY / VM_MEMORY_UNIT);
		return bad(s, 'm', why);
	}
	if (bytes > VM_MAX_MEMORY)
		return bad(s, 'm', "more than 1T");
	s->spec->memory = bytes & ~(VM_MEMORY_UNIT - 1);
	return ST_DONE;
}

static int
opt_bootdev(struct start *s)
{
	int rc;

	if ((rc = once(s, 'B', VMGIVEN_BOOTDEV)) != ST_DONE)
		return rc;
	if (strcmp(optarg, "cdrom") == 0)
		s->spec->bootdev = BOOTDEV_CDROM;
	else if (strcmp(optarg, "disk") == 0)
		s->spec->bootdev = BOOTDEV_DISK;
	else if (strcmp(optarg, "net") == 0)
		s->spec->bootdev = BOOTDEV_NET;
	else
		return bad(s, 'B', "not one of cdrom, disk, net");
	return ST_DONE;
}

static int
opt_cmdline(struct start *s)
{
	char why[64];
	int rc;

	if ((rc = once(s, 'a', VMGIVEN_CMDLINE)) != ST_DONE)
		return rc;
	if (strlen(optarg) >= VM_CMDLINE_MAX) {
		snprintf(why, sizeof(why), "too long: at most %d bytes",
		    VM_CMDLINE_MAX - 1);
		return bad(s, 'a', why);
	}
	if ((s->spec->cmdline = strdup(optarg)) == NULL)
		return bad(s, 'a', strerror(errno));
	return ST_DONE;
}

static int
opt_parent(struct start *s)
{
	const char *why;
	int rc;

	if ((rc = once(s, 't', VMGIVEN_INSTANCE)) != ST_DONE)
		return rc;
	if ((why = vm_name_check(optarg)) != NULL)
		return bad(s, 't', why);
	if ((s->spec->parent = strdup(optarg)) == NULL)
		return bad(s, 't', strerror(errno));
	return ST_DONE;
}

static int
option(struct start *s, int c)
{
	switch (c) {
	case 'a':
		return opt_cmdline(s);
	case 'B':
		return opt_bootdev(s);
	case 'b':
		return opt_file(s, c, VMGIVEN_BOOT, &s->spec->boot);
	case 'c':
		s->attach = 1;
		return ST_DONE;
	case 'd':
		return opt_disk(s);
	case 'I':
		return opt_file(s, c, VMGIVEN_INITRD, &s->spec->initrd);
	case 'i':
		return opt_nics(s);
	case 'L':
		return opt_nic(s, c, NULL);
	case 'm':
		return opt_memory(s);
	case 'n':
		return opt_nic(s, c, optarg);
	case 'p':
		return opt_cpus(s);
	case 'r':
		return opt_file(s, c, VMGIVEN_CDROM, &s->spec->cdrom);
	case 't':
		return opt_parent(s);
	default:
		return ST_USAGE;
	}
}

/* Interfaces of -i that have no -L or -n, which are not attached. */
static int
pad_nics(struct start *s)
{
	struct vm_spec *v = s->spec;

	if (s->nics == 0)
		return ST_DONE;
	if (s->nics < v->nnics) {
		complain(s->ctl, NULL, "-i %u: %u interfaces are described",
		    s->nics, v->nnics);
		return ST_FAILED;
	}
	for (; v->nnics < s->nics; v->nnics++)
		v->nics[v->nnics].flags = NICF_UP;
	v->min_nics = s->nics;
	return ST_DONE;
}

/* What a VM that is made now should have; a known one has its own. */
static int
check_new(struct start *s, const char *name)
{
	struct vm_spec *v = s->spec;
	struct vm_list l;
	int rc;

	if (v->given == 0 || v->given & VMGIVEN_INSTANCE)
		return ST_DONE;
	rc = vm_list_get(s->ctl, name, 0, &l);
	vm_list_fini(&l);
	if (rc != ST_NOTFOUND)
		return rc;
	if (v->boot == NULL && v->ndisks == 0 && v->cdrom == NULL) {
		complain(s->ctl, name, "no kernel, disk or CD-ROM given");
		return ST_FAILED;
	}
	if (v->ndisks == 0)
		fprintf(stderr, "vmctl: starting without disks\n");
	if (v->nnics == 0 && v->boot == NULL)
		fprintf(stderr, "vmctl: starting without network interfaces\n");
	return ST_DONE;
}

static int
send_start(struct start *s)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vm_spec_put(b, s->spec) == -1) {
		complain(s->ctl, s->spec->name, "%s", strerror(errno));
		ibuf_free(b);
		return ST_FAILED;
	}
	return client_send(s->ctl, IMSG_VMDOP_START_VM_REQUEST, b);
}

static int
started(struct start *s, const struct vmop_result *r)
{
	char *tty;

	if (s->ctl->json)
		return print_json(json_pack("{s:I,s:o,s:I,s:o}", "id",
		    (json_int_t)r->id, "name", json_text(r->name), "pid",
		    (json_int_t)r->pid, "tty", json_text(r->tty)));
	if (s->attach)
		return ST_DONE;
	tty = safe(r->tty);
	fprintf(stderr, "vmctl: started vm %u successfully, tty %s\n", r->id,
	    tty);
	free(tty);
	return ST_DONE;
}

static int
start(struct start *s)
{
	struct vmop_result r;
	struct answer a;
	int rc;

	client_patience(s->ctl, START_PATIENCES * client_patience_s);
	if ((rc = send_start(s)) != ST_DONE ||
	    (rc = client_recv(s->ctl, &a)) != ST_DONE)
		return rc;
	if (a.type != IMSG_VMDOP_START_VM_RESPONSE && a.type != IMSG_CTL_FAIL) {
		complain(s->ctl, s->spec->name, "unexpected answer (%s)",
		    msg_name(a.type));
		rc = ST_FAILED;
	} else if ((rc = answer_result(s->ctl, &a, &r)) == ST_DONE) {
		if (r.err != VMERR_OK || a.type == IMSG_CTL_FAIL)
			rc = complain_result(s->ctl, s->spec->name, &r);
		else
			rc = started(s, &r);
		vmop_result_fini(&r);
	}
	answer_fini(&a);
	return rc;
}

static int
run(struct start *s, int argc, char **argv)
{
	const char *name, *why;
	int c, rc;

	while ((c = next_opt(s->ctl, argc, argv)) != -1)
		if ((rc = option(s, c)) != ST_DONE)
			return rc;
	if ((name = one_operand(argc, argv)) == NULL)
		return ST_USAGE;
	if ((why = vm_name_check(name)) != NULL) {
		complain(s->ctl, name, "%s", why);
		return ST_FAILED;
	}
	if ((s->spec->name = strdup(name)) == NULL)
		return ST_FAILED;
	if ((rc = pad_nics(s)) != ST_DONE ||
	    (rc = check_new(s, name)) != ST_DONE ||
	    (rc = start(s)) != ST_DONE || !s->attach)
		return rc;
	return console_run(s->ctl, name, VMOP_RUN);
}

int
cmd_start(struct vmctl *ctl, int argc, char **argv)
{
	struct start s = { .ctl = ctl };
	int rc;

	if ((s.spec = vm_spec_new(NULL)) == NULL) {
		complain(ctl, NULL, "%s", strerror(errno));
		return ST_FAILED;
	}
	s.spec->given = 0;
	rc = run(&s, argc, argv);
	vm_spec_free(s.spec);
	return rc;
}
