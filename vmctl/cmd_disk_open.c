/*
 * Files of disk images, opened by vmctl with the rights of its caller: names
 * and formats, locks, backing files, and new files that appear complete or
 * not at all.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/disk/imglock.h"
#include "vmctl/cmd_disk.h"

enum image_format
image_prefix(const char *arg, const char **path)
{
	*path = arg;
	if (strncmp(arg, "raw:", 4) == 0) {
		*path = arg + 4;
		return FMT_RAW;
	}
	if (strncmp(arg, "qcow2:", 6) == 0) {
		*path = arg + 6;
		return FMT_QCOW2;
	}
	return FMT_UNKNOWN;
}

static int
is_qcow2(int fd)
{
	char magic[4];

	return pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	    qcow2_probe(magic, sizeof(magic));
}

enum image_format
image_format(const char *arg, int fd)
{
	enum image_format fmt;
	const char *path, *ext;

	if ((fmt = image_prefix(arg, &path)) != FMT_UNKNOWN)
		return fmt;
	if (fd != -1 && is_qcow2(fd))
		return FMT_QCOW2;
	ext = strrchr(path, '.');
	return ext != NULL && strcasecmp(ext, ".qcow2") == 0 ? FMT_QCOW2 :
							       FMT_RAW;
}

static int
lock(int fd, int rw)
{
	/* Some file systems have no locks. */
	return imglock(fd, rw) == -1 && errno == EAGAIN ? -1 : 0;
}

int
image_open(const char *path, int rw, int want_lock, char *why, size_t len)
{
	struct stat st;
	int fd, saved_errno;

	fd = open(path,
	    (rw ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, &st) == -1) {
		saved_errno = errno;
		snprintf(why, len, "%s", strerror(saved_errno));
	} else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		saved_errno = EINVAL;
		snprintf(why, len, "not a regular file or block device");
	} else if (want_lock && lock(fd, rw) == -1) {
		saved_errno = EBUSY;
		snprintf(why, len, "in use: locked by another program");
	} else {
		return fd;
	}
	fd_close(&fd);
	errno = saved_errno;
	return -1;
}

int
file_status(int error)
{
	return error == EACCES || error == EPERM ? ST_PERM : ST_FAILED;
}

/* Where `name' leads that an image at `path' contains; allocated. */
static char *
resolve(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *s;

	if (name[0] == '/' || slash == NULL)
		return strdup(name);
	if (asprintf(&s, "%.*s%s", (int)(slash - path) + 1, path, name) == -1)
		return NULL;
	return s;
}

int
image_open_backing(const char *above, const char *name, char **path,
    enum qcow2_backing *fmt, char *why, size_t len)
{
	int fd;

	if ((*path = resolve(above, name)) == NULL) {
		snprintf(why, len, "%s", strerror(errno));
		return -1;
	}
	if ((fd = image_open(*path, 0, 1, why, len)) == -1)
		return -1;
	if (*fmt != QCOW2_BACKING_ANY)
		return fd;
	/* A guest may have written anything into a raw one. */
	if (!is_qcow2(fd)) {
		snprintf(why, len,
		    "the image above does not say that it is "
		    "raw");
		fd_close(&fd);
		return -1;
	}
	*fmt = QCOW2_BACKING_QCOW2;
	return fd;
}

/* --- new files ---------------------------------------------------------- */

static char tmp_name[PATH_MAX]; /* "": there is none to be removed */

static void
remove_tmp(int sig)
{
	if (tmp_name[0] != '\0')
		unlink(tmp_name);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void
on_signals(void (*fn)(int))
{
	static const int sigs[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction sa = { .sa_handler = fn }, old;
	size_t i;

	sigfillset(&sa.sa_mask);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		if (sigaction(sigs[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
}

/* Where there are no files without a name. */
static int
open_named(struct new_file *f, const char *dir)
{
	if ((size_t)snprintf(tmp_name, sizeof(tmp_name), "%s/.vmctl.XXXXXX",
		dir) >= sizeof(tmp_name)) {
		tmp_name[0] = '\0';
		errno = ENAMETOOLONG;
		return -1;
	}
	on_signals(remove_tmp);
	if ((f->fd = mkostemp(tmp_name, O_CLOEXEC)) == -1) {
		tmp_name[0] = '\0';
		return -1;
	}
	f->named = 1;
	return 0;
}

int
newfile_open(struct new_file *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct stat st;

	f->fd = -1;
	f->named = 0;
	f->path = path;
	if (lstat(path, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	if (errno != ENOENT)
		return -1;
	if ((size_t)snprintf(dir, sizeof(dir), "%.*s",
		slash == NULL ? 1 : (int)(slash - path) + 1,
		slash == NULL ? "." : path) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	f->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (f->fd != -1 ||
	    (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return f->fd == -1 ? -1 : 0;
	return open_named(f, dir);
}

/* Some file systems know only one way not to overwrite. */
static int
commit_named(struct new_file *f)
{
	if (renameat2(AT_FDCWD, tmp_name, AT_FDCWD, f->path,
		RENAME_NOREPLACE) == 0) {
		tmp_name[0] = '\0';
		return 0;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return link(tmp_name, f->path);
}

int
newfile_commit(struct new_file *f)
{
	char proc[64];

	if (f->named)
		return commit_named(f);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->fd);
	if (linkat(AT_FDCWD, proc, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -1;
	/* Without /proc only root can. */
	return linkat(f->fd, "", AT_FDCWD, f->path, AT_EMPTY_PATH);
}

void
newfile_close(struct new_file *f)
{
	if (f->named && tmp_name[0] != '\0') {
		unlink(tmp_name);
		tmp_name[0] = '\0';
	}
	f->named = 0;
	fd_close(&f->fd);
}
