/*
 * Copying an image with its backing chain into a new one.  Runs in the
 * sandboxed child of vmctl.  Zeros are neither read, where the source says
 * that they are zeros, nor written.
 */

#include <errno.h>
#include <stdlib.h>

#include "lib/disk/convert.h"
#include "lib/disk/file.h"

#define BUF_BLOCKS 32
#define BUF_SIZE   ((size_t)BUF_BLOCKS * IMAGE_BLOCK)

/* Bytes of a block of a buffer that ends at `len'. */
static size_t
block_len(size_t at, size_t len)
{
	return len - at < IMAGE_BLOCK ? len - at : IMAGE_BLOCK;
}

/* Write what is not zero of `len' bytes, in as few pieces as possible. */
static int
write_blocks(struct image_new *n, uint64_t off, const uint8_t *buf, size_t len)
{
	size_t at = 0, end;

	while (at < len) {
		for (end = at; end < len &&
		     !file_is_zero(buf + end, block_len(end, len));)
			end += block_len(end, len);
		if (end == at) {
			at += block_len(at, len);
			continue;
		}
		if (image_new_write(n, off + at, buf + at, end - at) == -1)
			return -1;
		at = end;
	}
	return 0;
}

/* Skip whole blocks that are zeros for sure; how many bytes. */
static int
skip_zeros(struct image_chain *c, uint64_t off, uint64_t *skip, char *why,
    size_t len)
{
	uint64_t size = image_chain_size(c), at = off, n;
	int data = 0;

	while (at < size) {
		if (image_chain_map(c, at, &n, &data, why, len) == -1)
			return -1;
		if (data)
			break;
		at += n;
	}
	if (at < size)
		at -= at % IMAGE_BLOCK;
	*skip = at > off ? at - off : 0;
	return 0;
}

int
image_convert(struct image_chain *c, struct image_new *n, uint64_t size,
    image_progress progress, void *arg, char *why, size_t len)
{
	uint64_t off = 0, skip, end = image_chain_size(c);
	size_t now;
	uint8_t *buf;
	int rc = -1;

	if (end > size)
		end = size;
	if ((buf = malloc(BUF_SIZE)) == NULL)
		return file_error(why, len, "buffer");
	while (off < end) {
		progress(arg, off, end);
		if (skip_zeros(c, off, &skip, why, len) == -1)
			goto out;
		if ((off += skip) >= end)
			break;
		now = BUF_SIZE;
		if (now > size - off)
			now = (size_t)(size - off);
		if (image_chain_read(c, off, buf, now, why, len) == -1 ||
		    write_blocks(n, off, buf, now) == -1)
			goto out;
		off += now;
	}
	progress(arg, end, end);
	rc = image_new_finish(n);
out:
	free(buf);
	return rc;
}
