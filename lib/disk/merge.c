/*
 * Neighbouring requests joined; see merge.h.  In device processes.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/disk/merge.h"

/* Several as one, on its way. */
struct joint {
	struct disk_req all;
	LIST_ENTRY(joint) entry;
	struct disk *disk;
	struct disk_req *reqs[MERGE_REQS];
	unsigned int n;
	struct iovec iov[MERGE_IOVS];
};

void
merge_init(struct merge *m, struct disk *d)
{
	memset(m, 0, sizeof(*m));
	m->disk = d;
	LIST_INIT(&m->joints);
}

static void
joint_done(struct disk_req *r, int error)
{
	struct joint *j = (struct joint *)r;
	unsigned int i;

	LIST_REMOVE(j, entry);
	for (i = 0; i < j->n; i++) {
		if (error != 0)
			disk_submit(j->disk, j->reqs[i]);
		else
			j->reqs[i]->done(j->reqs[i], 0);
	}
	free(j);
}

static struct joint *
join(struct merge *m)
{
	struct joint *j = malloc(sizeof(*j));
	unsigned int i;

	if (j == NULL)
		return NULL;
	LIST_INSERT_HEAD(&m->joints, j, entry);
	memset(&j->all, 0, sizeof(j->all));
	j->disk = m->disk;
	j->n = m->n;
	j->all.op = m->held[0]->op;
	j->all.off = m->held[0]->off;
	j->all.iov = j->iov;
	j->all.done = joint_done;
	for (i = 0; i < m->n; i++) {
		struct disk_req *r = j->reqs[i] = m->held[i];

		memcpy(j->iov + j->all.niov, r->iov,
		    (size_t)r->niov * sizeof(*j->iov));
		j->all.niov += r->niov;
		j->all.len += r->len;
	}
	return j;
}

void
merge_release(struct merge *m)
{
	struct joint *j = m->n > 1 ? join(m) : NULL;
	unsigned int i;

	if (j != NULL)
		disk_submit(m->disk, &j->all);
	else
		for (i = 0; i < m->n; i++)
			disk_submit(m->disk, m->held[i]);
	m->n = 0;
	m->niov = 0;
}

static int
fits(const struct merge *m, const struct disk_req *r)
{
	const struct disk_req *last;

	if (m->n == 0)
		return 1;
	last = m->held[m->n - 1];
	return m->n < MERGE_REQS && r->niov <= MERGE_IOVS - m->niov &&
	    r->op == last->op && r->off == last->off + last->len;
}

void
merge_add(struct merge *m, struct disk_req *r)
{
	if (!fits(m, r))
		merge_release(m);
	if (r->niov > MERGE_IOVS) {
		disk_submit(m->disk, r);
		return;
	}
	m->held[m->n++] = r;
	m->niov += r->niov;
}
