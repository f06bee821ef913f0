#ifndef QCOW2_HDR_INT_H
#define QCOW2_HDR_INT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/disk/qcow2_hdr.h"

/* What qcow2_hdr.c and qcow2_ext.c share. */

/* What is being parsed. */
struct input {
	const uint8_t *buf;
	size_t len; /* at most one cluster */
	uint64_t file_size;
	uint64_t ext_end;
	unsigned int seen; /* extensions: 1 format, 2 bitmaps */
	const uint8_t *names;
	size_t nameslen;
	char *why;
	size_t whylen;
};

/* -1 with errno `err' and a sentence. */
int qcow2_refuse(struct input *in, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline uint32_t
get32(const struct input *in, size_t off)
{
	uint32_t v;

	memcpy(&v, in->buf + off, sizeof(v));
	return be32toh(v);
}

static inline uint64_t
get64(const struct input *in, size_t off)
{
	uint64_t v;

	memcpy(&v, in->buf + off, sizeof(v));
	return be64toh(v);
}

/* Copy `n' bytes as a string of printable characters. */
void qcow2_printable(char *to, size_t tolen, const uint8_t *from, size_t n);
/* All that are there.  0, or as qcow2_refuse(). */
int qcow2_exts(struct qcow2_hdr *h, struct input *in);

#endif
