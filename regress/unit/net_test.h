#ifndef NET_TEST_H
#define NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/answer.h"

/*
 * For the tests of lib/net: an interface, frames as real clients sent them to
 * it (regress/fuzz/corpus/net: two bytes for the fuzzer, then the frame), and
 * a reader of checksums that is not that of lib/net.
 */

#define HOST4  0x64400102
#define GUEST4 0x64400103
#define ETH    14
#define IP4    (ETH + 0)
#define UDP4   (ETH + 20)
#define MSG    (ETH + 28)
#define IP6    (ETH + 0)
#define NEXT6  (ETH + 40)
#define NONE   SIZE_MAX

/* A frame with its exact size on the heap: reads beyond it are seen. */
struct frame {
	uint8_t *p;
	size_t len;
	int how;
};

/* That to which the frames were sent; the caller may change it. */
void net_test_conf(struct net_conf *n);

/* A frame by the name of its file; frame_free() it. */
void frame_load(struct frame *f, const char *name);
void frame_new(struct frame *f, const void *p, size_t len);
void frame_resize(struct frame *f, size_t len);
void frame_free(struct frame *f);

/* Lengths and checksums made right again after a change. */
void frame_fix4(struct frame *f);
void frame_fix6(struct frame *f);

/* 1 if all lengths and checksums of a whole frame are right. */
int frame_good4(const uint8_t *p, size_t len);
int frame_good6(const uint8_t *p, size_t len);

uint32_t be16(const uint8_t *p);
uint32_t be32(const uint8_t *p);
void set16(uint8_t *p, uint32_t v);
void set32(uint8_t *p, uint32_t v);

#endif
