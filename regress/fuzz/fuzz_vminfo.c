/* Any bytes as a body of vminfo.h or imginfo.h; the first one says which. */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/devstat.h"
#include "lib/proto/imginfo.h"
#include "lib/proto/vminfo.h"

TRY_FLAT(dev_list)
TRY(vmop_result)
TRY(vmop_id)
TRY(vm_info)
TRY(log_line)
TRY(host_info)
TRY(image_info)
TRY(proc_info)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static body_try *const tries[] = {
		try_vmop_result,
		try_vmop_id,
		try_vm_info,
		try_log_line,
		try_host_info,
		try_image_info,
		try_proc_info,
		try_dev_list,
	};

	return body_try_one(tries, sizeof(tries) / sizeof(tries[0]), data,
	    size);
}
