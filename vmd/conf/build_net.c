/*
 * What the grammar of vm.conf calls for interfaces and switches.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <netinet/in.h>

#include "vmd/conf/conf_int.h"

#define GROUP_LEN      15 /* of an interface group, also of a name */
#define SWITCH_LEN     63
#define RDOMAIN_MAX    255
#define RDOMAIN_KERNEL 253 /* default, main and local table */

/* --- interfaces --------------------------------------------------------- */

/* `prefix' and a unit number? */
static int
has_unit(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(name, prefix, n) != 0 || name[n] == '\0')
		return 0;
	return strspn(name + n, "0123456789") == strlen(name + n);
}

int
nic_begin(struct parser *p, const char *type, int local)
{
	static const enum conf_word words[] = { W_SWITCH, W_GROUP, W_LLADDR,
		W_MTU, W_RDOMAIN };
	struct vm_spec *s = p->vm;

	if (s->nnics == VM_MAX_NICS) {
		conf_error(p, "too many interfaces: %u: at most %d",
		    s->nnics + 1, VM_MAX_NICS);
		return -1;
	}
	if (type != NULL && strlen(type) > GROUP_LEN) {
		conf_error(p, "interface name too long: %s", type);
		return -1;
	}
	if (type != NULL && strcmp(type, "tap") != 0 &&
	    !has_unit(type, "tap")) {
		conf_error(p, "invalid interface: %s: must be tap or tapN",
		    type);
		return -1;
	}
	forget(p, words, sizeof(words) / sizeof(words[0]));
	p->nic = &s->nics[s->nnics++];
	p->nic->flags = NICF_UP;
	if (local)
		p->nic->flags |= NICF_LOCAL;
	s->given |= VMGIVEN_NICS;
	if (type != NULL && strcmp(type, "tap") != 0)
		return set_string(p, &p->nic->ifname, type);
	return 0;
}

int
nic_lladdr(struct parser *p, const char *addr, int lock)
{
	static const uint8_t none[6];
	struct ether_addr ea;

	if (lock)
		p->nic->flags |= NICF_LOCKED;
	if (addr == NULL)
		return 0;
	if (once(p, W_LLADDR) == -1)
		return -1;
	if (ether_aton_r(addr, &ea) == NULL ||
	    strspn(addr, "0123456789abcdefABCDEF:") != strlen(addr) ||
	    (ea.ether_addr_octet[0] & 1)) {
		conf_error(p, "invalid address: %s", addr);
		return -1;
	}
	/* All zeros mean none. */
	memcpy(p->nic->lladdr, ea.ether_addr_octet, sizeof(p->nic->lladdr));
	if (memcmp(p->nic->lladdr, none, sizeof(none)) != 0)
		p->nic->flags |= NICF_LLADDR;
	return 0;
}

int
nic_mtu(struct parser *p, int64_t n)
{
	if (once(p, W_MTU) == -1)
		return -1;
	return set_number(p, &p->nic->mtu, "mtu", n, NET_MIN_MTU, NET_MAX_MTU);
}

int
nic_forward(struct parser *p, int proto, int64_t port, int64_t to)
{
	struct nic_spec *n = p->nic;
	uint32_t from = 0, where = 0;

	if (n->nforwards == NET_MAX_FORWARDS) {
		conf_error(p, "too many forwards: at most %d",
		    NET_MAX_FORWARDS);
		return -1;
	}
	if (set_number(p, &from, "port", port, 1, UINT16_MAX) == -1)
		return -1;
	if (to == 0)
		to = port;
	else if (to == -1)
		to = 0;
	if (set_number(p, &where, "port", to, 1, UINT16_MAX) == -1)
		return -1;
	n->forwards[n->nforwards++] = (struct net_forward){
		.proto = (uint8_t)proto,
		.port = (uint16_t)from,
		.to = (uint16_t)where,
	};
	return 0;
}

/* What an interface of user mode cannot have, or NULL. */
static const char *
not_user(const struct nic_spec *n)
{
	if (n->flags & NICF_LOCAL)
		return "local";
	if (n->sw != NULL)
		return "switch";
	if (n->group != NULL)
		return "group";
	if (n->flags & NICF_RDOMAIN)
		return "rdomain";
	if (n->flags & NICF_LOCKED)
		return "locked lladdr";
	if (n->flags & NICF_ISOLATED)
		return "isolated";
	if (n->flags & NICF_NAT)
		return "nat";
	return n->ifname;
}

void
nic_end(struct parser *p)
{
	const struct nic_spec *n = p->nic;
	const char *why;

	if (n->flags & NICF_USER) {
		if ((why = not_user(n)) != NULL)
			conf_error(p,
			    "interface: user and %s exclude each other", why);
		return;
	}
	if (n->flags & NICF_LOCAL && n->sw != NULL)
		conf_error(p, "interface: local and switch exclude each other");
	if (n->flags & NICF_NAT && !(n->flags & NICF_LOCAL))
		conf_error(p, "interface: nat is for local interfaces");
	if (n->nforwards > 0 && !(n->flags & NICF_LOCAL))
		conf_error(p,
		    "interface: forward is for local and user interfaces");
	/* Where a connection comes in no domain is chosen yet. */
	if (n->nforwards > 0 && n->rdomain != 0)
		conf_error(p,
		    "interface: forward leads to no interface in a routing "
		    "domain");
	if (n->flags & NICF_ISOLATED && n->sw == NULL)
		conf_error(p, "interface: isolated is for those on a switch");
}

int
set_switch_name(struct parser *p, const char *name)
{
	if (once(p, W_SWITCH) == -1)
		return -1;
	if (strlen(name) > SWITCH_LEN) {
		conf_error(p, "switch name too long: %s", name);
		return -1;
	}
	return set_string(p, &p->nic->sw, name);
}

int
set_group(struct parser *p, char **to, const char *name)
{
	size_t len = strlen(name);

	if (once(p, W_GROUP) == -1)
		return -1;
	if (len == 0 || len > GROUP_LEN ||
	    isdigit((unsigned char)name[len - 1])) {
		conf_error(p, "invalid group name: %s", name);
		return -1;
	}
	return set_string(p, to, name);
}

int
set_rdomain(struct parser *p, uint32_t *to, int64_t n)
{
	if (once(p, W_RDOMAIN) == -1)
		return -1;
	if (n < 0 || n > RDOMAIN_MAX) {
		conf_error(p, "invalid rdomain: %lld", (long long)n);
		return -1;
	}
	if (n >= RDOMAIN_KERNEL) {
		conf_error(p,
		    "invalid rdomain: %lld: a routing table of the "
		    "system's own",
		    (long long)n);
		return -1;
	}
	*to = (uint32_t)n;
	return 0;
}

/* --- switches ----------------------------------------------------------- */

static void
switch_free(struct conf_switch *sw)
{
	if (sw == NULL)
		return;
	free(sw->name);
	free(sw->ifname);
	free(sw->group);
	free(sw->file);
	free(sw);
}

int
sw_begin(struct parser *p, const char *name)
{
	struct conf_switch *sw;

	switch_free(p->sw);
	p->sw = NULL;
	p->sw_disabled = 0;
	memset(p->first, 0, sizeof(p->first));
	if (strlen(name) > SWITCH_LEN) {
		conf_error(p, "switch name too long: %s", name);
		return -1;
	}
	if ((sw = calloc(1, sizeof(*sw))) == NULL ||
	    (sw->name = strdup(name)) == NULL ||
	    (sw->file = strdup(p->file)) == NULL) {
		switch_free(sw);
		conf_error(p, "out of memory");
		return -1;
	}
	sw->line = p->line;
	sw->flags = SWITCHF_UP;
	p->sw = sw;
	return 0;
}

int
sw_interface(struct parser *p, const char *name)
{
	if (once(p, W_INTERFACE) == -1)
		return -1;
	if (strlen(name) > GROUP_LEN) {
		conf_error(p, "switch interface too long: %s", name);
		return -1;
	}
	if (!has_unit(name, "bridge") && !has_unit(name, "veb")) {
		conf_error(p,
		    "invalid switch interface: %s: must be bridgeN "
		    "or vebN",
		    name);
		return -1;
	}
	return set_string(p, &p->sw->ifname, name);
}

void
sw_end(struct parser *p)
{
	struct conf_switch *sw = p->sw;

	p->sw = NULL;
	if (sw->ifname == NULL)
		conf_error(p, "switch \"%s\" is missing interface name",
		    sw->name);
	if (sw->ifname == NULL || p->sw_disabled)
		switch_free(sw);
	else
		TAILQ_INSERT_TAIL(&p->conf->switches, sw, entry);
}
