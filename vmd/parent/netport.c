/*
 * Ports of the host that are to be forwarded to a guest: is somebody there?
 * Other VMs are known here; whether a program of the host listens is found
 * by trying to.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmd/parent/net_int.h"

static const char *
proto(const struct net_forward *f)
{
	return f->proto == IPPROTO_UDP ? "udp" : "tcp";
}

/* The interface that has it, in a run that is not over. */
static const struct vm *
holder(const struct vm *v, uint32_t idx, const struct net_forward *f,
    uint32_t *who)
{
	const struct net_forward *o;
	const struct vm *w;
	uint32_t i, k;

	TAILQ_FOREACH(w, &v->parent->vms, entry)
		for (i = 0; w->net != NULL && i < w->run->nnics; i++)
			for (k = 0; k < w->run->nics[i].nforwards; k++) {
				o = &w->run->nics[i].forwards[k];
				if (o->proto != f->proto ||
				    o->port != f->port || (w == v && i >= idx))
					continue;
				*who = i;
				return w;
			}
	return NULL;
}

/* Could nobody else?  Only that counts: the parent may do anything. */
static int
in_use(const struct net_forward *f, int family)
{
	const struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(f->port),
	};
	const struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(f->port),
	};
	int s, one = 1, rc, udp = f->proto == IPPROTO_UDP;

	s = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (s == -1)
		return 0;
	if (!udp) /* connections that are over do not matter */
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (family == AF_INET6)
		rc = bind(s, (const struct sockaddr *)&sin6, sizeof(sin6));
	else
		rc = bind(s, (const struct sockaddr *)&sin, sizeof(sin));
	rc = rc == -1 && errno == EADDRINUSE;
	close(s);
	return rc;
}

const char *
net_port_taken(const struct vm *v, uint32_t idx, char why[NET_WHY_LEN])
{
	const struct nic_spec *n = &v->run->nics[idx];
	const struct net_forward *f;
	const struct vm *w;
	uint32_t i, who;

	for (i = 0; i < n->nforwards; i++) {
		f = &n->forwards[i];
		if ((w = holder(v, idx, f, &who)) != NULL) {
			snprintf(why, NET_WHY_LEN,
			    "forward %s %u: the port is forwarded to interface "
			    "%u of vm \"%s\"",
			    proto(f), f->port, who, w->spec->name);
			return why;
		}
		/* passt says so itself, and one of ours may be about to end. */
		if (n->flags & NICF_USER)
			continue;
		if (in_use(f, AF_INET) || in_use(f, AF_INET6)) {
			snprintf(why, NET_WHY_LEN,
			    "forward %s %u: a program of this host has the "
			    "port",
			    proto(f), f->port);
			return why;
		}
	}
	return NULL;
}
