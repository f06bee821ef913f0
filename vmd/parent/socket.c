/*
 * The control socket: made, owned and removed by the parent, so that
 * control needs no access to any directory.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/parent/parent.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define BACKLOG	     64
#define DEFAULT_LINK "/run/vmd.sock"

/* Does a daemon answer there?  Then its socket must not be taken away. */
static int
in_use(const struct sockaddr_un *sun)
{
	int fd, rc;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return 0;
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	/* EAGAIN: it is there, but its queue is full. */
	rc = rc == 0 || errno == EAGAIN;
	close(fd);
	return rc;
}

/* The directory of `path', one level, if it is not there. */
static void
make_dir(const char *path)
{
	char *dir, *slash;

	if ((dir = strdup(path)) == NULL)
		return;
	if ((slash = strrchr(dir, '/')) != NULL && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0755) == -1 && errno != EEXIST)
			log_warn("%s", dir);
	}
	free(dir);
}

/*
 * Clients send no descriptors: since Linux 6.16 the kernel lets them send
 * none, before that it drops those it has when the message is read.
 */
static void
no_descriptors(int fd)
{
	const int off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)) == -1)
		log_debug("SO_PASSRIGHTS: %s", strerror(errno));
}

static int
bind_at(struct ctlsock *s, const struct sockaddr_un *sun)
{
	struct stat st;
	mode_t old;
	int rc;

	if (lstat(sun->sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			errno = EEXIST;
			return -1;
		}
		if (unlink(sun->sun_path) == -1)
			return -1;
	}
	old = umask(0177);
	rc = bind(s->fd, (const struct sockaddr *)sun, sizeof(*sun));
	umask(old);
	no_descriptors(s->fd);
	if (rc == -1 || listen(s->fd, BACKLOG) == -1 ||
	    lstat(sun->sun_path, &st) == -1)
		return -1;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

/* Where clients of other systems look for it. */
static void
make_link(struct ctlsock *s)
{
	struct stat st;

	if (strcmp(s->path, VMD_SOCKET) != 0)
		return;
	if (lstat(DEFAULT_LINK, &st) == 0 && S_ISLNK(st.st_mode))
		unlink(DEFAULT_LINK);
	if (symlink(VMD_SOCKET, DEFAULT_LINK) == -1)
		log_warn("%s", DEFAULT_LINK);
	else
		s->link = strdup(DEFAULT_LINK);
}

int
ctlsock_open(struct ctlsock *s, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	s->fd = -1;
	if (strlen(path) >= sizeof(sun.sun_path)) {
		log_warnx("%s: name of the socket is too long", path);
		return -1;
	}
	strcpy(sun.sun_path, path);
	if (in_use(&sun)) {
		log_warnx("%s: another daemon is using it", path);
		return -1;
	}
	make_dir(path);
	if ((s->path = strdup(path)) == NULL ||
	    (s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		 0)) == -1 ||
	    bind_at(s, &sun) == -1) {
		log_warn("%s", path);
		ctlsock_close(s);
		return -1;
	}
	make_link(s);
	return 0;
}

int
ctlsock_chown(const struct ctlsock *s, uid_t uid, gid_t gid)
{
	if (lchown(s->path, uid, gid) == -1)
		return -1;
	return chmod(s->path, 0660);
}

void
ctlsock_close(struct ctlsock *s)
{
	struct stat st;

	/* Only if it still is ours. */
	if (s->ino != 0 && s->path != NULL && lstat(s->path, &st) == 0 &&
	    st.st_dev == s->dev && st.st_ino == s->ino) {
		unlink(s->path);
		if (s->link != NULL)
			unlink(s->link);
	}
	fd_close(&s->fd);
	free(s->path);
	free(s->link);
	s->path = s->link = NULL;
	s->ino = 0;
}
