/*
 * What an interface is: the configuration of an interface of a VM, of its
 * switch and of the daemon, made into what priv does to the host and what
 * the process that serves the interface tells the guest.
 */
#include <arpa/inet.h>
#include <bsd/string.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/addr.h"
#include "vmd/parent/net_int.h"

uint32_t
nic_pairs(const struct vm_spec *s)
{
	if (s->cpus == 0)
		return 1;
	return s->cpus < NET_MAX_PAIRS ? s->cpus : NET_MAX_PAIRS;
}

void
net_prefix(const struct parent *p, uint32_t *prefix, uint32_t *mask)
{
	*prefix = CONF_LOCAL_PREFIX;
	*mask = CONF_LOCAL_MASK;
	if (p->conf->local_mask != 0) {
		*prefix = p->conf->local_prefix;
		*mask = p->conf->local_mask;
	}
}

void
net_prefix6(struct parent *p, uint8_t prefix6[16])
{
	memset(prefix6, 0, 16);
	if (p->conf->local_inet6)
		memcpy(prefix6,
		    p->conf->local_prefix6_given ? p->conf->local_prefix6 :
						   p->net->prefix6,
		    16);
}

static int
set_address(struct vm *v, uint32_t idx, struct net_conf *c,
    char why[NET_WHY_LEN])
{
	struct in_addr in;
	uint32_t prefix, mask;
	uint8_t prefix6[16];
	unsigned int len;

	net_prefix(v->parent, &prefix, &mask);
	len = (unsigned int)__builtin_popcount(mask);
	if (net_addr4(prefix, len, v->spec->id, idx, &c->host4, &c->guest4) ==
	    -1) {
		in.s_addr = htonl(prefix);
		snprintf(why, NET_WHY_LEN,
		    "no address for id %u in the local prefix %s/%u",
		    v->spec->id, inet_ntoa(in), len);
		return -1;
	}
	if (!v->parent->conf->local_inet6)
		return 0;
	net_prefix6(v->parent, prefix6);
	c->flags |= NETF_INET6;
	net_addr6_host(prefix6, c->guest4, c->host6);
	net_addr6_eui64(prefix6, c->mac, c->guest6);
	return 0;
}

/*
 * Whom the guest may ask for names: as configured, else whom this host asks
 * if the guest can reach the world, else this host.  Where a routing domain
 * leads to nobody here knows.
 */
static void
set_dns(const struct conf *conf, struct net_conf *c, int reaches)
{
	struct resolvers r;

	if (conf->ndns4 != 0 || conf->ndns6 != 0) {
		c->ndns4 = conf->ndns4;
		c->ndns6 = conf->ndns6;
		memcpy(c->dns4, conf->dns4, sizeof(c->dns4));
		memcpy(c->dns6, conf->dns6, sizeof(c->dns6));
	} else if (reaches) {
		resolv_host(&r);
		c->ndns4 = r.n4;
		c->ndns6 = r.n6;
		memcpy(c->dns4, r.addr4, sizeof(c->dns4));
		memcpy(c->dns6, r.addr6, sizeof(c->dns6));
	}
	if (!(c->flags & NETF_INET6))
		c->ndns6 = 0;
	if (c->ndns4 == 0 && c->ndns6 == 0) {
		c->ndns4 = 1;
		c->dns4[0] = c->host4;
	}
}

/* As a host name: a VM's may have a `_'. */
static int
is_host_name(const char *s)
{
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '.')
			return 0;
	return 1;
}

static void
set_names(const struct vm *v, struct net_conf *c)
{
	const struct conf *conf = v->parent->conf;

	c->nntp4 = conf->nntp4;
	memcpy(c->ntp4, conf->ntp4, sizeof(c->ntp4));
	if (conf->domain != NULL)
		strlcpy(c->domain, conf->domain, sizeof(c->domain));
	if (is_host_name(v->spec->name))
		strlcpy(c->host, v->spec->name, sizeof(c->host));
}

static char *
copy(const char *s)
{
	return s == NULL || s[0] == '\0' ? NULL : strdup(s);
}

/* What comes from the switch; what the interface says wins. */
static int
set_switch(struct vm *v, const struct nic_spec *s, struct priv_nic *n,
    char why[NET_WHY_LEN])
{
	const struct conf_switch *sw;

	if (s->sw == NULL)
		return 0;
	if ((sw = switch_of(v->parent, s->sw)) == NULL) {
		snprintf(why, NET_WHY_LEN, "no switch \"%s\"", s->sw);
		return -1;
	}
	if (sw->ifname == NULL) {
		snprintf(why, NET_WHY_LEN, "switch \"%s\" has no interface",
		    s->sw);
		return -1;
	}
	n->bridge = copy(sw->ifname);
	n->swgroup = copy(sw->group);
	if (sw->flags & SWITCHF_LOCKED)
		n->flags |= PRIVF_LOCKED;
	if (sw->flags & SWITCHF_RDOMAIN && !(s->flags & NICF_RDOMAIN)) {
		n->flags |= PRIVF_RDOMAIN;
		n->rdomain = sw->rdomain;
	}
	return 0;
}

static uint32_t
flags_of(const struct conf *conf, uint32_t nic)
{
	uint32_t f = 0;

	if (nic & NICF_UP)
		f |= PRIVF_UP;
	if (nic & NICF_LOCKED)
		f |= PRIVF_LOCKED;
	if (nic & NICF_ISOLATED)
		f |= PRIVF_ISOLATED;
	if (nic & NICF_RDOMAIN)
		f |= PRIVF_RDOMAIN;
	if (!(nic & NICF_LOCAL))
		return f;
	f |= PRIVF_LOCAL;
	if (conf->local_inet6)
		f |= PRIVF_INET6;
	return nic & NICF_NAT || conf->local_nat ? f | PRIVF_NAT : f;
}

/*
 * In user mode passt gives the addresses, and needs a MAC of its own: that of
 * the host's interface is nobody's business.
 */
static void
describe_user(struct vm *v, struct net_conf *c)
{
	const struct conf *conf = v->parent->conf;
	struct resolvers r;

	c->flags |= NETF_USER;
	c->pairs = 1;
	if (c->mtu == 0)
		c->mtu = NET_DEFAULT_MTU;
	memcpy(c->host_mac, c->mac, sizeof(c->host_mac));
	c->host_mac[2] ^= 1;
	set_names(v, c);
	resolv_host(&r);
	if (conf->ndns4 != 0 || conf->ndns6 != 0) {
		r.n4 = conf->ndns4;
		r.n6 = conf->ndns6;
		memcpy(r.addr4, conf->dns4, sizeof(r.addr4));
		memcpy(r.addr6, conf->dns6, sizeof(r.addr6));
	}
	c->ndns4 = r.n4;
	c->ndns6 = r.n6;
	memcpy(c->dns4, r.addr4, sizeof(c->dns4));
	memcpy(c->dns6, r.addr6, sizeof(c->dns6));
}

/* The host's half. */
static int
describe_host(struct vm *v, uint32_t idx, struct priv_nic *n,
    char why[NET_WHY_LEN])
{
	const struct nic_spec *s = &v->run->nics[idx];

	n->flags = flags_of(v->parent->conf, s->flags);
	n->rdomain = s->rdomain;
	n->mtu = s->mtu;
	n->pairs = nic_pairs(v->run);
	n->nforwards = s->nforwards;
	memcpy(n->forwards, s->forwards, sizeof(n->forwards));
	if (set_switch(v, s, n, why) == -1)
		return -1;
	n->ifname = copy(s->ifname);
	n->group = copy(s->group);
	if (asprintf(&n->alias, "vm%u-if%u-%s", v->spec->id, idx,
		v->spec->name) == -1) {
		n->alias = NULL;
		snprintf(why, NET_WHY_LEN, "no memory");
		return -1;
	}
	return 0;
}

/* The guest's half. */
static int
describe_guest(struct vm *v, uint32_t idx, uint32_t flags,
    char why[NET_WHY_LEN])
{
	const struct nic_spec *s = &v->run->nics[idx];
	struct net_conf *c = &v->run->nics[idx].net;

	memset(c, 0, sizeof(*c));
	c->pairs = nic_pairs(v->run);
	c->lease = NET_LEASE;
	c->mtu = s->mtu;
	if (flags & PRIVF_LOCKED)
		c->flags |= NETF_LOCKED;
	if (v->run->bootdev == BOOTDEV_NET && idx == 0)
		c->flags |= NETF_BOOT;
	if (macs_assign(v, idx, c->mac, why) == -1)
		return -1;
	if (s->flags & NICF_USER)
		describe_user(v, c);
	if (!(flags & PRIVF_LOCAL))
		return 0;
	c->flags |= NETF_LOCAL;
	if (set_address(v, idx, c, why) == -1)
		return -1;
	set_names(v, c);
	set_dns(v->parent->conf, c, flags & PRIVF_NAT && s->rdomain == 0);
	return 0;
}

int
nic_describe(struct vm *v, uint32_t idx, struct priv_nic *n,
    char why[NET_WHY_LEN])
{
	const struct net_conf *c = &v->run->nics[idx].net;

	priv_nic_fini(n);
	if (describe_host(v, idx, n, why) == -1 ||
	    describe_guest(v, idx, n->flags, why) == -1)
		return -1;
	/* For those who look at the run: `local nat' is for all. */
	if (n->flags & PRIVF_NAT)
		v->run->nics[idx].flags |= NICF_NAT;
	memcpy(n->mac, c->mac, sizeof(n->mac));
	n->host4 = c->host4;
	n->guest4 = c->guest4;
	memcpy(n->host6, c->host6, sizeof(n->host6));
	memcpy(n->guest6, c->guest6, sizeof(n->guest6));
	return 0;
}
