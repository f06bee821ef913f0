/* The other bodies: everything arrives, nothing out of range does. */

#include "regress/unit/proto_test.h"

#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"

static struct ibuf *
new_body(void)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);

	assert_non_null(b);
	return b;
}

/*
 * For each body: a decoder for check_truncation(), and a check that one with
 * a bad field is refused.
 */
#define BODY(type)                                                             \
	static int type##_decode(struct ibuf *b)                               \
	{                                                                      \
		struct type x;                                                 \
		int rc = type##_get(b, &x), saved_errno = errno;               \
                                                                               \
		if (rc == 0)                                                   \
			type##_fini(&x);                                       \
		errno = saved_errno;                                           \
		return rc;                                                     \
	}                                                                      \
	static void type##_refused(const struct type *x, int err)              \
	{                                                                      \
		struct ibuf *b = new_body();                                   \
                                                                               \
		assert_int_equal(type##_put(b, x), 0);                         \
		assert_int_equal(decode_part(b, ibuf_size(b), type##_decode),  \
		    -1);                                                       \
		assert_int_equal(errno, err);                                  \
		ibuf_free(b);                                                  \
	}

BODY(vmop_result)
BODY(vmop_id)
BODY(vm_info)
BODY(log_line)
BODY(host_info)
BODY(proc_info)

static char name[] = "web1", tty[] = "/dev/pts/7", text[] = "some text";
static char more[] = "more", other[] = "other";

static void
results(void **state)
{
	const struct vmop_result in = { VMERR_DISK_MISSING, 2, VMEXIT_TRIPLE,
		-4, 0x5566778899aabbccULL, name, tty, text };
	struct vmop_result out, none = { 0 };
	struct ibuf *b = new_body();

	assert_int_equal(vmop_result_put(b, &in), 0);
	check_truncation(b, vmop_result_decode);
	assert_int_equal(vmop_result_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_int_equal(out.err, VMERR_DISK_MISSING);
	assert_int_equal(out.id, 2);
	assert_int_equal(out.exit, VMEXIT_TRIPLE);
	assert_int_equal(out.pid, -4);
	assert_true(out.generation == in.generation);
	assert_string_equal(out.name, name);
	assert_string_equal(out.tty, tty);
	assert_string_equal(out.text, text);
	vmop_result_fini(&out);
	assert_null(out.name);
	vmop_result_fini(&out); /* once more is fine */
	assert_int_equal(vmop_result_put(b, &none), 0);
	assert_int_equal(vmop_result_get(b, &out), 0);
	assert_null(out.name);
	assert_null(out.tty);
	assert_null(out.text);
	ibuf_free(b);
}

static void
bad_results(void **state)
{
	char *s = repeat('n', VM_NAME_MAX), *t = repeat('t', 2049);

	vmop_result_refused(&(struct vmop_result){ .err = VMERR_MAX }, EBADMSG);
	vmop_result_refused(&(struct vmop_result){ .err = UINT32_MAX },
	    EBADMSG);
	vmop_result_refused(&(struct vmop_result){ .exit = VMEXIT_MAX },
	    EBADMSG);
	vmop_result_refused(&(struct vmop_result){ .name = s }, EMSGSIZE);
	vmop_result_refused(&(struct vmop_result){ .name = name, .tty = t },
	    EMSGSIZE);
	free(s);
	free(t);
}

static void
ids(void **state)
{
	const struct vmop_id in = { name, VMOP_WAIT | VMOP_STEAL, 3,
		0x0102030405060708ULL, 9 };
	struct ibuf *b = new_body();
	struct vmop_id out;

	assert_int_equal(vmop_id_put(b, &in), 0);
	check_truncation(b, vmop_id_decode);
	assert_int_equal(vmop_id_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_string_equal(out.name, name);
	assert_int_equal(out.flags, VMOP_WAIT | VMOP_STEAL);
	assert_int_equal(out.id, 3);
	assert_true(out.generation == in.generation);
	assert_int_equal(out.arg, 9);
	vmop_id_fini(&out);
	vmop_id_fini(&out);
	ibuf_free(b);
	vmop_id_refused(&(struct vmop_id){ .flags = 0x80000000 }, EBADMSG);
	vmop_id_refused(&(struct vmop_id){ .name = name, .flags = 0x1000 },
	    EBADMSG);
}

static void
infos(void **state)
{
	struct vm_spec *s = vm_spec_new("db");
	const struct vm_info in = { s, VMS_PAUSED, 4321, 1ULL << 33, 1000,
		-5000000000LL, VMEXIT_SIGNAL, text, tty, more, other, 1, 1,
		{ 1, { { .kind = 1, .size = 77 } } } };
	struct ibuf *b = new_body();
	struct vm_info out;

	s->id = 17;
	assert_int_equal(vm_info_put(b, &in), 0);
	check_truncation(b, vm_info_decode);
	assert_int_equal(vm_info_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_string_equal(out.spec->name, "db");
	assert_int_equal(out.spec->id, 17);
	assert_int_equal(out.state, VMS_PAUSED);
	assert_int_equal(out.pid, 4321);
	assert_true(out.resident == in.resident);
	assert_true(out.run_uid == 1000);
	assert_true(out.started == in.started);
	assert_int_equal(out.exit, VMEXIT_SIGNAL);
	assert_string_equal(out.exit_text, text);
	assert_string_equal(out.tty, tty);
	assert_string_equal(out.pending, more);
	assert_string_equal(out.error, other);
	assert_int_equal(out.held, 1);
	assert_int_equal(out.has_devs, 1);
	assert_memory_equal(&out.devs, &in.devs, sizeof(in.devs));
	vm_info_fini(&out);
	vm_info_fini(&out);
	ibuf_free(b);
	vm_info_refused(&(struct vm_info){ .spec = s,
			    .state = VMS_MAX,
			    .error = text },
	    EBADMSG);
	vm_info_refused(&(struct vm_info){ .spec = s, .exit = VMEXIT_MAX },
	    EBADMSG);
	vm_info_refused(&(struct vm_info){ .spec = s, .held = 2 }, EBADMSG);
	vm_info_refused(&(struct vm_info){ .spec = s, .has_devs = 2 }, EBADMSG);
	vm_info_refused(&(struct vm_info){ .spec = s,
			    .has_devs = 1,
			    .devs = { 1, { { .kind = 99 } } } },
	    EBADMSG);
	s->cpus = VM_MAX_CPUS + 1;
	vm_info_refused(&(struct vm_info){ .spec = s }, EBADMSG);
	vm_spec_free(s);
}

static void
log_lines(void **state)
{
	char *longest = repeat('l', 1024), *longer = repeat('l', 1025);
	struct log_line in = { 7, longest }, out;
	struct ibuf *b = new_body();

	assert_int_equal(log_line_put(b, &in), 0);
	check_truncation(b, log_line_decode);
	assert_int_equal(log_line_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_int_equal(out.prio, 7);
	assert_string_equal(out.text, longest);
	log_line_fini(&out);
	log_line_fini(&out);
	ibuf_free(b);
	/* Cut to that. */
	assert_non_null(b = log_line_new(3, longer));
	assert_int_equal(log_line_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_int_equal(out.prio, 3);
	assert_string_equal(out.text, longest);
	log_line_fini(&out);
	ibuf_free(b);
	log_line_refused(&(struct log_line){ 8, text }, EBADMSG);
	log_line_refused(&(struct log_line){ UINT32_MAX, text }, EBADMSG);
	log_line_refused(&(struct log_line){ 1, NULL }, EBADMSG);
	log_line_refused(&(struct log_line){ 1, longer }, EMSGSIZE);
	free(longest);
	free(longer);
}

static void
hosts(void **state)
{
	const struct host_info in = { text, 1, more, other, name };
	char *longest = repeat('n', 4096);
	struct ibuf *b = new_body();
	struct host_info out;

	assert_int_equal(host_info_put(b, &in), 0);
	check_truncation(b, host_info_decode);
	assert_int_equal(host_info_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_string_equal(out.caps, text);
	assert_int_equal(out.probe_ok, 1);
	assert_string_equal(out.probe, more);
	assert_string_equal(out.kind, other);
	assert_string_equal(out.net, name);
	host_info_fini(&out);
	host_info_fini(&out);
	ibuf_free(b);
	host_info_refused(&(struct host_info){ text, 2, more, other, NULL },
	    EBADMSG);
	host_info_refused(&(struct host_info){ NULL, 1, more, other, NULL },
	    EBADMSG);
	host_info_refused(&(struct host_info){ text, 1, NULL, other, NULL },
	    EBADMSG);
	host_info_refused(&(struct host_info){ text, 1, more, NULL, NULL },
	    EBADMSG);
	b = new_body();
	assert_int_equal(host_info_put(b,
			     &(struct host_info){ text, 1, more, other,
				 longest }),
	    0);
	assert_int_equal(host_info_decode(b), 0);
	ibuf_free(b);
	free(longest);
}

static void
procs(void **state)
{
	const struct proc_info in = { name, PROC_VM, 4711, 9 };
	struct ibuf *b = new_body();
	struct proc_info out;

	assert_int_equal(proc_info_put(b, &in), 0);
	check_truncation(b, proc_info_decode);
	assert_int_equal(proc_info_get(b, &out), 0);
	assert_int_equal(wire_end(b), 0);
	assert_string_equal(out.name, name);
	assert_int_equal(out.kind, PROC_VM);
	assert_int_equal(out.pid, 4711);
	assert_int_equal(out.own, 9);
	proc_info_fini(&out);
	proc_info_fini(&out);
	ibuf_free(b);
	proc_info_refused(&(struct proc_info){ name, PROC_KIND_MAX, 1, 0 },
	    EBADMSG);
	proc_info_refused(&(struct proc_info){ NULL, 0, 1, 0 }, EBADMSG);
	proc_info_refused(&(struct proc_info){ name, 0, 0, 0 }, EBADMSG);
	proc_info_refused(&(struct proc_info){ name, 0, -1, 0 }, EBADMSG);
}

static void
states(void **state)
{
	static const char *const words[VMS_MAX] = { "stopped", "waiting",
		"starting", "running", "paused", "stopping" };
	int i;

	for (i = 0; i < VMS_MAX; i++)
		assert_string_equal(vm_state_text(i), words[i]);
	assert_string_equal(vm_state_text(VMS_MAX), "unknown");
	assert_string_equal(vm_state_text((enum vm_state) - 1), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results),
		cmocka_unit_test(bad_results),
		cmocka_unit_test(ids),
		cmocka_unit_test(infos),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(hosts),
		cmocka_unit_test(procs),
		cmocka_unit_test(states),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
