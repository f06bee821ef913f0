/*
 * Escapes typed on a console: a tilde at the beginning of a line, and what
 * follows it.
 */

#include "vmctl/vmctl.h"

#define CTRL_D 4

static enum esc_event
command(char c)
{
	switch (c) {
	case '.':
	case CTRL_D:
		return ESC_LEAVE;
	case '#':
		return ESC_BREAK;
	case '?':
		return ESC_HELP;
	default:
		return ESC_NONE;
	}
}

enum esc_event
escape_filter(struct escape *e, const char *in, size_t len, char *out,
    size_t *outlen, size_t *used)
{
	enum esc_event ev = ESC_NONE, which;
	size_t i, n = 0;
	char c;

	for (i = 0; i < len && ev < ESC_BREAK;) {
		c = in[i++];
		if (e->tilde) {
			e->tilde = 0;
			if ((which = command(c)) != ESC_NONE) {
				ev = which;
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
	*used = i;
	return ev;
}
