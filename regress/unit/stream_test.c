/*
 * Frames on a stream: cut anywhere, of any length, both ways; and a process
 * that takes the place of another in the middle of one.
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmd/dev/stream.h"

static struct stream s, next;
static int sv[2];

static int
setup(void **state)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		sv) == -1)
		return -1;
	stream_init(&s, sv[0], 0);
	return 0;
}

static int
teardown(void **state)
{
	close(sv[0]);
	close(sv[1]);
	return 0;
}

static void
give(const void *p, size_t len)
{
	assert_int_equal(write(sv[1], p, len), (ssize_t)len);
}

/* A frame with its length, at `p'; bytes that tell where they are. */
static size_t
make(uint8_t *p, uint32_t len, unsigned int seed)
{
	uint32_t be = htonl(len), i;

	memcpy(p, &be, 4);
	for (i = 0; i < len; i++)
		p[4 + i] = (uint8_t)(i * 7 + seed + (i >> 8));
	return len + 4;
}

static void
none(struct stream *st, int why)
{
	const uint8_t *f;

	assert_int_equal(stream_read(st, &f), -1);
	assert_int_equal(errno, why);
}

static void
expect(struct stream *st, const uint8_t *want, uint32_t len)
{
	const uint8_t *f;

	assert_int_equal(stream_read(st, &f), (ssize_t)len);
	assert_memory_equal(f, want + 4, len);
}

/* --- reading ----------------------------------------------------------- */

/* Two frames, in two pieces cut at every byte. */
static void
test_cut(void **state)
{
	uint8_t buf[256];
	size_t n, len, cut;

	n = make(buf, 60, 1);
	len = n + make(buf + n, 100, 2);
	for (cut = 1; cut < len; cut++) {
		give(buf, cut);
		if (cut >= n)
			expect(&s, buf, 60);
		none(&s, EAGAIN);
		give(buf + cut, len - cut);
		if (cut < n)
			expect(&s, buf, 60);
		expect(&s, buf + n, 100);
		none(&s, EAGAIN);
	}
}

static void
test_bytewise(void **state)
{
	uint8_t buf[256];
	size_t len, i;

	len = make(buf, 200, 3);
	for (i = 0; i < len; i++) {
		none(&s, EAGAIN);
		give(buf + i, 1);
	}
	expect(&s, buf, 200);
	none(&s, EAGAIN);
}

/* As many as there is room for, and the longest there is. */
static void
test_many(void **state)
{
	static uint8_t buf[4 + STREAM_FRAME];
	size_t len;
	int i, k;

	for (k = 0; k < 20; k++) {
		for (i = 0; i < 60; i++) {
			len = make(buf, 1514, (unsigned int)i);
			give(buf, len);
		}
		for (i = 0; i < 60; i++) {
			make(buf, 1514, (unsigned int)i);
			expect(&s, buf, 1514);
		}
		len = make(buf, STREAM_FRAME, 9);
		give(buf, len);
		expect(&s, buf, STREAM_FRAME);
	}
	none(&s, EAGAIN);
}

static void
test_too_short(void **state)
{
	uint8_t buf[64];
	const uint8_t *f;
	uint32_t i;
	int round;

	for (i = 0; i < 14; i++)
		give(buf, make(buf, i, 0));
	give(buf, make(buf, 14, 5));
	expect(&s, buf, 14);
	assert_int_equal(s.drops, 14);
	/* Without end: it does not keep us. */
	for (round = 0; round < 100; round++) {
		while (write(sv[1], "\0\0\0", 4) == 4)
			;
		assert_int_equal(stream_read(&s, &f), -1);
		assert_int_equal(errno, EAGAIN);
	}
	assert_true(s.drops > 1000);
}

/* The end of all: also of what comes later. */
static void
test_too_long(void **state)
{
	static const uint32_t lens[] = { STREAM_FRAME + 1, 1U << 24, UINT32_MAX,
		UINT32_MAX - 3 };
	uint8_t buf[64];
	size_t i;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint32_t be = htonl(lens[i]);

		stream_init(&s, sv[0], 0);
		give(&be, 4);
		none(&s, EPIPE);
		give(buf, make(buf, 20, 1));
		none(&s, EPIPE);
		assert_int_equal(read(sv[0], buf, sizeof(buf)), 24);
	}
}

static void
test_end(void **state)
{
	uint8_t buf[64];
	struct iovec iov = { buf, 20 };

	give(buf, make(buf, 20, 1));
	give(buf, 7);
	close(sv[1]);
	expect(&s, buf, 20);
	none(&s, EPIPE);
	none(&s, EPIPE);
	assert_true(s.ended);
	assert_int_equal(stream_write(&s, &iov, 1), -1);
	assert_int_equal(errno, EPIPE);
	/* No signal either. */
	stream_init(&s, sv[0], 0);
	assert_int_equal(stream_write(&s, &iov, 1), -1);
	assert_int_equal(errno, EPIPE);
}

/* --- writing ----------------------------------------------------------- */

static void
test_write(void **state)
{
	static uint8_t want[4 + STREAM_FRAME], got[4 + STREAM_FRAME];
	static struct iovec iov[2000];
	size_t len, i;

	len = make(want, 1514, 4);
	for (i = 0; i < 757; i++)
		iov[i] = (struct iovec){ want + 4 + 2 * i, 2 };
	assert_int_equal(stream_write(&s, iov, 757), 0);
	assert_int_equal(read(sv[1], got, sizeof(got)), (ssize_t)len);
	assert_memory_equal(got, want, len);
	len = make(want, STREAM_FRAME, 4);
	iov[0] = (struct iovec){ want + 4, STREAM_FRAME };
	assert_int_equal(stream_write(&s, iov, 1), 0);
	iov[1] = (struct iovec){ want, 1 };
	assert_int_equal(stream_write(&s, iov, 2), -1);
	assert_int_equal(errno, EMSGSIZE);
	iov[0].iov_len = iov[1].iov_len = SIZE_MAX / 2;
	assert_int_equal(stream_write(&s, iov, 2), -1);
	for (i = 0; i < 2000; i++)
		iov[i] = (struct iovec){ want, 1 };
	assert_int_equal(stream_write(&s, iov, 2000), -1);
	assert_int_equal(errno, EMSGSIZE);
}

/* Through a socket that takes little: nothing is lost in the middle. */
static void
test_partial(void **state)
{
	static uint8_t want[4 + 9000], got[65536];
	const int small = 1;
	struct iovec iov = { want + 4, 9000 };
	size_t have = 0, partial = 0, sent = 0, seen = 0, i;
	ssize_t n;

	assert_int_equal(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small,
			     sizeof(small)),
	    0);
	for (i = 0; seen < 200; i++) {
		make(want, 9000, (unsigned int)sent);
		if (stream_write(&s, &iov, 1) == 0)
			sent++;
		else
			assert_int_equal(errno, EAGAIN);
		partial += s.rest != s.rest_end;
		if ((n = read(sv[1], got + have, 1000 + i % 7)) > 0)
			have += (size_t)n;
		if (have < 9004)
			continue;
		make(want, 9000, (unsigned int)seen++);
		assert_memory_equal(got, want, 9004);
		memmove(got, got + 9004, have -= 9004);
	}
	assert_true(partial > 100);
}

/* What is left goes when we read, too. */
static void
test_rest_with_read(void **state)
{
	static uint8_t want[4 + 9000], got[9004];
	const int small = 1;
	struct iovec iov = { want + 4, 9000 };
	size_t have = 0;
	ssize_t n;

	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	make(want, 9000, 1);
	assert_int_equal(stream_write(&s, &iov, 1), 0);
	assert_true(s.rest < s.rest_end);
	while (have < sizeof(got)) {
		if ((n = read(sv[1], got + have, sizeof(got) - have)) > 0)
			have += (size_t)n;
		none(&s, EAGAIN);
	}
	assert_memory_equal(got, want, sizeof(got));
	assert_int_equal(s.rest, s.rest_end);
}

/* --- the next process -------------------------------------------------- */

/* The first has read up to anywhere: the third frame arrives. */
static void
test_replaced_reading(void **state)
{
	uint8_t buf[256];
	size_t n, len, all, cut;
	const uint8_t *f;

	n = make(buf, 30, 1);
	len = n + make(buf + n, 50, 2);
	all = len + make(buf + len, 40, 3);
	for (cut = 0; cut < len; cut++) {
		stream_init(&s, sv[0], 0);
		give(buf, cut);
		stream_read(&s, &f);
		assert_int_equal(read(sv[0], buf, 1), -1);
		stream_init(&next, sv[0], s.where);
		/* And it may be replaced before it has done anything. */
		if (cut & 1)
			stream_init(&next, sv[0], next.where);
		give(buf + cut, all - cut);
		/* Frames of which nothing was lost come too. */
		if (cut < 4)
			expect(&next, buf, 30);
		if (cut < n + 4)
			expect(&next, buf + n, 50);
		expect(&next, buf + len, 40);
		none(&next, EAGAIN);
	}
}

/* The other end stays in step, with one frame that is not whole. */
static void
test_replaced_writing(void **state)
{
	static uint8_t want[4 + 9000], got[3 * 9004];
	const int small = 1;
	struct iovec iov = { want + 4, 9000 };
	size_t have = 0;
	int written = 0;
	ssize_t n;

	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	make(want, 9000, 1);
	assert_int_equal(stream_write(&s, &iov, 1), 0);
	assert_true(s.rest < s.rest_end);
	stream_init(&next, sv[0], s.where);
	while (have < 2 * 9004) {
		if (!written)
			written = stream_write(&next, &iov, 1) == 0;
		else
			none(&next, EAGAIN);
		if ((n = read(sv[1], got + have, sizeof(got) - have)) > 0)
			have += (size_t)n;
	}
	assert_int_equal(have, 2 * 9004);
	assert_memory_equal(got, want, 1000);
	assert_memory_equal(got + 9004, want, 9004);
}

/* Whatever is in the page. */
static void
test_replaced_nonsense(void **state)
{
	const uint8_t *f;
	uint64_t w;
	int i;

	srand(1);
	for (i = 0; i < 100000; i++) {
		w = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^
		    (uint64_t)rand();
		stream_init(&s, sv[0], i < 64 ? 1ULL << i : w);
		assert_true(s.end <= 4 && s.skip <= 4 + STREAM_FRAME);
		assert_true(s.rest_end <= sizeof(s.out));
	}
	stream_init(&s, sv[0], UINT64_MAX);
	assert_int_equal(stream_read(&s, &f), -1);
}

int
main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_cut),
		T(test_bytewise),
		T(test_many),
		T(test_too_short),
		T(test_too_long),
		T(test_end),
		T(test_write),
		T(test_partial),
		T(test_rest_with_read),
		T(test_replaced_reading),
		T(test_replaced_writing),
		T(test_replaced_nonsense),
	};
	/* clang-format on */

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
