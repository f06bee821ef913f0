/*
 * What the grammar of vm.conf calls for interfaces, switches and local
 * addresses.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <bsd/stdlib.h>

#include "vmd/conf/conf_int.h"

#define GROUP_LEN   15 /* of an interface group, also of a name */
#define SWITCH_LEN  63
#define RDOMAIN_MAX 255

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
		W_RDOMAIN };
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
	memcpy(p->nic->lladdr, ea.ether_addr_octet, sizeof(p->nic->lladdr));
	p->nic->flags |= NICF_LLADDR;
	return 0;
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

/* --- local addresses ---------------------------------------------------- */

/* Split "address/length"; the length, -1 if absent, -2 if bad. */
static int
split_prefix(const char *s, char *addr, size_t len)
{
	const char *slash = strchr(s, '/'), *why;
	size_t n = slash == NULL ? strlen(s) : (size_t)(slash - s);
	int bits;

	if (n >= len)
		return -2;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (slash == NULL)
		return -1;
	bits = (int)strtonum(slash + 1, 0, 128, &why);
	return why == NULL ? bits : -2;
}

/* "10/8" means 10.0.0.0/8. */
static int
parse_v4(char *addr, size_t len, struct in_addr *in)
{
	size_t i, dots = 0;

	for (i = 0; addr[i] != '\0'; i++)
		dots += addr[i] == '.';
	for (; dots < 3 && strlen(addr) + 2 < len; dots++)
		strcat(addr, ".0");
	return inet_pton(AF_INET, addr, in) == 1 ? 0 : -1;
}

int
local_prefix(struct parser *p, const char *s)
{
	const char *why = NULL;
	struct in_addr in = { 0 };
	char addr[64];
	uint32_t mask = 0;
	int bits;

	if ((bits = split_prefix(s, addr, sizeof(addr))) == -1)
		bits = 16;
	if (bits == -2 || parse_v4(addr, sizeof(addr), &in) == -1)
		why = "invalid format";
	else if (bits < 1)
		why = "bad mask";
	else if (bits > 16)
		why = "bad mask: the length must be 1 to 16";
	if (why == NULL) {
		mask = ~0U << (32 - bits);
		if (ntohl(in.s_addr) & ~mask)
			why = "bad mask";
	}
	if (why != NULL) {
		conf_error(p, "invalid local prefix: %s", why);
		return -1;
	}
	p->conf->local_prefix = ntohl(in.s_addr);
	p->conf->local_mask = mask;
	p->conf->local_given = 1;
	return 0;
}

int
local_prefix6(struct parser *p, const char *s)
{
	const char *why = NULL;
	struct in6_addr in6 = { 0 };
	char addr[64];
	int bits, i;

	if ((bits = split_prefix(s, addr, sizeof(addr))) == -1)
		bits = 64;
	if (bits == -2 || inet_pton(AF_INET6, addr, &in6) != 1)
		why = "invalid format";
	else if (bits > 64)
		why = "too large";
	for (i = bits; why == NULL && i < 128; i++)
		if (in6.s6_addr[i / 8] & (0x80 >> (i % 8)))
			why = "bad mask";
	if (why != NULL) {
		conf_error(p, "invalid local inet6 prefix: %s", why);
		return -1;
	}
	memcpy(p->conf->local_prefix6, in6.s6_addr, 16);
	p->conf->local_prefix6_given = 1;
	p->conf->local_inet6 = 1;
	return 0;
}
