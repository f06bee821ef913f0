/*
 * File systems that a user serves (FUSE), or has mounted over one in a
 * namespace of his own (/proc/PID/root leads there): used by the opener,
 * which has a deadline.  Their files cannot go to the parent, where fstat(2)
 * or close(2) would wait for that user, and what they say of owners means
 * nothing.
 */
#include <sys/stat.h>
#include <sys/vfs.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>

#include "vmd/parent/opener.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* "ID ... - TYPE SOURCE OPTIONS": is it that mount, and root's? */
static int
is_ours(const char *line, uint64_t id, int fuse)
{
	const char *opts = strstr(line, " - ");
	const char *user = opts == NULL ? NULL : strstr(opts, "user_id=");

	if (strtoull(line, NULL, 10) != id)
		return 0;
	return !fuse ||
	    (user != NULL && strtoul(user + strlen("user_id="), NULL, 10) == 0);
}

/* Is the mount with this id one of our namespace, and, if FUSE, root's? */
static int
known_mount(uint64_t id, int fuse)
{
	char *line = NULL;
	size_t size = 0;
	int found = 0;
	FILE *f;

	if ((f = fopen("/proc/self/mountinfo", "re")) == NULL)
		return 0;
	while (!found && getline(&line, &size, f) != -1)
		found = is_ours(line, id, fuse);
	free(line);
	fclose(f);
	return found;
}

/* That of our root is not listed if the root is a directory in it. */
static int
mount_of_root(uint64_t id)
{
	struct statx st;

	return statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) ==
	    0 &&
	    st.stx_mask & STATX_MNT_ID && st.stx_mnt_id == id;
}

int
open_is_users(int fd)
{
	struct statfs fs;
	struct statx st;
	int fuse;

	if (fstatfs(fd, &fs) == -1)
		return -1;
	fuse = fs.f_type == FUSE_SUPER_MAGIC;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID,
		&st) == -1)
		return -1;
	if (!(st.stx_mask & STATX_MNT_ID))
		return fuse;
	if (!fuse && mount_of_root(st.stx_mnt_id))
		return 0;
	return !known_mount(st.stx_mnt_id, fuse);
}
