/*
 * The body of OPEN_REQUEST, from the parent to an opener.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/wire.h"
#include "vmd/parent/opener.h"

int
open_msg_put(struct ibuf *b, const struct open_msg *m)
{
	size_t i;

	if (wire_put_str(b, m->path) == -1 || wire_put_u32(b, m->how) == -1 ||
	    wire_put_u32(b, m->trusted) == -1 ||
	    wire_put_u32(b, m->who->uid) == -1 ||
	    wire_put_u32(b, m->who->gid) == -1 ||
	    wire_put_u32(b, (uint32_t)m->who->ngroups) == -1)
		return -1;
	for (i = 0; i < m->who->ngroups; i++)
		if (wire_put_u32(b, m->who->groups[i]) == -1)
			return -1;
	return 0;
}

static int
groups_get(struct ibuf *b, struct cred *c)
{
	uint32_t n, i;

	if (wire_get_u32(b, &n) == -1)
		return -1;
	if (n > CRED_MAXGROUPS) {
		errno = EBADMSG;
		return -1;
	}
	if (n > 0 && (c->groups = calloc(n, sizeof(gid_t))) == NULL)
		return -1;
	for (i = 0; i < n; i++)
		if (wire_get_u32(b, &c->groups[i]) == -1)
			return -1;
	c->ngroups = n;
	return 0;
}

int
open_msg_get(struct ibuf *b, struct open_msg *m)
{
	memset(m, 0, sizeof(*m));
	if ((m->who = calloc(1, sizeof(*m->who))) == NULL)
		return -1;
	if (wire_get_str(b, &m->path, WIRE_STR_MAX) == -1 ||
	    wire_get_u32(b, &m->how) == -1 ||
	    wire_get_u32(b, &m->trusted) == -1 ||
	    wire_get_u32(b, &m->who->uid) == -1 ||
	    wire_get_u32(b, &m->who->gid) == -1 ||
	    groups_get(b, m->who) == -1 || wire_end(b) == -1)
		goto fail;
	if (m->path != NULL && m->path[0] == '/' && m->how < OPEN_HOW_MAX &&
	    m->trusted <= 1)
		return 0;
	errno = EBADMSG;
fail:
	open_msg_fini(m);
	return -1;
}

void
open_msg_fini(struct open_msg *m)
{
	free(m->path);
	cred_free(m->who);
	m->path = NULL;
	m->who = NULL;
}
