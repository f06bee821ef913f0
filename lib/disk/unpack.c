/*
 * Unpacking of compressed clusters, for device processes and the offline
 * tools.  The bytes come out of images that anybody may have written; how
 * much memory it takes is not for them to say.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/disk/unpack.h"

struct unpack {
	z_stream z;
	ZSTD_DCtx *zstd;
};

struct unpack *
unpack_new(void)
{
	struct unpack *u;

	if ((u = calloc(1, sizeof(*u))) == NULL)
		return NULL;
	if (inflateInit2(&u->z, -MAX_WBITS) != Z_OK) {
		free(u);
		errno = ENOMEM;
		return NULL;
	}
	return u;
}

void
unpack_free(struct unpack *u)
{
	if (u == NULL)
		return;
	inflateEnd(&u->z);
	ZSTD_freeDCtx(u->zstd);
	free(u);
}

static int
unpack_deflate(struct unpack *u, const uint8_t *in, size_t inlen, uint8_t *out,
    size_t outlen)
{
	int e;

	if (inflateReset(&u->z) != Z_OK)
		return EIO;
	memcpy(&u->z.next_in, &in, sizeof(in)); /* not const there */
	u->z.avail_in = (unsigned int)inlen;
	u->z.next_out = out;
	u->z.avail_out = (unsigned int)outlen;
	e = inflate(&u->z, Z_FINISH);
	if ((e != Z_STREAM_END && e != Z_BUF_ERROR) || u->z.avail_out != 0)
		return EIO;
	return 0;
}

/* Frame by frame: so it needs no window, which could be of any size. */
static int
unpack_zstd(struct unpack *u, const uint8_t *in, size_t inlen, uint8_t *out,
    size_t outlen)
{
	size_t n, got;

	if (u->zstd == NULL && (u->zstd = ZSTD_createDCtx()) == NULL)
		return ENOMEM;
	while (outlen > 0) {
		n = ZSTD_findFrameCompressedSize(in, inlen);
		if (ZSTD_isError(n))
			return EIO;
		got = ZSTD_decompressDCtx(u->zstd, out, outlen, in, n);
		if (ZSTD_isError(got))
			return EIO;
		in += n;
		inlen -= n;
		out += got;
		outlen -= got;
	}
	return 0;
}

int
unpack(struct unpack *u, int zstd, const uint8_t *in, size_t inlen,
    uint8_t *out, size_t outlen)
{
	return zstd ? unpack_zstd(u, in, inlen, out, outlen) :
		      unpack_deflate(u, in, inlen, out, outlen);
}
