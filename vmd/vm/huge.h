#ifndef VM_HUGE_H
#define VM_HUGE_H

struct event_base;
struct gmem;

/*
 * Guest memory in huge pages.  The kernel gives shared memory small ones
 * unless its administrator wants it otherwise, and then all that a guest and
 * its devices do with memory takes longer: a quarter more for what a disk
 * writes.  So the vm process looks what the guest has begun to use, a little
 * at a time, and has the kernel make huge pages of that: MADV_COLLAPSE of
 * madvise(2), Linux 6.1.  Main thread only.
 */
struct huge;

/*
 * `mem' outlives it.  With a `base' it looks by itself from then on, more
 * often while there is something to do.  NULL with errno.
 */
struct huge *huge_new(struct event_base *base, const struct gmem *mem);
/* NULL is fine. */
void huge_free(struct huge *h);

/*
 * Look at some of the memory: how many huge pages were made, or -1 if this
 * kernel makes none.
 */
int huge_look(struct huge *h);

#endif
