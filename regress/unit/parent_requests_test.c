/* Requests to the parent: refusals, limits, answers that come late or never. */

#include <sys/mman.h>
#include <sys/socket.h>

#include <fcntl.h>

#include "regress/unit/parent_fake.h"

static void
unsupported(void **state)
{
	struct vm *v = vm_find(&parent, "web1");

	v->spec->flags |= VMF_SEV;
	send_start(1, "web1");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_UNSUPPORTED);
	assert_string_equal(control.res.text, "needs AMD SEV, not supported");
	assert_int_equal(v->state, VMS_STOPPED);
}

/* What cannot be had is refused before anything is looked at. */
static void
refused(void **state)
{
	static const struct {
		uint32_t given;
		const char *option;
	} all[] = { { VMGIVEN_INSTANCE, "-t: " } };
	struct vm_spec *s;
	struct ibuf *b;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		s = vm_spec_new("new");
		s->given = all[i].given;
		b = ibuf_dynamic(0, MSG_MAXSIZE);
		assert_int_equal(vm_spec_put(b, s), 0);
		clear(&control);
		send_body(&control, IMSG_VMDOP_START_VM_REQUEST, 8, b, NULL, 0);
		until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
		assert_int_equal(control.res.err, VMERR_UNSUPPORTED);
		assert_memory_equal(control.res.text, all[i].option,
		    strlen(all[i].option));
		assert_null(vm_find(&parent, "new"));
		vm_spec_free(s);
	}
}

static void
boot_device_net(void **state)
{
	struct vm *v = vm_find(&parent, "web1");

	v->spec->bootdev = BOOTDEV_NET;
	send_start(1, "web1");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_UNSUPPORTED);
	assert_string_equal(control.res.text,
	    "boot device net is not supported yet");
}

/* The limit counts at the start, and not for a guest that resets. */
static void
limits(void **state)
{
	struct conf_limit l = { .vms = 1, .line = 3 };
	char name[] = "joe", file[] = "/etc/vm.conf";
	struct conf *c = conf_of("a", "b", NULL);
	struct conf_vm *cv;

	l.id = 1001;
	l.name = name;
	l.file = file;
	TAILQ_FOREACH(cv, &c->vms, entry)
		cv->spec->uid = l.id;
	conf_apply(&parent, c);
	start_vm("a");
	TAILQ_INSERT_TAIL(&parent.conf->limits, &l, entry);
	clear(&control);
	send_start(2, "b");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_LIMIT);
	assert_string_equal(control.res.text,
	    "limit of user joe (/etc/vm.conf:3): vms: 1 allowed, 1 in use, "
	    "this VM needs 1");
	assert_int_equal(vm_find(&parent, "b")->state, VMS_STOPPED);
	/* Lowered while it runs. */
	l.vms = 0;
	l.cpus = 1;
	vm_find(&parent, "a")->run->cpus = 2;
	say_ended("a", vm_find(&parent, "a")->generation, VMEXIT_RESET);
	until_state(vm_find(&parent, "a"), VMS_STARTING);
	TAILQ_REMOVE(&parent.conf->limits, &l, entry);
}

/* Who has gone waits for nothing, and leaves nothing here. */
static void
waits_are_dropped(void **state)
{
	const struct request *r;
	uint64_t i;

	start_vm("web1");
	for (i = 0; i < 5; i++)
		send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 50 + i, "web1", 0, 0);
	send_id(IMSG_VMDOP_PAUSE_VM, 60, "web1", 0, 0);
	until_got(&vmm, IMSG_VMDOP_PAUSE_VM);
	settle_all();
	send_body(&control, IMSG_CTL_CONN_CLOSE, 0, NULL, NULL, 0);
	settle_all();
	/* vmm still works on the one. */
	assert_non_null(r = TAILQ_FIRST(&parent.requests));
	assert_true(r->at_vmm);
	assert_null(TAILQ_NEXT(r, entry));
}

static enum vmerr
ask_for(const char *name)
{
	char copy[64];
	const struct vmop_id op = { .name = name == NULL ? NULL : copy };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	snprintf(copy, sizeof(copy), "%s", name == NULL ? "" : name);
	assert_int_equal(vmop_id_put(b, &op), 0);
	clear(&control);
	send_body(&control, IMSG_VMDOP_GET_INFO_VM_REQUEST, 9, b, NULL, 0);
	until_got(&control, IMSG_VMDOP_GET_INFO_VM_END_DATA);
	return (enum vmerr)control.res.err;
}

/* With `status own' others' VMs do not exist. */
static void
own_only(void **state)
{
	struct conf *c = conf_of("a", "b", NULL);
	struct cred *who = TAILQ_FIRST(&parent.conns)->cred;
	uid_t root = who->uid;
	char id[16];

	TAILQ_FIRST(&c->vms)->spec->uid = 1001;
	conf_apply(&parent, c);
	snprintf(id, sizeof(id), "%u", vm_find(&parent, "b")->spec->id);
	who->uid = 1001;
	assert_int_equal(ask_for(NULL), VMERR_OK);
	assert_int_equal(control.got, 3);
	assert_int_equal(ask_for("b"), VMERR_OK);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 2, "b", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_PERM);

	parent.conf->status_own = 1;
	assert_int_equal(ask_for(NULL), VMERR_OK);
	assert_int_equal(control.got, 2);
	assert_string_equal(control.info.spec->name, "a");
	assert_int_equal(ask_for("a"), VMERR_OK);
	assert_int_equal(control.got, 2);
	assert_int_equal(ask_for("b"), VMERR_NOTFOUND);
	assert_int_equal(control.got, 1);
	assert_int_equal(ask_for(id), VMERR_NOTFOUND);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 3, "b", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_NOTFOUND);
	send_start(4, "b");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_PERM);
	assert_string_equal(control.res.text, "not permitted to define a VM");
	who->uid = root;
	assert_int_equal(ask_for(NULL), VMERR_OK);
	assert_int_equal(control.got, 3);
}

static void
count_line(void *arg, int prio, const char *line)
{
	if (strstr(line, "not started") != NULL)
		(*(unsigned int *)arg)++;
}

/* A client cannot fill the log; it is answered all the same. */
static void
log_rate(void **state)
{
	unsigned int n = 0, i;
	int64_t from = now_ms();

	vm_find(&parent, "web1")->spec->flags |= VMF_SEV;
	log_set_sink(count_line, &n);
	clear(&control);
	for (i = 0; i < 200; i++)
		send_start(1 + i, "web1");
	until(&control.got, 200);
	log_set_sink(NULL, NULL);
	assert_int_equal(control.hdr.reqid, 200);
	/* So many for each second that was begun. */
	assert_true(n >= CLIENT_LOG_RATE);
	assert_true(n <= CLIENT_LOG_RATE * ((now_ms() - from) / 1000 + 2));
}

/* Answers and lists carry so much and no more. */
static void
long_texts(void **state)
{
	const struct vm *v = vm_find(&parent, "web1");
	char path[4000], *long_text;
	struct vmop_result r = { .err = VMERR_GUEST };

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_true(asprintf(&long_text, "%s: the reason", path) > 0);
	send_start(1, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	r.text = long_text;
	send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_GUEST);
	assert_true(strlen(control.res.text) <= 2048);
	assert_memory_equal(control.res.text, "/xxx", 4);
	assert_non_null(strstr(control.res.text, "x...x"));
	assert_string_equal(control.res.text + strlen(control.res.text) - 12,
	    ": the reason");
	assert_string_equal(v->exit_text, control.res.text);
	assert_string_equal(v->error, control.res.text);
	free(long_text);
}

/* vmm was too slow, and says only now that nothing came of it. */
static void
late_refusal(void **state)
{
	struct vmop_result r = { .err = VMERR_GUEST };
	const struct vm *v = vm_find(&parent, "web1");
	uint64_t reqid;

	send_start(1, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	reqid = vmm.hdr.reqid;
	event_active(v->timer, EV_TIMEOUT, 0);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_TIMEOUT);
	until_got(&vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	assert_int_equal(v->state, VMS_STOPPING);
	clear(&control);
	send_start(2, "web1");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BUSY);
	assert_string_equal(control.res.text, "is still being stopped");
	send_result(IMSG_VMDOP_START_VM_RESPONSE, reqid, &r);
	until_state(v, VMS_STOPPED);
	start_vm("web1");
}

/* To a guest that could see it, and to no other. */
static void
sends_break(void **state)
{
	const struct vmop_result ok = { 0 };

	send_id(IMSG_CTL_BREAK, 6, "web1", 0, 0);
	until_got(&control, IMSG_CTL_BREAK_RESPONSE);
	assert_int_equal(control.res.err, VMERR_NOTRUNNING);
	start_vm("web1");
	clear(&control);
	send_id(IMSG_CTL_BREAK, 7, "web1", 0, 0);
	until_got(&vmm, IMSG_CTL_BREAK);
	send_result(IMSG_CTL_BREAK_RESPONSE, vmm.hdr.reqid, &ok);
	until_got(&control, IMSG_CTL_BREAK_RESPONSE);
	assert_int_equal(control.hdr.reqid, 7);
	assert_int_equal(control.res.err, VMERR_OK);
	assert_string_equal(control.res.name, "web1");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(unsupported),
		T(refused),
		T(boot_device_net),
		T(limits),
		T(waits_are_dropped),
		T(own_only),
		T(log_rate),
		T(long_texts),
		T(late_refusal),
		T(sends_break),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
