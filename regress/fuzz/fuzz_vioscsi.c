/*
 * Any bytes as a queue of the SCSI host and what it points to: the first
 * one says which queue and features.  The device must end each request and
 * stay in guest memory and in its image.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util/log.h"
#include "regress/unit/dev_fake.h"

#define IMAGE	(64 << 10)
#define QUEUES	3
#define TABLE	256
#define RING	64
#define CONTENT 0x8000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
no_log(void *arg, int prio, const char *line)
{
}

/* The next bytes of the input, at most `max' of them, to `to'. */
static void
take(uint8_t *to, size_t max, const uint8_t **data, size_t *size)
{
	size_t n = *size < max ? *size : max;

	memcpy(to, *data, n);
	*data += n;
	*size -= n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake f;
	static int image = -1;
	uint64_t features;
	unsigned int q;
	uint8_t *mem;

	if (image == -1) {
		log_set_sink(no_log, NULL);
		if ((image = memfd_create("cd", MFD_CLOEXEC)) == -1 ||
		    ftruncate(image, IMAGE) == -1 ||
		    fake_open(&f, &vioscsi_ops, &image, 1, DISKF_READONLY, 0) ==
			-1)
			abort();
	}
	if (size < 1)
		return 0;
	mem = f.d.mem.base;
	memset(mem, 0, 0x10000);
	q = data[0] >> 4 & 1 ? 0 : QUEUES - 1;
	features = (data[0] & 1 ? VQ_F_INDIRECT : 0) |
	    (data[0] & 2 ? VQ_F_EVENT_IDX : 0);
	data++;
	size--;
	take(mem + FAKE_DESC, TABLE, &data, &size);
	take(mem + FAKE_AVAIL, RING, &data, &size);
	take(mem + FAKE_DATA, CONTENT, &data, &size);
	fake_activate(&f, q, features);
	fake_run(&f);
	if (f.d.busy != 0)
		abort();
	fake_reset(&f);
	return 0;
}
