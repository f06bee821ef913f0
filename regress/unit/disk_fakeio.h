#ifndef DISK_FAKEIO_H
#define DISK_FAKEIO_H

#include <stddef.h>
#include <stdint.h>

/*
 * An engine of asynchronous I/O for tests, under the interface of
 * lib/disk/io.h: does what is queued in any order, sometimes in part,
 * sometimes not at all, and records what happens to file 0.  A sync that
 * fails says so once, as that of Linux: what was written before and is not
 * on the disk may be lost, and the next sync knows nothing of it.
 */

enum fake_kind {
	FAKE_WRITE,
	FAKE_ZERO, /* holes */
	FAKE_SYNC
};

struct fake_event {
	enum fake_kind kind;
	uint64_t clock;
	uint64_t off, len;
	uint8_t *data;
	size_t covers; /* SYNC: these events are on the disk now */
	int failed;    /* SYNC: what was not before may never be */
};

struct fake {
	struct fake_event *log;
	size_t n, size;
	uint64_t clock;
	int recording;
	int short_one_in; /* of these transfers one is done in part; 0: none */
	int fail_one_in;  /* of these changes one fails */
	int fail_syncs;	  /* so many of the next; each counts down */
	int no_punch;
	size_t ops; /* that were done */
};

extern struct fake fake;

void fake_reset(void);

#endif
