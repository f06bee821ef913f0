#ifndef DISKS_FAKE_H
#define DISKS_FAKE_H

/*
 * Disks and CD-ROMs from their names to descriptors: the test plays the
 * parent, with openers and images as processes.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmd/parent/files.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define JOE 12345

extern struct parent parent;
extern struct cred joe;
extern char dir[];	/* all files are there; joe's are in home/ */
extern char text[2048]; /* why a start failed, "" if it did not */
extern int ended;	/* it did, or it failed */
extern int statedir;

/* The whole program. */
int disks_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n);

/* DIR/NAME, in one of four static buffers. */
const char *in(const char *name);
/* Make a raw image ... */
void raw(const char *name, uid_t uid, mode_t mode);
/* ... a qcow2 image; `backing' and `format' may be NULL. */
void qcow2(const char *name, uid_t uid, mode_t mode, const char *backing,
    const char *format);

/* A VM of that owner without disks; ends with forget(). */
struct vm *vm(const char *name, uid_t uid);
void forget(struct vm *v);
/* Give it a disk: a name in the directory, or a path. */
struct disk_spec *add(struct vm *v, const char *name);
/* "" or why it did not start. */
const char *start(struct vm *v);
/* The same with a VM that has this disk only. */
const char *start_one(const char *name, uid_t uid);
/* The text is "disk 0 DIR/NAME: WHY (vm.conf:3)". */
void says(const char *name, const char *why);
/* 1: somebody else could not lock it so. */
int locked(const char *name, int exclusive);
int fd_flags(const struct vm *v, enum fd_kind kind, unsigned int idx,
    unsigned int sub);

#endif
