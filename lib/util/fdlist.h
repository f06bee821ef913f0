#ifndef UTIL_FDLIST_H
#define UTIL_FDLIST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Labelled descriptors on their way through the processes.  A list owns its
 * descriptors; they are moved, never shared.
 */

#define VM_MAXFDS 240 /* in one message; the kernel's limit is 253 */

enum fd_kind {
	FD_NONE,
	FD_BOOT, /* kernel or firmware */
	FD_INITRD,
	FD_CDROM,
	FD_DISK,	/* idx: disk, sub: layer, 0 is the top */
	FD_TAP,		/* idx: interface, sub: queue */
	FD_TTY,		/* master side of the pty */
	FD_CONSOLE,	/* memfd of the console history ring */
	FD_CONSOLE_LOG, /* file of `console log' */
	FD_KVM,
	FD_GUEST_EXE, /* vmd-guest, for execveat(2) */
	FD_SOCKET,
	FD_IDS, /* file of id slot locks */
	FD_KIND_MAX
};

struct fdent {
	int fd;
	uint16_t kind;
	uint16_t idx;
	uint16_t sub;
};

struct fdlist {
	struct fdent ents[VM_MAXFDS];
	size_t n;
};

#define FDLIST_INIT                                                            \
	{                                                                      \
		.n = 0                                                         \
	}

/* close(2) unless -1, keeps errno, leaves -1. */
void fd_close(int *fd);

/*
 * Take `*fd' and leave -1 there.  Returns 0, or -1 with errno EMFILE when
 * the list is full, EEXIST when that place is taken or EINVAL when there is
 * no such kind or place; `*fd' is untouched then.
 */
int fdlist_add(struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub, int *fd);
/* The descriptor, which stays the list's, or -1. */
int fdlist_get(const struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub);
/* The descriptor, which is the caller's now, or -1. */
int fdlist_take(struct fdlist *l, enum fd_kind kind, unsigned int idx,
    unsigned int sub);
/* Append duplicates (close-on-exec) of all of `from'.  0 or -1 with errno. */
int fdlist_dup(struct fdlist *to, const struct fdlist *from);
/* Close all; the list is empty afterwards.  An empty one is fine. */
void fdlist_close(struct fdlist *l);

#endif
