/* Any bytes as a body of devmsg.h; the first one says which. */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/devmsg.h"

TRY(dev_id)
TRY(dev_start)
TRY(dev_ready)
TRY_FLAT(dev_hello)
TRY_FLAT(dev_activate)
TRY_FLAT(dev_order)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static body_try *const tries[] = {
		try_dev_id,
		try_dev_start,
		try_dev_ready,
		try_dev_hello,
		try_dev_activate,
		try_dev_order,
	};

	return body_try_one(tries, sizeof(tries) / sizeof(tries[0]), data,
	    size);
}
