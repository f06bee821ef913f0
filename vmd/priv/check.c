/*
 * What of this host may keep a guest offline, in priv: one sentence each for
 * the administrator.  Nothing is changed.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmd/priv/priv_int.h"

static void note(struct priv_result *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
note(struct priv_result *r, const char *fmt, ...)
{
	char text[PRIV_NOTE_MAX + 1];
	va_list ap;

	if (r->nnotes == PRIV_MAX_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if ((r->notes[r->nnotes] = strdup(text)) != NULL)
		r->nnotes++;
}

void
check_host(struct priv_result *r)
{
	if (sysctl_get("ipv4/ip_forward") == 0)
		note(r,
		    "net.ipv4.ip_forward is 0: guests on local interfaces "
		    "reach this host only (nat turns it on while needed)");
}
