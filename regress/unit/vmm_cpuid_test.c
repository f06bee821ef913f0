/* What a guest's CPUID may say. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/vmm/vmm_int.h"

static struct kvm_cpuid2 *
table(unsigned int max)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{ .function = 0, .eax = 0x1f },
		{ .function = 1,
		    .eax = 0x806f8,
		    .ebx = 0xff100800,
		    .ecx = 0xffffffff,
		    .edx = 0xffffffff },
		{ .function = 4, .index = 0, .eax = 0xfc004121 },
		{ .function = 4, .index = 3, .eax = 0xfc1fc163 },
		{ .function = 7,
		    .ebx = 0xffffffff,
		    .ecx = 0xffffffff,
		    .edx = 0xffffffff },
		{ .function = 0xa, .eax = 0x08300805 },
		{ .function = 0xb, .index = 0, .edx = 77 },
		{ .function = 0xd, .index = 0, .eax = 0x602e7 },
		{ .function = 0xd, .index = 17, .eax = 64 },
		{ .function = 0x1f, .index = 0, .edx = 77 },
		{ .function = 0x40000001, .eax = 0x01007efb },
		{ .function = 0x80000001, .ecx = 0xffffffff },
		{ .function = 0x80000008, .ecx = 0 },
		{ .function = 0x8000000a, .eax = 1 },
	};
	struct kvm_cpuid2 *t;
	size_t i;

	t = calloc(1, sizeof(*t) + max * sizeof(t->entries[0]));
	assert_non_null(t);
	for (i = 0; i < sizeof(e) / sizeof(e[0]); i++)
		t->entries[t->nent++] = e[i];
	return t;
}

static struct kvm_cpuid_entry2 *
find(struct kvm_cpuid2 *t, uint32_t fn, uint32_t idx)
{
	uint32_t i;

	for (i = 0; i < t->nent; i++)
		if (t->entries[i].function == fn && t->entries[i].index == idx)
			return &t->entries[i];
	return NULL;
}

static struct kvm_cpuid_entry2 *
leaf(struct kvm_cpuid2 *t, uint32_t fn, uint32_t idx)
{
	static struct kvm_cpuid_entry2 none;
	struct kvm_cpuid_entry2 *e = find(t, fn, idx);

	assert_non_null(e);
	return e == NULL ? &none : e;
}

static void
hides(void **state)
{
	struct kvm_cpuid2 *t = table(32);

	assert_int_equal(vmm_cpuid_policy(t, 32, 0, 1, 0), 0);
	assert_int_equal(leaf(t, 1, 0)->ecx & (1 << 5), 0); /* VMX */
	assert_int_equal(leaf(t, 1, 0)->ecx & (1 << 3), 0); /* MONITOR */
	assert_int_equal(leaf(t, 1, 0)->ecx & (1 << 24), 0);
	assert_int_equal(leaf(t, 1, 0)->edx & (1 << 28), 0);
	assert_true(leaf(t, 1, 0)->ecx & (1U << 31));
	assert_true(leaf(t, 1, 0)->edx & (1 << 9));	     /* APIC */
	assert_int_equal(leaf(t, 7, 0)->ebx & (1 << 2), 0);  /* SGX */
	assert_int_equal(leaf(t, 7, 0)->edx & (1 << 24), 0); /* AMX */
	assert_int_equal(leaf(t, 0xd, 0)->eax, 0x2e7);
	assert_null(find(t, 0xd, 17));
	assert_null(find(t, 0xa, 0));
	assert_null(find(t, 0x1f, 0));
	assert_null(find(t, 0x8000000a, 0));
	assert_int_equal(leaf(t, 0x80000001, 0)->ecx & (1 << 2), 0);
	/* No asynchronous page faults. */
	assert_int_equal(leaf(t, 0x40000001, 0)->eax & (1 << 4 | 1 << 14), 0);
	assert_true(leaf(t, 0x40000001, 0)->eax & (1 << 3));
	free(t);
}

static void
places(void **state)
{
	struct kvm_cpuid2 *t = table(32);

	assert_int_equal(vmm_cpuid_policy(t, 32, 5, 6, 1), 0);
	assert_int_equal(leaf(t, 1, 0)->ebx, 0x05060800);
	assert_true(leaf(t, 1, 0)->edx & (1 << 28));
	assert_true(leaf(t, 1, 0)->ecx & (1 << 24));
	assert_int_equal(leaf(t, 4, 0)->eax, 5 << 26 | 0x121);
	assert_int_equal(leaf(t, 4, 3)->eax, 5 << 26 | 5 << 14 | 0x163);
	assert_int_equal(leaf(t, 0xb, 0)->edx, 5);
	assert_int_equal(leaf(t, 0xb, 0)->ebx, 1);
	assert_int_equal(leaf(t, 0xb, 1)->eax, 3);
	assert_int_equal(leaf(t, 0xb, 1)->ebx, 6);
	assert_int_equal(leaf(t, 0xb, 2)->ebx, 0);
	assert_int_equal(leaf(t, 0x80000008, 0)->ecx, 3 << 12 | 5);
	free(t);
}

static void
full(void **state)
{
	struct kvm_cpuid2 *t = table(32);

	assert_int_equal(vmm_cpuid_policy(t, 10, 0, 1, 0), -1);
	assert_int_equal(errno, E2BIG);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hides),
		cmocka_unit_test(places),
		cmocka_unit_test(full),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
