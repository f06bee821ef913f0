/*
 * Messages and queues, the cases that imsg_test leaves out: sets of
 * descriptors that are split, late, partly taken or never announced, slow
 * readers, and how much a hostile sender can make us hold.  Each test ends
 * with as many open descriptors as it began with.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/imsg/imsg.h"
#include "regress/unit/imsg_test.h"

#define MARK   0x80000000U
#define MAXLEN (256 * 1024)

/* Two ends: `a' is played by the test or by `out', `in' is under test. */
struct ends {
	size_t fds; /* open before */
	int a;
	int b;
	struct imsgbuf out;
	struct imsgbuf in;
};

static int
setup(void **state)
{
	static struct ends e;
	int sv[2];

	e.fds = count_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		sv) == -1)
		return -1;
	e.a = sv[0];
	e.b = sv[1];
	imsgbuf_init(&e.out, e.a);
	imsgbuf_init(&e.in, e.b);
	imsgbuf_allow_fdpass(&e.out);
	imsgbuf_allow_fdpass(&e.in);
	imsgbuf_set_maxsize(&e.out, MAXLEN);
	imsgbuf_set_maxsize(&e.in, MAXLEN);
	*state = &e;
	return 0;
}

static int
teardown(void **state)
{
	struct ends *e = *state;

	imsgbuf_clear(&e->out);
	imsgbuf_clear(&e->in);
	close(e->a);
	if (e->b != -1)
		close(e->b);
	return count_fds() == e->fds ? 0 : -1;
}

/* Write and read until a message is there. */
static ssize_t
transfer(struct ends *e, struct imsg *m)
{
	ssize_t n;
	int i;

	for (i = 0; i < 10000; i++) {
		if ((n = imsg_get(&e->in, m)) != 0)
			return n;
		if (imsgbuf_write(&e->out) == -1)
			return -1;
		if ((n = imsgbuf_read(&e->in)) != 1)
			return -1;
	}
	return -1;
}

/* A message as it is on the wire, made by hand. */
static size_t
forge(uint8_t *buf, uint32_t type, uint32_t len, uint32_t count)
{
	const struct imsg_hdr h = { .type = type, .len = len };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &count, sizeof(count));
	return len & ~MARK;
}

/* What `in' makes of what was sent: messages got, or -errno. */
static int
receive(struct ends *e)
{
	struct imsg m;
	ssize_t n;
	int rc, got = 0;

	if ((rc = imsgbuf_read(&e->in)) != 1)
		return rc == 0 ? -EPIPE : -errno;
	while ((n = imsg_get(&e->in, &m)) > 0) {
		got++;
		imsg_free(&m);
	}
	return n == -1 ? -errno : got;
}

static ino_t
inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void
built(void **state)
{
	struct ends *e = *state;
	char one[] = "one", two[] = "two", s[4];
	const struct iovec iov[] = { { one, 4 }, { two, 4 } };
	struct ibuf *b, view;
	struct imsg m;
	uint32_t v;

	assert_int_equal(imsg_composev(&e->out, 1, 0, 0, -1, iov, 2), 1);
	b = imsg_create(&e->out, 2, 0, 0, 0);
	assert_int_equal(imsg_add(b, "x", 1), 1);
	assert_int_equal(ibuf_add_n32(b, 0xdeadbeef), 0);
	imsg_close(&e->out, b);
	b = ibuf_dynamic(0, 64);
	assert_int_equal(ibuf_add_n32(b, 7), 0);
	ibuf_fd_set(b, open("/dev/null", O_RDONLY));
	assert_int_equal(imsg_compose_ibuf(&e->out, 3, 0, 0, b), 1);

	assert_int_equal(transfer(e, &m), 16 + 8);
	assert_int_equal(imsg_get_strbuf(&m, s, 4), 0);
	assert_string_equal(s, "one");
	assert_int_equal(imsg_get_buf(&m, s, 4), 0);
	assert_string_equal(s, "two");
	imsg_free(&m);
	assert_int_equal(transfer(e, &m), 16 + 5);
	assert_int_equal(ibuf_skip(m.buf, 1), 0);
	assert_int_equal(imsg_get_ibuf(&m, &view), 0);
	assert_int_equal(ibuf_get_n32(&view, &v), 0);
	assert_int_equal(v, 0xdeadbeef);
	assert_int_equal(imsg_get_len(&m), 0);
	imsg_free(&m);
	assert_int_equal(transfer(e, &m), 16 + 4);
	assert_true(ibuf_fd_avail(m.buf));
	imsg_free(&m);
}

static void
too_large_to_send(void **state)
{
	struct ends *e = *state;
	static char big[MAXLEN];
	struct iovec iov[2] = { { big, MAXLEN / 2 }, { big, MAXLEN / 2 } };
	int fd = open("/dev/null", O_RDONLY);
	struct ibuf *b;

	assert_int_equal(imsg_composev(&e->out, 1, 0, 0, -1, iov, 2), -1);
	iov[0].iov_len = SIZE_MAX;
	assert_int_equal(imsg_composev(&e->out, 1, 0, 0, -1, iov, 2), -1);
	/* No room for the count of descriptors: the caller keeps it. */
	assert_int_equal(imsg_compose(&e->out, 1, 0, 0, fd, big, MAXLEN - 16),
	    -1);
	close(fd);
	b = imsg_create(&e->out, 1, 0, 0, 0);
	assert_int_equal(imsg_add(b, big, MAXLEN - 15), -1);
	assert_int_equal(imsgbuf_queuelen(&e->out), 0);
	assert_int_equal(imsgbuf_set_maxsize(&e->out, 0), -1);
	assert_int_equal(imsgbuf_set_maxsize(&e->out, UINT32_MAX), -1);
}

/* The largest message, with the most descriptors. */
static void
largest(void **state)
{
	struct ends *e = *state;
	static char big[MAXLEN - 20];
	int fds[IMSG_MAXFDS], *got;
	struct ibuf *b;
	struct imsg m;
	size_t i;

	memset(big, 'x', sizeof(big));
	for (i = 0; i < IMSG_MAXFDS; i++)
		fds[i] = dup(e->a);
	b = imsg_create(&e->out, 9, 0, 0, sizeof(big));
	assert_int_equal(imsg_add(b, big, sizeof(big)), sizeof(big));
	assert_int_equal(imsg_set_fds(b, fds, IMSG_MAXFDS), 0);
	assert_int_equal(fds[IMSG_MAXFDS - 1], -1);
	imsg_close(&e->out, b);
	assert_int_equal(imsg_compose(&e->out, 10, 0, 0, -1, "end", 4), 1);
	assert_int_equal(transfer(e, &m), 16 + sizeof(big));
	assert_int_equal(imsg_get_fds(&m, &got), IMSG_MAXFDS);
	assert_memory_equal(m.data, big, sizeof(big));
	for (i = 0; i < IMSG_MAXFDS; i++)
		assert_int_equal(inode(got[i]), inode(e->a));
	imsg_free(&m);
	assert_int_equal(transfer(e, &m), 16 + 4);
	imsg_free(&m);
}

/* What cannot be sent is refused here, and stays the caller's. */
static void
bad_sets(void **state)
{
	struct ends *e = *state;
	struct ibuf *b = imsg_create(&e->out, 1, 0, 0, 0);
	int two[2];

	two[0] = dup(e->a);
	two[1] = -1;
	assert_int_equal(imsg_set_fds(b, two, 2), -1);
	assert_int_equal(errno, EBADF);
	assert_true(two[0] != -1);
	assert_int_equal(imsg_set_fds(b, two, 1), 0);
	two[0] = dup(e->a);
	assert_int_equal(imsg_set_fds(b, two, 1), -1);
	assert_int_equal(errno, EMFILE);
	close(two[0]);
	ibuf_free(b);
}

/* Each message gets its own descriptors, not only as many. */
static void
sets_in_order(void **state)
{
	struct ends *e = *state;
	int p[2], fds[2], *got;
	struct ibuf *b;
	struct imsg m;
	ino_t want[8];
	uint32_t i;

	for (i = 0; i < 8; i++) {
		assert_int_equal(pipe(p), 0);
		want[i] = inode(p[0]);
		memcpy(fds, p, sizeof(fds));
		b = imsg_create(&e->out, i, 0, 0, 0);
		assert_int_equal(imsg_set_fds(b, fds, i % 2 + 1), 0);
		if (i % 2 == 0)
			close(fds[1]);
		imsg_close(&e->out, b);
		assert_int_equal(imsg_compose(&e->out, 100, 0, 0, -1, "", 1),
		    1);
	}
	for (i = 0; i < 8; i++) {
		assert_true(transfer(e, &m) > 0);
		assert_int_equal(imsg_get_type(&m), i);
		assert_int_equal(imsg_get_fds(&m, &got), i % 2 + 1);
		assert_int_equal(inode(got[0]), want[i]);
		imsg_free(&m);
		assert_true(transfer(e, &m) > 0);
		assert_int_equal(imsg_get_type(&m), 100);
		assert_int_equal(imsg_get_fds(&m, &got), 0);
		imsg_free(&m);
	}
}

/* A message that was partly read and robbed goes on with what is left. */
static void
forwarded(void **state)
{
	struct ends *e = *state;
	int fds[3] = { dup(e->a), dup(e->a), dup(e->a) }, *got, fd;
	struct ibuf *b = imsg_create(&e->out, 4, 5, 6, 0);
	struct imsg m;
	char s[5];

	assert_int_equal(imsg_add(b, "body", 5), 5);
	assert_int_equal(imsg_set_fds(b, fds, 3), 0);
	imsg_close(&e->out, b);
	assert_true(transfer(e, &m) > 0);
	assert_true((fd = imsg_get_fd(&m)) != -1);
	close(fd);
	assert_int_equal(ibuf_skip(m.buf, 2), 0);
	assert_int_equal(imsg_forward(&e->out, &m), 1);
	imsg_free(&m);
	assert_true(transfer(e, &m) > 0);
	assert_int_equal(imsg_get_type(&m), 4);
	assert_int_equal(imsg_get_id(&m), 5);
	assert_int_equal(imsg_get_pid(&m), 6);
	assert_int_equal(imsg_get_fds(&m, &got), 2);
	assert_int_equal(imsg_get_data(&m, s, 5), 0);
	assert_string_equal(s, "body");
	close(got[0]);
	close(got[1]);
	got[0] = got[1] = -1;
	assert_int_equal(imsg_forward(&e->out, &m), 1);
	imsg_free(&m);
	assert_true(transfer(e, &m) > 0);
	assert_int_equal(imsg_get_fds(&m, &got), 0);
	imsg_free(&m);
}

/* A socket that takes little: nothing is lost, order is kept. */
static void
slow_reader(void **state)
{
	struct ends *e = *state;
	static char body[30000];
	struct imsg m;
	uint32_t i;
	int fd;

	for (i = 0; i < 100; i++) {
		fd = i % 3 == 0 ? dup(e->a) : -1;
		memset(body, (int)i, sizeof(body));
		assert_int_equal(imsg_compose(&e->out, i, 0, 0, fd, body,
				     sizeof(body)),
		    1);
	}
	assert_int_equal(imsgbuf_write(&e->out), 0);
	assert_true(imsgbuf_queuelen(&e->out) > 0);
	for (i = 0; i < 100; i++) {
		assert_int_equal(transfer(e, &m), 16 + sizeof(body));
		assert_int_equal(imsg_get_type(&m), i);
		assert_int_equal(*(char *)m.data, (char)i);
		assert_int_equal(ibuf_fd_avail(m.buf), i % 3 == 0);
		imsg_free(&m);
	}
	assert_int_equal(imsgbuf_queuebytes(&e->out), 0);
}

static void
queue(void **state)
{
	struct ends *e = *state;
	struct msgbuf *mb = msgbuf_new();
	struct ibuf *b;
	char got[4];
	int i;

	for (i = 0; i < 3; i++) {
		b = ibuf_dynamic(0, 8);
		assert_int_equal(ibuf_add(b, "abcd", 4), 0);
		ibuf_close(mb, b);
	}
	assert_int_equal(msgbuf_queuelen(mb), 3);
	assert_int_equal(msgbuf_queuebytes(mb), 12);
	assert_int_equal(msgbuf_write(e->a, mb), 0);
	assert_int_equal(msgbuf_queuelen(mb), 0);
	assert_int_equal(read(e->b, got, 4), 4);
	assert_memory_equal(got, "abcd", 4);
	b = ibuf_dynamic(0, 8);
	ibuf_fd_set(b, dup(e->a));
	ibuf_close(mb, b);
	msgbuf_free(mb);
	msgbuf_free(NULL);
}

static void
bytewise(void **state)
{
	struct ends *e = *state;
	uint8_t buf[64] = { 0 };
	size_t len = forge(buf, 3, (16 + 4 + 10) | MARK, 2), i;
	int round;

	for (round = 0; round < 3; round++)
		for (i = 0; i < len; i++) {
			assert_int_equal(raw_send(e->a, buf + i, 1,
					     i == 0 ? 2 : 0),
			    1);
			assert_int_equal(receive(e), i == len - 1);
		}
}

/* As many as the kernel takes, more than a message may have. */
static void
too_many(void **state)
{
	static const uint32_t marks[] = { 0, MARK };
	struct ends *e = *state;
	uint8_t buf[64] = { 0 };
	size_t i, n, len;

	for (i = 0; i < 2; i++)
		for (n = IMSG_MAXFDS + 1; n <= RAW_MAXFDS; n += 12) {
			len = forge(buf, 1, 24 | marks[i], (uint32_t)n);
			assert_int_equal(raw_send(e->a, buf, len, n), len);
			assert_int_equal(receive(e), -EBADMSG);
			imsgbuf_clear(&e->in);
			assert_int_equal(count_fds(), e->fds + 2);
		}
}

/* Descriptors with each byte of a message that announces none, or one set. */
static void
flood(void **state)
{
	static const uint32_t marks[] = { 0, MARK };
	struct ends *e = *state;
	uint8_t buf[4096] = { 0 };
	int i, j, rc;

	for (j = 0; j < 2; j++) {
		forge(buf, 1, sizeof(buf) | marks[j], 200);
		for (i = 0, rc = 0; i < 100 && rc == 0; i++) {
			assert_int_equal(raw_send(e->a, buf + i, 1, 200), 1);
			rc = receive(e);
			assert_true(count_fds() <= e->fds + 2 + 400);
		}
		assert_int_equal(rc, -EBADMSG);
		imsgbuf_clear(&e->in);
		assert_int_equal(count_fds(), e->fds + 2);
	}
}

/* The same, and nobody takes messages meanwhile. */
static void
flood_unread(void **state)
{
	struct ends *e = *state;
	int i;

	for (i = 0; i < 100; i++) {
		assert_int_equal(raw_send(e->a, "", 1, 10), 1);
		if (imsgbuf_read(&e->in) == -1)
			break;
	}
	assert_int_equal(errno, EBADMSG);
	assert_true(i < 100);
	assert_true(count_fds() <= e->fds + 2 + 100);
}

/* Descriptors that did not come with the first byte do not come. */
static void
late_descriptors(void **state)
{
	struct ends *e = *state;
	uint8_t buf[64] = { 0 };

	forge(buf, 1, 30 | MARK, 1);
	assert_int_equal(raw_send(e->a, buf, 15, 0), 15);
	assert_int_equal(receive(e), 0);
	assert_int_equal(raw_send(e->a, buf + 15, 1, 0), 1);
	assert_int_equal(receive(e), -EBADMSG);
}

static void
eof_midway(void **state)
{
	struct ends *e = *state;
	uint8_t buf[64] = { 0 };
	size_t len = forge(buf, 1, 40 | MARK, 3);

	assert_int_equal(raw_send(e->a, buf, len - 1, 3), len - 1);
	shutdown(e->a, SHUT_WR);
	assert_int_equal(receive(e), 0);
	assert_int_equal(receive(e), -EPIPE);
	assert_int_equal(count_fds(), e->fds + 2 + 3);
	imsgbuf_clear(&e->in);
	assert_int_equal(count_fds(), e->fds + 2);
}

static void
reader_gone(void **state)
{
	struct ends *e = *state;
	int fd = dup(e->a);

	assert_int_equal(imsg_compose(&e->out, 1, 0, 0, fd, "x", 1), 1);
	close(e->b);
	e->b = -1;
	assert_int_equal(imsgbuf_write(&e->out), -1);
	assert_int_equal(errno, EPIPE);
	/* Still queued, with its descriptor. */
	assert_int_equal(imsgbuf_queuelen(&e->out), 1);
}

/* Memory for a message is what its length says, never more. */
static void
bounded(void **state)
{
	struct ends *e = *state;
	static uint8_t buf[MAXLEN];
	size_t off, n, step;

	for (step = 1000; step <= MAXLEN; step *= 4) {
		forge(buf, 1, MAXLEN, 0);
		for (off = 0; off < MAXLEN; off += n) {
			n = MAXLEN - off < step ? MAXLEN - off : step;
			n = (size_t)raw_send(e->a, buf + off, n, 0);
			assert_true((ssize_t)n > 0);
			while (receive(e) == 0 && e->in.rend < off + n)
				;
			assert_true(e->in.rsize <= MAXLEN);
		}
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(built),
		T(too_large_to_send),
		T(largest),
		T(bad_sets),
		T(sets_in_order),
		T(forwarded),
		T(slow_reader),
		T(queue),
		T(bytewise),
		T(too_many),
		T(flood),
		T(flood_unread),
		T(late_descriptors),
		T(eof_midway),
		T(reader_gone),
		T(bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
