#ifndef PARENT_FILES_H
#define PARENT_FILES_H

#include <stddef.h>

/*
 * Opening what a VM needs: files.c, and disks.c for its disks.
 */

struct cred;
struct vm;
struct vm_spec;

/* On whose behalf a file of `v' is opened; the caller frees.  NULL: errno. */
struct cred *vm_opens_as(const struct vm *v, int by_client);
/*
 * Open, check and lock the disks of v->run and what is below them; then
 * vm_files_opened(), or vm_start_failed().
 */
void vm_open_disks(struct vm *v);
/* Give up doing so.  Nothing happens when nothing is being opened. */
void vm_disks_cancel(struct vm *v);
/*
 * All files are open but `over', for which there was no place: vm_launch()
 * or vm_start_failed().
 */
void vm_files_opened(struct vm *v, size_t over);

/*
 * The run is over and nothing can write for it any more: close all, and let
 * go of the locks, also if a duplicate is still about to be closed.
 */
void vm_release_files(struct vm *v);
/*
 * Between a run and a restart: the disks stay open and locked, all else is
 * closed.
 */
void vm_close_files(struct vm *v);
/*
 * `next' is what the next run will use: it takes over the disks of v->run
 * if they are the same, else they are closed.
 */
void vm_keep_disks(struct vm *v, struct vm_spec *next);

#endif
