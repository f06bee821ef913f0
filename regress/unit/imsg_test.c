/*
 * imsg and ibuf: honest use, and everything a hostile peer may send.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/imsg/imsg.h"

struct pair {
	int sv[2];
	struct imsgbuf a, b;
	int fds_before;
};

static int
open_fds(void)
{
	struct dirent *e;
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while ((e = readdir(d)) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
setup(void **state)
{
	static struct pair p;

	p.fds_before = open_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p.sv) == -1)
		return -1;
	imsgbuf_init(&p.a, p.sv[0]);
	imsgbuf_init(&p.b, p.sv[1]);
	imsgbuf_allow_fdpass(&p.a);
	imsgbuf_allow_fdpass(&p.b);
	*state = &p;
	return 0;
}

/* Whatever happened, no descriptor is left. */
static int
teardown(void **state)
{
	struct pair *p = *state;

	imsgbuf_clear(&p->a);
	imsgbuf_clear(&p->b);
	close(p->sv[0]);
	close(p->sv[1]);
	return open_fds() == p->fds_before ? 0 : -1;
}

/* Raw bytes with `n' descriptors of /dev/null. */
static void
raw(int fd, const void *data, size_t len, size_t n)
{
	char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)(void *)control;
	int fds[253];
	size_t i;

	memcpy(&iov.iov_base, &data, sizeof(data));
	for (i = 0; i < n; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	if (n > 0) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &mh, 0), len);
	for (i = 0; i < n; i++)
		close(fds[i]);
}

static void
header(uint32_t *w, uint32_t type, uint32_t len)
{
	w[0] = type;
	w[1] = len;
	w[2] = w[3] = 0;
}

static void
test_round_trip(void **state)
{
	struct pair *p = *state;
	struct imsg m;
	char text[6];

	assert_int_equal(imsg_compose(&p->a, 7, 8, 9, -1, "hello", 6), 1);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, NULL, 0), 1);
	assert_int_equal(imsgbuf_queuelen(&p->a), 2);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	assert_int_equal(imsgbuf_queuelen(&p->a), 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsg_get(&p->b, &m), IMSG_HEADER_SIZE + 6);
	assert_int_equal(imsg_get_type(&m), 7);
	assert_int_equal(imsg_get_id(&m), 8);
	assert_int_equal(imsg_get_pid(&m), 9);
	assert_int_equal(imsg_get_len(&m), 6);
	assert_int_equal(imsg_get_data(&m, text, 5), -1);
	assert_int_equal(imsg_get_data(&m, text, 6), 0);
	assert_string_equal(text, "hello");
	imsg_free(&m);
	assert_int_equal(imsgbuf_get(&p->b, &m), 1);
	assert_int_equal(imsg_get_pid(&m), getpid());
	assert_int_equal(imsg_get_len(&m), 0);
	imsg_free(&m);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
}

static void
test_eof(void **state)
{
	struct pair *p = *state;
	uint32_t w[4];

	header(w, 1, 100);
	raw(p->sv[0], w, sizeof(w), 0);
	shutdown(p->sv[0], SHUT_WR);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_read(&p->b), 0);
}

/* Larger than any socket buffer, and as large as allowed. */
static void
test_large(void **state)
{
	struct pair *p = *state;
	size_t len = 256 * 1024 - IMSG_HEADER_SIZE;
	uint8_t *body = malloc(len);
	struct imsg m = { 0 };
	ssize_t n = 0;

	memset(body, 0x5a, len);
	imsgbuf_set_maxsize(&p->a, 256 * 1024);
	imsgbuf_set_maxsize(&p->b, 256 * 1024);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, body, len + 1), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, body, len), 1);
	while (n == 0) {
		assert_int_equal(imsgbuf_write(&p->a), 0);
		assert_int_equal(imsgbuf_read(&p->b), 1);
		n = imsg_get(&p->b, &m);
	}
	assert_int_equal(n, 256 * 1024);
	assert_memory_equal(m.data, body, len);
	imsg_free(&m);
	free(body);
}

static void
test_one_byte_at_a_time(void **state)
{
	struct pair *p = *state;
	uint32_t w[6];
	struct imsg m;
	size_t i;

	header(w, 3, sizeof(w));
	w[4] = 0x11223344;
	w[5] = 0x55667788;
	for (i = 0; i < sizeof(w); i++) {
		assert_int_equal(imsg_get(&p->b, &m), 0);
		raw(p->sv[0], (char *)w + i, 1, 0);
		assert_int_equal(imsgbuf_read(&p->b), 1);
	}
	assert_int_equal(imsg_get(&p->b, &m), sizeof(w));
	assert_memory_equal(m.data, w + 4, 8);
	imsg_free(&m);
}

static void
send_fds(struct pair *p, size_t n)
{
	struct ibuf *b = imsg_create(&p->a, 5, 0, 0, 3);
	int fds[IMSG_MAXFDS + 1];
	size_t i;

	for (i = 0; i < n; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	assert_int_equal(imsg_add(b, "abc", 3), 3);
	assert_int_equal(imsg_set_fds(b, fds, n), 0);
	assert_int_equal(fds[0], -1);
	imsg_close(&p->a, b);
	assert_int_equal(imsgbuf_write(&p->a), 0);
}

static void
test_descriptors(void **state)
{
	static const size_t counts[] = { 1, 2, IMSG_MAXFDS };
	struct pair *p = *state;
	struct imsg m;
	size_t i, n;
	int *fds, fd;

	for (i = 0; i < 3; i++) {
		send_fds(p, counts[i]);
		assert_int_equal(imsgbuf_read(&p->b), 1);
		assert_int_equal(imsg_get(&p->b, &m), IMSG_HEADER_SIZE + 3);
		assert_memory_equal(m.data, "abc", 3);
		n = imsg_get_fds(&m, &fds);
		assert_int_equal(n, counts[i]);
		assert_int_not_equal(fcntl(fds[n - 1], F_GETFD) & FD_CLOEXEC,
		    0);
		fd = imsg_get_fd(&m);
		assert_int_not_equal(fd, -1);
		assert_int_equal(imsg_get_fd(&m), -1);
		close(fd);
		imsg_free(&m);
	}
}

static void
test_too_many_to_send(void **state)
{
	struct pair *p = *state;
	struct ibuf *b = imsg_create(&p->a, 5, 0, 0, 0);
	int fds[IMSG_MAXFDS + 1];

	memset(fds, 0, sizeof(fds));
	assert_int_equal(imsg_set_fds(b, fds, IMSG_MAXFDS + 1), -1);
	assert_int_equal(errno, EMFILE);
	ibuf_free(b);
}

/* Each message has its own, also when they are read together. */
static void
test_descriptors_keep_order(void **state)
{
	struct pair *p = *state;
	struct imsg m;
	int *fds, got = 0;
	ssize_t n;

	send_fds(p, 1);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, "x", 1), 1);
	send_fds(p, 3);
	while (got < 3) {
		assert_int_equal(imsgbuf_read(&p->b), 1);
		while ((n = imsg_get(&p->b, &m)) > 0) {
			static const size_t want[] = { 1, 0, 3 };

			assert_int_equal(imsg_get_fds(&m, &fds), want[got]);
			got++;
			imsg_free(&m);
		}
		assert_int_equal(n, 0);
	}
}

static void
test_forward(void **state)
{
	struct pair *p = *state, q;
	struct imsg m;
	int *fds;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, q.sv), 0);
	imsgbuf_init(&q.a, q.sv[0]);
	imsgbuf_init(&q.b, q.sv[1]);
	imsgbuf_allow_fdpass(&q.b);
	send_fds(p, 2);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_true(imsg_get(&p->b, &m) > 0);
	assert_int_equal(imsg_forward(&q.a, &m), 1);
	imsg_free(&m);
	assert_int_equal(imsgbuf_flush(&q.a), 0);
	assert_int_equal(imsgbuf_read(&q.b), 1);
	assert_int_equal(imsg_get(&q.b, &m), IMSG_HEADER_SIZE + 3);
	assert_int_equal(imsg_get_fds(&m, &fds), 2);
	imsg_free(&m);
	imsgbuf_clear(&q.a);
	imsgbuf_clear(&q.b);
	close(q.sv[0]);
	close(q.sv[1]);
}

static void
expect_bad(struct pair *p, int err)
{
	struct imsg m;

	errno = 0;
	if (imsgbuf_read(&p->b) == 1)
		assert_int_equal(imsg_get(&p->b, &m), -1);
	assert_int_equal(errno, err);
}

static void
test_bad_lengths(void **state)
{
	static const uint32_t bad[] = { 0, 1, 15, MAX_IMSGSIZE + 1, 0x7fffffff,
		0x80000000, 0x80000010, 0x80000013, 0xffffffff };
	struct pair *p = *state;
	uint32_t w[4];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		header(w, 1, bad[i]);
		raw(p->sv[0], w, sizeof(w), 0);
		expect_bad(p, ERANGE);
		imsgbuf_clear(&p->b);
	}
}

static void
test_bad_descriptors(void **state)
{
	static const struct {
		uint32_t count; /* announced */
		size_t sent;
	} bad[] = {
		{ 1, 0 },
		{ 0, 1 },
		{ 2, 1 },
		{ 1, 2 },
		{ 241, 240 },
		{ 0xffffffff, 1 },
		{ 241, 241 },
	};
	struct pair *p = *state;
	uint32_t w[5];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		header(w, 1, 0x80000000 | sizeof(w));
		w[4] = bad[i].count;
		raw(p->sv[0], w, sizeof(w), bad[i].sent);
		expect_bad(p, EBADMSG);
		imsgbuf_clear(&p->b);
	}
}

/* Descriptors that no message announces. */
static void
test_unclaimed(void **state)
{
	struct pair *p = *state;
	uint32_t w[4];
	struct imsg m;

	header(w, 1, sizeof(w));
	raw(p->sv[0], w, sizeof(w), 4);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsg_get(&p->b, &m), sizeof(w));
	imsg_free(&m);
	assert_int_equal(imsg_get(&p->b, &m), -1);
	assert_int_equal(errno, EBADMSG);
}

/* A message that never ends, each byte with as many as the kernel takes. */
static void
test_descriptor_flood(void **state)
{
	struct pair *p = *state;
	int i, rc = 1, most = 0, now;
	uint32_t w[4];
	struct imsg m;

	header(w, 1, MAX_IMSGSIZE);
	raw(p->sv[0], w, sizeof(w), 0);
	for (i = 0; i < 100 && rc == 1; i++) {
		raw(p->sv[0], "x", 1, 100);
		if ((rc = imsgbuf_read(&p->b)) == 1 &&
		    imsg_get(&p->b, &m) == -1)
			rc = -1;
		now = open_fds();
		most = now > most ? now : most;
	}
	assert_int_equal(rc, -1);
	assert_int_equal(errno, EBADMSG);
	assert_true(most < p->fds_before + 1200);
}

/* The receiver is at its limit: the kernel drops some, we the rest. */
static void
test_truncated_control(void **state)
{
	struct pair *p = *state;
	struct rlimit old, few;
	uint32_t w[5];

	header(w, 1, 0x80000000 | sizeof(w));
	w[4] = 50;
	raw(p->sv[0], w, sizeof(w), 50);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)open_fds() + 5;
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(imsgbuf_read(&p->b), -1);
	assert_int_equal(errno, EBADMSG);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void
test_not_allowed(void **state)
{
	struct pair *p = *state;

	p->b.allow_fd = 0;
	send_fds(p, 1);
	expect_bad(p, EBADMSG);
}

static void
test_ibuf_bounds(void **state)
{
	struct ibuf *b = ibuf_dynamic(2, 11), view;
	char s[4], *str;
	uint32_t v32;
	uint64_t v64;
	uint16_t v16;
	uint8_t v8;

	assert_int_equal(ibuf_add_n8(b, 256), -1);
	assert_int_equal(ibuf_add_n8(b, 0x12), 0);
	assert_int_equal(ibuf_add_n16(b, 0x3456), 0);
	assert_int_equal(ibuf_add_n32(b, 0x789abcde), 0);
	assert_int_equal(ibuf_add_strbuf(b, "abcd", 4), -1);
	assert_int_equal(ibuf_add_strbuf(b, "abc", 4), 0);
	assert_int_equal(ibuf_left(b), 0);
	assert_int_equal(ibuf_add(b, "x", 1), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(ibuf_size(b), 11);
	assert_memory_equal(ibuf_data(b), "\x12\x34\x56\x78\x9a", 5);
	ibuf_from_ibuf(&view, b);
	assert_int_equal(ibuf_get_n8(&view, &v8), 0);
	assert_int_equal(ibuf_get_n16(&view, &v16), 0);
	assert_int_equal(ibuf_get_n32(&view, &v32), 0);
	assert_int_equal(v32, 0x789abcde);
	assert_int_equal(ibuf_get_n64(&view, &v64), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(ibuf_get_strbuf(&view, s, 4), 0);
	assert_string_equal(s, "abc");
	assert_int_equal(ibuf_skip(&view, 1), -1);
	assert_int_equal(ibuf_add(&view, "x", 1), -1);
	ibuf_rewind(&view);
	assert_int_equal(ibuf_skip(&view, 7), 0);
	assert_null(ibuf_get_string(&view, 5));
	str = ibuf_get_string(&view, 4);
	assert_string_equal(str, "abc");
	free(str);
	assert_null(ibuf_seek(b, 11, 1));
	assert_null(ibuf_seek(b, SIZE_MAX, 2));
	assert_non_null(ibuf_seek(b, 10, 1));
	assert_int_equal(ibuf_set_n32(b, 8, 1), -1);
	assert_int_equal(ibuf_set_n32(b, 7, 1), 0);
	assert_int_equal(ibuf_truncate(b, 3), 0);
	assert_int_equal(ibuf_truncate(b, 12), -1);
	ibuf_free(b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip),
		T(test_eof),
		T(test_large),
		T(test_one_byte_at_a_time),
		T(test_descriptors),
		T(test_too_many_to_send),
		T(test_descriptors_keep_order),
		T(test_forward),
		T(test_bad_lengths),
		T(test_bad_descriptors),
		T(test_unclaimed),
		T(test_descriptor_flood),
		T(test_truncated_control),
		T(test_not_allowed),
		T(test_ibuf_bounds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
