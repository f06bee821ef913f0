/*
 * Is a path root's alone?  Walked by the opener while it still is root:
 * component by component, each looked at through a descriptor before it is
 * used, so that nothing can be exchanged between the check and the use.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/fdlist.h"
#include "vmd/parent/opener.h"

#define MAX_LINKS 40

struct walk {
	int dir;    /* checked directory we are in */
	int sticky; /* others may make names in it */
	int links;  /* followed so far */
	char *rest; /* what is left of the path */
	char *why;
	size_t whylen;
};

static int
unsafe(struct walk *w, const char *name, const char *text)
{
	snprintf(w->why, w->whylen, "%s %s", name, text);
	errno = EPERM;
	return -1;
}

/* Is what `fd' (maybe O_PATH) refers to root's, and only root's? */
static int
check(struct walk *w, int fd, const char *name, struct stat *st)
{
	int others, users;

	if ((users = open_is_users(fd)) == -1 || fstat(fd, st) == -1)
		return -1;
	if (users)
		return unsafe(w, name, "is on a file system of a user");
	/* Nothing that a guest can have, whoever it belongs to. */
	if (S_ISCHR(st->st_mode) || S_ISFIFO(st->st_mode) ||
	    S_ISSOCK(st->st_mode)) {
		errno = EINVAL;
		return -1;
	}
	if (st->st_uid != 0)
		return unsafe(w, name, "does not belong to root");
	if (S_ISLNK(st->st_mode))
		return 0;
	others = (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
	if (others && !(S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX))
		return unsafe(w, name, "can be written by others than root");
	return 0;
}

static int
enter_root(struct walk *w)
{
	struct stat st;

	fd_close(&w->dir);
	w->dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	w->sticky = 0;
	return w->dir == -1 ? -1 : check(w, w->dir, "/", &st);
}

/* Put the target of the link `fd' in front of the rest. */
static int
follow(struct walk *w, int fd)
{
	char target[PATH_MAX], *rest;
	ssize_t n;

	if (++w->links > MAX_LINKS) {
		errno = ELOOP;
		return -1;
	}
	if ((n = readlinkat(fd, "", target, sizeof(target))) == -1)
		return -1;
	if (n == (ssize_t)sizeof(target)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (asprintf(&rest, "%.*s/%s", (int)n, target, w->rest) == -1)
		return -1;
	if (w->rest[0] == '\0')
		rest[n] = '\0';
	free(w->rest);
	w->rest = rest;
	return target[0] == '/' ? enter_root(w) : 0;
}

/* Cut the next component off the rest into `name'.  0: there is none. */
static int
next_name(struct walk *w, char *name, size_t len)
{
	const char *s = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(s, "/");
	size_t skip = (size_t)(s - w->rest) + n;

	if (n == 0)
		return 0;
	if (n >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, s, n);
	name[n] = '\0';
	memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
	return 1;
}

static int
last(const struct walk *w)
{
	return w->rest[strspn(w->rest, "/")] == '\0';
}

/* A new file at the end of a path that is root's alone. */
static int
create(struct walk *w, const char *name)
{
	return openat(w->dir, name,
	    O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
}

/* Open for good what `fd' (O_PATH) has shown to be safe. */
static int
reopen(struct walk *w, int fd, const char *name, enum open_how how,
    const struct stat *st)
{
	char proc[64];
	int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	/* A hard link to a file of root's, made by somebody else. */
	if (w->sticky && st->st_nlink > 1)
		return unsafe(w, name, "has several names");
	if (how == OPEN_APPEND)
		flags |= O_WRONLY | O_APPEND;
	else
		flags |= how == OPEN_RDWR ? O_RDWR : O_RDONLY;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return open(proc, flags);
}

/*
 * One step.  Returns 1 when `*out' is the open file, 0 to go on, -1 with
 * errno.
 */
static int
step(struct walk *w, enum open_how how, int *out)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int fd, rc;

	if ((rc = next_name(w, name, sizeof(name))) != 1) {
		if (rc == 0)
			errno = EISDIR;
		return -1;
	}
	fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT && how == OPEN_APPEND && last(w)) {
		*out = create(w, name);
		return *out == -1 ? -1 : 1;
	}
	if (fd == -1)
		return -1;
	rc = -1;
	if (check(w, fd, name, &st) == -1)
		goto out;
	if (S_ISLNK(st.st_mode)) {
		rc = follow(w, fd);
	} else if (S_ISDIR(st.st_mode)) {
		close(w->dir);
		w->dir = fd;
		w->sticky = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
		return 0;
	} else if (!last(w)) {
		errno = ENOTDIR;
	} else if ((*out = reopen(w, fd, name, how, &st)) != -1) {
		rc = 1;
	}
out:
	fd_close(&fd);
	return rc;
}

int
open_rootsafe(const char *path, enum open_how how, char *why, size_t len)
{
	struct walk w = { .dir = -1, .why = why, .whylen = len };
	int fd = -1, rc;

	why[0] = '\0';
	if (path[0] != '/') {
		errno = EINVAL;
		return -1;
	}
	if ((w.rest = strdup(path)) == NULL)
		return -1;
	if ((rc = enter_root(&w)) == 0)
		while ((rc = step(&w, how, &fd)) == 0)
			;
	free(w.rest);
	fd_close(&w.dir);
	return rc == 1 ? fd : -1;
}
