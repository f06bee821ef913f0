#ifndef DISK_CUT_H
#define DISK_CUT_H

#include <stddef.h>
#include <stdint.h>

#include "regress/unit/disk_fakeio.h"
#include "regress/unit/disk_look.h"
#include "regress/unit/disk_rig.h"

/*
 * What happened to an image, and all it may have become when the power
 * fails or the process ends in between.
 */

#define K	1024ULL
#define SLOTS	12
#define OPS_MAX 4000
#define NEVER	UINT64_MAX

struct shape {
	const char *name;
	const char *make;
	const char *chain[3];
	uint64_t size;
	uint64_t prefill; /* bytes written before */
	uint64_t len_max;
	unsigned int ops;
	unsigned int slots; /* requests at a time */
	int no_punch;
	int fails; /* one change of the file in so many */
};

/* A request, and when it was made and done. */
struct op {
	enum disk_op op;
	uint64_t off, len;
	uint64_t begun, done; /* NEVER: it was not, or failed */
	uint64_t flushed;     /* when a later flush was done */
};

struct slot {
	struct rig_req q;
	struct iovec iov;
	uint8_t *buf;
	size_t op;
	int used;
};

struct run {
	const struct shape *s;
	struct rig g;
	uint8_t *first;	  /* what the disk showed before */
	uint8_t *backing; /* what the layers below show */
	struct op ops[OPS_MAX];
	size_t nops;
	struct slot slots[SLOTS];
	/* the file after a power cut */
	uint8_t *file;
	uint8_t *orig; /* as it was at first */
	uint64_t file_len, orig_len;
	uint64_t images, shown;
};

extern struct run run;

/* What operation `i' writes at `off'. */
void pattern(uint8_t *buf, size_t i, uint64_t off, uint64_t len);
/* Examine the image after each operation; fail the test if one is wrong. */
void cut_all(unsigned int samples);
void kill_all(void);

#endif
