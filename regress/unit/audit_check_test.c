/* What `vmctl audit' makes of the capabilities it sees. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/sandbox/sandbox.h"
#include "vmctl/audit.h"

/* Its finding about them. */
static int
passes(enum proc_kind kind, const char *name, uint32_t uid, unsigned int set,
    uint64_t caps, uint32_t own)
{
	static char title[32];
	struct subject s, parent;
	size_t i;
	int ok = -1;

	memset(&s, 0, sizeof(s));
	memset(&parent, 0, sizeof(parent));
	snprintf(title, sizeof(title), "%s", name);
	s.info.kind = kind;
	s.info.name = title;
	s.info.own = own;
	s.parent = &parent.look;
	for (i = 0; i < 4; i++)
		s.look.uid[i] = uid;
	s.look.caps[set] = caps;
	assert_int_equal(check_subject(&s), 0);
	for (i = 0; i < s.nfindings; i++)
		if (strcmp(s.findings[i].what, "capabilities") == 0)
			ok = s.findings[i].ok;
	free(s.findings);
	assert_int_not_equal(ok, -1);
	return ok;
}

/* Root's opener may have all, that of anybody else none. */
static void
test_opener(void **state)
{
	unsigned int set;

	for (set = 0; set < CAP_SETS; set++) {
		assert_true(passes(PROC_OPENER, "opener", 0, set, ~0ULL, 0));
		assert_int_equal(passes(PROC_OPENER, "opener", 1000, set, 2, 0),
		    set == CAP_SET_BND);
		assert_true(passes(PROC_OPENER, "opener", 1000, set, 0, 0));
	}
}

/* What a guest can enter has none in any set, and cannot get any. */
static void
test_guest(void **state)
{
	static const struct {
		enum proc_kind kind;
		const char *name;
	} low[] = { { PROC_VM, "vm/a" }, { PROC_DEV, "vm/a/vioblk0" },
		{ PROC_DEV, "vm/a/vionet1" }, { PROC_DEV, "vm/a/vioscsi" } };
	const uint32_t own = SB_OWN_REPORT | SB_OWN_BITS;
	unsigned int set;
	size_t i;

	for (i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
		for (set = 0; set < CAP_SETS; set++)
			assert_false(
			    passes(low[i].kind, low[i].name, 1, set, 1, own));
		assert_true(passes(low[i].kind, low[i].name, 1, 0, 0, own));
		assert_false(passes(low[i].kind, low[i].name, 1, 0, 0,
		    own & ~(uint32_t)SB_OWN_BITS));
	}
	/* Those above them report no such thing. */
	assert_true(passes(PROC_VMM, "vmm", 0, 0, 0, SB_OWN_REPORT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opener),
		cmocka_unit_test(test_guest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("audit_check", tests, NULL, NULL);
}
