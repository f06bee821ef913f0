#ifndef GUEST_BLK_H
#define GUEST_BLK_H

#include "virtio.h"

/*
 * Requests to a virtio disk, and sectors that say what they are: Virtio 1.2,
 * 5.2.  The disk `n' is at slot 4 + n / 8, function n % 8.
 */

#define SECTOR	      512

#define BLK_IN	      0
#define BLK_OUT	      1
#define BLK_FLUSH     4
#define BLK_GET_ID    8
#define BLK_DISCARD   11
#define BLK_ZERO      13

#define BLK_OK	      0
#define BLK_IOERR     1
#define BLK_UNSUPP    2

#define BLK_F_RO      (1ULL << 5)
#define BLK_F_FLUSH   (1ULL << 9)
#define BLK_F_WCE     (1ULL << 11)
#define BLK_F_MQ      (1ULL << 12)
#define BLK_F_DISCARD (1ULL << 13)
#define BLK_F_ZERO    (1ULL << 14)

/* In configuration space. */
#define BLK_CAPACITY  0
#define BLK_WRITEBACK 32
#define BLK_NQUEUES   34

int blk_find(struct vdev *d, unsigned int n);

/* The header at `at'. */
void blk_header(uint64_t at, uint32_t type, uint64_t sector);
/* A range of DISCARD or WRITE_ZEROES. */
void blk_range(uint64_t at, uint64_t sector, uint32_t n, uint32_t flags);

/*
 * Sector `s' in its generation `gen', 1 and up, at `at'; is it that there,
 * by some of its words?  In generation 0 it is all zero.  The host knows the
 * formula as well.
 */
void sector_fill(uint64_t at, uint32_t s, uint32_t gen);
int sector_is(uint64_t at, uint32_t s, uint32_t gen);
uint64_t sector_word(uint32_t s, uint32_t gen);
/* Make sure that it is not right unless it is read. */
void sector_spoil(uint64_t at);

/* Something else each time. */
uint32_t random32(void);

#endif
