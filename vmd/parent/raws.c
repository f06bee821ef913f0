/*
 * The parent's table of images that guests have had as raw disks; replaced
 * by rename(2) whenever one is new.
 *
 * The file is root's own, but may be damaged or edited by hand: every line
 * is checked as if a stranger had written it.
 */
#include <sys/stat.h>

#include <bsd/sys/queue.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "vmd/parent/raws.h"

#define RAWS_NEW RAWS_FILE ".new"

struct rawrow {
	TAILQ_ENTRY(rawrow) entry;
	uint64_t ino;
	int64_t sec; /* when it was made; 0, 0: not known */
	uint32_t nsec;
	char *path;
};
TAILQ_HEAD(rawrows, rawrow);

struct raws {
	struct rawrows rows; /* oldest first */
	size_t n;
	int dirfd;
};

static void
row_free(struct raws *t, struct rawrow *r)
{
	TAILQ_REMOVE(&t->rows, r, entry);
	t->n--;
	free(r->path);
	free(r);
}

static int
row_add(struct raws *t, const struct rawrow *like, const char *path)
{
	struct rawrow *r;
	char *p;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return -1;
	*r = *like;
	if ((r->path = strdup(path)) == NULL) {
		free(r);
		return -1;
	}
	for (p = r->path; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	TAILQ_INSERT_TAIL(&t->rows, r, entry);
	if (++t->n > RAWS_MAX)
		row_free(t, TAILQ_FIRST(&t->rows));
	return 0;
}

/* "INODE SECONDS NANOSECONDS PATH".  NULL, or what is wrong with it. */
static const char *
parse_line(struct raws *t, const char *line)
{
	struct rawrow r = { .ino = 0 };
	int used = 0;

	if (sscanf(line, "%" SCNu64 " %" SCNd64 " %" SCNu32 " %n", &r.ino,
		&r.sec, &r.nsec, &used) != 3 ||
	    used == 0 || r.nsec >= 1000000000)
		return "damaged";
	if (line[used] != '/')
		return "no path";
	return row_add(t, &r, line + used) == -1 ? "no memory" : NULL;
}

static void
parse_file(struct raws *t, FILE *f)
{
	char line[PATH_MAX + 64];
	const char *why;
	size_t len, nr = 0;
	int skip = 0;

	while (fgets(line, sizeof(line), f) != NULL) {
		len = strlen(line);
		if (len == 0 || line[len - 1] != '\n') {
			skip = 1; /* too long, cut short, or a NUL in it */
			continue;
		}
		line[len - 1] = '\0';
		nr++;
		why = skip ? "damaged" : parse_line(t, line);
		skip = 0;
		if (why != NULL)
			log_warnx(RAWS_FILE ":%zu: %s, ignored", nr, why);
	}
	if (skip)
		log_warnx(RAWS_FILE ":%zu: cut short, ignored", nr + 1);
}

struct raws *
raws_load(int dirfd)
{
	struct raws *t;
	FILE *f;
	int fd;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	TAILQ_INIT(&t->rows);
	t->dirfd = dirfd;
	fd = openat(dirfd, RAWS_FILE,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return t;
	if (fd == -1 || (f = fdopen(fd, "r")) == NULL) {
		if (fd != -1)
			close(fd);
		free(t);
		return NULL;
	}
	parse_file(t, f);
	fclose(f);
	return t;
}

void
raws_free(struct raws *t)
{
	struct rawrow *r;

	if (t == NULL)
		return;
	while ((r = TAILQ_FIRST(&t->rows)) != NULL)
		row_free(t, r);
	free(t);
}

static int
row_of(int fd, struct rawrow *r)
{
	struct statx st;

	memset(r, 0, sizeof(*r));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) == -1)
		return -1;
	r->ino = st.stx_ino;
	if (st.stx_mask & STATX_BTIME) {
		r->sec = st.stx_btime.tv_sec;
		r->nsec = st.stx_btime.tv_nsec;
	}
	return 0;
}

int
raws_has(const struct raws *t, int fd, const char *path)
{
	const struct rawrow *r;
	struct rawrow want;

	if (row_of(fd, &want) == -1)
		return -1;
	TAILQ_FOREACH(r, &t->rows, entry)
		if (r->ino == want.ino && r->sec == want.sec &&
		    r->nsec == want.nsec &&
		    (r->sec != 0 || strcmp(r->path, path) == 0))
			return 1;
	return 0;
}

static int
write_rows(const struct raws *t, int fd)
{
	const struct rawrow *r;
	FILE *f;
	int rc;

	if ((f = fdopen(fd, "w")) == NULL) {
		close(fd);
		return -1;
	}
	TAILQ_FOREACH(r, &t->rows, entry)
		fprintf(f, "%" PRIu64 " %" PRId64 " %" PRIu32 " %s\n", r->ino,
		    r->sec, r->nsec, r->path);
	rc = fflush(f) == EOF || ferror(f) || fsync(fd) == -1 ? -1 : 0;
	return fclose(f) == EOF ? -1 : rc;
}

int
raws_add(struct raws *t, int fd, const char *path)
{
	struct rawrow r;
	int there, file;

	if ((there = raws_has(t, fd, path)) != 0)
		return there == 1 ? 0 : -1;
	if (row_of(fd, &r) == -1 || row_add(t, &r, path) == -1)
		return -1;
	file = openat(t->dirfd, RAWS_NEW,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file == -1 || write_rows(t, file) == -1)
		return -1;
	return renameat(t->dirfd, RAWS_NEW, t->dirfd, RAWS_FILE);
}
