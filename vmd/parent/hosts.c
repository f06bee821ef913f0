/*
 * Names of guests for the host: a file as hosts(5) in the state directory,
 * with the addresses of local interfaces of the guests that run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/log.h"
#include "vmd/parent/net_int.h"
#include "vmd/parent/statefile.h"

static void
put_nic(FILE *f, const struct vm *v, const struct net_conf *c)
{
	const struct in_addr in = { .s_addr = htonl(c->guest4) };
	char a[INET6_ADDRSTRLEN];

	if (!(c->flags & NETF_LOCAL))
		return;
	fprintf(f, "%s\t%s\n", inet_ntop(AF_INET, &in, a, sizeof(a)),
	    v->spec->name);
	if (c->flags & NETF_INET6)
		fprintf(f, "%s\t%s\n",
		    inet_ntop(AF_INET6, c->guest6, a, sizeof(a)),
		    v->spec->name);
}

static char *
content(const struct parent *p)
{
	const struct vm *v;
	char *s = NULL;
	size_t len;
	uint32_t i;
	FILE *f;

	if ((f = open_memstream(&s, &len)) == NULL)
		return NULL;
	TAILQ_FOREACH(v, &p->vms, entry)
		for (i = 0;
		     v->net != NULL && v->net->complete && i < v->run->nnics;
		     i++)
			put_nic(f, v, &v->run->nics[i].net);
	if (fclose(f) == EOF) {
		free(s);
		return NULL;
	}
	return s;
}

static int
write_all(FILE *f, void *arg)
{
	fputs(arg, f);
	return 0;
}

void
hosts_update(struct parent *p)
{
	char *s = content(p);

	if (s != NULL && p->net->hosts != NULL &&
	    strcmp(s, p->net->hosts) == 0) {
		free(s);
		return;
	}
	if (s == NULL ||
	    statefile_write(p->state.fd, HOSTS_FILE, 0644, write_all, s) ==
		-1) {
		log_warn(HOSTS_FILE " not written");
		free(s);
		return;
	}
	free(p->net->hosts);
	p->net->hosts = s;
}
