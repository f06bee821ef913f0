#ifndef PARENT_LIMIT_H
#define PARENT_LIMIT_H

#include <stddef.h>

struct vm;

/*
 * May `v', with the settings of v->run, start beside what is up now?  0, or
 * -1 with a sentence in `why': which limit, where it is written, and the
 * numbers.  A user's limit counts what that user owns; a group's what is
 * owned by the group or by a user in it other than root.
 */
int limit_check(const struct vm *v, char *why, size_t len);

#endif
