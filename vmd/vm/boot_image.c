/*
 * Files of the boot loaders in the vm process: reading at checked places,
 * and unpacking.  The owner of a file may change it meanwhile, so what has
 * been read is checked, never what will be read.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "vmd/vm/boot_int.h"

#define PAGE 4096ULL

int
image_open(struct boot *b, struct image *im, int fd, const char *what)
{
	struct stat st;

	im->what = what;
	im->fd = fd;
	im->data = NULL;
	/* libc's fstat() is newfstatat(), which the sandbox refuses. */
	if (syscall(SYS_fstat, fd, &st) == -1)
		return boot_fail(b, "%s: %s", what, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return boot_fail(b, "%s: not a regular file", what);
	if (st.st_size <= 0)
		return boot_fail(b, "%s: empty", what);
	im->size = (uint64_t)st.st_size;
	return 0;
}

void
image_close(struct image *im)
{
	if (im->data != NULL)
		munmap(im->data, im->size);
	im->data = NULL;
}

int
image_inside(struct boot *b, const struct image *im, const char *part,
    uint64_t off, uint64_t len)
{
	if (off > im->size || len > im->size - off)
		return boot_fail(b, "%s: %s ends after the file", im->what,
		    part);
	return 0;
}

int
image_read(struct boot *b, const struct image *im, void *buf, uint64_t off,
    uint64_t len)
{
	uint8_t *p = buf;
	ssize_t n;

	if (im->data != NULL) {
		memcpy(p, im->data + off, len);
		return 0;
	}
	while (len > 0) {
		n = pread(im->fd, p, len, (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return boot_fail(b, "%s: %s", im->what,
			    strerror(errno));
		if (n == 0)
			return boot_fail(b,
			    "%s: became shorter while it "
			    "was read",
			    im->what);
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Feed the file to `z' until the stream ends. */
static int
inflate_file(struct boot *b, const struct image *im, z_stream *z)
{
	uint8_t in[4096];
	uint64_t off = 0, n;
	int rc = Z_OK;

	while (rc == Z_OK) {
		if (z->avail_in == 0) {
			n = im->size - off < sizeof(in) ? im->size - off :
							  sizeof(in);
			if (n == 0)
				return boot_fail(b, "%s: gzip data ends early",
				    im->what);
			if (image_read(b, im, in, off, n) == -1)
				return -1;
			off += n;
			z->next_in = in;
			z->avail_in = (uInt)n;
		}
		rc = inflate(z, Z_NO_FLUSH);
		if (rc != Z_STREAM_END && z->avail_out == 0)
			return boot_fail(b, "%s: too large when unpacked",
			    im->what);
	}
	if (rc != Z_STREAM_END)
		return boot_fail(b, "%s: damaged gzip data", im->what);
	return 0;
}

/*
 * The output is reserved at its largest size: pages that are not written
 * cost nothing.
 */
int
image_gunzip(struct boot *b, struct image *im, uint64_t max)
{
	static const uint8_t magic[2] = { 0x1f, 0x8b };
	uint8_t head[2];
	uint8_t *out;
	uint64_t used;
	z_stream z;
	int rc;

	if (im->size < sizeof(head))
		return 0;
	if (image_read(b, im, head, 0, sizeof(head)) == -1)
		return -1;
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return 0;
	out = mmap(NULL, max, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (out == MAP_FAILED)
		return boot_fail(b, "%s: %s", im->what, strerror(errno));
	memset(&z, 0, sizeof(z));
	z.next_out = out;
	z.avail_out = (uInt)max;
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
		munmap(out, max);
		return boot_fail(b, "%s: no memory to unpack it", im->what);
	}
	rc = inflate_file(b, im, &z);
	inflateEnd(&z);
	if (rc == -1 || z.total_out == 0) {
		munmap(out, max);
		return rc == -1 ? -1 : boot_fail(b, "%s: empty", im->what);
	}
	/* Keep only the pages that are used. */
	im->data = out;
	im->size = z.total_out;
	used = (z.total_out + PAGE - 1) & ~(PAGE - 1);
	if (used < max)
		munmap(out + used, max - used);
	return 0;
}
