/*
 * Labelled descriptors on their way through the processes: a list owns what
 * is in it until it is taken out.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/util/fdlist.h"

void
fd_close(int *fd)
{
	int saved_errno = errno;

	if (*fd != -1)
		close(*fd);
	*fd = -1;
	errno = saved_errno;
}

static size_t
find(const struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->ents[i].kind == kind && l->ents[i].idx == idx &&
		    l->ents[i].sub == sub)
			break;
	return i;
}

int
fdlist_add(struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub, int *fd)
{
	struct fdent *e;

	if (kind <= FD_NONE || kind >= FD_KIND_MAX || idx > UINT16_MAX ||
	    sub > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (find(l, kind, idx, sub) < l->n) {
		errno = EEXIST;
		return -1;
	}
	if (l->n == VM_MAXFDS) {
		errno = EMFILE;
		return -1;
	}
	e = &l->ents[l->n++];
	e->fd = *fd;
	e->kind = (uint16_t)kind;
	e->idx = (uint16_t)idx;
	e->sub = (uint16_t)sub;
	*fd = -1;
	return 0;
}

int
fdlist_get(const struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub)
{
	size_t i = find(l, kind, idx, sub);

	return i < l->n ? l->ents[i].fd : -1;
}

int
fdlist_take(struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub)
{
	size_t i = find(l, kind, idx, sub);
	int fd;

	if (i == l->n)
		return -1;
	fd = l->ents[i].fd;
	for (l->n--; i < l->n; i++)
		l->ents[i] = l->ents[i + 1];
	return fd;
}

int
fdlist_dup(struct fdlist *to, const struct fdlist *from)
{
	const struct fdent *e;
	size_t i;
	int fd;

	for (i = 0; i < from->n; i++) {
		e = &from->ents[i];
		if ((fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 3)) == -1)
			return -1;
		if (fdlist_add(to, e->kind, e->idx, e->sub, &fd) == -1) {
			fd_close(&fd);
			return -1;
		}
	}
	return 0;
}

void
fdlist_close(struct fdlist *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		fd_close(&l->ents[i].fd);
	l->n = 0;
}
