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

#include "vmd/parent/raws.h"
#include "vmd/parent/statefile.h"

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
parse_line(void *arg, char *line)
{
	struct raws *t = arg;
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

struct raws *
raws_load(int dirfd)
{
	struct raws *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	TAILQ_INIT(&t->rows);
	t->dirfd = dirfd;
	if (statefile_read(dirfd, RAWS_FILE, parse_line, t) == -1) {
		raws_free(t);
		return NULL;
	}
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
write_rows(FILE *f, void *arg)
{
	const struct raws *t = arg;
	const struct rawrow *r;

	TAILQ_FOREACH(r, &t->rows, entry)
		fprintf(f, "%" PRIu64 " %" PRId64 " %" PRIu32 " %s\n", r->ino,
		    r->sec, r->nsec, r->path);
	return 0;
}

int
raws_add(struct raws *t, int fd, const char *path)
{
	struct rawrow r;
	int there;

	if ((there = raws_has(t, fd, path)) != 0)
		return there == 1 ? 0 : -1;
	if (row_of(fd, &r) == -1 || row_add(t, &r, path) == -1)
		return -1;
	return statefile_write(t->dirfd, RAWS_FILE, 0600, write_rows, t);
}
