#ifndef FAKE_IOQ_H
#define FAKE_IOQ_H

#include <stddef.h>
#include <stdint.h>

#include "lib/disk/io.h"

/*
 * The queue of an engine of asynchronous I/O for tests, under the interface
 * of lib/disk/io.h: what is queued is done in any order.  How, says the test
 * that links it.
 */

enum fake_op {
	OP_READ,
	OP_WRITE,
	OP_SYNC, /* of what fake_changes() was, which is in `len' */
	OP_FALLOCATE
};

/* --- by the test --- */

/* Do one on this file: its result, as of io_uring. */
int fake_do(int fd, const struct io_op *op);
/* How many changes there were so far. */
size_t fake_changes(void);
/* Less than `n'. */
uint64_t fake_dice(uint64_t n);

/* --- for it --- */

/* What is to be written, in one piece; the caller frees it. */
uint8_t *fake_data(const struct io_op *op, size_t *len);

#endif
