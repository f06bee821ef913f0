#ifndef UTIL_SCALED_H
#define UTIL_SCALED_H

#include <stdint.h>

/*
 * Sizes as people write them: "512M", "2.5G".
 */

#define SCALED_MAX ((uint64_t)INT64_MAX)

/*
 * Parse `s', digits with an optional fraction and one of the suffixes
 * B K M G T P E in either case (powers of 1024), into `bytes'.  Leading
 * blanks are allowed.  Returns 0, or -1 with errno EINVAL for anything
 * else and for a negative size, ERANGE for more than SCALED_MAX.
 */
int scaled_parse(const char *s, uint64_t *bytes);

/*
 * Write `bytes' as people read it ("512M", "1.0G") into `buf' of
 * SCALED_LEN bytes and return `buf'.
 */
#define SCALED_LEN 8
char *scaled_fmt(char *buf, uint64_t bytes);

#endif
