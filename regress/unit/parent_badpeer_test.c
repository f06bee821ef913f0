/*
 * What wrong senders, short bodies, extra descriptors and deaths of peers do
 * to the parent: nothing, but to the peer.
 */

#include <fcntl.h>
#include <signal.h>

#include "regress/unit/parent_fake.h"

static void
wrong_sender(void **state)
{
	const struct vmop_result r = { .id = 1 };

	/* Only vmm may say that a VM has ended. */
	assert_int_equal(peer_result(control.peer,
			     IMSG_VMDOP_TERMINATE_VM_EVENT,
			     (struct msg_hdr){ 0 }, &r),
	    0);
	until_restarted(&control, 2);
	assert_int_equal(vmm.starts, 1);
	/* And nobody's requests but control's are taken. */
	assert_int_equal(peer_result(priv.peer, IMSG_VMDOP_LOAD,
			     (struct msg_hdr){ 0 }, &r),
	    0);
	until_restarted(&priv, 2);
	assert_int_equal(vmm.starts, 1);
	assert_int_equal(control.starts, 2);
}

static void
unknown_type(void **state)
{
	send_body(&vmm, IMSG_OPEN_RESPONSE, 0, NULL, NULL, 0);
	until_restarted(&vmm, 2);
	assert_int_equal(control.starts, 1);
}

static void
short_body(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 64);

	start_vm("web1");
	clear(&control);
	send_id(IMSG_VMDOP_PAUSE_VM, 5, "web1", 0, 0);
	until_got(&vmm, IMSG_VMDOP_PAUSE_VM);
	assert_int_equal(wire_put_u32(b, 1), 0);
	send_body(&vmm, IMSG_VMDOP_PAUSE_VM_RESPONSE, vmm.hdr.reqid, b, NULL,
	    0);
	until_got(&control, IMSG_VMDOP_PAUSE_VM_RESPONSE);
	assert_int_equal(control.hdr.reqid, 5);
	assert_int_equal(control.res.err, VMERR_GONE);
	until_restarted(&vmm, 2);
	assert_int_equal(control.starts, 1);
}

static void
extra_descriptor(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	send_body(&control, IMSG_CTL_CONN_CLOSE, 0, NULL, &fd, 1);
	until_restarted(&control, 2);
	assert_int_equal(vmm.starts, 1);
}

static void
missing_descriptor(void **state)
{
	const struct msg_hdr h = { .conn = CONN + 1 };

	assert_int_equal(peer_send(control.peer, IMSG_CTL_CONN_OPEN, h, NULL,
			     NULL, 0),
	    0);
	until_restarted(&control, 2);
}

/* What a client wrote is answered; control is not to blame. */
static void
bad_request(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 64);

	assert_int_equal(wire_put_u32(b, 12345), 0);
	send_body(&control, IMSG_VMDOP_START_VM_REQUEST, 1, b, NULL, 0);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BADMSG);
	b = ibuf_dynamic(0, 64);
	assert_int_equal(wire_put_u32(b, 12345), 0);
	send_body(&control, IMSG_VMDOP_WAIT_VM_REQUEST, 2, b, NULL, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BADMSG);
	assert_int_equal(control.starts, 1);
}

static void
unknown_connection(void **state)
{
	send_body(&control, IMSG_CTL_CONN_CLOSE, 0, NULL, NULL, 0);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 3, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_PERM);
}

/* Control lets so many through that no more can be honest. */
static void
waits(void **state)
{
	unsigned int i;

	start_vm("web1");
	for (i = 0; i < PARENT_MAXWAITS; i++) {
		send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 100 + i, "web1", 0, 0);
		if (i % 100 == 99)
			settle_all();
	}
	clear(&control);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 2, "web1", 0, 0);
	until(&control.got, 1);
	assert_int_equal(control.type, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.hdr.reqid, 2);
	assert_int_equal(control.res.err, VMERR_LIMIT);
	assert_string_equal(control.res.text,
	    "10000 requests wait already, no more can");
	clear(&control);
	send_id(IMSG_VMDOP_GET_INFO_VM_REQUEST, 3, "web1", VMOP_DEVICES, 0);
	until(&control.got, 1);
	assert_int_equal(control.type, IMSG_VMDOP_GET_INFO_VM_END_DATA);
	assert_int_equal(control.res.err, VMERR_LIMIT);
	/* What is refused has not been done. */
	clear(&control);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 4, "web1", VMOP_WAIT, 0);
	until(&control.got, 1);
	assert_int_equal(control.res.err, VMERR_LIMIT);
	clear(&control);
	send_id(IMSG_CTL_RESET, 5, "", 0, 1);
	until(&control.got, 1);
	assert_int_equal(control.type, IMSG_CTL_FAIL);
	assert_int_equal(control.res.err, VMERR_LIMIT);
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_RUNNING);
	/* Answered, they are no more. */
	clear(&control);
	say_ended("web1", vm_find(&parent, "web1")->generation,
	    VMEXIT_POWEROFF);
	until(&control.got, PARENT_MAXWAITS);
	assert_int_equal(parent.nwaits, 0);
}

static void
vmm_dies(void **state)
{
	start_vm("web1");
	clear(&control);
	send_id(IMSG_VMDOP_PAUSE_VM, 6, "web1", 0, 0);
	until_got(&vmm, IMSG_VMDOP_PAUSE_VM);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 7, "web1", 0, 0);
	settle_all();
	clear(&control);
	kill(vmm.pid, SIGKILL);
	/* Both are answered, each once. */
	until(&control.got, 2);
	assert_int_equal(control.type, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(control.hdr.reqid, 7);
	assert_int_equal(control.res.exit, VMEXIT_FAILED);
	assert_string_equal(control.res.text, "vmm died");
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_STOPPED);
	assert_true(TAILQ_EMPTY(&parent.requests));
	until_restarted(&vmm, 2);
	until_got(&vmm, IMSG_VMDOP_RECEIVE_VMM_FD);
	/* And it goes on. */
	start_vm("web1");
}

static void
control_dies(void **state)
{
	start_vm("web1");
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 7, "web1", 0, 0);
	settle_all();
	kill(control.pid, SIGKILL);
	until_restarted(&control, 2);
	until_got(&control, IMSG_CTL_SOCKET);
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_RUNNING);
	/* Old connections are gone with it, and nobody gets their answers. */
	say_ended("web1", vm_find(&parent, "web1")->generation,
	    VMEXIT_POWEROFF);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 8, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.hdr.reqid, 8);
	assert_int_equal(control.res.err, VMERR_PERM);
}

static void
old_generation(void **state)
{
	const struct vm *v;
	uint64_t g;

	start_vm("web1");
	v = vm_find(&parent, "web1");
	g = v->generation;
	say_ended("web1", g - 1, VMEXIT_POWEROFF);
	say_ended("web1", g + 1, VMEXIT_POWEROFF);
	settle_all();
	settle_all();
	assert_int_equal(v->state, VMS_RUNNING);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 9, "web1", 0, 0);
	settle_all();
	say_ended("web1", g, VMEXIT_POWEROFF);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(control.res.exit, VMEXIT_POWEROFF);
	assert_int_equal(v->state, VMS_STOPPED);
	/* A second end of the same run is late. */
	say_ended("web1", g, VMEXIT_POWEROFF);
	settle_all();
	assert_int_equal(vmm.starts, 1);
}

/* Same terminal, new generation; the fourth in a row stays down. */
static void
resets(void **state)
{
	const struct vm *v;
	char *tty;
	uint64_t g;
	int i;

	start_vm("web1");
	v = vm_find(&parent, "web1");
	tty = strdup(v->tty);
	for (i = 0; i < 3; i++) {
		struct vmop_result r = { .pid = 5000 + i };

		g = v->generation;
		clear(&vmm);
		say_ended("web1", g, VMEXIT_RESET);
		until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
		assert_true(vmm.spec->generation > g);
		assert_int_equal(vmm.nfds, 3);
		assert_string_equal(v->tty, tty);
		send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
		while (v->state != VMS_RUNNING)
			event_base_loop(parent.base, EVLOOP_ONCE);
	}
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 10, "web1", 0, 0);
	settle_all();
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(v->state, VMS_STOPPED);
	assert_null(v->tty);
	free(tty);
}

/* What the configuration says of resets and of stops. */
static void
settings(void **state)
{
	struct conf *c = conf_of("web1", NULL);
	const struct vm *v;
	struct vmop_result r = { .pid = 5000 };

	c->resets = 1;
	c->resets_seconds = 86400;
	c->kill_timeout = 77;
	conf_apply(&parent, c);
	start_vm("web1");
	v = vm_find(&parent, "web1");
	clear(&vmm);
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
	until_state(v, VMS_RUNNING);
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_state(v, VMS_STOPPED);
	assert_string_equal(v->exit_text, "reset too often");
	start_vm("web1");
	clear(&vmm);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 11, "web1", VMOP_FORCE, 5);
	until_got(&vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	assert_int_equal(vmm.arg, 77);
}

static void
stop_is_no_reset(void **state)
{
	const struct vm *v;

	start_vm("web1");
	v = vm_find(&parent, "web1");
	clear(&vmm);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 11, "web1", VMOP_WAIT, 0);
	until_got(&vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	assert_int_equal(v->state, VMS_STOPPING);
	clear(&control);
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(control.hdr.reqid, 11);
	assert_int_equal(v->state, VMS_STOPPED);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(wrong_sender),
		T(unknown_type),
		T(short_body),
		T(extra_descriptor),
		T(missing_descriptor),
		T(bad_request),
		T(unknown_connection),
		T(waits),
		T(vmm_dies),
		T(control_dies),
		T(old_generation),
		T(resets),
		T(settings),
		T(stop_is_no_reset),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
