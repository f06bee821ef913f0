#ifndef DIRTY_WATCH_H
#define DIRTY_WATCH_H

/*
 * For tests of devices: of every byte of guest memory that changes while a
 * device works vq_wrote() or the queue has told after the last change.  Off
 * unless `on' is set.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/gmem.h"
#include "lib/virtio/vq.h"

struct watch {
	int on;
	const struct gmem *mem; /* one range, at 0 */
	size_t size;
	uint8_t *told;	 /* memory as of what we were told; NULL: idle */
	uint64_t marked; /* bytes, in all */
};

static inline void
watch_mark(void *arg, uint64_t gpa, uint64_t len)
{
	struct watch *w = arg;

	w->marked += len;
	if (w->told == NULL)
		return;
	if (gpa > w->size || len > w->size - gpa || len == 0)
		abort();
	memcpy(w->told + gpa, w->mem->base + gpa, len);
}

/* A device begins to work on `mem'. */
static inline void
watch_begin(struct watch *w, const struct gmem *mem, size_t size)
{
	if (!w->on)
		return;
	w->mem = mem;
	w->size = size;
	if ((w->told = malloc(size)) == NULL)
		abort();
	memcpy(w->told, mem->base, size);
}

/* It has done. */
static inline void
watch_end(struct watch *w)
{
	size_t i;

	if (!w->on)
		return;
	for (i = 0; i < w->size; i++)
		if (w->told[i] != w->mem->base[i]) {
			fprintf(stderr, "not told of: %#zx\n", i);
			abort();
		}
	free(w->told);
	w->told = NULL;
}

#endif
