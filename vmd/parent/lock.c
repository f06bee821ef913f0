/*
 * What may be a disk or CD-ROM, and who has it: locks that go with the
 * descriptor through all processes (lib/disk/imglock.h).
 */
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/imglock.h"
#include "lib/util/log.h"
#include "vmd/parent/image.h"
#include "vmd/parent/parent.h"

#define SECTOR	     512
#define LOCK_TRIES   10
#define LOCK_WAIT_MS 100

/* NULL, or why it is no file for a disk of `v'. */
static const char *
unfit_kind(const struct vm *v, const struct stat *st)
{
	if (S_ISREG(st->st_mode))
		return NULL;
	if (S_ISBLK(st->st_mode))
		return v->spec->uid == 0 ?
		    NULL :
		    "a block device, which only VMs of root may have";
	if (S_ISDIR(st->st_mode))
		return "is a directory";
	if (S_ISFIFO(st->st_mode))
		return "is a FIFO";
	return "not a regular file or block device";
}

const char *
image_unfit(const struct vm *v, int fd)
{
	struct stat st;
	const char *why;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if ((why = unfit_kind(v, &st)) != NULL)
		return why;
	/* Openers never wait. */
	if (fcntl(fd, F_SETFL, 0) == -1)
		return strerror(errno);
	if (S_ISBLK(st.st_mode))
		st.st_size = lseek(fd, 0, SEEK_END);
	if (st.st_size < SECTOR)
		return st.st_size <= 0 ? "is empty" : "shorter than a sector";
	return NULL;
}

static int
same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int
has_file(const struct vm *v, const struct stat *st, int but)
{
	const struct fdent *e;
	struct stat have;
	size_t i;

	for (i = 0; i < v->fds.n; i++) {
		e = &v->fds.ents[i];
		if ((e->kind == FD_DISK || e->kind == FD_CDROM) &&
		    e->fd != but && fstat(e->fd, &have) == 0 &&
		    same_file(st, &have))
			return 1;
	}
	return 0;
}

/* Who has a lock that we cannot have?  The kernel does not tell. */
static const char *
holder(const struct vm *v, int fd)
{
	static char text[VM_NAME_MAX + 32];
	const struct vm *o;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	TAILQ_FOREACH(o, &v->parent->vms, entry) {
		if (!has_file(o, &st, fd))
			continue;
		errno = EBUSY;
		if (o == v)
			return "used by another disk of this VM";
		snprintf(text, sizeof(text), "locked by vm %s", o->spec->name);
		return text;
	}
	errno = EAGAIN;
	return "locked by another program";
}

const char *
image_lock(const struct vm *v, int fd, int writable)
{
	static char text[128];

	if (imglock(fd, writable) == 0)
		return NULL;
	if (errno == EAGAIN)
		return holder(v, fd);
	snprintf(text, sizeof(text), "cannot be locked: %s", strerror(errno));
	return text;
}

int
image_lock_again(struct lock_retry *r, struct event_base *base,
    void (*fn)(int, short, void *), void *arg)
{
	const struct timeval tv = { .tv_usec = LOCK_WAIT_MS * 1000 };

	if (errno != EAGAIN || r->tries++ == LOCK_TRIES)
		return 0;
	if (r->timer == NULL)
		r->timer = evtimer_new(base, fn, arg);
	return r->timer != NULL && event_add(r->timer, &tv) == 0;
}

void
image_lock_over(struct lock_retry *r)
{
	if (r->timer != NULL)
		event_free(r->timer);
	r->timer = NULL;
	r->tries = 0;
}

void
image_unlock(int fd)
{
	if (imglock_drop(fd) == -1)
		log_warn("unlock");
}
