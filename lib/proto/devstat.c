/*
 * Devices in numbers, on their way up from the vm process through vmm and
 * the parent to clients.  Each reader trusts none of them: what it returns
 * is bounded, and each device is there once.
 */

#include <errno.h>
#include <string.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/devstat.h"
#include "lib/proto/wire.h"

const char *
dev_state_text(enum dev_state s)
{
	switch (s) {
	case DEVST_RUNNING:
		return "running";
	case DEVST_GONE:
		return "gone";
	default:
		return NULL;
	}
}

struct dev_stats *
dev_list_find(struct dev_list *l, uint32_t kind, uint32_t idx)
{
	uint32_t i;

	for (i = 0; i < l->n; i++)
		if (l->devs[i].kind == kind && l->devs[i].idx == idx)
			return &l->devs[i];
	return NULL;
}

struct dev_stats *
dev_list_add(struct dev_list *l, uint32_t kind, uint32_t idx)
{
	struct dev_stats *d;

	if (l->n >= DEV_LIST_MAX)
		return NULL;
	d = &l->devs[l->n++];
	memset(d, 0, sizeof(*d));
	d->kind = kind;
	d->idx = idx;
	return d;
}

static int
put(struct ibuf *b, const struct dev_stats *d)
{
	size_t i;

	if (wire_put_u32(b, d->kind) == -1 || wire_put_u32(b, d->idx) == -1 ||
	    wire_put_u32(b, d->state) == -1 ||
	    wire_put_u32(b, d->replaced) == -1 ||
	    wire_put_u64(b, d->size) == -1 || wire_put_u32(b, d->counted) == -1)
		return -1;
	for (i = 0; d->counted && i < DEVS_COUNTERS; i++)
		if (wire_put_u64(b, d->counts[i]) == -1)
			return -1;
	return 0;
}

int
dev_list_put(struct ibuf *b, const struct dev_list *l)
{
	uint32_t i;

	if (wire_put_u32(b, l->n) == -1)
		return -1;
	for (i = 0; i < l->n; i++)
		if (put(b, &l->devs[i]) == -1)
			return -1;
	return 0;
}

static int
get_counts(struct ibuf *b, struct dev_stats *d)
{
	size_t i;

	for (i = 0; d->counted && i < DEVS_COUNTERS; i++) {
		if (wire_get_u64(b, &d->counts[i]) == -1)
			return -1;
		if (d->counts[i] > DEV_COUNT_MAX)
			goto bad;
	}
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}

/* The next one, at the end of `l'. */
static int
get(struct ibuf *b, struct dev_list *l)
{
	uint32_t kind, idx;
	struct dev_stats *d;

	if (wire_get_u32(b, &kind) == -1 || wire_get_u32(b, &idx) == -1)
		return -1;
	if (kind >= DEV_KIND_MAX || idx >= DEV_LIST_MAX ||
	    dev_list_find(l, kind, idx) != NULL ||
	    (d = dev_list_add(l, kind, idx)) == NULL) {
		errno = EBADMSG;
		return -1;
	}
	if (wire_get_u32(b, &d->state) == -1 ||
	    wire_get_u32(b, &d->replaced) == -1 ||
	    wire_get_u64(b, &d->size) == -1 ||
	    wire_get_u32(b, &d->counted) == -1)
		return -1;
	if (d->state >= DEVST_MAX || d->size > DEV_COUNT_MAX ||
	    d->counted > 1) {
		errno = EBADMSG;
		return -1;
	}
	return get_counts(b, d);
}

int
dev_list_get(struct ibuf *b, struct dev_list *l)
{
	uint32_t i, n;

	memset(l, 0, sizeof(*l));
	if (wire_get_u32(b, &n) == -1)
		return -1;
	if (n > DEV_LIST_MAX) {
		errno = EBADMSG;
		return -1;
	}
	for (i = 0; i < n; i++)
		if (get(b, l) == -1) {
			memset(l, 0, sizeof(*l));
			return -1;
		}
	return 0;
}
