/*
 * A network interface on the wire, from the parent through vmm to the
 * process that serves it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#include "lib/proto/netconf.h"
#include "lib/proto/wire.h"

static int
bad(void)
{
	errno = EBADMSG;
	return -1;
}

int
net_forward_put(struct ibuf *b, const struct net_forward *f)
{
	if (wire_put_u8(b, f->proto) == -1 || wire_put_u16(b, f->port) == -1)
		return -1;
	return wire_put_u16(b, f->to);
}

int
net_forward_get(struct ibuf *b, struct net_forward *f)
{
	if (wire_get_u8(b, &f->proto) == -1 ||
	    wire_get_u16(b, &f->port) == -1 || wire_get_u16(b, &f->to) == -1)
		return -1;
	if ((f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP) ||
	    f->port == 0 || f->to == 0)
		return bad();
	return 0;
}

static int
put_servers(struct ibuf *b, const struct net_conf *n)
{
	uint32_t i;

	if (wire_put_u32(b, n->ndns4) == -1 ||
	    wire_put_u32(b, n->ndns6) == -1 || wire_put_u32(b, n->nntp4) == -1)
		return -1;
	for (i = 0; i < n->ndns4; i++)
		if (wire_put_u32(b, n->dns4[i]) == -1)
			return -1;
	for (i = 0; i < n->ndns6; i++)
		if (ibuf_add(b, n->dns6[i], sizeof(n->dns6[i])) == -1)
			return -1;
	for (i = 0; i < n->nntp4; i++)
		if (wire_put_u32(b, n->ntp4[i]) == -1)
			return -1;
	return 0;
}

static int
get_servers(struct ibuf *b, struct net_conf *n)
{
	uint32_t i;

	if (wire_get_u32(b, &n->ndns4) == -1 ||
	    wire_get_u32(b, &n->ndns6) == -1 ||
	    wire_get_u32(b, &n->nntp4) == -1)
		return -1;
	if (n->ndns4 > NET_MAX_SERVERS || n->ndns6 > NET_MAX_SERVERS ||
	    n->nntp4 > NET_MAX_SERVERS)
		return bad();
	for (i = 0; i < n->ndns4; i++)
		if (wire_get_u32(b, &n->dns4[i]) == -1)
			return -1;
	for (i = 0; i < n->ndns6; i++)
		if (ibuf_get(b, n->dns6[i], sizeof(n->dns6[i])) == -1)
			return -1;
	for (i = 0; i < n->nntp4; i++)
		if (wire_get_u32(b, &n->ntp4[i]) == -1)
			return -1;
	return 0;
}

/* A string in an array of `size' bytes. */
static int
get_name(struct ibuf *b, char *to, size_t size)
{
	char *s;

	if (wire_get_str(b, &s, size - 1) == -1)
		return -1;
	if (s == NULL)
		return bad();
	memcpy(to, s, strlen(s) + 1);
	free(s);
	return 0;
}

int
net_conf_put(struct ibuf *b, const struct net_conf *n)
{
	if (wire_put_u32(b, n->flags) == -1 || wire_put_u32(b, n->mtu) == -1 ||
	    wire_put_u32(b, n->pairs) == -1 ||
	    wire_put_u32(b, n->lease) == -1 ||
	    ibuf_add(b, n->mac, sizeof(n->mac)) == -1 ||
	    ibuf_add(b, n->host_mac, sizeof(n->host_mac)) == -1 ||
	    wire_put_u32(b, n->host4) == -1 ||
	    wire_put_u32(b, n->guest4) == -1 ||
	    ibuf_add(b, n->host6, sizeof(n->host6)) == -1 ||
	    ibuf_add(b, n->guest6, sizeof(n->guest6)) == -1 ||
	    put_servers(b, n) == -1 || wire_put_str(b, n->ifname) == -1 ||
	    wire_put_str(b, n->host) == -1)
		return -1;
	return wire_put_str(b, n->domain);
}

int
net_conf_get(struct ibuf *b, struct net_conf *n)
{
	memset(n, 0, sizeof(*n));
	if (wire_get_u32(b, &n->flags) == -1 ||
	    wire_get_u32(b, &n->mtu) == -1 ||
	    wire_get_u32(b, &n->pairs) == -1 ||
	    wire_get_u32(b, &n->lease) == -1 ||
	    ibuf_get(b, n->mac, sizeof(n->mac)) == -1 ||
	    ibuf_get(b, n->host_mac, sizeof(n->host_mac)) == -1 ||
	    wire_get_u32(b, &n->host4) == -1 ||
	    wire_get_u32(b, &n->guest4) == -1 ||
	    ibuf_get(b, n->host6, sizeof(n->host6)) == -1 ||
	    ibuf_get(b, n->guest6, sizeof(n->guest6)) == -1 ||
	    get_servers(b, n) == -1 ||
	    get_name(b, n->ifname, sizeof(n->ifname)) == -1 ||
	    get_name(b, n->host, sizeof(n->host)) == -1 ||
	    get_name(b, n->domain, sizeof(n->domain)) == -1)
		return -1;
	if (n->flags & ~(uint32_t)NETF_ALL || n->pairs > NET_MAX_PAIRS)
		return bad();
	if (n->mtu != 0 && (n->mtu < NET_MIN_MTU || n->mtu > NET_MAX_MTU))
		return bad();
	return 0;
}
