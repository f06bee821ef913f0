#ifndef PARENT_IMAGE_H
#define PARENT_IMAGE_H

#include "lib/proto/imginfo.h"
#include "vmd/parent/vm.h"

/*
 * Disk images, as the parent sees them: what they are, told by a process
 * that reads their header, and their locks.
 */

struct event_base;
struct imaging;
struct parent;

/*
 * Called once.  `i' stays the caller's and is valid during the call, or is
 * NULL with a text.  The imaging is gone afterwards.
 */
typedef void (
    *image_done)(void *arg, const struct image_info *i, const char *why);

/*
 * Start a process that looks at `fd', which stays the caller's: of `format'
 * (DISK_AUTO: whatever it is), for a guest that may write.  NULL with errno.
 */
struct imaging *image_start(struct parent *p, int fd, enum disk_format format,
    int writable, image_done done, void *arg);
/* Kill it; `done' is not called.  NULL is fine. */
void image_cancel(struct imaging *i);

/* --- lock.c ------------------------------------------------------------ */

/*
 * Is `fd' something a disk or CD-ROM of `v' can be: a regular file, or a
 * block device if the VM is root's, and not empty?
 * Makes it blocking.  NULL, or what is wrong with it.
 */
const char *image_unfit(const struct vm *v, int fd);
/*
 * Lock all of it for as long as the descriptor or a duplicate is open:
 * for one writer or for many readers.  A lock that it has is changed.  NULL,
 * or why not, in a static buffer, with errno EAGAIN if no VM of ours has it;
 * `v' is on whose behalf.
 */
const char *image_lock(const struct vm *v, int fd, int writable);
/*
 * After image_lock(): who has it may be about to let go, a program that looks
 * at images, or the processes of a VM that ended with its vmm.  1: `fn' will
 * be called, to try again; 0: that makes no sense, or not any more.
 */
int image_lock_again(struct lock_retry *r, struct event_base *base,
    void (*fn)(int, short, void *), void *arg);
/* Before another file; `fn' will not be called. */
void image_lock_over(struct lock_retry *r);
/* Let go of it, whoever has a duplicate. */
void image_unlock(int fd);

#endif
