#ifndef DISK_FAKEIO_H
#define DISK_FAKEIO_H

#include <stddef.h>
#include <stdint.h>

/*
 * An engine of asynchronous I/O for tests, under the interface of
 * lib/disk/io.h: does what is queued in any order, sometimes in part,
 * sometimes not at all, and records what happens to file 0.
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
};

struct fake {
	struct fake_event *log;
	size_t n, size;
	uint64_t clock;
	int recording;
	int short_one_in; /* of these transfers one is done in part; 0: none */
	int fail_one_in;  /* of these changes one fails */
	int fail_after;	  /* and all after so many; -1: no */
	int no_punch;
	size_t ops; /* that were done */
};

extern struct fake fake;

void fake_reset(void);

#endif
