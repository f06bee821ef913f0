#ifndef PARENT_IDS_H
#define PARENT_IDS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Which VM has which id: the file `ids' of the state directory, a line
 * "NAME ID" each, replaced by rename(2).  Ids of VMs that are not in the
 * configuration live in memory only.
 */

#define IDS_FILE "ids"
#define IDS_MAX	 65536 /* lines, and highest id handed out */

struct ids;

/*
 * Read the file in `dirfd' (stays the caller's, and must stay open).  Lines
 * that make no sense are logged and left out; no file is an empty one.
 * NULL with errno.
 */
struct ids *ids_load(int dirfd);
void ids_free(struct ids *t);
/* The id of `name', or 0. */
uint32_t ids_find(const struct ids *t, const char *name);
/*
 * Give `name' an id: `fixed' unless 0, else the one it has, else the lowest
 * that nobody has and for which `used' says 0.  A fixed id is taken away
 * from any other name.  `keep': write it to the file with ids_save().
 * Returns the id, or 0 with errno: EEXIST (`fixed' is in use), ENOSPC,
 * ENOMEM.
 */
uint32_t ids_assign(struct ids *t, const char *name, uint32_t fixed, int keep,
    int (*used)(void *arg, uint32_t id), void *arg);
/* Forget that of `name' unless it is kept in the file. */
void ids_release(struct ids *t, const char *name);
/* Forget all. */
void ids_clear(struct ids *t);
/* Write the file if it changed.  0, or -1 with errno. */
int ids_save(struct ids *t);

#endif
