#ifndef PARENT_RAWS_H
#define PARENT_RAWS_H

/*
 * Which images a guest has had as raw disks: the file `raws' of the state
 * directory.  Such a guest can write anything to the first bytes, also the
 * header of another format; what follows from that header is not for it to
 * say.  A file is known by its inode and the time it was made, which nobody
 * can change; where there is no such time, by its name as well.
 */

#define RAWS_FILE "raws"
#define RAWS_MAX  4096 /* lines; the oldest go */

struct raws;

/*
 * Read the file in `dirfd' (stays the caller's, and must stay open).  Lines
 * that make no sense are logged and left out; no file is an empty one.
 * NULL with errno.
 */
struct raws *raws_load(int dirfd);
void raws_free(struct raws *t); /* NULL is fine */
/* Is the image `fd', opened as `path', in it?  1, 0, or -1 with errno. */
int raws_has(const struct raws *t, int fd, const char *path);
/* Put it there, and in the file.  0, or -1 with errno. */
int raws_add(struct raws *t, int fd, const char *path);

#endif
