/*
 * The state directory of the parent: its lock, so that no two daemons share
 * one, and its tag, which marks what this daemon makes on the host.
 */
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/parent/parent.h"
#include "vmd/parent/statefile.h"

#define LOCK_FILE "LOCK"
#define TAG_FILE  "tag"
#define TAG_LEN	  16

static int
take_lock(struct statedir *s, const char *path)
{
	s->lock = openat(s->fd, LOCK_FILE,
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock == -1) {
		log_warn("%s/" LOCK_FILE, path);
		return -1;
	}
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		log_warnx("%s: another vmd is running with this state "
			  "directory",
		    path);
	else
		log_warn("%s/" LOCK_FILE, path);
	return -1;
}

static int
read_tag(struct statedir *s)
{
	ssize_t n = -1;
	int fd;

	fd = openat(s->fd, TAG_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1) {
		n = read(fd, s->tag, TAG_LEN);
		close(fd);
	}
	s->tag[TAG_LEN] = '\0';
	return n == TAG_LEN && strspn(s->tag, "0123456789abcdef") == TAG_LEN ?
	    0 :
	    -1;
}

static int
write_tag(FILE *f, void *arg)
{
	const struct statedir *s = arg;

	fprintf(f, "%s\n", s->tag);
	return 0;
}

static int
make_tag(struct statedir *s)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -1;
	snprintf(s->tag, sizeof(s->tag), "%016llx", (unsigned long long)r);
	return statefile_write(s->fd, TAG_FILE, 0644, write_tag, s);
}

int
statedir_open(struct statedir *s, const char *path)
{
	s->lock = -1;
	if (mkdir(path, 0755) == -1 && errno != EEXIST) {
		log_warn("%s", path);
		s->fd = -1;
		return -1;
	}
	s->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd == -1) {
		log_warn("%s", path);
		return -1;
	}
	if (take_lock(s, path) == -1)
		goto fail;
	if (read_tag(s) == -1 && make_tag(s) == -1) {
		log_warn("%s/" TAG_FILE, path);
		goto fail;
	}
	return 0;
fail:
	statedir_close(s);
	return -1;
}

void
statedir_close(struct statedir *s)
{
	fd_close(&s->lock);
	fd_close(&s->fd);
}
