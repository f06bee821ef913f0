/*
 * For fuzz targets of message bodies: what was decoded, encoded again, must
 * be the bytes that were read.
 */

#ifndef FUZZ_BODY_FUZZ_H
#define FUZZ_BODY_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/imsg/imsg.h"

#define BODY_MAX 262144

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A view of the input; nobody writes through it. */
static inline void
body_init(struct ibuf *view, const uint8_t *data, size_t size)
{
	void *p;

	memcpy(&p, &data, sizeof(p));
	ibuf_from_buffer(view, p, size);
}

static inline struct ibuf *
body_new(void)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);

	if (b == NULL)
		abort();
	return b;
}

/* `again' must be what `view' has consumed of `data'; frees it. */
static inline void
body_same(const struct ibuf *view, struct ibuf *again, const uint8_t *data,
    size_t size)
{
	size_t used = size - ibuf_size(view);

	if (ibuf_size(again) != used ||
	    memcmp(ibuf_data(again), data, used) != 0)
		abort();
	ibuf_free(again);
}

/* try_TYPE(): read one, write it again, compare, free it. */
#define TRY_WITH(type, fini)                                                   \
	static void try_##type(const uint8_t *data, size_t size)               \
	{                                                                      \
		struct ibuf view, *b;                                          \
		struct type x;                                                 \
                                                                               \
		body_init(&view, data, size);                                  \
		if (type##_get(&view, &x) == -1)                               \
			return;                                                \
		b = body_new();                                                \
		if (type##_put(b, &x) == -1)                                   \
			abort();                                               \
		body_same(&view, b, data, size);                               \
		fini;                                                          \
	}

#define TRY(type)      TRY_WITH(type, type##_fini(&x))
#define TRY_FLAT(type) TRY_WITH(type, (void)0)

typedef void body_try(const uint8_t *data, size_t size);

/* The first byte says which. */
static inline int
body_try_one(body_try *const *tries, size_t n, const uint8_t *data, size_t size)
{
	if (size > 0)
		tries[data[0] % n](data + 1, size - 1);
	return 0;
}

#endif
