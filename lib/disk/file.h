#ifndef DISK_FILE_H
#define DISK_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Whole reads and writes at a place of an image file, for the offline tools:
 * blocking, and again after a signal.
 */

/* What is beyond the end of the file reads as zeros.  0 or -1 with errno. */
int file_read(int fd, void *buf, size_t len, uint64_t off);
int file_write(int fd, const void *buf, size_t len, uint64_t off);
/* Is every byte 0? */
int file_is_zero(const void *buf, size_t len);
/* "what: text of errno" in `why'; keeps errno and returns -1. */
int file_error(char *why, size_t len, const char *what);

#endif
