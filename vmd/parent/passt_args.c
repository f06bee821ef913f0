/*
 * The command line of passt(1): what the parent knows of an interface in the
 * words of that program.  It answers DHCP, NDP and DHCPv6 itself, with the
 * host's own addresses.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/vmspec.h"
#include "vmd/parent/passt.h"

/* The fixed ones, two a kind of port, one a server, and the end. */
#define MAXARGS (20 + 4 + 4 * NET_MAX_SERVERS)

struct args {
	char **v;
	size_t n;
	int failed;
};

static void __attribute__((format(printf, 2, 3)))
add(struct args *a, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (a->failed || a->n + 1 >= MAXARGS || vasprintf(&s, fmt, ap) == -1)
		a->failed = 1;
	else
		a->v[a->n++] = s;
	va_end(ap);
}

/* "2222:22,8080:80", or "none". */
static void
add_ports(struct args *a, const char *opt, const struct nic_spec *n,
    uint8_t proto)
{
	char spec[NET_MAX_FORWARDS * 12 + 1] = "";
	size_t len = 0;
	uint32_t i;

	for (i = 0; i < n->nforwards && i < NET_MAX_FORWARDS; i++)
		if (n->forwards[i].proto == proto)
			len += (size_t)snprintf(spec + len, sizeof(spec) - len,
			    "%s%u:%u", len == 0 ? "" : ",", n->forwards[i].port,
			    n->forwards[i].to);
	add(a, "%s", opt);
	add(a, "%s", len == 0 ? "none" : spec);
}

static void
add_dns(struct args *a, const struct net_conf *c)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr in;
	uint32_t i;

	for (i = 0; i < c->ndns4 && i < NET_MAX_SERVERS; i++) {
		in.s_addr = htonl(c->dns4[i]);
		add(a, "-D");
		add(a, "%s", inet_ntop(AF_INET, &in, text, sizeof(text)));
	}
	for (i = 0; i < c->ndns6 && i < NET_MAX_SERVERS; i++) {
		add(a, "-D");
		add(a, "%s",
		    inet_ntop(AF_INET6, c->dns6[i], text, sizeof(text)));
	}
}

char **
passt_args(const struct nic_spec *n)
{
	static const uint8_t none[6];
	const struct net_conf *c = &n->net;
	const uint8_t *m = c->host_mac;
	struct args a = { 0 };

	if ((a.v = calloc(MAXARGS, sizeof(*a.v))) == NULL)
		return NULL;
	add(&a, "passt");
	add(&a, "-f");
	add(&a, "-q");
	add(&a, "-F");
	add(&a, "3");
	/* Its number, on a line, says that it is ready. */
	add(&a, "-P");
	add(&a, "/proc/self/fd/2");
	/* What listens on the host's loopback is not for the guest. */
	add(&a, "--no-map-gw");
	add(&a, "-m");
	add(&a, "%u", c->mtu == 0 ? NET_DEFAULT_MTU : c->mtu);
	if (memcmp(m, none, sizeof(none)) != 0) {
		add(&a, "-M");
		add(&a, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		    m[4], m[5]);
	}
	add_ports(&a, "-t", n, IPPROTO_TCP);
	add_ports(&a, "-u", n, IPPROTO_UDP);
	add_dns(&a, c);
	if (c->domain[0] != '\0') {
		add(&a, "-S");
		add(&a, "%s", c->domain);
	}
	if (!a.failed)
		return a.v;
	passt_args_free(a.v);
	return NULL;
}

void
passt_args_free(char **argv)
{
	size_t i;

	for (i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}
