/*
 * The extensions of a qcow2 header, for qcow2_hdr.c and under the same rules.
 *
 * qcow2 specification: "Header extensions", "Bitmaps extension".
 */

#include <errno.h>
#include <string.h>

#include "lib/disk/qcow2_hdr_int.h"

#define EXT_END	    0x00000000U
#define EXT_BACKING 0xe2792acaU
#define EXT_NAMES   0x6803f857U
#define EXT_BITMAPS 0x23852875U

#define FORMAT_MAX  15
#define BITMAPS_MAX 65535U

void
qcow2_printable(char *to, size_t tolen, const uint8_t *from, size_t n)
{
	size_t i;

	for (i = 0; i < n && i + 1 < tolen && from[i] != '\0'; i++)
		to[i] = (char)(from[i] > ' ' && from[i] < 127 ? from[i] : '?');
	to[i] = '\0';
}

static int
ext_format(struct qcow2_hdr *h, struct input *in, size_t off, uint32_t len)
{
	char name[FORMAT_MAX + 1];

	if (in->seen & 1)
		return qcow2_refuse(in, EINVAL, "two backing formats");
	in->seen |= 1;
	if (len > FORMAT_MAX)
		return qcow2_refuse(in, EINVAL,
		    "a name of %u bytes is no backing format", len);
	if (len == 3 && memcmp(in->buf + off, "raw", 3) == 0) {
		h->backing_fmt = QCOW2_BACKING_RAW;
	} else if (len == 5 && memcmp(in->buf + off, "qcow2", 5) == 0) {
		h->backing_fmt = QCOW2_BACKING_QCOW2;
	} else {
		qcow2_printable(name, sizeof(name), in->buf + off, len);
		return qcow2_refuse(in, ENOTSUP,
		    "backing format \"%s\" is not supported", name);
	}
	return 0;
}

static int
ext_bitmaps(struct qcow2_hdr *h, struct input *in, size_t off, uint32_t len)
{
	if (in->seen & 2)
		return qcow2_refuse(in, EINVAL, "two bitmaps extensions");
	in->seen |= 2;
	/* Without the bit it is what somebody left behind. */
	if (!(h->autoclear & QCOW2_BITMAPS))
		return 0;
	if (len != 24)
		return qcow2_refuse(in, EINVAL,
		    "a bitmaps extension of %u bytes instead of 24", len);
	h->nbitmaps = get32(in, off);
	h->bitmaps_len = get64(in, off + 8);
	h->bitmaps_off = get64(in, off + 16);
	if (h->nbitmaps == 0 || h->nbitmaps > BITMAPS_MAX)
		return qcow2_refuse(in, EINVAL,
		    "%u bitmaps: only 1 to %u are "
		    "possible",
		    h->nbitmaps, BITMAPS_MAX);
	return 0;
}

static int
get_ext(struct qcow2_hdr *h, struct input *in, uint32_t type, size_t off,
    uint32_t len)
{
	switch (type) {
	case EXT_BACKING:
		return ext_format(h, in, off, len);
	case EXT_BITMAPS:
		return ext_bitmaps(h, in, off, len);
	case EXT_NAMES:
		in->names = in->buf + off;
		in->nameslen = len;
		return 0;
	default:
		return 0; /* unknown ones do no harm */
	}
}

int
qcow2_exts(struct qcow2_hdr *h, struct input *in)
{
	uint64_t off = h->length;
	uint32_t type, len;

	while (off + 8 <= in->ext_end) {
		type = get32(in, off);
		len = get32(in, off + 4);
		off += 8;
		if (type == EXT_END)
			return 0;
		if (len > in->ext_end - off)
			return qcow2_refuse(in, EINVAL,
			    "header extension 0x%08x "
			    "of %u bytes is longer than what follows",
			    type, len);
		if (get_ext(h, in, type, off, len) == -1)
			return -1;
		off += ((uint64_t)len + 7) & ~7ULL;
	}
	return 0;
}
