/*
 * Any bytes as the beginning of a qcow2 image; the first two say how long
 * the file is and what it is wanted for.  What is taken keeps its promises.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disk/qcow2_hdr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
promises(const struct qcow2_hdr *h, uint64_t file_size)
{
	uint64_t cluster = qcow2_cluster(h);
	unsigned __int128 reach;

	reach = (unsigned __int128)h->l1_size << qcow2_l1_bits(h);
	if (h->cluster_bits < 9 || h->cluster_bits > 21 || reach < h->size ||
	    h->l1_size > QCOW2_L1_MAX / 8 || h->ref_order > 6 ||
	    h->ref_clusters == 0 || h->ref_off % cluster != 0 ||
	    h->ref_clusters * cluster > QCOW2_REFTABLE_MAX ||
	    h->ref_off + h->ref_clusters * cluster > file_size ||
	    (h->l1_size != 0 &&
		(h->l1_off % cluster != 0 ||
		    h->l1_off + h->l1_size * 8 > file_size)) ||
	    strlen(h->backing) > QCOW2_BACKING_MAX ||
	    (h->backing[0] == '\0') != (h->backing_fmt == QCOW2_BACKING_NONE))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_hdr h;
	char why[160] = "";
	uint64_t file_size;

	if (size < 2)
		return 0;
	file_size = (uint64_t)data[0] << 16;
	if (file_size < size - 2)
		file_size = size - 2;
	if (qcow2_hdr_parse(&h, data + 2, size - 2, file_size, data[1] & 3, why,
		sizeof(why)) == 0)
		promises(&h, file_size);
	else if (why[0] == '\0' || strchr(why, '\n') != NULL || errno == 0)
		abort();
	return 0;
}
