/*
 * ibuf: the byte buffers of ibuf_add(3), written at one end and read from
 * the other, with the descriptors that travel along.
 *
 * Used by every process.  What is read here came from a socket: each reader
 * checks what is left before it copies.
 */

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/imsg/imsg.h"

struct ibuf *
ibuf_dynamic(size_t len, size_t max)
{
	struct ibuf *b;

	if (max == 0 || max < len) {
		errno = EINVAL;
		return NULL;
	}
	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	if (len > 0 && (b->buf = calloc(1, len)) == NULL) {
		free(b);
		return NULL;
	}
	b->size = len;
	b->max = max;
	return b;
}

struct ibuf *
ibuf_open(size_t len)
{
	return ibuf_dynamic(len, len);
}

void
ibuf_close_fds(struct ibuf *b)
{
	int saved_errno = errno;
	size_t i;

	for (i = 0; i < b->nfds; i++)
		if (b->fds[i] != -1)
			close(b->fds[i]);
	free(b->fds);
	b->fds = NULL;
	b->nfds = 0;
	errno = saved_errno;
}

void
ibuf_free(struct ibuf *b)
{
	if (b == NULL)
		return;
	ibuf_close_fds(b);
	free(b->buf);
	free(b);
}

/* Make room for `len' more bytes; at least doubles, to stay linear. */
static int
ibuf_grow(struct ibuf *b, size_t len)
{
	unsigned char *p;
	size_t want, size;

	if (b->max == 0 || len > b->max || b->wpos > b->max - len) {
		errno = ERANGE;
		return -1;
	}
	want = b->wpos + len;
	if (want <= b->size)
		return 0;
	size = b->size > b->max / 2 ? b->max : b->size * 2;
	if (size < want)
		size = want;
	if (size < 64 && b->max >= 64)
		size = 64;
	if ((p = realloc(b->buf, size)) == NULL)
		return -1;
	memset(p + b->size, 0, size - b->size);
	b->buf = p;
	b->size = size;
	return 0;
}

void *
ibuf_reserve(struct ibuf *b, size_t len)
{
	void *p;

	if (ibuf_grow(b, len) == -1)
		return NULL;
	p = b->buf + b->wpos;
	if (len > 0)
		memset(p, 0, len);
	b->wpos += len;
	return p;
}

int
ibuf_add(struct ibuf *b, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_grow(b, len) == -1)
		return -1;
	memcpy(b->buf + b->wpos, data, len);
	b->wpos += len;
	return 0;
}

int
ibuf_add_ibuf(struct ibuf *b, const struct ibuf *from)
{
	return ibuf_add(b, ibuf_data(from), ibuf_size(from));
}

int
ibuf_add_zero(struct ibuf *b, size_t len)
{
	if (len == 0)
		return 0;
	return ibuf_reserve(b, len) == NULL ? -1 : 0;
}

int
ibuf_add_strbuf(struct ibuf *b, const char *s, size_t len)
{
	size_t n = strlen(s);

	if (n >= len) {
		errno = EOVERFLOW;
		return -1;
	}
	if (ibuf_grow(b, len) == -1 || ibuf_add(b, s, n) == -1)
		return -1;
	return ibuf_add_zero(b, len - n);
}

void *
ibuf_data(const struct ibuf *b)
{
	return b->buf == NULL ? NULL : b->buf + b->rpos;
}

size_t
ibuf_size(const struct ibuf *b)
{
	return b->wpos - b->rpos;
}

size_t
ibuf_left(const struct ibuf *b)
{
	return b->max == 0 ? 0 : b->max - b->wpos;
}

void *
ibuf_seek(struct ibuf *b, size_t pos, size_t len)
{
	if (pos > ibuf_size(b) || len > ibuf_size(b) - pos) {
		errno = ERANGE;
		return NULL;
	}
	return b->buf + b->rpos + pos;
}

int
ibuf_set(struct ibuf *b, size_t pos, const void *data, size_t len)
{
	void *p;

	if (len == 0)
		return pos > ibuf_size(b) ? (errno = ERANGE, -1) : 0;
	if ((p = ibuf_seek(b, pos, len)) == NULL)
		return -1;
	memcpy(p, data, len);
	return 0;
}

int
ibuf_truncate(struct ibuf *b, size_t len)
{
	if (len > ibuf_size(b))
		return ibuf_add_zero(b, len - ibuf_size(b));
	b->wpos = b->rpos + len;
	return 0;
}

void
ibuf_rewind(struct ibuf *b)
{
	b->rpos = 0;
}

void
ibuf_from_buffer(struct ibuf *b, void *data, size_t len)
{
	memset(b, 0, sizeof(*b));
	b->buf = data;
	b->size = b->wpos = len;
}

void
ibuf_from_ibuf(struct ibuf *b, const struct ibuf *from)
{
	ibuf_from_buffer(b, ibuf_data(from), ibuf_size(from));
}

int
ibuf_skip(struct ibuf *b, size_t len)
{
	if (len > ibuf_size(b)) {
		errno = EBADMSG;
		return -1;
	}
	b->rpos += len;
	return 0;
}

int
ibuf_get(struct ibuf *b, void *data, size_t len)
{
	if (len > ibuf_size(b)) {
		errno = EBADMSG;
		return -1;
	}
	if (len > 0)
		memcpy(data, b->buf + b->rpos, len);
	b->rpos += len;
	return 0;
}

int
ibuf_get_ibuf(struct ibuf *b, size_t len, struct ibuf *view)
{
	void *p = ibuf_data(b);

	if (ibuf_skip(b, len) == -1)
		return -1;
	ibuf_from_buffer(view, p, len);
	return 0;
}

char *
ibuf_get_string(struct ibuf *b, size_t len)
{
	char *s;

	if (len > ibuf_size(b)) {
		errno = EBADMSG;
		return NULL;
	}
	if ((s = strndup(len ? ibuf_data(b) : "", len)) != NULL)
		b->rpos += len;
	return s;
}

int
ibuf_get_strbuf(struct ibuf *b, char *s, size_t len)
{
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_get(b, s, len) == -1)
		return -1;
	if (memchr(s, '\0', len) == NULL) {
		s[len - 1] = '\0';
		errno = EOVERFLOW;
		return -1;
	}
	return 0;
}

/*
 * The integer readers and writers: name, type, largest value, conversion to
 * and from the wire.
 */
#define IBUF_INT(name, type, most, to, from)                                   \
	int ibuf_add_##name(struct ibuf *b, uint64_t v)                        \
	{                                                                      \
		type t = to((type)v);                                          \
                                                                               \
		if (v > most) {                                                \
			errno = EINVAL;                                        \
			return -1;                                             \
		}                                                              \
		return ibuf_add(b, &t, sizeof(t));                             \
	}                                                                      \
                                                                               \
	int ibuf_set_##name(struct ibuf *b, size_t pos, uint64_t v)            \
	{                                                                      \
		type t = to((type)v);                                          \
                                                                               \
		if (v > most) {                                                \
			errno = EINVAL;                                        \
			return -1;                                             \
		}                                                              \
		return ibuf_set(b, pos, &t, sizeof(t));                        \
	}                                                                      \
                                                                               \
	int ibuf_get_##name(struct ibuf *b, type *v)                           \
	{                                                                      \
		type t;                                                        \
                                                                               \
		if (ibuf_get(b, &t, sizeof(t)) == -1)                          \
			return -1;                                             \
		*v = from(t);                                                  \
		return 0;                                                      \
	}

IBUF_INT(n8, uint8_t, UINT8_MAX, , )
IBUF_INT(n16, uint16_t, UINT16_MAX, htobe16, be16toh)
IBUF_INT(n32, uint32_t, UINT32_MAX, htobe32, be32toh)
IBUF_INT(n64, uint64_t, UINT64_MAX, htobe64, be64toh)
IBUF_INT(h16, uint16_t, UINT16_MAX, , )
IBUF_INT(h32, uint32_t, UINT32_MAX, , )
IBUF_INT(h64, uint64_t, UINT64_MAX, , )

int
ibuf_fd_avail(struct ibuf *b)
{
	return b->nfds > 0 && b->fds[0] != -1;
}

int
ibuf_fd_get(struct ibuf *b)
{
	int fd;

	if (b->nfds == 0)
		return -1;
	fd = b->fds[0];
	b->fds[0] = -1;
	return fd;
}

void
ibuf_fd_set(struct ibuf *b, int fd)
{
	ibuf_close_fds(b);
	if (fd == -1)
		return;
	if ((b->fds = malloc(sizeof(int))) == NULL) {
		close(fd);
		return;
	}
	b->fds[0] = fd;
	b->nfds = 1;
}
