/* The ends of a guest that no guest of ours can bring about. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/vmm/vmm_int.h"

static enum vmm_end end_how;
static char end_text[256];
static unsigned int ends;

/* --- what exit.c calls ------------------------------------------------ */

void
vmm_end(struct vmm *v, enum vmm_end how, const char *text)
{
	ends++;
	end_how = how;
	snprintf(end_text, sizeof(end_text), "%s", text);
}

void
vmm_msr_read(struct kvm_run *run)
{
}

void
vmm_msr_write(struct kvm_run *run)
{
}

const char *
vmm_insn_name(const uint8_t *b, size_t len, unsigned int mode)
{
	return NULL;
}

int
gmem_read(const struct gmem *g, uint64_t gpa, void *buf, uint64_t len)
{
	return -1;
}

/* ---------------------------------------------------------------------- */

static void
ended(struct kvm_run *run, enum vmm_end how, const char *text)
{
	static struct vmm v;
	struct vmm_vcpu c = { .vmm = &v, .idx = 3, .fd = -1, .run = run };

	ends = 0;
	assert_int_equal(vmm_exit(&c), -1);
	assert_int_equal(ends, 1);
	assert_int_equal(end_how, how);
	assert_string_equal(end_text, text);
}

static void
events(void **state)
{
	static const struct {
		uint32_t type;
		enum vmm_end how;
		const char *text;
	} t[] = {
		{ KVM_SYSTEM_EVENT_SHUTDOWN, VMM_END_POWEROFF, "powered off" },
		{ KVM_SYSTEM_EVENT_RESET, VMM_END_RESET, "reset" },
		{ KVM_SYSTEM_EVENT_CRASH, VMM_END_FAILED,
		    "the guest says it crashed" },
		{ 77, VMM_END_FAILED,
		    "vcpu 3: system event 77 that was never asked for" },
	};
	struct kvm_run run = { .exit_reason = KVM_EXIT_SYSTEM_EVENT };
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		run.system_event.type = t[i].type;
		ended(&run, t[i].how, t[i].text);
	}
}

static void
memory(void **state)
{
	/* Flags, address, size. */
	static const uint64_t f[3] = { 0x8, 0xfee01000, 4096 };
	struct kvm_run run = { .exit_reason = EXIT_MEMORY_FAULT };

	memcpy(run.padding, f, sizeof(f));
	ended(&run, VMM_END_FAILED,
	    "vcpu 3: memory fault at 0xfee01000, 4096 bytes, flags 0x8");
}

static void
others(void **state)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_SHUTDOWN };

	ended(&run, VMM_END_TRIPLE, "triple fault");
	run.exit_reason = 99;
	ended(&run, VMM_END_FAILED, "vcpu 3: exit 99 that was never asked for");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(memory),
		cmocka_unit_test(others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
