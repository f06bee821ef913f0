/* Any bytes as the body of OPEN_REQUEST, from the parent to an opener. */

#include "regress/fuzz/body_fuzz.h"

#include "vmd/parent/opener.h"

TRY(open_msg)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static body_try *const tries[] = { try_open_msg };

	return body_try_one(tries, 1, data, size);
}
