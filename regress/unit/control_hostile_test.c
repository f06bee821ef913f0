/*
 * Clients that send nonsense, never read, come in masses or bring
 * descriptors, and a parent that is busy: control serves the others.
 */

#include "regress/unit/control_test.h"

/* --- bad clients ------------------------------------------------------- */

static void
garbage(void **state)
{
	static const uint8_t noise[] = "GET / HTTP/1.1\r\nHost: vmd\r\n\r\n";
	const uint32_t no_header[] = { IMSG_VMDOP_LOAD, 24, 0, 0, 1, 2 };
	int fd;

	fd = dial();
	assert_int_equal(raw_send(fd, noise, sizeof(noise), 0), sizeof(noise));
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	close(fd);
	fd = dial();
	assert_int_equal(raw_send(fd, no_header, sizeof(no_header), 3),
	    sizeof(no_header));
	until(count(&parent, IMSG_CTL_CONN_CLOSE) == 2);
	close(fd);
	assert_int_equal(count(&parent, IMSG_VMDOP_LOAD), 0);
	assert_false(up_ended);
}

/* Answers for those who have gone are for nobody. */
static void
late_answer(void **state)
{
	struct rec req;

	client_open(&clients[0]);
	say(&clients[0], IMSG_VMDOP_GET_INFO_VM_REQUEST, 1, 0, 8);
	until(last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) != NULL);
	req = *last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST);
	end_close(&clients[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	client_open(&clients[1]);
	say(&parent, IMSG_VMDOP_GET_INFO_VM_DATA, req.hdr.reqid, 0, 100);
	say_result(IMSG_VMDOP_GET_INFO_VM_END_DATA, req.hdr, VMERR_OK);
	settle();
	assert_int_equal(clients[1].got, 0);
	assert_false(up_ended);
}

/* Beyond the limit requests wait, and come when others are answered. */
static void
many_requests(void **state)
{
	unsigned int i;

	client_open(&clients[0]);
	for (i = 0; i < CONTROL_MAXREQUESTS + 4; i++)
		say(&clients[0], IMSG_VMDOP_WAIT_VM_REQUEST, i + 1, 0, 8);
	until(
	    count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST) == CONTROL_MAXREQUESTS);
	settle();
	assert_int_equal(count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST),
	    CONTROL_MAXREQUESTS);
	for (i = 1; i <= 4; i++) {
		say_result(IMSG_VMDOP_TERMINATE_VM_EVENT, parent.recs[i].hdr,
		    VMERR_OK);
		until(count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST) ==
		    CONTROL_MAXREQUESTS + i);
	}
}

/* One that is not read because it waits for too much is missed all the same. */
static void
hangup_while_waiting(void **state)
{
	unsigned int i;

	client_open(&clients[0]);
	for (i = 0; i < CONTROL_MAXREQUESTS + 4; i++)
		say(&clients[0], IMSG_VMDOP_WAIT_VM_REQUEST, i + 1, 0, 8);
	until(
	    count(&parent, IMSG_VMDOP_WAIT_VM_REQUEST) == CONTROL_MAXREQUESTS);
	until(peer_queued(clients[0].peer) == 0);
	end_close(&clients[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Answer every status request of the slow with `len' bytes in parts. */
static void
answer_big(unsigned int from, size_t len)
{
	size_t sent;
	struct rec *r;
	unsigned int i;

	for (i = from; i < parent.got; i++) {
		r = &parent.recs[i % NREC];
		if (r->type != IMSG_VMDOP_GET_INFO_VM_REQUEST)
			continue;
		for (sent = 0; sent < len; sent += 60000)
			say(&parent, IMSG_VMDOP_GET_INFO_VM_DATA, r->hdr.reqid,
			    r->hdr.conn, 60000);
	}
}

static void
status_in_time(struct end *c)
{
	int64_t start = now_ms();
	unsigned int n = c->got;

	parent.echo = 1;
	say(c, IMSG_VMDOP_GET_INFO_VM_REQUEST, 4711, 0, 8);
	until(c->got == n + 1);
	assert_int_equal(c->recs[n].hdr.reqid, 4711);
	assert_true(now_ms() - start < 1000);
	parent.echo = 0;
}

static void
ask_status(int fd, uint64_t reqid)
{
	const struct imsg_hdr h = { .type = IMSG_VMDOP_GET_INFO_VM_REQUEST,
		.len = IMSG_HEADER_SIZE + MSG_HDR_LEN };
	uint8_t buf[IMSG_HEADER_SIZE + MSG_HDR_LEN] = { 0 };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &reqid, sizeof(reqid));
	assert_int_equal(raw_send(fd, buf, sizeof(buf), 0), sizeof(buf));
}

/* A hundred who ask for much and read nothing cost another nothing. */
static void
never_read(void **state)
{
	int slow[NSLOW], i;

	client_open(&clients[0]);
	for (i = 0; i < NSLOW; i++) {
		slow[i] = dial();
		ask_status(slow[i], 1);
	}
	until(count(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) == NSLOW);
	answer_big(0, 500000);
	status_in_time(&clients[0]);
	/* And with all of it waiting in control. */
	settle();
	status_in_time(&clients[0]);
	for (i = 0; i < NSLOW; i++)
		close(slow[i]);
	until(count(&parent, IMSG_CTL_CONN_CLOSE) == NSLOW);
	assert_false(up_ended);
}

/* Beyond a limit it is dropped, at once. */
static void
too_much_unread(void **state)
{
	int slow;

	client_open(&clients[0]);
	slow = dial();
	ask_status(slow, 1);
	until(last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) != NULL);
	answer_big(0, 6 << 20);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	close(slow);
	status_in_time(&clients[0]);
	assert_false(up_ended);
}

/* Below it, after ten seconds in which it read nothing. */
static void
deadline(void **state)
{
	int64_t start = now_ms();
	int slow, i;

	if (getenv("CHECK_LONG") == NULL)
		skip();
	slow = dial();
	ask_status(slow, 1);
	until(last(&parent, IMSG_VMDOP_GET_INFO_VM_REQUEST) != NULL);
	answer_big(0, 1 << 20);
	for (i = 0; i < 2 && last(&parent, IMSG_CTL_CONN_CLOSE) == NULL; i++)
		event_base_loop(base, EVLOOP_ONCE);
	while (last(&parent, IMSG_CTL_CONN_CLOSE) == NULL &&
	    now_ms() - start < 30000)
		event_base_loop(base, EVLOOP_ONCE);
	assert_true(now_ms() - start >= 9000);
	assert_non_null(last(&parent, IMSG_CTL_CONN_CLOSE));
	close(slow);
}

/* --- a parent that is busy --------------------------------------------- */

/*
 * Clients write more than the parent reads: control holds little of it,
 * lives on, and passes on everything in the end, each client in its turn.
 */
static void
busy_parent(void **state)
{
	struct end *flood = &clients[0];
	unsigned int i;

	client_open(flood);
	client_open(&clients[1]);
	settle();
	parent.got = 0;
	peer_pause(parent.peer, 1);
	for (i = 0; i < CONTROL_MAXREQUESTS; i++)
		say(flood, IMSG_VMDOP_LOAD, i, 0, 200000);
	say(&clients[1], IMSG_VMDOP_LOAD, 1, 0, 100000);
	settle();
	assert_true(peer_queued(up) < 1 << 20);
	assert_true(peer_queued(flood->peer) > 1 << 20);
	assert_false(up_ended);
	peer_pause(parent.peer, 0);
	until(parent.got == CONTROL_MAXREQUESTS + 1);
	assert_int_equal(peer_queued(flood->peer), 0);
	assert_false(flood->closed);
	/* New ones are taken again as well. */
	client_open(&clients[2]);
	status_in_time(&clients[2]);
}

/* The first bytes of a message and a descriptor, as no library sends them. */
static void
smuggle(int to, int fd)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} c = { .hdr = { .cmsg_len = CMSG_LEN(sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS } };
	char part[4] = { 0 };
	struct iovec iov = { part, sizeof(part) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &c,
		.msg_controllen = sizeof(c) };

	memcpy(CMSG_DATA(&c.hdr), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &m, 0), sizeof(part));
}

/*
 * Closing what somebody sends may take for ever: descriptors, many, few, or
 * hidden, end a connection, with no message that clients may send, and with
 * no other, and nobody here has had them.
 */
static void
no_descriptors(void **state)
{
	int fds[VM_MAXFDS], p[2], how;
	size_t i, n;
	uint32_t t;
	char c;

	client_open(&clients[1]);
	for (t = 1; t < IMSG_TYPE_MAX * 3; t++) {
		how = (int)(t % 3);
		client_open(&clients[0]);
		client_known();
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		n = how == 1 ? VM_MAXFDS : 1;
		for (i = 0; i < n; i++)
			assert_true((fds[i] = dup(p[1])) != -1);
		close(p[1]);
		parent.got = 0;
		if (how == 2) {
			smuggle(peer_fd(clients[0].peer), fds[0]);
			close(fds[0]);
		} else
			say_fds(&clients[0], t / 3, 5, fds, n);
		until(clients[0].closed);
		until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
		assert_int_equal(parent.got, 1);
		end_close(&clients[0]);
		/* No one has the other end of the pipe. */
		assert_int_equal(read(p[0], &c, 1), 0);
		close(p[0]);
	}
	status_in_time(&clients[1]);
	assert_false(up_ended);
}

/* --- how many ---------------------------------------------------------- */

/* Connect as somebody else: the kernel notes who connects. */
static int
dial_as(uid_t uid)
{
	int fd;

	assert_int_equal(seteuid(uid), 0);
	fd = dial();
	assert_int_equal(seteuid(0), 0);
	return fd;
}

static int
is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void
too_many(void **state)
{
	static int fds[CONTROL_MAXUSER + 1];
	int i;

	if (getuid() != 0)
		skip();
	for (i = 0; i <= CONTROL_MAXUSER; i++)
		fds[i] = dial_as(NOBODY);
	until(is_closed(fds[CONTROL_MAXUSER]));
	settle();
	assert_int_equal(count(&parent, IMSG_CTL_CONN_OPEN), CONTROL_MAXUSER);
	assert_false(is_closed(fds[0]));
	/* Others are served. */
	client_open(&clients[0]);
	status_in_time(&clients[0]);
	/* One goes, another may come. */
	close(fds[0]);
	until(last(&parent, IMSG_CTL_CONN_CLOSE) != NULL);
	close(fds[CONTROL_MAXUSER]);
	fds[0] = dial_as(NOBODY);
	until(count(&parent, IMSG_CTL_CONN_OPEN) == CONTROL_MAXUSER + 2);
	for (i = 0; i < CONTROL_MAXUSER; i++)
		close(fds[i]);
}

/* All are taken by ordinary users together: root still gets in. */
static void
too_many_together(void **state)
{
	static int fds[CONTROL_MAXCONNS + 1];
	int i;

	if (getuid() != 0)
		skip();
	for (i = 0; i <= CONTROL_MAXCONNS; i++)
		fds[i] = dial_as((uid_t)(NOBODY - i / CONTROL_MAXUSER));
	until(is_closed(fds[CONTROL_MAXCONNS]));
	client_open(&clients[0]);
	status_in_time(&clients[0]);
	for (i = 0; i <= CONTROL_MAXCONNS; i++)
		close(fds[i]);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(no_descriptors),
		T(garbage),
		T(late_answer),
		T(many_requests),
		T(hangup_while_waiting),
		T(never_read),
		T(too_much_unread),
		T(deadline),
		T(busy_parent),
		T(too_many),
		T(too_many_together),
	};

	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
