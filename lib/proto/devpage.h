#ifndef PROTO_DEVPAGE_H
#define PROTO_DEVPAGE_H

#include <stdint.h>

#include "lib/virtio/page.h"
#include "lib/virtio/vq.h"

/*
 * Memory that a device process shares with its vm process: made and sealed
 * by vm, given to each replacement again.  The vm process takes nothing in
 * it for true; what is wrong there hurts this device alone.
 */

enum dev_stat {
	DEVS_READS, /* requests done */
	DEVS_WRITES,
	DEVS_READ_BYTES,
	DEVS_WRITE_BYTES,
	DEVS_FLUSHES,
	DEVS_ERRORS,
	/* Of network interfaces; RX is to the guest, TX from it. */
	DEVS_RX_FRAMES,
	DEVS_TX_FRAMES,
	DEVS_RX_BYTES,
	DEVS_TX_BYTES,
	DEVS_RX_DROPS,
	DEVS_TX_DROPS,
	DEVS_LEASE,    /* the guest's address: until when; UNIX time, 0: none */
	DEVS_ADDRESS,  /* that others gave it; IPv4, 0: none */
	DEVS_COUNTERS, /* how many are in use */
	DEVS_MAX = 16
};

struct dev_page {
	struct virtio_page virtio;
	uint64_t stats[DEVS_MAX]; /* enum dev_stat; one writer */
	uint64_t state[4];	  /* the device's own, for its successor */
};

/*
 * Then, from here on, a record of requests in flight for each queue; the
 * whole in pages.
 */
#define DEV_PAGE_RECORDS	   1024
#define DEV_PAGE_RECORD(queue_max) ((vq_inflight_size(queue_max) + 63) & ~63UL)
#define DEV_PAGE_SIZE(nqueues, queue_max)                                      \
	((DEV_PAGE_RECORDS + (nqueues)*DEV_PAGE_RECORD(queue_max) + 4095) &    \
	    ~4095UL)

#endif
