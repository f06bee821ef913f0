/*
 * Scaled numbers, for the configuration file, the command line and the
 * status table.
 */

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/util/scaled.h"

int
scaled_parse(const char *s, uint64_t *bytes)
{
	static const char unit[] = "bkmgtpe";
	uint64_t whole = 0, part = 0, div = 1;
	unsigned int shift = 0;
	size_t i, digits = 0;

	while (isspace((unsigned char)*s))
		s++;
	for (; isdigit((unsigned char)*s); s++, digits++) {
		if (whole > (UINT64_MAX - 9) / 10)
			goto range;
		whole = whole * 10 + (uint64_t)(*s - '0');
	}
	if (*s == '.') {
		for (s++; isdigit((unsigned char)*s); s++, digits++)
			if (div < 1000000000) {
				div *= 10;
				part = part * 10 + (uint64_t)(*s - '0');
			}
	}
	if (digits == 0)
		goto invalid;
	if (*s != '\0') {
		for (i = 0; unit[i] != '\0'; i++)
			if (tolower((unsigned char)*s) == unit[i])
				break;
		if (unit[i] == '\0' || s[1] != '\0')
			goto invalid;
		shift = 10 * (unsigned int)i;
	}
	if (whole > SCALED_MAX >> shift)
		goto range;
	*bytes = whole << shift;
	*bytes += (uint64_t)(((unsigned __int128)part << shift) / div);
	if (*bytes > SCALED_MAX)
		goto range;
	return 0;
invalid:
	errno = EINVAL;
	return -1;
range:
	errno = ERANGE;
	return -1;
}

char *
scaled_fmt(char *buf, uint64_t bytes)
{
	static const char unit[] = "BKMGTPE";
	unsigned int u = 0;
	uint64_t whole = bytes, tenth = 0;

	while (whole >= 1024) {
		tenth = (whole % 1024) * 10 / 1024;
		whole /= 1024;
		u++;
	}
	if (u > 0 && whole < 10)
		snprintf(buf, SCALED_LEN, "%u.%u%c", (unsigned int)whole,
		    (unsigned int)tenth, unit[u]);
	else
		snprintf(buf, SCALED_LEN, "%u%c", (unsigned int)whole, unit[u]);
	return buf;
}
