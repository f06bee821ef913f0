/*
 * The disks of a VM, opened one by one, each with its backing chain:
 *
 *	opener -> fit? locked? -> image -> next layer ... -> next disk
 *
 * A top is opened as any file of the VM.  Names in image headers are always
 * opened as the owner, or the client who named the image.  The format of
 * each file is decided here, once, and goes down with the descriptors.
 */
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/files.h"
#include "vmd/parent/image.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define STR(n)	 #n
#define NUM(n)	 STR(n)
#define TOO_DEEP "more than " NUM(VM_MAX_LAYERS) " images are chained"

/* Where we are. */
struct chain {
	struct vm *vm;
	uint32_t disk;
	uint32_t layer;
	struct opening *opening;
	struct imaging *imaging;
	char *path;		 /* of the layer, NULL: the top */
	enum disk_format format; /* declared for the layer */
	int fd;			 /* the layer */
	struct lock_retry retry;
	size_t overflow; /* files that the list had no place for */
	struct {
		dev_t dev;
		ino_t ino;
	} seen[VM_MAX_LAYERS];
};

static void next_disk(struct chain *c);
static void open_layer(struct chain *c);

/* Unlocked at once: the process that reads it may not be gone yet. */
static void
close_layer(int *fd)
{
	if (*fd != -1)
		image_unlock(*fd);
	fd_close(fd);
}

static void
chain_free(struct chain *c)
{
	c->vm->chain = NULL;
	open_cancel(c->opening);
	image_cancel(c->imaging);
	image_lock_over(&c->retry);
	close_layer(&c->fd);
	free(c->path);
	free(c);
}

static struct disk_spec *
disk(const struct chain *c)
{
	return &c->vm->run->disks[c->disk];
}

/* A disk is open with all its layers, or not at all. */
static void
give_up(struct chain *c)
{
	uint32_t i;
	int fd;

	for (i = 0; i < VM_MAX_LAYERS; i++) {
		fd = fdlist_take(&c->vm->fds, FD_DISK, c->disk, i);
		close_layer(&fd);
	}
	disk(c)->qcow2 = 0;
	chain_free(c);
}

void
vm_disks_cancel(struct vm *v)
{
	if (v->chain != NULL)
		give_up(v->chain);
}

static const char *
layer_path(const struct chain *c)
{
	return c->path == NULL ? disk(c)->path : c->path;
}

static int
by_client(const struct vm *v)
{
	return (v->given & VMGIVEN_DISKS) != 0;
}

static int
writable(const struct chain *c)
{
	return c->layer == 0 && !(disk(c)->flags & DISKF_READONLY);
}

/* A name out of an image may hold anything; the caller frees. */
static char *
printable(const char *name)
{
	char *s = strdup(name), *p;

	for (p = s; p != NULL && *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	return s;
}

/* The start fails: "disk 0 PATH: [backing file PATH:] why (FILE:LINE)". */
static void
failed(struct chain *c, enum vmerr e, const char *why)
{
	struct vm *v = c->vm;
	uint32_t n = c->disk;
	char *backing = c->path == NULL ? NULL : printable(c->path);
	char *reason = strdup(why);

	give_up(c);
	vm_start_failed(v, e, "disk %u %s: %s%s%s%s%s", n,
	    v->run->disks[n].path, backing == NULL ? "" : "backing file ",
	    backing == NULL ? "" : backing, backing == NULL ? "" : ": ",
	    reason == NULL ? "no memory" : reason,
	    by_client(v) ? "" : vm_where(v));
	free(backing);
	free(reason);
}

/* All are open, or more than one message can carry. */
static void
finish(struct chain *c)
{
	struct vm *v = c->vm;
	size_t over = c->overflow;

	chain_free(c);
	vm_files_opened(v, over);
}

/* A guest can write to it from now on. */
static void
remember_raw(struct chain *c)
{
	const char *path = disk(c)->path;

	if (writable(c) && raws_add(c->vm->parent->raws, c->fd, path) == -1)
		log_warn("%s: " RAWS_FILE ": %s", c->vm->spec->name, path);
}

/* A layer is known to be of this format; there may be another below. */
static void
keep_layer(struct chain *c, enum disk_format format)
{
	struct disk_spec *d = disk(c);

	if (c->layer == 0)
		d->format = format;
	if (format == DISK_QCOW2)
		d->qcow2 |= 1U << c->layer;
	else
		remember_raw(c);
	/* The process that read it had the same open file. */
	fcntl(c->fd, F_SETFL, 0);
	/* What has no place any more is still counted. */
	if (fdlist_add(&c->vm->fds, FD_DISK, c->disk, c->layer, &c->fd) == -1) {
		fd_close(&c->fd);
		c->overflow++;
	}
}

static void
disk_done(struct chain *c)
{
	disk(c)->layers = c->layer + 1;
	c->disk++;
	next_disk(c);
}

/* The name of a backing file, which is relative to the file that names it. */
static char *
backing_path(const char *from, const char *name)
{
	const char *slash = strrchr(from, '/');
	char *path;

	if (name[0] == '/' || slash == NULL)
		return strdup(name);
	if (asprintf(&path, "%.*s/%s", (int)(slash - from), from, name) == -1)
		return NULL;
	return path;
}

static void
open_backing(struct chain *c, const struct image_info *i)
{
	char *path;

	if (c->layer + 1 == VM_MAX_LAYERS) {
		failed(c, VMERR_DISK_MISSING, TOO_DEEP);
		return;
	}
	if ((path = backing_path(layer_path(c), i->backing)) == NULL) {
		failed(c, VMERR_FAILED, strerror(errno));
		return;
	}
	free(c->path);
	c->path = path;
	c->layer++;
	c->format = i->backing_format;
	if (strlen(path) >= PATH_MAX)
		failed(c, VMERR_DISK_MISSING, strerror(ENAMETOOLONG));
	else
		open_layer(c);
}

/* NULL, or why the answer is not one to this question. */
static const char *
bad_info(const struct chain *c, const struct image_info *i)
{
	if (c->format != DISK_AUTO && i->format != c->format)
		return "not of its declared format";
	/* Whatever a guest writes to a raw file would become a header. */
	if (c->layer > 0 && c->format == DISK_AUTO && i->format == DISK_RAW)
		return "raw, but the image above does not declare it so";
	if (c->layer == 0 && i->size == 0)
		return "the disk is empty";
	/* A guest may have written this header. */
	if (c->format == DISK_AUTO && i->format == DISK_QCOW2 &&
	    raws_has(c->vm->parent->raws, c->fd, layer_path(c)) != 0)
		return "was a raw disk before and looks like qcow2 now: "
		       "its format must be given";
	return NULL;
}

static void
imaged(void *arg, const struct image_info *i, const char *why)
{
	struct chain *c = arg;

	c->imaging = NULL;
	if (i == NULL || (why = bad_info(c, i)) != NULL) {
		failed(c, VMERR_DISK_MISSING, why);
		return;
	}
	keep_layer(c, i->format);
	if (i->backing != NULL)
		open_backing(c, i);
	else
		disk_done(c);
}

/* One file twice in a chain: a circle. */
static const char *
circle(struct chain *c)
{
	struct stat st;
	uint32_t i;

	if (fstat(c->fd, &st) == -1)
		return strerror(errno);
	for (i = 0; i < c->layer; i++)
		if (c->seen[i].dev == st.st_dev && c->seen[i].ino == st.st_ino)
			return "is above itself in the chain";
	c->seen[i].dev = st.st_dev;
	c->seen[i].ino = st.st_ino;
	return NULL;
}

static int
is_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

/* The layer is locked; what is it? */
static void
inspect(struct chain *c)
{
	/* Nothing tells a device from the one that was there before. */
	if (c->layer == 0 && c->format == DISK_AUTO && is_device(c->fd))
		c->format = DISK_RAW;
	if (c->format == DISK_RAW) {
		keep_layer(c, DISK_RAW);
		disk_done(c);
		return;
	}
	c->imaging = image_start(c->vm->parent, c->fd, c->format, writable(c),
	    imaged, c);
	if (c->imaging == NULL)
		failed(c, VMERR_FAILED, strerror(errno));
}

static void lock_again(int fd, short ev, void *arg);

static void
lock(struct chain *c)
{
	const char *why;

	if ((why = image_lock(c->vm, c->fd, writable(c))) == NULL)
		inspect(c);
	else if (!image_lock_again(&c->retry, c->vm->parent->base, lock_again,
		     c))
		failed(c, VMERR_DISK_MISSING, why);
}

static void
lock_again(int fd, short ev, void *arg)
{
	lock(arg);
}

/* The layer is open; can it be one? */
static void
take(struct chain *c)
{
	const char *why;

	if ((why = image_unfit(c->vm, c->fd)) != NULL ||
	    (why = circle(c)) != NULL)
		failed(c, VMERR_DISK_MISSING, why);
	else
		lock(c);
}

static void
opened(void *arg, int fd, const char *why)
{
	struct chain *c = arg;

	c->opening = NULL;
	c->fd = fd;
	if (fd == -1)
		failed(c, VMERR_DISK_MISSING, why);
	else
		take(c);
}

static void
open_layer(struct chain *c)
{
	struct vm *v = c->vm;
	struct open_msg m = { .how = writable(c) ? OPEN_RDWR : OPEN_READ };

	m.path = strdup(layer_path(c));
	m.trusted = c->layer == 0 && !by_client(v);
	m.who = vm_opens_as(v, by_client(v));
	if (m.path != NULL && m.who != NULL)
		c->opening = open_start(v->parent, &m, opened, c);
	open_msg_fini(&m);
	if (c->opening == NULL)
		failed(c, VMERR_DISK_MISSING, strerror(errno));
}

/* Those of a guest that resets are open already. */
static void
next_disk(struct chain *c)
{
	while (c->disk < c->vm->run->ndisks && disk(c)->layers != 0)
		c->disk++;
	if (c->disk == c->vm->run->ndisks) {
		finish(c);
		return;
	}
	free(c->path);
	c->path = NULL;
	c->layer = 0;
	image_lock_over(&c->retry);
	c->format = disk(c)->format;
	open_layer(c);
}

void
vm_open_disks(struct vm *v)
{
	struct chain *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		vm_start_failed(v, VMERR_FAILED, "no memory");
		return;
	}
	c->vm = v;
	c->fd = -1;
	v->chain = c;
	next_disk(c);
}
