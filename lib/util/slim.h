#ifndef UTIL_SLIM_H
#define UTIL_SLIM_H

/*
 * Give back the memory that only starting needed: free heap, stack that is
 * not in use, and pages of the program, which come back from its file when
 * they are wanted.  For a process that is ready and will now do the same
 * thing for a long time; needs madvise(2).  Any thread; changes nothing that
 * can be seen.
 */
void slim(void);

#endif
