/* Any bytes as a body of devmsg.h; the first one says which. */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/devmsg.h"

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

TRY(dev_id)
TRY(dev_start)
TRY(dev_ready)
TRY_FLAT(dev_hello)
TRY_FLAT(dev_activate)
TRY_FLAT(dev_order)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(const uint8_t *, size_t) = {
		try_dev_id,
		try_dev_start,
		try_dev_ready,
		try_dev_hello,
		try_dev_activate,
		try_dev_order,
	};

	if (size > 0)
		tries[data[0] % (sizeof(tries) / sizeof(tries[0]))](data + 1,
		    size - 1);
	return 0;
}
