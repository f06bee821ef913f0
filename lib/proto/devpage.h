#ifndef PROTO_DEVPAGE_H
#define PROTO_DEVPAGE_H

#include <stdint.h>

/*
 * Memory that a device process shares with its vm process: made by vm,
 * sealed, given to each replacement again.  The vm process takes nothing in
 * it for true; what is wrong there hurts this device alone.
 */

enum dev_stat {
	DEVS_READS, /* requests done */
	DEVS_WRITES,
	DEVS_READ_BYTES,
	DEVS_WRITE_BYTES,
	DEVS_FLUSHES,
	DEVS_ERRORS,
	DEVS_MAX
};

struct dev_page {
	uint8_t isr; /* atomic; causes of an INTx: 1 queue, 2 config */
	uint8_t reserved[7];
	uint64_t stats[16]; /* enum dev_stat; one writer */
};

/* Then, from here on, a record of requests in flight for each queue. */
#define DEV_PAGE_RECORDS 4096

#endif
