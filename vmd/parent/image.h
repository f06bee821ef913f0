#ifndef PARENT_IMAGE_H
#define PARENT_IMAGE_H

#include "lib/util/fdlist.h"
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
 * Unlock all images of a VM that has ended: the kernel may keep duplicates
 * for a while after the end of a process that had them in an io_uring.
 */
void images_unlock(const struct fdlist *fds);

#endif
