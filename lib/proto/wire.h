#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/util/fdlist.h"

/*
 * Fields of message bodies: little-endian integers, strings with a 32-bit
 * length in front and no terminator.  Every reader checks before it copies
 * or allocates.  All return 0, or -1 with errno: EBADMSG for a short or
 * malformed body, EMSGSIZE for a string above its maximum, ENOMEM.
 */

#define WIRE_STR_MAX 4096 /* longest string anywhere, without NUL */

int wire_put_u8(struct ibuf *b, uint8_t v);
int wire_put_u16(struct ibuf *b, uint16_t v);
int wire_put_u32(struct ibuf *b, uint32_t v);
int wire_put_u64(struct ibuf *b, uint64_t v);
/* NULL is written as a string of its own kind and read back as NULL. */
int wire_put_str(struct ibuf *b, const char *s);

int wire_get_u8(struct ibuf *b, uint8_t *v);
int wire_get_u16(struct ibuf *b, uint16_t *v);
int wire_get_u32(struct ibuf *b, uint32_t *v);
int wire_get_u64(struct ibuf *b, uint64_t *v);
/*
 * Read a string of at most `max' bytes into `*s', which the caller frees.
 * A NUL inside is EBADMSG.
 */
int wire_get_str(struct ibuf *b, char **s, size_t max);
/* 0 if the body is used up, else -1 with EBADMSG. */
int wire_end(struct ibuf *b);

/*
 * The labels of `l', in order; the descriptors themselves travel in the
 * message.  The reader takes `nfds' descriptors from `fds' into `l' (which
 * it initialises) and leaves -1 in their places.  EBADMSG unless the count
 * matches and each kind and place is valid and used once.
 */
int wire_put_fdlist(struct ibuf *b, const struct fdlist *l);
int wire_get_fdlist(struct ibuf *b, struct fdlist *l, int *fds, size_t nfds);

#endif
