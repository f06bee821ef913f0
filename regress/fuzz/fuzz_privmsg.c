/*
 * Any bytes as a body of privmsg.h or netconf.h; the first one says which.
 */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/privmsg.h"

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
	static body_try *const tries[] = {
		try_priv_init,
		try_priv_nic,
		try_priv_switch,
		try_priv_name,
		try_priv_result,
		try_net_conf,
		try_net_forward,
	};

	return body_try_one(tries, sizeof(tries) / sizeof(tries[0]), data,
	    size);
}
