/* For tests of message bodies: truncation, descriptors, failing memory. */

#ifndef UNIT_PROTO_TEST_H
#define UNIT_PROTO_TEST_H

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/imsg/imsg.h"

#define BODY_MAX 262144

#define assert_fails(e, err)                                                   \
	do {                                                                   \
		errno = 0;                                                     \
		assert_int_equal(e, -1);                                       \
		assert_int_equal(errno, err);                                  \
	} while (0)

/* Open descriptors of this process. */
static inline int
count_fds(void)
{
	struct dirent *e;
	int n = 0;
	DIR *d;

	assert_non_null(d = opendir("/proc/self/fd"));
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1;
}

/* A body decodes, to nothing that stays: 0 or -1. */
typedef int (*decode_fn)(struct ibuf *b);

/*
 * Decode the first `len' bytes, in memory of exactly that size.  -1, with
 * errno of the decoder, also when bytes are left over.
 */
static inline int
decode_part(const struct ibuf *b, size_t len, decode_fn decode)
{
	struct ibuf view;
	uint8_t *copy;
	int rc, saved_errno;

	assert_non_null(copy = malloc(len == 0 ? 1 : len));
	memcpy(copy, ibuf_data(b), len);
	ibuf_from_buffer(&view, copy, len);
	errno = 0;
	rc = decode(&view);
	saved_errno = errno;
	if (rc == 0 && ibuf_size(&view) != 0)
		rc = -1;
	free(copy);
	errno = saved_errno;
	return rc;
}

/* All of it decodes, no part of it does. */
static inline void
check_truncation(const struct ibuf *b, decode_fn decode)
{
	size_t n;

	for (n = 0; n < ibuf_size(b); n++) {
		assert_int_equal(decode_part(b, n, decode), -1);
		assert_int_equal(errno, EBADMSG);
	}
	assert_int_equal(decode_part(b, n, decode), 0);
}

/* `len' times `c'; the caller frees. */
static inline char *
repeat(char c, size_t len)
{
	char *s = malloc(len + 1);

	assert_non_null(s);
	memset(s, c, len);
	s[len] = '\0';
	return s;
}

#endif
