/* The life of VMs in the parent: starts, reload, reset, the daemon's end. */

#include <sys/socket.h>

#include <fcntl.h>
#include <signal.h>

#include "lib/util/ring.h"
#include "regress/unit/parent_fake.h"

static void
failed_launch(void **state)
{
	char text[] = "no such instruction";
	struct vmop_result r = { .err = VMERR_GUEST, .text = text };
	const struct vm *v;

	send_start(1, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_GUEST);
	assert_string_equal(control.res.text, text);
	assert_non_null(v = vm_find(&parent, "web1"));
	assert_int_equal(v->state, VMS_STOPPED);
	assert_string_equal(v->error, text);
	assert_null(v->tty);
	/* It is none the worse for it. */
	start_vm("web1");
	assert_null(v->error);
}

static void
ended_before_it_was_up(void **state)
{
	send_start(1, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	clear(&control);
	say_ended("web1", vmm.spec->generation, VMEXIT_SIGNAL);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_GUEST);
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_STOPPED);
}

/* Killed, and its disk does not answer: said, until it has ended. */
static void
late_end(void **state)
{
	char text[] = "killed, waiting for the disk";
	struct vmop_result r = { .text = text };
	const struct vm *v;

	start_vm("web1");
	v = vm_find(&parent, "web1");
	r.id = v->spec->id;
	r.generation = v->generation - 1;
	send_result(IMSG_VMDOP_VM_LATE, 0, &r);
	settle_all();
	assert_int_equal(v->state, VMS_RUNNING);
	r.generation = v->generation;
	send_result(IMSG_VMDOP_VM_LATE, 0, &r);
	until_state(v, VMS_STOPPING);
	clear(&control);
	send_id(IMSG_VMDOP_GET_INFO_VM_REQUEST, 3, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_GET_INFO_VM_END_DATA);
	assert_int_equal(control.info.state, VMS_STOPPING);
	assert_string_equal(control.info.error, text);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 4, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_STOPPING);
	assert_string_equal(control.res.text, text);
	send_start(5, "web1");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BUSY);
	assert_string_equal(control.res.text, text);
	say_ended("web1", v->generation, VMEXIT_FAILED);
	until_state(v, VMS_STOPPED);
	assert_null(v->error);
	start_vm("web1");
}

/* Root's own VM lives as long as it runs. */
static void
ad_hoc(void **state)
{
	uint32_t id;

	start_vm("mine");
	id = vm_find(&parent, "mine")->spec->id;
	assert_int_equal(id, 2);
	clear(&control);
	send_start(2, "mine");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_RUNNING);
	say_ended("mine", vm_find(&parent, "mine")->generation,
	    VMEXIT_POWEROFF);
	settle_all();
	assert_null(vm_find(&parent, "mine"));
	/* Its id is free again: the lowest one is taken, whatever the name. */
	start_vm("mine");
	start_vm("other");
	assert_int_equal(vm_find(&parent, "mine")->spec->id, 2);
	assert_int_equal(vm_find(&parent, "other")->spec->id, 3);
	say_ended("mine", vm_find(&parent, "mine")->generation,
	    VMEXIT_POWEROFF);
	settle_all();
	start_vm("third");
	assert_int_equal(vm_find(&parent, "third")->spec->id, 2);
}

/* Batches in the order of the file. */
static void
staggered(void **state)
{
	struct conf *c = conf_of("a", "b", "c", NULL);
	struct conf_vm *cv;
	const struct vm *v;

	TAILQ_FOREACH(cv, &c->vms, entry)
		cv->spec->flags &= ~(uint32_t)VMF_DISABLED;
	c->parallel = 2;
	c->delay = 1;
	clear(&vmm);
	conf_apply(&parent, c);
	assert_null(vm_find(&parent, "web1"));
	until(&vmm.got, 2);
	assert_int_equal(vm_find(&parent, "a")->state, VMS_STARTING);
	assert_int_equal(vm_find(&parent, "b")->state, VMS_STARTING);
	v = vm_find(&parent, "c");
	assert_int_equal(v->state, VMS_WAITING);
	/* One that waits can be called off ... */
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 3, "c", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
	assert_int_equal(v->state, VMS_STOPPED);
	/* ... and is queued again by a reload, whatever else runs. */
	c = conf_of("c", "a", NULL);
	TAILQ_FIRST(&c->vms)->spec->flags &= ~(uint32_t)VMF_DISABLED;
	conf_apply(&parent, c);
	until(&vmm.got, 3);
	assert_string_equal(vmm.spec->name, "c");
}

/* No delay is no delay, and not the default. */
static void
staggered_without_delay(void **state)
{
	struct conf *c = conf_of("a", "b", "c", NULL);
	struct conf_vm *cv;

	TAILQ_FOREACH(cv, &c->vms, entry)
		cv->spec->flags &= ~(uint32_t)VMF_DISABLED;
	c->parallel = 1;
	clear(&vmm);
	conf_apply(&parent, c);
	until(&vmm.got, 3);
	assert_string_equal(vmm.spec->name, "c");
}

static void
reload_keeps_what_runs(void **state)
{
	struct conf *c;
	const struct vm *v;
	uint64_t g;
	int ring;

	start_vm("web1");
	v = vm_find(&parent, "web1");
	g = v->generation;
	ring = v->ring;
	c = conf_of("new", "web1", NULL);
	TAILQ_LAST(&c->vms, conf_vms)->spec->memory = 64 << 20;
	conf_apply(&parent, c);
	assert_ptr_equal(vm_find(&parent, "web1"), v);
	assert_int_equal(v->state, VMS_RUNNING);
	assert_int_equal(v->generation, g);
	assert_non_null(v->next);
	assert_true(v->run->memory == VM_DEFAULT_MEMORY);
	/* Back to the old definition: nothing is pending any more. */
	conf_apply(&parent, conf_of("web1", NULL));
	assert_null(v->next);
	assert_null(vm_find(&parent, "new"));
	c = conf_of("web1", NULL);
	TAILQ_FIRST(&c->vms)->spec->memory = 64 << 20;
	conf_apply(&parent, c);
	say_ended("web1", g, VMEXIT_POWEROFF);
	settle_all();
	assert_int_equal(v->state, VMS_STOPPED);
	assert_true(v->spec->memory == 64 << 20);
	assert_int_equal(v->ring, ring);
	assert_int_equal(v->spec->id, 1);
	/* Removed while it runs: it goes when it ends. */
	start_vm("web1");
	conf_apply(&parent, conf_of("other", NULL));
	assert_int_equal(v->state, VMS_RUNNING);
	say_ended("web1", v->generation, VMEXIT_POWEROFF);
	settle_all();
	assert_null(vm_find(&parent, "web1"));
}

static void
fixed_ids_move_others(void **state)
{
	struct conf *c = conf_of("web1", "db", "fixed", NULL);

	TAILQ_LAST(&c->vms, conf_vms)->spec->id = 1;
	conf_apply(&parent, c);
	assert_int_equal(vm_find(&parent, "fixed")->spec->id, 1);
	assert_int_equal(vm_find(&parent, "web1")->spec->id, 2);
	assert_int_equal(vm_find(&parent, "db")->spec->id, 3);
	/* In the order of the file all the same; a name wins over an id. */
	assert_string_equal(TAILQ_FIRST(&parent.vms)->spec->name, "web1");
	assert_string_equal(vm_find(&parent, "3")->spec->name, "db");
	conf_apply(&parent, conf_of("3", "db", NULL));
	assert_string_equal(vm_find(&parent, "3")->spec->name, "3");
}

/* A running VM keeps its id; the new one is for the next run. */
static void
fixed_id_of_a_running_one(void **state)
{
	struct conf *c = conf_of("web1", NULL);
	const struct vm *v = vm_find(&parent, "web1");

	start_vm("web1");
	TAILQ_FIRST(&c->vms)->spec->id = 9;
	conf_apply(&parent, c);
	assert_int_equal(v->spec->id, 1);
	assert_true(vm_has_next(v));
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_state(v, VMS_STARTING);
	assert_int_equal(v->spec->id, 1);
	say_ended("web1", v->generation, VMEXIT_POWEROFF);
	until_state(v, VMS_STOPPED);
	assert_int_equal(v->spec->id, 9);
	assert_false(vm_has_next(v));
	/* One that is taken meanwhile stays where it is. */
	start_vm("web1");
	c = conf_of("web1", NULL);
	TAILQ_FIRST(&c->vms)->spec->id = 1;
	conf_apply(&parent, c);
	start_vm("mine");
	assert_int_equal(vm_find(&parent, "mine")->spec->id, 1);
	say_ended("web1", v->generation, VMEXIT_POWEROFF);
	until_state(v, VMS_STOPPED);
	assert_int_equal(v->spec->id, 9);
	assert_ptr_equal(vm_by_id(&parent, 9), v);
}

static struct conf *
two_enabled(void)
{
	struct conf *c = conf_of("web1", "db", NULL);
	struct conf_vm *cv;

	c->parallel = 1;
	c->delay = 600;
	TAILQ_FOREACH(cv, &c->vms, entry) {
		cv->spec->flags &= ~(uint32_t)VMF_DISABLED;
		cv->spec->restart = RESTART_ALWAYS;
	}
	return c;
}

static void
hold(const char *name, int on, enum vmerr e)
{
	clear(&control);
	send_id(on ? IMSG_VMDOP_DISABLE_VM : IMSG_VMDOP_ENABLE_VM, 7, name, 0,
	    0);
	until_got(&control, e == VMERR_OK ? IMSG_CTL_OK : IMSG_CTL_FAIL);
	assert_int_equal(control.hdr.reqid, 7);
	assert_int_equal(control.res.err, e);
}

/* One that a person has disabled is started by nobody but persons. */
static void
disabled(void **state)
{
	const struct vm *db, *web1;

	clear(&vmm);
	conf_apply(&parent, two_enabled());
	db = vm_find(&parent, "db");
	web1 = vm_find(&parent, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	say_started();
	until_state(web1, VMS_RUNNING);
	assert_int_equal(db->state, VMS_WAITING);
	hold("db", 0, VMERR_NOTHELD);
	hold("db", 1, VMERR_OK);
	assert_int_equal(db->state, VMS_STOPPED);
	hold("db", 1, VMERR_HELD);
	/* The next ones have their time already. */
	hold("db", 0, VMERR_OK);
	assert_int_equal(db->state, VMS_WAITING);
	hold("db", 1, VMERR_OK);
	conf_apply(&parent, two_enabled());
	assert_int_equal(db->state, VMS_STOPPED);
	/* A start is an enable. */
	start_vm("db");
	hold("db", 0, VMERR_NOTHELD);
	/* What runs goes on, also through its own resets, and ends once. */
	hold("web1", 1, VMERR_OK);
	assert_int_equal(web1->state, VMS_RUNNING);
	clear(&vmm);
	say_ended("web1", web1->generation, VMEXIT_RESET);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	say_started();
	until_state(web1, VMS_RUNNING);
	say_ended("web1", web1->generation, VMEXIT_POWEROFF);
	settle_all();
	assert_int_equal(web1->state, VMS_STOPPED);
	assert_null(web1->timer);
	say_ended("db", db->generation, VMEXIT_POWEROFF);
	until_state(db, VMS_WAITING);
	/* Also while it waits for `restart'. */
	hold("db", 1, VMERR_OK);
	assert_int_equal(db->state, VMS_STOPPED);
	assert_null(db->timer);
}

/* Answered when all are gone, so that a load finds none. */
static void
reset(void **state)
{
	const struct vm *v;

	start_vm("web1");
	v = vm_find(&parent, "web1");
	clear(&vmm);
	send_id(IMSG_CTL_RESET, 4, "", 0, 0xff);
	until_got(&vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	settle_all();
	clear(&control);
	say_ended("web1", v->generation, VMEXIT_POWEROFF);
	until_got(&control, IMSG_CTL_OK);
	assert_int_equal(control.hdr.reqid, 4);
	assert_true(TAILQ_EMPTY(&parent.vms));
}

static void
history_of_a_stopped_vm(void **state)
{
	struct ring *r;
	struct vm *v = vm_find(&parent, "web1");
	char *big = malloc(RING_SIZE), *got = malloc(RING_SIZE);
	const struct vmop_id op = { .name = v->spec->name };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	size_t n = 0;
	ssize_t k;
	int sv[2];

	memset(big, 'x', RING_SIZE);
	assert_int_not_equal(v->ring = ring_create(), -1);
	assert_non_null(r = ring_map(v->ring));
	ring_write(r, big, RING_SIZE);
	ring_write(r, "end", 3);
	ring_free(r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(vmop_id_put(b, &op), 0);
	send_body(&control, IMSG_CTL_CONSOLE_REQUEST, 5, b, &sv[0], 1);
	until_got(&control, IMSG_CTL_CONSOLE_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
	/* All of it fits, and then it ends. */
	while (n < RING_SIZE && (k = read(sv[1], got + n, RING_SIZE - n)) > 0)
		n += (size_t)k;
	assert_int_equal(n, RING_SIZE);
	assert_int_equal(read(sv[1], big, 1), 0);
	assert_memory_equal(got + n - 3, "end", 3);
	close(sv[1]);
	free(big);
	free(got);
}

static void
end_of_the_daemon(void **state)
{
	size_t i;

	start_vm("web1");
	start_vm("mine");
	clear(&vmm);
	shutdown_begin(&parent);
	/* Each is asked. */
	until(&vmm.got, 2);
	assert_int_equal(vmm.type, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	clear(&control);
	send_start(9, "late");
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BUSY);
	/* A reset now is an end. */
	say_ended("web1", vm_find(&parent, "web1")->generation, VMEXIT_RESET);
	settle_all();
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_STOPPED);
	assert_int_equal(parent.stopping, 1);
	say_ended("mine", vm_find(&parent, "mine")->generation,
	    VMEXIT_POWEROFF);
	until_got(&vmm, IMSG_CTL_SHUTDOWN);
	for (i = 0; i < NCHILDREN; i++)
		kill(parent.children[i].pid, SIGKILL);
	/* The loop ends by itself. */
	assert_int_equal(event_base_dispatch(parent.base), 0);
	assert_int_equal(vmm.starts, 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(failed_launch),
		T(ended_before_it_was_up),
		T(late_end),
		T(ad_hoc),
		T(staggered),
		T(staggered_without_delay),
		T(reload_keeps_what_runs),
		T(fixed_ids_move_others),
		T(fixed_id_of_a_running_one),
		T(disabled),
		T(reset),
		T(history_of_a_stopped_vm),
		T(end_of_the_daemon),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
