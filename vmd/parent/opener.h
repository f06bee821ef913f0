#ifndef PARENT_OPENER_H
#define PARENT_OPENER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "vmd/parent/perm.h"

/*
 * Opening files that others name.  The parent side (open.c) starts a
 * process for each; that process (opener.c) becomes the person on whose
 * behalf it opens, opens one path and hands the descriptor back.
 */

enum open_how {
	OPEN_READ,
	OPEN_RDWR,
	OPEN_APPEND, /* made with mode 0600 if it is not there */
	OPEN_HOW_MAX
};

/* Body of OPEN_REQUEST. */
struct open_msg {
	char *path;   /* absolute */
	uint32_t how; /* enum open_how */
	/*
	 * 1: a name of the configuration; opened as root if nobody else can
	 * change what it names, else as `who'.  0: always as `who'.
	 */
	uint32_t trusted;
	struct cred *who;
};
int open_msg_put(struct ibuf *b, const struct open_msg *m);
int open_msg_get(struct ibuf *b, struct open_msg *m);
void open_msg_fini(struct open_msg *m);

/*
 * Open `path' provided that the file and each directory and link on its way
 * belong to root and can be changed by nobody else.  A sticky directory of
 * root's is fine: names of root's in it are safe.  Returns the descriptor,
 * or -1 with errno; EPERM with `why' (of `len' bytes) set means that a name
 * on the way is not root's alone.
 */
int open_rootsafe(const char *path, enum open_how how, char *why, size_t len);

/*
 * Is `fd' (O_PATH will do) on a file system that somebody other than root
 * serves?  1, 0, or -1 with errno.  May take as long as that one likes.
 */
int open_is_users(int fd);

/* --- the parent's side ------------------------------------------------- */

struct parent;
struct opening;

/*
 * Called once.  `fd' is the callee's, or -1 with a text.  The opening is
 * gone afterwards.
 */
typedef void (*open_done)(void *arg, int fd, const char *why);

/* Start a process that opens.  NULL with errno; `m' stays the caller's. */
struct opening *open_start(struct parent *p, const struct open_msg *m,
    open_done done, void *arg);
/* Kill it; `done' is not called.  NULL is fine. */
void open_cancel(struct opening *o);

#endif
