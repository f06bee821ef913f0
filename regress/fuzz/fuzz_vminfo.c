/* Any bytes as a body of vminfo.h or imginfo.h; the first one says which. */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/devstat.h"
#include "lib/proto/imginfo.h"
#include "lib/proto/vminfo.h"

#define TRY(type)                                                              \
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
		type##_fini(&x);                                               \
	}

/* It has nothing to be freed. */
#define dev_list_fini(l) ((void)(l))

TRY(dev_list)
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
	static void (*const tries[])(const uint8_t *, size_t) = {
		try_vmop_result,
		try_vmop_id,
		try_vm_info,
		try_log_line,
		try_host_info,
		try_image_info,
		try_proc_info,
		try_dev_list,
	};

	if (size > 0)
		tries[data[0] % (sizeof(tries) / sizeof(tries[0]))](data + 1,
		    size - 1);
	return 0;
}
