/* See disk_look.h. */

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "regress/unit/disk_look.h"

static uint64_t
be64_at(const struct image *im, uint64_t off)
{
	uint64_t v;

	if (off + 8 > im->len)
		return 0;
	memcpy(&v, im->file + off, 8);
	return be64toh(v);
}

static int
refer(const struct image *im, struct look *l, uint64_t off, uint64_t len,
    const char *what)
{
	int packed = what[0] == 'c' && what[1] == 'o';
	uint64_t c;

	if (len == 0)
		return 0;
	if (off + len > im->len + l->cs - 1) {
		snprintf(l->why, sizeof(l->why), "%s at %#jx beyond the end",
		    what, (uintmax_t)off);
		return -1;
	}
	for (c = off / l->cs; c <= (off + len - 1) / l->cs; c++)
		if (c < l->ncl && l->refs[c] < 255) {
			l->refs[c]++;
			l->packed[c] |= (uint8_t)packed;
		}
	return 0;
}

static uint64_t
refcount(const struct image *im, const struct look *l, uint64_t c)
{
	unsigned int bits = 1U << l->h.ref_order, i;
	uint64_t per = l->cs * 8 / bits, block, at, v = 0;

	if (c / per >= l->h.ref_clusters * l->cs / 8)
		return 0;
	block = be64_at(im, l->h.ref_off + c / per * 8);
	if (block == 0)
		return 0;
	at = block + c % per * bits / 8;
	if (at + (bits + 7) / 8 > im->len)
		return 0;
	if (bits < 8)
		return im->file[at] >> (c % per * bits % 8) &
		    ((1U << bits) - 1);
	for (i = 0; i < bits / 8; i++)
		v = v << 8 | im->file[at + i];
	return v;
}

static int
look_l2(const struct image *im, struct look *l, uint64_t table)
{
	uint64_t i, e;

	if (refer(im, l, table, l->cs, "L2 table") == -1)
		return -1;
	for (i = 0; i < l->cs / 8; i++) {
		e = be64_at(im, table + i * 8);
		if (e & QCOW2_COMPRESSED) {
			if (refer(im, l, qcow2_comp_off(&l->h, e),
				qcow2_comp_len(&l->h, e), "compressed") == -1)
				return -1;
		} else if ((e & QCOW2_OFFSET) != 0 &&
		    refer(im, l, e & QCOW2_OFFSET, l->cs, "cluster") == -1) {
			return -1;
		}
	}
	return 0;
}

static int
look_tables(const struct image *im, struct look *l)
{
	uint64_t i, e;

	if (refer(im, l, 0, l->cs, "header") == -1 ||
	    refer(im, l, l->h.l1_off, l->h.l1_size * 8ULL, "L1") == -1 ||
	    refer(im, l, l->h.ref_off, l->h.ref_clusters * l->cs, "table") ==
		-1)
		return -1;
	for (i = 0; i < l->h.ref_clusters * l->cs / 8; i++) {
		e = be64_at(im, l->h.ref_off + i * 8);
		if (e != 0 && refer(im, l, e, l->cs, "refcount block") == -1)
			return -1;
	}
	for (i = 0; i < l->h.l1_size; i++) {
		e = be64_at(im, l->h.l1_off + i * 8);
		if (e != 0 && look_l2(im, l, e & QCOW2_OFFSET) == -1)
			return -1;
	}
	return 0;
}

int
look(const struct image *im, struct look *l)
{
	static uint8_t refs[FILE_MAX / 512], packed[FILE_MAX / 512];
	uint64_t c, n;

	memset(l, 0, sizeof(*l));
	if (qcow2_hdr_parse(&l->h, im->file, im->len, im->len, QCOW2_FOR_WRITE,
		l->why, sizeof(l->why)) == -1)
		return -1;
	l->cs = qcow2_cluster(&l->h);
	l->ncl = (im->len + l->cs - 1) / l->cs;
	l->refs = refs;
	l->packed = packed;
	memset(refs, 0, l->ncl);
	memset(packed, 0, l->ncl);
	if (look_tables(im, l) == -1)
		return -1;
	for (c = 0; c < l->ncl; c++) {
		if (refs[c] == 0)
			continue;
		n = refcount(im, l, c);
		if (n == refs[c] || (packed[c] && n > refs[c]))
			continue;
		snprintf(l->why, sizeof(l->why),
		    "cluster %#jx has refcount "
		    "%ju, references %u",
		    (uintmax_t)c, (uintmax_t)n, refs[c]);
		return -1;
	}
	return 0;
}

/* A sector of the disk that the image shows. */
const uint8_t *
show(const struct image *im, const struct look *l, uint64_t off)
{
	static const uint8_t zeros[512];
	uint64_t table, e, at, e0;

	table = be64_at(im, l->h.l1_off + (off >> qcow2_l1_bits(&l->h)) * 8) &
	    QCOW2_OFFSET;
	at = (off >> l->h.cluster_bits) % (l->cs / 8) * 8;
	e = table == 0 ? 0 : be64_at(im, table + at);
	if (e & QCOW2_COMPRESSED) {
		/* These are never written: it is the one of the beginning. */
		memcpy(&e0,
		    im->orig + l->h.l1_off + (off >> qcow2_l1_bits(&l->h)) * 8,
		    8);
		table = be64toh(e0) & QCOW2_OFFSET;
		memcpy(&e0, im->orig + table + at, 8);
		return be64toh(e0) == e ? im->first + off : NULL;
	}
	if (e & QCOW2_ZERO)
		return zeros;
	if ((e & QCOW2_OFFSET) == 0)
		return im->backing + off;
	at = (e & QCOW2_OFFSET) + off % l->cs;
	return at + 512 > im->len ? zeros : im->file + at;
}
