/*
 * Any bytes as the queue of a block device and what it points to.  The
 * device must end each request, stay in guest memory and in its image.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "regress/unit/dev_fake.h"

#define IMAGE (64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
no_log(void *arg, int prio, const char *line)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake f;
	static int image = -1;
	uint64_t features;
	struct gmem *g;

	if (image == -1) {
		log_set_sink(no_log, NULL);
		if ((image = memfd_create("disk", MFD_CLOEXEC)) == -1 ||
		    ftruncate(image, IMAGE) == -1 ||
		    fake_open(&f, &vioblk_ops, &image, 1, 0, 0) == -1)
			abort();
	}
	if (size < 1)
		return 0;
	g = &f.d.mem;
	memset(g->base, 0, 0x10000);
	/* Descriptors, then the available ring, then what is behind. */
	features = (data[0] & 1 ? VQ_F_INDIRECT : 0) |
	    (data[0] & 2 ? VQ_F_EVENT_IDX : 0) | (data[0] & 4 ? 1 << 9 : 0);
	data++;
	size--;
	memcpy(g->base + FAKE_DESC, data, size < 256 ? size : 256);
	if (size > 256) {
		data += 256;
		size -= 256;
		memcpy(g->base + FAKE_AVAIL, data, size < 64 ? size : 64);
	}
	if (size > 64)
		memcpy(g->base + FAKE_DATA, data + 64,
		    size - 64 < 0x8000 ? size - 64 : 0x8000);
	fake_activate(&f, 0, features);
	fake_run(&f);
	if (f.d.busy != 0)
		abort();
	fake_reset(&f);
	return 0;
}
