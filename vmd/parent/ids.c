/*
 * The parent's table of VM names and ids, kept in the state directory so
 * that ids, and the addresses made from them, survive a restart.
 *
 * The file is root's own, but may be damaged or edited by hand: every line
 * is checked as if a stranger had written it.
 */
#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/vmspec.h"
#include "vmd/parent/ids.h"
#include "vmd/parent/statefile.h"

struct idrow {
	TAILQ_ENTRY(idrow) entry;
	char *name;
	uint32_t id;
	int keep;
};
TAILQ_HEAD(idrows, idrow);

struct ids {
	struct idrows rows;
	size_t n;
	int dirfd;
	int dirty;
};

static void
row_free(struct ids *t, struct idrow *r)
{
	TAILQ_REMOVE(&t->rows, r, entry);
	t->n--;
	free(r->name);
	free(r);
}

static struct idrow *
row_new(struct ids *t, const char *name, uint32_t id, int keep)
{
	struct idrow *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	if ((r->name = strdup(name)) == NULL) {
		free(r);
		return NULL;
	}
	r->id = id;
	r->keep = keep;
	TAILQ_INSERT_TAIL(&t->rows, r, entry);
	t->n++;
	return r;
}

static struct idrow *
by_name(const struct ids *t, const char *name)
{
	struct idrow *r;

	TAILQ_FOREACH(r, &t->rows, entry)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

static struct idrow *
by_id(const struct ids *t, uint32_t id)
{
	struct idrow *r;

	TAILQ_FOREACH(r, &t->rows, entry)
		if (r->id == id)
			return r;
	return NULL;
}

/* One line of the file.  NULL, or what is wrong with it. */
static const char *
parse_line(void *arg, char *line)
{
	struct ids *t = arg;
	const char *errstr;
	char *num;
	uint32_t id;

	if ((num = strchr(line, ' ')) == NULL)
		return "no id";
	*num++ = '\0';
	if (vm_name_check(line) != NULL)
		return "bad name";
	id = (uint32_t)strtonum(num, 1, UINT32_MAX, &errstr);
	if (errstr != NULL)
		return "bad id";
	if (by_name(t, line) != NULL)
		return "name appears twice";
	if (by_id(t, id) != NULL)
		return "id appears twice";
	if (t->n >= IDS_MAX)
		return "too many lines";
	if (row_new(t, line, id, 1) == NULL)
		return "no memory";
	return NULL;
}

struct ids *
ids_load(int dirfd)
{
	struct ids *t;
	int bad;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	TAILQ_INIT(&t->rows);
	t->dirfd = dirfd;
	if ((bad = statefile_read(dirfd, IDS_FILE, parse_line, t)) == -1) {
		ids_free(t);
		return NULL;
	}
	t->dirty = bad != 0;
	return t;
}

void
ids_clear(struct ids *t)
{
	struct idrow *r;

	while ((r = TAILQ_FIRST(&t->rows)) != NULL)
		row_free(t, r);
	t->dirty = 1;
}

void
ids_free(struct ids *t)
{
	if (t == NULL)
		return;
	ids_clear(t);
	free(t);
}

uint32_t
ids_find(const struct ids *t, const char *name)
{
	struct idrow *r = by_name(t, name);

	return r == NULL ? 0 : r->id;
}

static uint32_t
lowest_free(const struct ids *t, int (*used)(void *, uint32_t), void *arg)
{
	uint32_t id;

	for (id = 1; id <= IDS_MAX; id++)
		if (by_id(t, id) == NULL && !used(arg, id))
			return id;
	errno = ENOSPC;
	return 0;
}

uint32_t
ids_assign(struct ids *t, const char *name, uint32_t fixed, int keep,
    int (*used)(void *, uint32_t), void *arg)
{
	struct idrow *r = by_name(t, name), *other;
	uint32_t id = fixed;

	if (id == 0)
		id = r != NULL ? r->id : lowest_free(t, used, arg);
	else if (used(arg, id)) {
		errno = EEXIST;
		return 0;
	}
	if (id == 0)
		return 0;
	if ((other = by_id(t, id)) != NULL && other != r) {
		t->dirty |= other->keep;
		row_free(t, other);
	}
	if (r == NULL && (r = row_new(t, name, id, 0)) == NULL)
		return 0;
	if (keep && (!r->keep || r->id != id))
		t->dirty = 1;
	r->id = id;
	r->keep |= keep;
	return id;
}

void
ids_release(struct ids *t, const char *name)
{
	struct idrow *r = by_name(t, name);

	if (r != NULL && !r->keep)
		row_free(t, r);
}

static int
write_rows(FILE *f, void *arg)
{
	const struct ids *t = arg;
	const struct idrow *r;

	TAILQ_FOREACH(r, &t->rows, entry)
		if (r->keep)
			fprintf(f, "%s %u\n", r->name, r->id);
	return 0;
}

int
ids_save(struct ids *t)
{
	if (!t->dirty)
		return 0;
	if (statefile_write(t->dirfd, IDS_FILE, 0644, write_rows, t) == -1)
		return -1;
	t->dirty = 0;
	return 0;
}
