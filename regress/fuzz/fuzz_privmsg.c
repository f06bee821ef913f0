/*
 * Any bytes as a body of privmsg.h or netconf.h; the first one says which.
 */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/privmsg.h"

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

TRY(priv_init)
TRY(priv_nic)
TRY(priv_switch)
TRY(priv_name)
TRY(priv_result)
TRY_FLAT(net_conf)
TRY_FLAT(net_forward)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(const uint8_t *, size_t) = {
		try_priv_init,
		try_priv_nic,
		try_priv_switch,
		try_priv_name,
		try_priv_result,
		try_net_conf,
		try_net_forward,
	};

	if (size > 0)
		tries[data[0] % (sizeof(tries) / sizeof(tries[0]))](data + 1,
		    size - 1);
	return 0;
}
