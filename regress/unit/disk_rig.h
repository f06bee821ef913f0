#ifndef DISK_RIG_H
#define DISK_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/disk/disk.h"

/*
 * For tests of images: a directory of its own, qemu-img, a chain that is
 * open, and requests.  Everything fails the test that calls it.
 */

#define RIG_LAYERS 16

struct rig {
	struct io *io;
	struct disk *d;
	int fds[RIG_LAYERS];
	size_t nfds;
	char why[256];
};

struct rig_req {
	struct disk_req r;
	int done;
	int error;
};

/*
 * Around all tests: in a new directory, without a disk behind it if there is
 * such a place.
 */
int rig_enter(void **state);
int rig_leave(void **state);
/*
 * Run `fn' for each of `n' shapes of `size' bytes, which begin with their
 * name, or for the one of that name.  What main() returns.
 */
int rig_shapes(const char *group, void (*fn)(void **state), const void *shapes,
    size_t size, size_t n, const char *only);
/* Run a command, which succeeds. */
void rig_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same; its exit status. */
int rig_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Open files, top first; those that end in .raw are raw.  0 or an errno. */
int
rig_open(struct rig *g, const char *const *names, unsigned int flags, int sync);
/* What disk_close() says. */
int rig_close(struct rig *g);

void rig_submit(struct rig *g, struct rig_req *q);
int rig_wait(struct rig *g, struct rig_req *q);
/* One request; its error. */
int rig_rw(struct rig *g, enum disk_op op, void *buf, size_t len, uint64_t off);
int rig_range(struct rig *g, enum disk_op op, uint64_t off, uint64_t len,
    int unmap);

uint64_t rig_random(void);
void rig_seed(uint64_t seed);

#endif
