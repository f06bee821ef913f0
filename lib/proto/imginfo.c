/*
 * The body of IMAGE_RESPONSE: what a process that has read the header of a
 * disk image says of it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/imginfo.h"
#include "lib/proto/wire.h"

int
image_info_put(struct ibuf *b, const struct image_info *i)
{
	if (wire_put_u32(b, i->format) == -1 ||
	    wire_put_u64(b, i->size) == -1 ||
	    wire_put_str(b, i->backing) == -1 ||
	    wire_put_u32(b, i->backing_format) == -1 ||
	    wire_put_str(b, i->error) == -1)
		return -1;
	return 0;
}

/* Either an error and nothing else, or an image. */
static int
consistent(const struct image_info *i)
{
	if (i->error != NULL)
		return i->error[0] != '\0' && i->format == DISK_AUTO &&
		    i->size == 0 && i->backing == NULL &&
		    i->backing_format == DISK_AUTO;
	if (i->format == DISK_AUTO || i->size > INT64_MAX)
		return 0;
	if (i->backing == NULL)
		return i->backing_format == DISK_AUTO;
	return i->format == DISK_QCOW2 && i->backing[0] != '\0';
}

int
image_info_get(struct ibuf *b, struct image_info *i)
{
	uint32_t format, backing_format;

	memset(i, 0, sizeof(*i));
	if (wire_get_u32(b, &format) == -1 || wire_get_u64(b, &i->size) == -1 ||
	    wire_get_str(b, &i->backing, IMAGE_BACKING_MAX) == -1 ||
	    wire_get_u32(b, &backing_format) == -1 ||
	    wire_get_str(b, &i->error, IMAGE_ERROR_MAX) == -1)
		goto fail;
	if (format >= DISK_FORMAT_MAX || backing_format >= DISK_FORMAT_MAX) {
		errno = EBADMSG;
		goto fail;
	}
	i->format = format;
	i->backing_format = backing_format;
	if (consistent(i))
		return 0;
	errno = EBADMSG;
fail:
	image_info_fini(i);
	return -1;
}

void
image_info_fini(struct image_info *i)
{
	int saved_errno = errno;

	free(i->backing);
	free(i->error);
	memset(i, 0, sizeof(*i));
	errno = saved_errno;
}
