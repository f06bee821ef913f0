/*
 * What can be said of interfaces only when all of a configuration was read:
 * addresses and ports that clash, what a prefix has no room for; and what
 * the interfaces will do to the host.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>

#include "vmd/conf/conf_int.h"

static const char *
proto_name(const struct net_forward *f)
{
	return f->proto == IPPROTO_UDP ? "udp" : "tcp";
}

/* --- clashes -------------------------------------------------------------- */

static void
check_lladdr(struct parser *p, const struct vm_spec *s, uint32_t i,
    const struct vm_spec *o, uint32_t j)
{
	const struct nic_spec *a = &s->nics[i], *b = &o->nics[j];

	if (!(a->flags & NICF_LLADDR) || !(b->flags & NICF_LLADDR) ||
	    memcmp(a->lladdr, b->lladdr, sizeof(a->lladdr)) != 0)
		return;
	conf_report_at(p, CONF_ERROR, s->file, s->line,
	    "vm \"%s\" failed: interface %u has the address of interface %u "
	    "of vm \"%s\", at %s:%u",
	    s->name, i, j, o->name, o->file, o->line);
}

/* Port `f' of `s' against the first `n' of an interface of `o'. */
static void
check_forward(struct parser *p, const struct vm_spec *s,
    const struct net_forward *f, const struct vm_spec *o,
    const struct net_forward *b, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (b[i].proto == f->proto && b[i].port == f->port) {
			conf_report_at(p, CONF_ERROR, s->file, s->line,
			    "vm \"%s\" failed: %s port %u is forwarded to vm "
			    "\"%s\" already, at %s:%u",
			    s->name, proto_name(f), f->port, o->name, o->file,
			    o->line);
			return;
		}
}

static void
check_nic_pair(struct parser *p, const struct vm_spec *s, uint32_t i,
    const struct vm_spec *o, uint32_t j)
{
	const struct nic_spec *a = &s->nics[i], *b = &o->nics[j];
	uint32_t n;

	check_lladdr(p, s, i, o, j);
	for (n = 0; n < a->nforwards; n++)
		check_forward(p, s, &a->forwards[n], o, b->forwards,
		    b->nforwards);
}

void
conf_check_net_pair(struct parser *p, const struct vm_spec *s,
    const struct vm_spec *o)
{
	const struct nic_spec *a;
	uint32_t i, j, n;

	for (i = 0; i < s->nnics; i++) {
		for (j = 0; j < (s == o ? i : o->nnics); j++)
			check_nic_pair(p, s, i, o, j);
		a = &s->nics[i];
		for (n = 0; s == o && n < a->nforwards; n++)
			check_forward(p, s, &a->forwards[n], s, a->forwards, n);
	}
}

/* --- room ----------------------------------------------------------------- */

static int
is_local(const struct vm_spec *s)
{
	uint32_t i;

	for (i = 0; i < s->nnics; i++)
		if (s->nics[i].flags & NICF_LOCAL)
			return 1;
	return 0;
}

static void
check_vm(struct parser *p, const struct vm_spec *s)
{
	const struct conf *c = p->conf;
	uint32_t i, most = ~c->local_mask >> 8; /* an id has 256 addresses */

	if (is_local(s) && s->id > most)
		conf_report_at(p, CONF_ERROR, s->file, s->line,
		    "vm \"%s\" failed: id %u has no address in the local "
		    "prefix: at most %u",
		    s->name, s->id, most);
	for (i = 0; c->local_inet6 && i < s->nnics; i++)
		if (s->nics[i].flags & NICF_LOCAL && s->nics[i].mtu != 0 &&
		    s->nics[i].mtu < NET_MIN_MTU6)
			conf_report_at(p, CONF_ERROR, s->file, s->line,
			    "vm \"%s\" failed: interface %u: mtu %u is too "
			    "small for local inet6: at least %d",
			    s->name, i, s->nics[i].mtu, NET_MIN_MTU6);
}

/* Resolvers that guests have no addresses to reach with. */
static void
check_dns(struct parser *p)
{
	const struct conf *c = p->conf;
	const struct conf_vm *v;

	if (c->ndns4 != 0 || c->ndns6 == 0 || c->local_inet6)
		return;
	TAILQ_FOREACH(v, &c->vms, entry) {
		if (!is_local(v->spec))
			continue;
		conf_report_at(p, CONF_WARNING, p->global_file[G_DNS],
		    p->global_line[G_DNS],
		    "dns has IPv6 addresses only: without local inet6 guests "
		    "on local interfaces are told to ask this host, as vm "
		    "\"%s\" is",
		    v->spec->name);
		return;
	}
}

void
conf_check_nets(struct parser *p)
{
	const struct conf_vm *v;

	TAILQ_FOREACH(v, &p->conf->vms, entry)
		check_vm(p, v->spec);
	check_dns(p);
}

/* --- notes ---------------------------------------------------------------- */

/* "100.64.0.0/10", and the IPv6 one. */
static void
prefixes(const struct conf *c, char *buf, size_t len)
{
	const struct in_addr in = { .s_addr = htonl(c->local_prefix) };
	char a[INET_ADDRSTRLEN], a6[INET6_ADDRSTRLEN + 16] = "";

	if (c->local_inet6 && c->local_prefix6_given) {
		strcpy(a6, " and ");
		inet_ntop(AF_INET6, c->local_prefix6, a6 + 5, INET6_ADDRSTRLEN);
		strcat(a6, "/64");
	} else if (c->local_inet6)
		strcpy(a6, " and the IPv6 one");
	snprintf(buf, len, "%s/%d%s", inet_ntop(AF_INET, &in, a, sizeof(a)),
	    __builtin_popcount(c->local_mask), a6);
}

static void
note_nic(const struct conf *c, const struct vm_spec *s, uint32_t i,
    const struct conf_opts *o)
{
	const struct nic_spec *n = &s->nics[i];
	const struct net_forward *f;
	char text[512], buf[128];
	uint32_t k;

	prefixes(c, buf, sizeof(buf));
	if (n->flags & NICF_NAT && !c->local_nat) {
		snprintf(text, sizeof(text),
		    "vm \"%s\": interface %u: nat turns on forwarding in the "
		    "host and masquerades its address of %s",
		    s->name, i, buf);
		o->report(o->arg, CONF_NOTE, s->file, s->line, text);
	}
	if (n->nforwards > 0 && n->flags & NICF_LOCAL &&
	    !(n->flags & NICF_NAT) && !c->local_nat) {
		snprintf(text, sizeof(text),
		    "vm \"%s\": interface %u: forward turns on forwarding in "
		    "the host",
		    s->name, i);
		o->report(o->arg, CONF_NOTE, s->file, s->line, text);
	}
	for (k = 0; k < n->nforwards; k++) {
		f = &n->forwards[k];
		snprintf(text, sizeof(text),
		    "vm \"%s\": interface %u: %s port %u of the host leads to "
		    "port %u of the guest",
		    s->name, i, proto_name(f), f->port, f->to);
		o->report(o->arg, CONF_NOTE, s->file, s->line, text);
	}
}

void
conf_note_nets(const struct conf *c, const struct conf_opts *o)
{
	const struct conf_vm *v;
	char text[512], buf[128];
	uint32_t i;

	if (c->local_nat) {
		prefixes(c, buf, sizeof(buf));
		snprintf(text, sizeof(text),
		    "local nat turns on forwarding in the host and "
		    "masquerades %s",
		    buf);
		o->report(o->arg, CONF_NOTE, c->nat_file, c->nat_line, text);
	}
	TAILQ_FOREACH(v, &c->vms, entry)
		for (i = 0; i < v->spec->nnics; i++)
			note_nic(c, v->spec, i, o);
}
