/* Any bytes as the specification of a VM. */

#include "regress/fuzz/body_fuzz.h"

#include "lib/proto/vmspec.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_spec *s, *c;
	struct ibuf view, *b;

	body_init(&view, data, size);
	if ((s = vm_spec_get(&view)) == NULL)
		return 0;
	if ((c = vm_spec_copy(s)) == NULL)
		abort();
	vm_spec_free(s);
	b = body_new();
	if (vm_spec_put(b, c) == -1)
		abort();
	body_same(&view, b, data, size);
	vm_spec_free(c);
	return 0;
}
