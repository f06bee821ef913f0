/*
 * Credentials: of the process at the other end of a socket, and of a user
 * on whose behalf files are opened.  Used by the parent.
 */
#include <sys/socket.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "vmd/parent/perm.h"

/* The supplementary groups of the peer; asks once for the size. */
static int
socket_groups(int fd, struct cred *c)
{
	socklen_t len = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0;
	if (errno != ERANGE || len > CRED_MAXGROUPS * sizeof(gid_t))
		return -1;
	if ((c->groups = malloc(len)) == NULL)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c->groups, &len) == -1)
		return -1;
	c->ngroups = len / sizeof(gid_t);
	return 0;
}

struct cred *
cred_of_socket(int fd)
{
	struct ucred uc;
	struct cred *c;
	socklen_t len = sizeof(uc);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) == -1)
		return NULL;
	if (len != sizeof(uc) || uc.uid == (uid_t)-1) {
		errno = EPERM;
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->uid = uc.uid;
	c->gid = uc.gid;
	if (socket_groups(fd, c) == -1) {
		cred_free(c);
		return NULL;
	}
	return c;
}

static int
user_groups(const char *name, struct cred *c)
{
	gid_t *list;
	int n = 32, tries;

	for (tries = 0; tries < 3 && n <= CRED_MAXGROUPS; tries++) {
		list = reallocarray(c->groups, (size_t)n, sizeof(gid_t));
		if (list == NULL)
			return -1;
		c->groups = list;
		if (getgrouplist(name, c->gid, c->groups, &n) != -1) {
			c->ngroups = (size_t)n;
			return 0;
		}
	}
	errno = ENOMEM;
	return -1;
}

struct cred *
cred_of_user(uid_t uid)
{
	struct passwd *pw;
	struct cred *c;

	errno = 0;
	if ((pw = getpwuid(uid)) == NULL) {
		if (errno == 0)
			errno = ENOENT;
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->uid = uid;
	c->gid = pw->pw_gid;
	if (user_groups(pw->pw_name, c) == -1) {
		cred_free(c);
		return NULL;
	}
	return c;
}

struct cred *
cred_copy(const struct cred *c)
{
	struct cred *n;

	if ((n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	n->uid = c->uid;
	n->gid = c->gid;
	if (c->ngroups == 0)
		return n;
	if ((n->groups = calloc(c->ngroups, sizeof(gid_t))) == NULL) {
		free(n);
		return NULL;
	}
	memcpy(n->groups, c->groups, c->ngroups * sizeof(gid_t));
	n->ngroups = c->ngroups;
	return n;
}

void
cred_free(struct cred *c)
{
	if (c == NULL)
		return;
	free(c->groups);
	free(c);
}
