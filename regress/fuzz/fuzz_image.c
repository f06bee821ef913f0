/*
 * Any bytes as a qcow2 image: read as a whole, copied, and the copy
 * compared; walked, repaired, and walked again.  The first byte says how:
 * bit 0 repair, bit 1 small windows, bit 2 a raw backing file, bit 3 copy
 * to a raw image.
 */

#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disk/check.h"
#include "lib/disk/convert.h"
#include "lib/disk/file.h"

#define READ_MAX (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
say(void *arg, const char *line)
{
	unsigned int *lines = arg;

	if (line[0] == '\0' || ++*lines > 2 * IMAGE_CHECK_LINES)
		abort();
}

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	if (done > total)
		abort();
}

/* After a repair there are no leaks, unless there was something worse. */
static void
check(int fd, unsigned int how)
{
	unsigned int lines = 0;
	struct image_check_how h = { .say = say,
		.progress = progress,
		.arg = &lines };
	struct image_check r;
	char why[256] = "";

	h.flags = how & 1 ? IMAGE_CHECK_REPAIR : 0;
	h.window = how & 2 ? 3 : 0;
	if (image_check(fd, &h, &r, why, sizeof(why)) == -1) {
		if (why[0] == '\0')
			abort();
		return;
	}
	if (r.corruptions == 0 && how & 1) {
		if (r.leaks != r.leaks_fixed)
			abort();
		h.flags = 0;
		if (image_check(fd, &h, &r, why, sizeof(why)) == -1 ||
		    r.leaks != 0 || r.corruptions != 0 || r.dirty)
			abort();
	}
}

static void
check_good(int fd)
{
	unsigned int lines = 0;
	struct image_check_how h = { .say = say,
		.progress = progress,
		.arg = &lines };
	struct image_check r;
	char why[256] = "";

	if (image_check(fd, &h, &r, why, sizeof(why)) == -1 ||
	    r.corruptions != 0 || r.leaks != 0)
		abort();
}

static void
read_all(struct image_chain *c)
{
	static uint8_t buf[65536];
	char why[256] = "";
	uint64_t off, len;
	int data;

	for (off = 0; off < image_chain_size(c) && off < READ_MAX;) {
		if (image_chain_map(c, off, &len, &data, why, sizeof(why)) ==
		    -1) {
			off += sizeof(buf);
			continue;
		}
		if (len == 0 || len > image_chain_size(c) - off)
			abort();
		if (len > sizeof(buf))
			len = sizeof(buf);
		if (image_chain_read(c, off, buf, len, why, sizeof(why)) == 0 &&
		    !data && !file_is_zero(buf, len))
			abort();
		off += len;
	}
}

static struct image_chain *
chain(int fd, int qcow2, int base)
{
	struct image_chain *c = image_chain_new();
	char why[256] = "";

	if (c == NULL)
		abort();
	if (image_chain_add(c, fd, qcow2, why, sizeof(why)) == 0 &&
	    (!base || image_chain_add(c, fd, 0, why, sizeof(why)) == 0))
		return c;
	if (why[0] == '\0')
		abort();
	image_chain_free(c);
	return NULL;
}

/* Both read the same, and beyond the end of `a' are zeros. */
static void
compare(struct image_chain *a, struct image_chain *b)
{
	static uint8_t bufs[2][IMAGE_BLOCK];
	char why[256];
	uint64_t off;

	for (off = 0; off < image_chain_size(b); off += IMAGE_BLOCK)
		if (image_chain_read(a, off, bufs[0], IMAGE_BLOCK, why,
			sizeof(why)) == -1 ||
		    image_chain_read(b, off, bufs[1], IMAGE_BLOCK, why,
			sizeof(why)) == -1 ||
		    memcmp(bufs[0], bufs[1], IMAGE_BLOCK) != 0)
			abort();
}

/* What can be read can be copied, and the copy is a good image. */
static void
copy(struct image_chain *c, int qcow2)
{
	struct image_spec spec = { .qcow2 = qcow2,
		.size = (image_chain_size(c) + 511) & ~511ULL };
	struct image_chain *back;
	struct image_new *n;
	char why[256] = "";
	static int fd = -1;
	int rc;

	if (spec.size > READ_MAX)
		return;
	if (fd == -1 && (fd = memfd_create("copy", 0)) == -1)
		abort();
	if (ftruncate(fd, 0) == -1 ||
	    (n = image_new(fd, &spec, why, sizeof(why))) == NULL)
		abort();
	rc = image_convert(c, n, spec.size, progress, NULL, why, sizeof(why));
	image_new_free(n);
	if (rc == -1) {
		if (why[0] == '\0')
			abort();
		return;
	}
	if ((back = chain(fd, qcow2, 0)) == NULL)
		abort();
	compare(c, back);
	image_chain_free(back);
	if (qcow2)
		check_good(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_chain *c;

	static int fd = -1;

	if (size < 1)
		return 0;
	if (fd == -1 && (fd = memfd_create("image", 0)) == -1)
		abort();
	if (ftruncate(fd, 0) == -1 ||
	    file_write(fd, data + 1, size - 1, 0) == -1)
		abort();
	if ((c = chain(fd, 1, data[0] & 4)) != NULL) {
		read_all(c);
		copy(c, !(data[0] & 8));
		image_chain_free(c);
	}
	check(fd, data[0]);
	return 0;
}
