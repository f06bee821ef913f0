/*
 * Who may work on which clusters of a qcow2 image: what only uses the
 * present mapping shares them, who changes it is alone.  A task that finds
 * that it must change it lets go and asks again, behind those that came
 * before it, so nobody waits while he holds anything.
 */

#include "lib/disk/disk_int.h"

static int
overlap(const struct task *a, const struct task *b)
{
	return a != b && a->lock_first <= b->lock_last &&
	    b->lock_first <= a->lock_last;
}

static int
any(const struct taskq *q, const struct task *t)
{
	const struct task *o;

	TAILQ_FOREACH(o, q, entry)
		if (overlap(o, t))
			return 1;
	return 0;
}

/* One that came before and waits to be alone. */
static int
waits_before(const struct task *t)
{
	const struct task *o;

	TAILQ_FOREACH(o, &t->d->waiting, entry)
		if (o->seq < t->seq && o->want == LOCK_EXCL && overlap(o, t))
			return 1;
	return 0;
}

static struct task *
next_in_order(const struct task *t)
{
	struct task *o;

	TAILQ_FOREACH(o, &t->d->waiting, entry)
		if (o->seq > t->seq)
			return o;
	return NULL;
}

static void
wait_in_order(struct task *t)
{
	struct task *o = next_in_order(t);

	if (o == NULL)
		TAILQ_INSERT_TAIL(&t->d->waiting, t, entry);
	else
		TAILQ_INSERT_BEFORE(o, t, entry);
}

int
lock_get(struct task *t, enum lock_mode mode)
{
	struct disk *d = t->d;
	unsigned int bits = d->layers[0].bits;

	t->lock_first = t->pos >> bits;
	t->lock_last = (t->end - 1) >> bits;
	t->want = mode;
	if ((!TAILQ_EMPTY(&d->excl) && any(&d->excl, t)) ||
	    (mode == LOCK_EXCL && any(&d->shared, t)) ||
	    (!TAILQ_EMPTY(&d->waiting) && waits_before(t))) {
		wait_in_order(t);
		return 0;
	}
	t->lock = mode;
	if (mode == LOCK_EXCL)
		TAILQ_INSERT_TAIL(&d->excl, t, entry);
	else
		TAILQ_INSERT_TAIL(&d->shared, t, entry);
	return 1;
}

static void
wake_waiting(struct task *by)
{
	struct disk *d = by->d;
	struct taskq now = TAILQ_HEAD_INITIALIZER(now);
	struct task *t, *next;

	TAILQ_FOREACH_SAFE(t, &d->waiting, entry, next)
		if (overlap(t, by)) {
			TAILQ_REMOVE(&d->waiting, t, entry);
			TAILQ_INSERT_TAIL(&now, t, entry);
		}
	while ((t = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, t, entry);
		t->run(t);
	}
}

void
lock_put(struct task *t)
{
	struct disk *d = t->d;

	if (t->lock == LOCK_NONE)
		return;
	TAILQ_REMOVE(t->lock == LOCK_EXCL ? &d->excl : &d->shared, t, entry);
	t->lock = LOCK_NONE;
	if (!TAILQ_EMPTY(&d->waiting))
		wake_waiting(t);
}
