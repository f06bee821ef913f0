/*
 * What the devices have counted, for vmctl(8).  The numbers stand in pages
 * that the device processes write, so each is read once and cut to what the
 * reader of the message takes.
 */

#include <string.h>

#include "lib/proto/devstat.h"
#include "vmd/vm/devs_int.h"

static uint64_t
bounded(uint64_t v)
{
	return v > DEV_COUNT_MAX ? DEV_COUNT_MAX : v;
}

/* Virtio 1.2, 5.2.4: the capacity in sectors comes first. */
static uint64_t
size(const struct vdev *v)
{
	uint64_t sectors = 0;
	unsigned int i;

	if (v->kind != DEV_VIOBLK || v->config_len < sizeof(sectors))
		return 0;
	for (i = 0; i < sizeof(sectors); i++)
		sectors |= (uint64_t)v->config[i] << 8 * i;
	return sectors > DEV_COUNT_MAX / 512 ? DEV_COUNT_MAX : sectors * 512;
}

void
devs_stats(const struct devs *ds, struct dev_list *l)
{
	struct dev_stats *d;
	unsigned int i, n;

	memset(l, 0, sizeof(*l));
	for (i = 0; ds != NULL && i < ds->n; i++) {
		const struct vdev *v = &ds->devs[i];

		if ((d = dev_list_add(l, v->kind, v->idx)) == NULL)
			return;
		d->size = size(v);
		d->counted = 1;
		for (n = 0; n < DEVS_COUNTERS; n++)
			d->counts[n] = bounded(
			    __atomic_load_n(&v->page->stats[n],
				__ATOMIC_RELAXED));
	}
}
