/*
 * Fields of message bodies: little-endian integers, strings with a length in
 * front.  Used by every process to read what any other may have sent.
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"

#define STR_NULL 0xffffffffU

int
wire_put_u8(struct ibuf *b, uint8_t v)
{
	return ibuf_add(b, &v, sizeof(v));
}

int
wire_put_u16(struct ibuf *b, uint16_t v)
{
	v = htole16(v);
	return ibuf_add(b, &v, sizeof(v));
}

int
wire_put_u32(struct ibuf *b, uint32_t v)
{
	v = htole32(v);
	return ibuf_add(b, &v, sizeof(v));
}

int
wire_put_u64(struct ibuf *b, uint64_t v)
{
	v = htole64(v);
	return ibuf_add(b, &v, sizeof(v));
}

int
wire_put_str(struct ibuf *b, const char *s)
{
	size_t len;

	if (s == NULL)
		return wire_put_u32(b, STR_NULL);
	if ((len = strlen(s)) > WIRE_STR_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (wire_put_u32(b, (uint32_t)len) == -1)
		return -1;
	return ibuf_add(b, s, len);
}

int
wire_get_u8(struct ibuf *b, uint8_t *v)
{
	return ibuf_get(b, v, sizeof(*v));
}

int
wire_get_u16(struct ibuf *b, uint16_t *v)
{
	if (ibuf_get(b, v, sizeof(*v)) == -1)
		return -1;
	*v = le16toh(*v);
	return 0;
}

int
wire_get_u32(struct ibuf *b, uint32_t *v)
{
	if (ibuf_get(b, v, sizeof(*v)) == -1)
		return -1;
	*v = le32toh(*v);
	return 0;
}

int
wire_get_u64(struct ibuf *b, uint64_t *v)
{
	if (ibuf_get(b, v, sizeof(*v)) == -1)
		return -1;
	*v = le64toh(*v);
	return 0;
}

int
wire_get_str(struct ibuf *b, char **s, size_t max)
{
	uint32_t len;
	char *p;

	*s = NULL;
	if (wire_get_u32(b, &len) == -1)
		return -1;
	if (len == STR_NULL)
		return 0;
	if (len > max || len > WIRE_STR_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (len > ibuf_size(b)) {
		errno = EBADMSG;
		return -1;
	}
	if ((p = malloc(len + 1)) == NULL)
		return -1;
	ibuf_get(b, p, len);
	p[len] = '\0';
	if (memchr(p, '\0', len) != NULL) {
		free(p);
		errno = EBADMSG;
		return -1;
	}
	*s = p;
	return 0;
}

int
wire_end(struct ibuf *b)
{
	if (ibuf_size(b) > 0) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
wire_put_fdlist(struct ibuf *b, const struct fdlist *l)
{
	const struct fdent *e;
	size_t i;

	if (wire_put_u32(b, (uint32_t)l->n) == -1)
		return -1;
	for (i = 0; i < l->n; i++) {
		e = &l->ents[i];
		if (wire_put_u16(b, e->kind) == -1 ||
		    wire_put_u16(b, e->idx) == -1 ||
		    wire_put_u16(b, e->sub) == -1)
			return -1;
	}
	return 0;
}

/* Read one label and move its descriptor, `*fd', into `l'. */
static int
get_fdent(struct ibuf *b, struct fdlist *l, int *fd)
{
	uint16_t kind, idx, sub;

	if (wire_get_u16(b, &kind) == -1 || wire_get_u16(b, &idx) == -1 ||
	    wire_get_u16(b, &sub) == -1)
		return -1;
	if (kind == FD_NONE || kind >= FD_KIND_MAX || *fd == -1 ||
	    fdlist_add(l, kind, idx, sub, fd) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
wire_get_fdlist(struct ibuf *b, struct fdlist *l, int *fds, size_t nfds)
{
	uint32_t n, i;

	l->n = 0;
	if (wire_get_u32(b, &n) == -1)
		return -1;
	if (n != nfds || n > VM_MAXFDS) {
		errno = EBADMSG;
		return -1;
	}
	for (i = 0; i < n; i++) {
		if (get_fdent(b, l, &fds[i]) == -1) {
			fdlist_close(l);
			return -1;
		}
	}
	return 0;
}
