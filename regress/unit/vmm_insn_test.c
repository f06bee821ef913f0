/* Names of instructions that KVM's emulator does not know. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/vmm/vmm_int.h"

static void
names(void **state)
{
	static const struct {
		unsigned int mode;
		uint8_t b[8];
		size_t len;
		const char *name;
	} t[] = {
		{ 64, { 0xcc }, 1, "int3" },
		{ 32, { 0xcf }, 1, "iret" },
		{ 64, { 0xcd, 0x80 }, 2, "int" },
		{ 64, { 0xf0, 0x48, 0x0f, 0xc7, 0x0f }, 5, "cmpxchg16b" },
		{ 64, { 0x48, 0x0f, 0xae, 0x2f }, 4, "xrstor" },
		{ 64, { 0x0f, 0xae, 0x27 }, 3, "xsave" },
		{ 64, { 0x48, 0x0f, 0xc7, 0x1f }, 4, "xrstors" },
		{ 64, { 0x0f, 0x01, 0xca }, 3, "clac" },
		{ 64, { 0x0f, 0x01, 0xcb }, 3, "stac" },
		{ 64, { 0x0f, 0x01, 0xd0 }, 3, "xgetbv" },
		{ 64, { 0x0f, 0x01, 0xf9 }, 3, "rdtscp" },
		{ 64, { 0x66, 0x0f, 0x38, 0x82, 0x07 }, 5, "invpcid" },
		{ 64, { 0xf3, 0x48, 0x0f, 0xb8, 0xc0 }, 5, "popcnt" },
		{ 64, { 0xf3, 0x48, 0x0f, 0x1e, 0xc8 }, 5, "rdssp" },
		{ 64, { 0x48, 0x0f, 0x07 }, 3, "sysret" },
		{ 32, { 0x9b }, 1, "fwait" },
		{ 32, { 0xdb, 0xe3 }, 2, "an x87 instruction" },
		{ 64, { 0xc5, 0xf8, 0x77 }, 3, "an AVX or BMI instruction" },
		{ 64, { 0x66, 0x0f, 0xef, 0xc0 }, 4,
		    "an SSE or MMX instruction" },
	};
	size_t i;
	const char *s;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		s = vmm_insn_name(t[i].b, t[i].len, t[i].mode);
		assert_non_null(s);
		assert_string_equal(s, t[i].name);
	}
}

static void
unknown(void **state)
{
	static const uint8_t add[] = { 0x48, 0x01, 0xc8 };
	/* In 32-bit code 40-4f are INC and DEC; c5 with memory is LDS. */
	static const uint8_t inc[] = { 0x40, 0xcc };
	static const uint8_t lds[] = { 0xc5, 0x06, 0x00, 0x00 };
	static const uint8_t cut[] = { 0x66, 0xf3, 0x0f };

	assert_null(vmm_insn_name(add, sizeof(add), 64));
	assert_null(vmm_insn_name(inc, sizeof(inc), 32));
	assert_null(vmm_insn_name(lds, sizeof(lds), 16));
	assert_null(vmm_insn_name(cut, sizeof(cut), 64));
	assert_null(vmm_insn_name(cut, 0, 64));
}

/* Any bytes: no read past the end (the build checks), some answer. */
static void
any_bytes(void **state)
{
	static const unsigned int modes[] = { 16, 32, 64 };
	uint8_t *exact, b[3];
	uint32_t v;
	size_t len, m;

	for (v = 0; v < 1U << 16; v++)
		for (len = 0; len <= 3; len++) {
			b[0] = (uint8_t)v;
			b[1] = (uint8_t)(v >> 8);
			b[2] = (uint8_t)(v * 7);
			exact = test_malloc(len + 1);
			memcpy(exact + 1, b, len);
			for (m = 0; m < 3; m++)
				vmm_insn_name(exact + 1, len, modes[m]);
			test_free(exact);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(unknown),
		cmocka_unit_test(any_bytes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
