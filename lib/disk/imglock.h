#ifndef DISK_IMGLOCK_H
#define DISK_IMGLOCK_H

/*
 * Locks of image files, which exclude other programs that lock images.
 */

/*
 * Lock all of `fd' for one writer or for many readers, for as long as it or
 * a duplicate is open; a lock that it has is changed.  0, or -1 with errno:
 * EAGAIN if another open file has it, also a QEMU that writes to it.  Others
 * mean that it cannot be locked at all.
 */
int imglock(int fd, int writable);
/* Let go of it, whoever has a duplicate.  0, or -1 with errno. */
int imglock_drop(int fd);

#endif
