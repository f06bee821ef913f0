/*
 * What comes from the parent is looked at again in priv: names of
 * interfaces, groups, the tag; and why a request failed, in words.
 */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmd/priv/priv_int.h"

static char why[512];
static enum vmerr why_err;

const char *
priv_why(void)
{
	return why[0] == '\0' ? "failed" : why;
}

int
priv_failed(void)
{
	return why[0] != '\0';
}

enum vmerr
priv_why_err(void)
{
	return why_err == VMERR_OK ? VMERR_FAILED : why_err;
}

void
priv_why_clear(void)
{
	why[0] = '\0';
	why_err = VMERR_OK;
	nl_said_clear();
}

int
priv_fail(const char *fmt, ...)
{
	const char *cause = strerror(errno);
	va_list ap;
	size_t n;

	if (why[0] != '\0')
		return -1;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	n = strlen(why);
	if (nl_said()[0] != '\0')
		snprintf(why + n, sizeof(why) - n, ": %s (%s)", cause,
		    nl_said());
	else
		snprintf(why + n, sizeof(why) - n, ": %s", cause);
	why_err = VMERR_FAILED;
	return -1;
}

int
priv_failx(enum vmerr e, const char *fmt, ...)
{
	va_list ap;

	if (why[0] != '\0')
		return -1;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	why_err = e;
	return -1;
}

/* --- names --------------------------------------------------------------- */

/* As the kernel has it, without what is a wildcard or a format to others. */
int
name_is_ifname(const char *s)
{
	size_t i, len = strlen(s);

	if (len == 0 || len >= IFNAMSIZ || s[0] == '.')
		return 0;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("._-", s[i]) == NULL)
			return 0;
	return 1;
}

int
name_is_numbered(const char *s, const char *type)
{
	size_t i, n = strlen(type);
	uint64_t v = 0;

	if (!name_is_ifname(s) || strncmp(s, type, n) != 0 || s[n] == '\0')
		return 0;
	for (i = n; s[i] != '\0'; i++) {
		if (!isdigit((unsigned char)s[i]))
			return 0;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	return v <= UINT32_MAX;
}

int
name_is_group(const char *s)
{
	size_t i, len = strlen(s);

	if (len == 0 || len > PRIV_GROUP_MAX ||
	    isdigit((unsigned char)s[len - 1]))
		return 0;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("._-", s[i]) == NULL)
			return 0;
	return 1;
}

int
name_is_tag(const char *s)
{
	size_t i, len = strlen(s);

	if (len == 0 || len > PRIV_TAG_MAX)
		return 0;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]))
			return 0;
	return 1;
}

int
name_is_text(const char *s, size_t max)
{
	size_t i, len = strlen(s);

	if (len == 0 || len > max)
		return 0;
	for (i = 0; i < len; i++)
		if (iscntrl((unsigned char)s[i]))
			return 0;
	return 1;
}
