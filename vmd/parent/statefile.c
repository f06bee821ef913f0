/*
 * Files of the state directory, for all tables of the parent that are kept
 * in one.
 *
 * They are root's own, but may be damaged or edited by hand: what is read
 * is checked as if a stranger had written it.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/parent/statefile.h"

#define NAME_LEN 64

/* Takes `fd'. */
static int
fill(int fd, mode_t mode, int (*put)(FILE *f, void *arg), void *arg)
{
	FILE *f;
	int rc;

	if ((f = fdopen(fd, "w")) == NULL) {
		close(fd);
		return -1;
	}
	rc = put(f, arg);
	if (fflush(f) == EOF || ferror(f) || fchmod(fd, mode) == -1 ||
	    fsync(fd) == -1)
		rc = -1;
	return fclose(f) == EOF ? -1 : rc;
}

int
statefile_write(int dirfd, const char *name, mode_t mode,
    int (*put)(FILE *f, void *arg), void *arg)
{
	char tmp[NAME_LEN];
	int fd;

	snprintf(tmp, sizeof(tmp), "%s.new", name);
	fd = openat(dirfd, tmp,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || fill(fd, mode, put, arg) == -1)
		return -1;
	return renameat(dirfd, tmp, dirfd, name);
}

static int
complain(const char *name, size_t nr, const char *why)
{
	log_warnx("%s:%zu: %s, ignored", name, nr, why);
	return 1;
}

static int
read_lines(FILE *f, const char *name,
    const char *(*line)(void *arg, char *text), void *arg)
{
	char buf[STATEFILE_LINE];
	const char *why;
	size_t len, nr = 0;
	int skip = 0, bad = 0;

	while (fgets(buf, sizeof(buf), f) != NULL) {
		len = strlen(buf);
		if (len == 0 || buf[len - 1] != '\n') {
			skip = 1; /* too long, cut short, or a NUL in it */
			continue;
		}
		buf[len - 1] = '\0';
		nr++;
		why = skip ? "damaged" : line(arg, buf);
		skip = 0;
		if (why != NULL)
			bad += complain(name, nr, why);
	}
	if (skip)
		bad += complain(name, nr + 1, "cut short");
	return bad;
}

int
statefile_read(int dirfd, const char *name,
    const char *(*line)(void *arg, char *text), void *arg)
{
	FILE *f;
	int fd, bad;

	fd = openat(dirfd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if ((f = fdopen(fd, "r")) == NULL) {
		close(fd);
		return -1;
	}
	bad = read_lines(f, name, line, arg);
	fclose(f);
	return bad;
}
