/*
 * The files a VM needs, opened by the parent's openers before the launch.
 *
 * A name from the configuration is opened as root if it is root's alone, else
 * as the owner of the VM; a name from a client as that client.  Disks come
 * last (disks.c).
 */
#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/files.h"
#include "vmd/parent/image.h"
#include "vmd/parent/net.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

static const char *
regular(const struct vm *v, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	return S_ISREG(st.st_mode) ? NULL : "not a regular file";
}

static const char *
disc(const struct vm *v, int fd)
{
	return image_unfit(v, fd);
}

/* clang-format off */
static const struct step {
	enum fd_kind	 kind;
	uint32_t	 given;		/* VMGIVEN_* if a client may name it */
	size_t		 path;		/* offset in struct vm_spec */
	enum open_how	 how;
	const char	*(*check)(const struct vm *v, int fd);
	enum vmerr	 err;
	const char	*what;
} steps[] = {
	{ FD_BOOT,	VMGIVEN_BOOT,	offsetof(struct vm_spec, boot),
	  OPEN_READ, regular,	VMERR_BOOT_MISSING,	"boot" },
	{ FD_INITRD,	VMGIVEN_INITRD,	offsetof(struct vm_spec, initrd),
	  OPEN_READ, regular,	VMERR_FAILED,		"initrd" },
	{ FD_CONSOLE_LOG, 0, offsetof(struct vm_spec, console_log),
	  OPEN_APPEND, regular,	VMERR_FAILED,		"console log" },
	{ FD_CDROM,	VMGIVEN_CDROM,	offsetof(struct vm_spec, cdrom),
	  OPEN_READ, disc,	VMERR_CDROM_MISSING,	"cdrom" },
};
/* clang-format on */

#define NSTEPS	  (sizeof(steps) / sizeof(steps[0]))

#define OTHER_FDS 3	/* tty, console, and /dev/kvm, which vmm adds */
#define NO_GROUP  65534 /* of an owner that the user database lacks */

static const char *
step_path(const struct vm_spec *s, const struct step *st)
{
	return *(char *const *)((const char *)s + st->path);
}

static void
failed(struct vm *v, const struct step *st, const char *why)
{
	vm_start_failed(v, st->err, "%s %s: %s%s", st->what,
	    step_path(v->run, st), why,
	    v->given & st->given ? "" : vm_where(v));
}

static void lock_again(int fd, short ev, void *arg);

/* A CD-ROM is locked, for as long as it is open. */
static void
lock_step(struct vm *v)
{
	const struct step *st = &steps[v->open_step];
	const char *why = NULL;
	int fd;

	if (st->kind == FD_CDROM)
		why = image_lock(v, fdlist_get(&v->fds, FD_CDROM, 0, 0), 0);
	if (why == NULL) {
		image_lock_over(&v->retry);
		v->open_step++;
		vm_open_files(v);
	} else if (!image_lock_again(&v->retry, v->parent->base, lock_again,
		       v)) {
		fd = fdlist_take(&v->fds, st->kind, 0, 0);
		fd_close(&fd);
		failed(v, st, why);
	}
}

static void
lock_again(int fd, short ev, void *arg)
{
	lock_step(arg);
}

static void
opened(void *arg, int fd, const char *why)
{
	struct vm *v = arg;
	const struct step *st = &steps[v->open_step];

	v->opening = NULL;
	if (fd != -1)
		why = st->check(v, fd);
	if (why == NULL && fdlist_add(&v->fds, st->kind, 0, 0, &fd) == -1)
		why = "too many files";
	fd_close(&fd); /* -1 if moved */
	if (why != NULL) {
		failed(v, st, why);
		return;
	}
	lock_step(v);
}

struct cred *
vm_opens_as(const struct vm *v, int by_client)
{
	const struct cred root = { 0 };
	const struct cred no_account = {
		.uid = (uid_t)v->spec->uid,
		.gid = NO_GROUP,
	};
	struct cred *c;

	if (by_client && v->cred != NULL)
		return cred_copy(v->cred);
	if (v->spec->uid == 0)
		return cred_copy(&root);
	c = cred_of_user((uid_t)v->spec->uid);
	return c == NULL && errno == ENOENT ? cred_copy(&no_account) : c;
}

static int
open_step(struct vm *v, const struct step *st)
{
	struct open_msg m = { .how = st->how };
	int by_client = (v->given & st->given) != 0;

	m.path = step_path(v->run, st) == NULL ? NULL :
						 strdup(step_path(v->run, st));
	m.trusted = !by_client;
	m.who = vm_opens_as(v, by_client);
	if (m.path != NULL && m.who != NULL)
		v->opening = open_start(v->parent, &m, opened, v);
	open_msg_fini(&m);
	return v->opening == NULL ? -1 : 0;
}

/* What this VM has had before it was reset. */
static const char *
check_kept(struct vm *v, const struct step *st)
{
	int fd = fdlist_get(&v->fds, st->kind, 0, 0);

	return fd == -1 ? NULL : st->check(v, fd);
}

void
vm_open_files(struct vm *v)
{
	const struct step *st;
	const char *why;

	for (; v->open_step < NSTEPS; v->open_step++) {
		st = &steps[v->open_step];
		if (step_path(v->run, st) == NULL)
			continue;
		if (fdlist_get(&v->fds, st->kind, 0, 0) == -1) {
			if (open_step(v, st) == -1)
				failed(v, st, strerror(errno));
			return;
		}
		if ((why = check_kept(v, st)) != NULL) {
			failed(v, st, why);
			return;
		}
	}
	if (fdlist_get(&v->fds, FD_BOOT, 0, 0) == -1)
		vm_start_failed(v, VMERR_UNSUPPORTED,
		    "no boot file: firmware is not supported yet%s",
		    vm_where(v));
	else
		vm_open_disks(v);
}

/* All files but these are opened anew by the next run. */
void
vm_close_files(struct vm *v)
{
	struct fdent *e;
	size_t i, n = 0;

	for (i = 0; i < v->fds.n; i++) {
		e = &v->fds.ents[i];
		if (e->kind == FD_DISK || e->kind == FD_CDROM)
			v->fds.ents[n++] = *e;
		else
			fd_close(&e->fd);
	}
	v->fds.n = n;
}

/*
 * The ring of a device process has had its files registered, and the kernel
 * lets go of them some time after the process was reaped: when its I/O is
 * over, but not yet the lock of the open file.
 */
void
vm_release_files(struct vm *v)
{
	const struct fdent *e;
	size_t i;

	for (i = 0; i < v->fds.n; i++) {
		e = &v->fds.ents[i];
		if (!v->lost && (e->kind == FD_DISK || e->kind == FD_CDROM))
			image_unlock(e->fd);
	}
	fdlist_close(&v->fds);
}

static int
same_path(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Are the disks of the definition still those of the last run? */
static int
same_disks(const struct vm_spec *run, const struct vm_spec *spec)
{
	const struct disk_spec *r, *s;
	uint32_t i;

	if (run->ndisks != spec->ndisks || !same_path(run->cdrom, spec->cdrom))
		return 0;
	for (i = 0; i < run->ndisks; i++) {
		r = &run->disks[i];
		s = &spec->disks[i];
		if (!same_path(r->path, s->path) || r->flags != s->flags ||
		    (s->format != DISK_AUTO && s->format != r->format))
			return 0;
	}
	return 1;
}

void
vm_keep_disks(struct vm *v, struct vm_spec *next)
{
	uint32_t i;

	if (v->run == NULL || !same_disks(v->run, next)) {
		vm_release_files(v);
		return;
	}
	for (i = 0; i < next->ndisks; i++) {
		next->disks[i].format = v->run->disks[i].format;
		next->disks[i].layers = v->run->disks[i].layers;
		next->disks[i].qcow2 = v->run->disks[i].qcow2;
	}
}

static size_t
count(const struct fdlist *l, enum fd_kind kind)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		n += l->ents[i].kind == kind;
	return n;
}

void
vm_files_opened(struct vm *v, size_t over)
{
	size_t layers = count(&v->fds, FD_DISK) + over;
	size_t more = vm_net_queues(v);
	uint32_t i;

	if (over == 0 && v->fds.n + more + OTHER_FDS <= VM_MAXFDS) {
		vm_net_start(v);
		return;
	}
	/* Nothing of it is any good for another try. */
	vm_release_files(v);
	for (i = 0; i < v->run->ndisks; i++)
		v->run->disks[i].layers = v->run->disks[i].qcow2 = 0;
	vm_start_failed(v, VMERR_LIMIT,
	    "too many files: %zu layers, %zu queues, limit %d%s", layers,
	    count(&v->fds, FD_TAP) + more, VM_MAXFDS, vm_where(v));
}
