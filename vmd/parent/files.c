/*
 * The files a VM needs, opened by the parent's openers before the launch.
 *
 * A file that a client sent as a descriptor is used as it is.  A name from
 * the configuration is opened as root if it is root's alone, else as the
 * owner of the VM; a name from a client as that client.
 */
#include <sys/stat.h>

#include <errno.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

/* clang-format off */
static const struct step {
	enum fd_kind	 kind;
	uint32_t	 given;		/* VMGIVEN_* if a client may name it */
	size_t		 path;		/* offset in struct vm_spec */
	enum open_how	 how;
	enum vmerr	 err;
	const char	*what;
} steps[] = {
	{ FD_BOOT,	VMGIVEN_BOOT,	offsetof(struct vm_spec, boot),
	  OPEN_READ,	VMERR_BOOT_MISSING,	"boot" },
	{ FD_INITRD,	VMGIVEN_INITRD,	offsetof(struct vm_spec, initrd),
	  OPEN_READ,	VMERR_FAILED,		"initrd" },
	{ FD_CONSOLE_LOG, 0, offsetof(struct vm_spec, console_log),
	  OPEN_APPEND,	VMERR_FAILED,		"console log" },
};
/* clang-format on */

#define NSTEPS	 (sizeof(steps) / sizeof(steps[0]))

#define NO_GROUP 65534 /* of an owner that the user database lacks */

static const char *
step_path(const struct vm_spec *s, const struct step *st)
{
	return *(char *const *)((const char *)s + st->path);
}

static int
is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

enum vmerr
vm_check_files(const struct fdlist *fds, const char **what)
{
	size_t i;

	for (i = 0; i < fds->n; i++) {
		*what = "a file of this kind cannot be given";
		if (fds->ents[i].kind != FD_BOOT &&
		    fds->ents[i].kind != FD_INITRD)
			return VMERR_INVALID;
		*what = fds->ents[i].kind == FD_BOOT ?
		    "boot: not a regular file" :
		    "initrd: not a regular file";
		if (fds->ents[i].idx != 0 || fds->ents[i].sub != 0 ||
		    !is_regular(fds->ents[i].fd))
			return VMERR_INVALID;
	}
	return VMERR_OK;
}

static void
failed(struct vm *v, const struct step *st, const char *why)
{
	vm_start_failed(v, st->err, "%s %s: %s%s", st->what,
	    step_path(v->run, st), why,
	    v->given & st->given ? "" : vm_where(v));
}

static void
opened(void *arg, int fd, const char *why)
{
	struct vm *v = arg;
	const struct step *st = &steps[v->open_step];

	v->opening = NULL;
	if (fd != -1 && !is_regular(fd)) {
		fd_close(&fd);
		why = "not a regular file";
	}
	if (fd != -1 && fdlist_add(&v->fds, st->kind, 0, 0, &fd) == -1) {
		fd_close(&fd);
		why = "too many files";
	}
	if (why != NULL) {
		failed(v, st, why);
		return;
	}
	v->open_step++;
	vm_open_files(v);
}

/* On whose behalf; the caller frees. */
static struct cred *
whose(const struct vm *v, int by_client)
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
	m.who = whose(v, by_client);
	if (m.path != NULL && m.who != NULL)
		v->opening = open_start(v->parent, &m, opened, v);
	open_msg_fini(&m);
	return v->opening == NULL ? -1 : 0;
}

void
vm_open_files(struct vm *v)
{
	const struct step *st;

	for (; v->open_step < NSTEPS; v->open_step++) {
		st = &steps[v->open_step];
		if (step_path(v->run, st) == NULL ||
		    fdlist_get(&v->fds, st->kind, 0, 0) != -1)
			continue;
		if (open_step(v, st) == -1)
			failed(v, st, strerror(errno));
		return;
	}
	if (fdlist_get(&v->fds, FD_BOOT, 0, 0) == -1)
		vm_start_failed(v, VMERR_UNSUPPORTED,
		    "no boot file: firmware is not supported yet%s",
		    vm_where(v));
	else
		vm_launch(v);
}
