/*
 * File systems that a user serves (FUSE): used by the opener, which has a
 * deadline.  Their files cannot go to the parent, where fstat(2) or close(2)
 * would wait for that user, and what they say of owners means nothing.
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

/* "ID ...": is it that mount, and root's? */
static int
is_roots(const char *line, uint64_t id)
{
	const char *opts = strstr(line, " - ");
	const char *user = opts == NULL ? NULL : strstr(opts, "user_id=");

	return strtoull(line, NULL, 10) == id && user != NULL &&
	    strtoul(user + strlen("user_id="), NULL, 10) == 0;
}

/* Was the mount with this id made by root?  proc(5), mountinfo. */
static int
mounted_by_root(uint64_t id)
{
	char *line = NULL;
	size_t size = 0;
	int found = 0;
	FILE *f;

	if ((f = fopen("/proc/self/mountinfo", "re")) == NULL)
		return 0;
	while (!found && getline(&line, &size, f) != -1)
		found = is_roots(line, id);
	free(line);
	fclose(f);
	return found;
}

int
open_is_users(int fd)
{
	struct statfs fs;
	struct statx st;

	if (fstatfs(fd, &fs) == -1)
		return -1;
	if (fs.f_type != FUSE_SUPER_MAGIC)
		return 0;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID,
		&st) == -1)
		return -1;
	if (!(st.stx_mask & STATX_MNT_ID))
		return 1;
	return !mounted_by_root(st.stx_mnt_id);
}
