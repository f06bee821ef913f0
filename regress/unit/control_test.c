/*
 * The real control, with a parent and clients played by the test: where
 * requests and answers go, and that no client, slow, greedy or broken, costs
 * anybody else anything.
 */

#include "regress/unit/control_test.h"

/* --- where messages go ------------------------------------------------- */

static void
opened(void **state)
{
	uint64_t a, b;

	a = client_open(&clients[0]);
	/* The parent holds the connection itself. */
	assert_int_equal(last(&parent, IMSG_CTL_CONN_OPEN)->nfds, 1);
	assert_int_equal(send(parent.fd, "", 0, MSG_NOSIGNAL), 0);
	b = client_open(&clients[1]);
	assert_true(a != 0 && b != 0 && a != b);
	end_close(&clients[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	assert_int_equal(last(&parent, IMSG_CTL_CONN_CLOSE)->hdr.conn, a);
	/* A number is never used again. */
	assert_true(client_open(&clients[0]) > b);
}

/* Several parts, then the end; two clients use the same number. */
static void
status(void **state)
{
	uint64_t conn[2];
	struct rec req[2];
	int i;

	for (i = 0; i < 2; i++) {
		conn[i] = client_open(&clients[i]);
		say(&clients[i], IMSG_VMDOP_GET_INFO_VM_REQUEST, 77, 12345, 9);
		until(count(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) ==
		    (unsigned int)i + 1);
		req[i] = *last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST);
		/* What the client says it is does not count. */
		assert_int_equal(req[i].hdr.conn, conn[i]);
		assert_int_equal(req[i].len, 9);
	}
	assert_true(req[0].hdr.reqid != req[1].hdr.reqid);
	for (i = 0; i < 3; i++)
		say(&parent, IMSG_VMDOP_GET_INFO_VM_DATA, req[1].hdr.reqid, 0,
		    100);
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req[1].hdr, VMERR_OK);
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req[0].hdr, VMERR_OK);
	until(clients[1].got == 4 && clients[0].got == 1);
	assert_int_equal(count(&clients[1], IMSG_VMDOP_GET_INFO_VM_DATA), 3);
	assert_int_equal(clients[1].recs[0].hdr.reqid, 77);
	assert_int_equal(clients[1].recs[3].type,
	    IMSG_VMDOP_GET_INFO_VM_END_DATA);
	assert_int_equal(clients[0].recs[0].hdr.reqid, 77);
	/* It was the last: nothing more comes after it. */
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req[0].hdr, VMERR_OK);
	settle();
	assert_int_equal(clients[0].got, 1);
	assert_false(up_ended);
}

/* Every request that a client may make is passed on, nothing else. */
static void
allowed(void **state)
{
	/* clang-format off */
	static const uint32_t yes[] = {
		IMSG_CTL_VERBOSE, IMSG_CTL_RESET, IMSG_CTL_CONSOLE_REQUEST,
		IMSG_CTL_BREAK, IMSG_CTL_HOST_REQUEST,
		IMSG_CTL_AUDIT_REQUEST, IMSG_VMDOP_START_VM_REQUEST,
		IMSG_VMDOP_TERMINATE_VM_REQUEST, IMSG_VMDOP_WAIT_VM_REQUEST,
		IMSG_VMDOP_PAUSE_VM, IMSG_VMDOP_UNPAUSE_VM,
		IMSG_VMDOP_ENABLE_VM, IMSG_VMDOP_DISABLE_VM,
		IMSG_VMDOP_GET_INFO_VM_REQUEST, IMSG_VMDOP_LOAD,
		IMSG_VMDOP_RELOAD,
	};
	/* clang-format on */
	uint32_t t;
	size_t i;
	int ok;

	for (t = 1; t <= IMSG_TYPE_MAX + 1; t++) {
		for (ok = 0, i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
			ok |= yes[i] == t;
		client_open(&clients[0]);
		parent.got = 0;
		say(&clients[0], t, 1, 0, 8);
		until(parent.got == 1);
		if (ok)
			assert_int_equal(parent.recs[0].type, t);
		else
			assert_int_equal(parent.recs[0].type,
			    IMSG_CTL_CONN_CLOSE);
		end_close(&clients[0]);
		until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	}
	assert_false(up_ended);
}

/* The end of a VM answers those who wait for it and `stop -w'. */
static void
waiting(void **state)
{
	client_open(&clients[0]);
	say(&clients[0], IMSG_VMDOP_WAIT_VM_REQUEST, 1, 0, 8);
	say(&clients[0], IMSG_VMDOP_TERMINATE_VM_REQUEST, 2, 0, 8);
	until(last(&parent, IMSG_VMDOP_TERMINATE_VM_REQUEST) != NULL);
	say_result(IMSG_VMDOP_TERMINATE_VM_EVENT,
	    last(&parent, IMSG_VMDOP_TERMINATE_VM_REQUEST)->hdr, VMERR_OK);
	say_result(IMSG_VMDOP_TERMINATE_VM_EVENT,
	    last(&parent, IMSG_VMDOP_WAIT_VM_REQUEST)->hdr, VMERR_OK);
	until(clients[0].got == 2);
	assert_int_equal(clients[0].recs[0].hdr.reqid, 2);
	assert_int_equal(clients[0].recs[1].hdr.reqid, 1);
	assert_int_equal(clients[0].recs[1].type,
	    IMSG_VMDOP_TERMINATE_VM_EVENT);
}

static void
console(void **state)
{
	char c;

	client_open(&clients[0]);
	say(&clients[0], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
	until(last(&parent, IMSG_CTL_CONSOLE_REQUEST) != NULL);
	assert_int_equal(last(&parent, IMSG_CTL_CONSOLE_REQUEST)->nfds, 1);
	say_result(IMSG_CTL_CONSOLE_RESPONSE,
	    last(&parent, IMSG_CTL_CONSOLE_REQUEST)->hdr, VMERR_OK);
	until(clients[0].got == 1);
	/* Two ends of the same. */
	assert_int_equal(clients[0].recs[0].nfds, 1);
	assert_int_equal(write(parent.fd, "x", 1), 1);
	assert_int_equal(read(clients[0].fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	/* Nobody else holds one. */
	fd_close(&parent.fd);
	assert_int_equal(read(clients[0].fd, &c, 1), 0);
}

static void
console_refused(void **state)
{
	client_open(&clients[0]);
	say(&clients[0], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
	until(last(&parent, IMSG_CTL_CONSOLE_REQUEST) != NULL);
	say_result(IMSG_CTL_CONSOLE_RESPONSE,
	    last(&parent, IMSG_CTL_CONSOLE_REQUEST)->hdr, VMERR_PERM);
	until(clients[0].got == 1);
	assert_int_equal(clients[0].recs[0].nfds, 0);
}

/* A client may not hoard them. */
static void
console_misused(void **state)
{
	int i;

	client_open(&clients[1]);
	for (i = 0; i < CONTROL_MAXCONSOLES; i++) {
		say(&clients[1], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
		until(count(&parent, IMSG_CTL_CONSOLE_REQUEST) ==
		    (unsigned int)i + 1);
		say_result(IMSG_CTL_CONSOLE_RESPONSE,
		    last(&parent, IMSG_CTL_CONSOLE_REQUEST)->hdr, VMERR_OK);
	}
	until(clients[1].got == CONTROL_MAXCONSOLES);
	client_known();
	say(&clients[1], IMSG_CTL_CONSOLE_REQUEST, 1, 0, 8);
	until(clients[1].closed);
	assert_false(up_ended);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(opened),
		T(status),
		T(allowed),
		T(waiting),
		T(console),
		T(console_refused),
		T(console_misused),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
