/* Fields of message bodies, lists of descriptors, names of messages. */

#include "regress/unit/proto_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/proto/msg.h"
#include "lib/proto/vmerr.h"
#include "lib/proto/wire.h"

static struct ibuf *
new_body(void)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);

	assert_non_null(b);
	return b;
}

static void
integers(void **state)
{
	static const uint8_t wire[] = { 0x01, 0x03, 0x02, 0x07, 0x06, 0x05,
		0x04, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08 };
	struct ibuf *b = new_body();
	uint8_t n8;
	uint16_t n16;
	uint32_t n32;
	uint64_t n64;

	assert_int_equal(wire_put_u8(b, 0x01), 0);
	assert_int_equal(wire_put_u16(b, 0x0203), 0);
	assert_int_equal(wire_put_u32(b, 0x04050607), 0);
	assert_int_equal(wire_put_u64(b, 0x08090a0b0c0d0e0fULL), 0);
	assert_int_equal(ibuf_size(b), sizeof(wire));
	assert_memory_equal(ibuf_data(b), wire, sizeof(wire));
	assert_int_equal(wire_get_u8(b, &n8), 0);
	assert_int_equal(n8, 0x01);
	assert_int_equal(wire_get_u16(b, &n16), 0);
	assert_int_equal(n16, 0x0203);
	assert_int_equal(wire_get_u32(b, &n32), 0);
	assert_int_equal(n32, 0x04050607);
	assert_fails(wire_end(b), EBADMSG);
	assert_int_equal(wire_get_u64(b, &n64), 0);
	assert_true(n64 == 0x08090a0b0c0d0e0fULL);
	assert_int_equal(wire_end(b), 0);
	assert_fails(wire_get_u8(b, &n8), EBADMSG);
	assert_fails(wire_get_u16(b, &n16), EBADMSG);
	assert_fails(wire_get_u32(b, &n32), EBADMSG);
	assert_fails(wire_get_u64(b, &n64), EBADMSG);
	ibuf_free(b);
}

static void
strings(void **state)
{
	struct ibuf *b = new_body();
	char *longest = repeat('x', WIRE_STR_MAX), *s;

	assert_int_equal(wire_put_str(b, "abc"), 0);
	assert_memory_equal(ibuf_data(b), "\3\0\0\0abc", 7);
	assert_int_equal(wire_put_str(b, ""), 0);
	assert_int_equal(wire_put_str(b, NULL), 0);
	assert_int_equal(wire_put_str(b, longest), 0);
	assert_int_equal(wire_get_str(b, &s, 3), 0);
	assert_string_equal(s, "abc");
	free(s);
	assert_int_equal(wire_get_str(b, &s, 0), 0);
	assert_string_equal(s, "");
	free(s);
	assert_int_equal(wire_get_str(b, &s, 0), 0);
	assert_null(s);
	assert_int_equal(wire_get_str(b, &s, WIRE_STR_MAX), 0);
	assert_string_equal(s, longest);
	free(s);
	assert_int_equal(wire_end(b), 0);
	free(longest);
	ibuf_free(b);
}

static void
long_strings(void **state)
{
	char *too_long = repeat('x', WIRE_STR_MAX + 1), *s;
	struct ibuf *b = new_body();

	assert_fails(wire_put_str(b, too_long), EMSGSIZE);
	assert_int_equal(ibuf_size(b), 0);
	assert_int_equal(wire_put_str(b, "abcd"), 0);
	assert_fails(wire_get_str(b, &s, 3), EMSGSIZE);
	assert_null(s);
	ibuf_free(b);
	/* More than any string may have, although the caller would. */
	b = new_body();
	assert_int_equal(wire_put_u32(b, WIRE_STR_MAX + 1), 0);
	assert_int_equal(ibuf_add(b, too_long, WIRE_STR_MAX + 1), 0);
	assert_fails(wire_get_str(b, &s, SIZE_MAX), EMSGSIZE);
	assert_null(s);
	ibuf_free(b);
	free(too_long);
}

static void
bad_strings(void **state)
{
	static const struct {
		const char *body;
		size_t len;
		int err;
	} bad[] = {
		{ "", 0, EBADMSG },
		{ "\3\0\0", 3, EBADMSG },
		{ "\3\0\0\0ab", 6, EBADMSG },
		{ "\3\0\0\0a\0b", 7, EBADMSG },
		{ "\1\0\0\0\0", 5, EBADMSG },
		{ "\xfe\xff\xff\xff", 4, EMSGSIZE },
		{ "\0\0\0\x80zzzz", 8, EMSGSIZE },
	};
	struct ibuf *b;
	char *s;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b = new_body();
		assert_int_equal(ibuf_add(b, bad[i].body, bad[i].len), 0);
		s = (char *)(uintptr_t)1;
		assert_fails(wire_get_str(b, &s, 100), bad[i].err);
		assert_null(s);
		ibuf_free(b);
	}
}

/* A body has a limit too. */
static void
full(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 10);

	assert_int_equal(wire_put_u64(b, 1), 0);
	assert_int_equal(wire_put_u32(b, 1), -1);
	assert_int_equal(wire_put_str(b, "a"), -1);
	assert_int_equal(wire_put_u16(b, 1), 0);
	assert_int_equal(wire_put_u8(b, 1), -1);
	ibuf_free(b);
}

/* --- lists of descriptors ---------------------------------------------- */

static void
open_fds(int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		assert_int_not_equal(fds[i] = open("/dev/null",
					 O_RDONLY | O_CLOEXEC),
		    -1);
}

static void
close_fds(int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		fd_close(&fds[i]);
}

static void
fdlists(void **state)
{
	struct fdlist l = FDLIST_INIT, got;
	struct ibuf *b = new_body();
	int fds[3], before = count_fds();
	size_t i;

	open_fds(fds, 3);
	assert_int_equal(fdlist_add(&l, FD_BOOT, 0, 0, &fds[0]), 0);
	assert_int_equal(fdlist_add(&l, FD_DISK, 3, 2, &fds[1]), 0);
	assert_int_equal(fdlist_add(&l, FD_DISK, 2, 3, &fds[2]), 0);
	assert_int_equal(wire_put_fdlist(b, &l), 0);
	for (i = 0; i < 3; i++)
		fds[i] = l.ents[i].fd;
	l.n = 0;
	assert_int_equal(wire_get_fdlist(b, &got, fds, 3), 0);
	assert_int_equal(wire_end(b), 0);
	assert_int_equal(got.n, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(fds[i], -1);
		assert_int_equal(got.ents[i].fd, l.ents[i].fd);
	}
	assert_int_equal(fdlist_get(&got, FD_BOOT, 0, 0), l.ents[0].fd);
	assert_int_equal(fdlist_get(&got, FD_DISK, 3, 2), l.ents[1].fd);
	assert_int_equal(fdlist_get(&got, FD_DISK, 2, 3), l.ents[2].fd);
	fdlist_close(&got);
	assert_int_equal(count_fds(), before);
	ibuf_free(b);
}

/* Two labels given; every failure leaves the rest to the caller. */
static void
refuse(const uint16_t labels[6], uint32_t count, size_t nfds)
{
	struct fdlist l;
	struct ibuf *b = new_body();
	int fds[2] = { -1, -1 }, before = count_fds();
	size_t i;

	assert_int_equal(wire_put_u32(b, count), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(wire_put_u16(b, labels[i]), 0);
	open_fds(fds, nfds);
	assert_fails(wire_get_fdlist(b, &l, fds, nfds), EBADMSG);
	assert_int_equal(l.n, 0);
	close_fds(fds, 2);
	assert_int_equal(count_fds(), before);
	ibuf_free(b);
}

static void
bad_fdlists(void **state)
{
	static const uint16_t good[] = { FD_BOOT, 0, 0, FD_TAP, 0, 0 };
	static const uint16_t twice[] = { FD_TAP, 1, 2, FD_TAP, 1, 2 };
	static const uint16_t none[] = { FD_BOOT, 0, 0, FD_NONE, 0, 0 };
	static const uint16_t kind[] = { FD_BOOT, 0, 0, FD_KIND_MAX, 0, 0 };
	static const uint16_t huge[] = { 0xffff, 0, 0, FD_BOOT, 0, 0 };

	refuse(twice, 2, 2);
	refuse(none, 2, 2);
	refuse(kind, 2, 2);
	refuse(huge, 2, 2);
	refuse(good, 2, 1);
	refuse(good, 1, 2);
	refuse(good, 0, 2);
	refuse(good, 2, 0);
	refuse(good, UINT32_MAX, 2);
	refuse(good, VM_MAXFDS + 1, 2);
}

/* One that somebody has taken already. */
static void
taken(void **state)
{
	struct fdlist l;
	struct ibuf *b = new_body();
	int fds[2] = { -1, -1 }, before = count_fds();
	size_t i;

	assert_int_equal(wire_put_u32(b, 2), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(wire_put_u16(b, FD_DISK), 0);
		assert_int_equal(wire_put_u16(b, (uint16_t)i), 0);
		assert_int_equal(wire_put_u16(b, 0), 0);
	}
	open_fds(fds, 1);
	assert_fails(wire_get_fdlist(b, &l, fds, 2), EBADMSG);
	close_fds(fds, 2);
	assert_int_equal(count_fds(), before);
	ibuf_free(b);
}

static int
decode_fdlist(struct ibuf *b)
{
	struct fdlist l;
	int fds[2], rc, saved_errno;

	open_fds(fds, 2);
	rc = wire_get_fdlist(b, &l, fds, 2);
	saved_errno = errno;
	fdlist_close(&l);
	close_fds(fds, 2);
	errno = saved_errno;
	return rc;
}

static void
short_fdlists(void **state)
{
	struct fdlist l = { .n = 2,
		.ents = { { -1, FD_TAP, 1, 2 }, { -1, FD_TAP, 2, 1 } } };
	struct ibuf *b = new_body();
	int before = count_fds();

	assert_int_equal(wire_put_fdlist(b, &l), 0);
	check_truncation(b, decode_fdlist);
	assert_int_equal(count_fds(), before);
	ibuf_free(b);
}

/* As many as a message takes. */
static void
all_fds(void **state)
{
	struct fdlist l = FDLIST_INIT, got;
	struct ibuf *b = new_body();
	int fds[VM_MAXFDS], before = count_fds(), fd;
	unsigned int i;

	open_fds(fds, VM_MAXFDS);
	for (i = 0; i < VM_MAXFDS; i++) {
		fd = fds[i];
		assert_int_equal(fdlist_add(&l, FD_TAP, i, 7, &fd), 0);
	}
	assert_int_equal(wire_put_fdlist(b, &l), 0);
	l.n = 0;
	assert_int_equal(wire_get_fdlist(b, &got, fds, VM_MAXFDS), 0);
	assert_int_equal(got.n, VM_MAXFDS);
	fdlist_close(&got);
	assert_int_equal(count_fds(), before);
	ibuf_free(b);
}

/* --- names ------------------------------------------------------------- */

static void
messages(void **state)
{
	uint32_t i;

	assert_string_equal(msg_name(IMSG_VMDOP_LOAD), "VMDOP_LOAD");
	assert_string_equal(msg_name(IMSG_CTL_OK), "CTL_OK");
	assert_string_equal(msg_name(IMSG_NONE), "unknown");
	assert_string_equal(msg_name(IMSG_TYPE_MAX), "unknown");
	assert_string_equal(msg_name(UINT32_MAX), "unknown");
	assert_int_equal(msg_maxfds(IMSG_NONE), -1);
	assert_int_equal(msg_maxfds(IMSG_TYPE_MAX), -1);
	assert_int_equal(msg_maxfds(UINT32_MAX), -1);
	assert_int_equal(msg_maxfds(IMSG_CTL_OK), 0);
	assert_int_equal(msg_maxfds(IMSG_VMDOP_START_VM_REQUEST), VM_MAXFDS);
	for (i = 1; i < IMSG_TYPE_MAX; i++) {
		assert_string_not_equal(msg_name(i), "unknown");
		assert_in_range(msg_maxfds(i), 0, VM_MAXFDS);
	}
}

static void
causes(void **state)
{
	int i, j;

	for (i = 0; i < VMERR_MAX; i++) {
		assert_string_not_equal(vmerr_text(i), "");
		assert_in_range(vmerr_status(i), 0, 6);
		assert_int_equal(vmerr_status(i) == 0, i == VMERR_OK);
		for (j = 0; j < i; j++)
			assert_string_not_equal(vmerr_text(i), vmerr_text(j));
	}
	assert_int_equal(vmerr_status(VMERR_NOTFOUND), 3);
	assert_int_equal(vmerr_status(VMERR_RUNNING), 4);
	assert_int_equal(vmerr_status(VMERR_PERM), 5);
	assert_int_equal(vmerr_status(VMERR_TIMEOUT), 6);
	assert_int_equal(vmerr_status(VMERR_MAX), 1);
	assert_int_equal(vmerr_status((enum vmerr) - 1), 1);
	assert_non_null(vmerr_text(VMERR_MAX));
	assert_non_null(vmerr_text((enum vmerr) - 1));
	for (i = 0; i < VMEXIT_MAX; i++)
		assert_string_not_equal(vmexit_text(i), "");
	assert_non_null(vmexit_text(VMEXIT_MAX));
	assert_non_null(vmexit_text((enum vmexit) - 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(strings),
		cmocka_unit_test(long_strings),
		cmocka_unit_test(bad_strings),
		cmocka_unit_test(full),
		cmocka_unit_test(fdlists),
		cmocka_unit_test(bad_fdlists),
		cmocka_unit_test(taken),
		cmocka_unit_test(short_fdlists),
		cmocka_unit_test(all_fds),
		cmocka_unit_test(messages),
		cmocka_unit_test(causes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
