/*
 * Escapes typed on a console: a tilde at the beginning of a line, and what
 * follows it.
 */

#include "vmctl/vmctl.h"

#define CTRL_D 4

enum esc_event
escape_filter(struct escape *e, const char *in, size_t len, char *out,
    size_t *outlen)
{
	enum esc_event ev = ESC_NONE;
	size_t i, n = 0;
	char c;

	for (i = 0; i < len; i++) {
		c = in[i];
		if (e->tilde) {
			e->tilde = 0;
			if (c == '.' || c == CTRL_D) {
				*outlen = n;
				return ESC_LEAVE;
			}
			if (c == '?') {
				ev = ESC_HELP;
				continue;
			}
			out[n++] = '~';
			if (c == '~') {
				e->bol = 0;
				continue;
			}
		} else if (e->bol && c == '~') {
			e->tilde = 1;
			continue;
		}
		out[n++] = c;
		e->bol = c == '\r' || c == '\n';
	}
	*outlen = n;
	return ev;
}
