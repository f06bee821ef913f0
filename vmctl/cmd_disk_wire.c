/*
 * The result of a job on images as a message: written by the sandboxed
 * child, read by vmctl.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "vmctl/cmd_disk.h"

/* clang-format off */
#define NUMBERS64(X, r)					\
	X((r)->size) X((r)->layers)			\
	X((r)->h.incompat) X((r)->h.compat)		\
	X((r)->h.autoclear)				\
	X((r)->check.corruptions) X((r)->check.leaks)	\
	X((r)->check.leaks_fixed) X((r)->check.clusters)\
	X((r)->check.stale) X((r)->check.data) X((r)->check.compressed)
#define NUMBERS32(X, r)					\
	X((r)->layer) X((r)->lacking) X((r)->h.version) X((r)->h.cluster_bits)	\
	X((r)->h.ref_order) X((r)->h.nsnapshots)	\
	X((r)->h.nbitmaps)
/* clang-format on */

int
job_result_put(struct ibuf *b, const struct job_result *r)
{
	int rc = wire_put_u8(b, (uint8_t)r->status);

#define PUT64(v) rc |= wire_put_u64(b, v);
#define PUT32(v) rc |= wire_put_u32(b, v);
	NUMBERS64(PUT64, r)
	NUMBERS32(PUT32, r)
	rc |= wire_put_u8(b, r->h.zstd);
	rc |= wire_put_u8(b, (uint8_t)r->h.backing_fmt);
	rc |= wire_put_u8(b, (uint8_t)r->check.dirty);
	rc |= wire_put_u8(b, (uint8_t)r->check.corrupt);
	rc |= wire_put_str(b, r->why);
	rc |= wire_put_str(b, r->h.backing);
	return rc;
}

static int
get_text(struct ibuf *b, char *to, size_t len)
{
	char *s;

	if (wire_get_str(b, &s, len - 1) == -1)
		return -1;
	if (s != NULL)
		memcpy(to, s, strlen(s) + 1);
	free(s);
	return 0;
}

int
job_result_get(struct ibuf *b, struct job_result *r)
{
	uint8_t status = 0, zstd = 0, fmt = 0, dirty = 0, corrupt = 0;
	int rc;

	memset(r, 0, sizeof(*r));
	rc = wire_get_u8(b, &status);
#define GET64(v) rc |= wire_get_u64(b, &(v));
#define GET32(v) rc |= wire_get_u32(b, &(v));
	NUMBERS64(GET64, r)
	NUMBERS32(GET32, r)
	if (rc == -1 || wire_get_u8(b, &zstd) == -1 ||
	    wire_get_u8(b, &fmt) == -1 || wire_get_u8(b, &dirty) == -1 ||
	    wire_get_u8(b, &corrupt) == -1 ||
	    get_text(b, r->why, sizeof(r->why)) == -1 ||
	    get_text(b, r->h.backing, sizeof(r->h.backing)) == -1 ||
	    wire_end(b) == -1)
		return -1;
	if (status > ST_FAILED || fmt > QCOW2_BACKING_QCOW2 ||
	    r->layer > IMAGE_LAYERS_MAX || r->h.ref_order > 6 ||
	    r->h.cluster_bits > 21) {
		errno = EBADMSG;
		return -1;
	}
	r->status = status;
	r->h.zstd = zstd != 0;
	r->h.backing_fmt = fmt;
	r->check.dirty = dirty != 0;
	r->check.corrupt = corrupt != 0;
	return 0;
}
