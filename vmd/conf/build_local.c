/*
 * What the grammar of vm.conf calls for local addresses and for what guests
 * are told by DHCP.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <bsd/stdlib.h>

#include "vmd/conf/conf_int.h"

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

int
local_nat(struct parser *p)
{
	struct conf *c = p->conf;

	c->local_nat = 1;
	c->nat_line = p->line;
	return set_string(p, &c->nat_file, p->file);
}

/* --- what guests are told ------------------------------------------------ */

/* Is this the first `what' of all files? */
int
once_global(struct parser *p, enum conf_global g, const char *what)
{
	if (p->global_file[g] != NULL) {
		conf_error(p, "%s specified more than once, first at %s:%u",
		    what, p->global_file[g], p->global_line[g]);
		return -1;
	}
	p->global_line[g] = p->line;
	return set_string(p, &p->global_file[g], p->file);
}

int
dns_begin(struct parser *p)
{
	return once_global(p, G_DNS, "dns");
}

int
ntp_begin(struct parser *p)
{
	return once_global(p, G_NTP, "ntp");
}

/* NULL if a guest may find a server there, else why not. */
static const char *
bad_server4(uint32_t a)
{
	if (a >> 24 == IN_LOOPBACKNET)
		return "a loopback address, which is the guest's own";
	if (a >> 24 == 0 || IN_MULTICAST(a) || a >> 28 == 0xf)
		return "not an address of a host";
	return NULL;
}

static const char *
bad_server6(const struct in6_addr *a)
{
	if (IN6_IS_ADDR_LOOPBACK(a))
		return "a loopback address, which is the guest's own";
	if (IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_MULTICAST(a) ||
	    IN6_IS_ADDR_V4MAPPED(a))
		return "not an address of a host";
	if (IN6_IS_ADDR_LINKLOCAL(a))
		return "an address of one link only";
	return NULL;
}

static int
bad_server(struct parser *p, const char *what, const char *s, const char *why)
{
	conf_error(p, "invalid %s server: %s: %s", what, s, why);
	return -1;
}

static int
too_many(struct parser *p, const char *what, uint32_t n)
{
	if (n < NET_MAX_SERVERS)
		return 0;
	conf_error(p, "too many %s servers: at most %d", what, NET_MAX_SERVERS);
	return -1;
}

int
dns_server(struct parser *p, const char *s)
{
	struct conf *c = p->conf;
	struct in6_addr in6;
	struct in_addr in;
	const char *why;

	if (inet_pton(AF_INET, s, &in) == 1) {
		if ((why = bad_server4(ntohl(in.s_addr))) != NULL)
			return bad_server(p, "dns", s, why);
		if (too_many(p, "IPv4 dns", c->ndns4) == -1)
			return -1;
		c->dns4[c->ndns4++] = ntohl(in.s_addr);
		return 0;
	}
	if (inet_pton(AF_INET6, s, &in6) != 1)
		return bad_server(p, "dns", s, "not a numeric address");
	if ((why = bad_server6(&in6)) != NULL)
		return bad_server(p, "dns", s, why);
	if (too_many(p, "IPv6 dns", c->ndns6) == -1)
		return -1;
	memcpy(c->dns6[c->ndns6++], &in6, sizeof(in6));
	return 0;
}

int
ntp_server(struct parser *p, const char *s)
{
	struct conf *c = p->conf;
	struct in_addr in;
	const char *why;

	if (inet_pton(AF_INET, s, &in) != 1)
		return bad_server(p, "ntp", s, "not a numeric IPv4 address");
	if ((why = bad_server4(ntohl(in.s_addr))) != NULL)
		return bad_server(p, "ntp", s, why);
	if (too_many(p, "ntp", c->nntp4) == -1)
		return -1;
	c->ntp4[c->nntp4++] = ntohl(in.s_addr);
	return 0;
}

/* Labels of letters, digits and hyphens inside, with a dot between them. */
static int
is_domain(const char *s)
{
	size_t n;

	if (strlen(s) >= NET_DOMAIN_MAX)
		return 0;
	for (;;) {
		for (n = 0; isalnum((unsigned char)s[n]) || s[n] == '-'; n++)
			if ((s[n] & 0x80) || (s[n] == '-' && n == 0))
				return 0;
		if (n == 0 || n > 63 || s[n - 1] == '-')
			return 0;
		if (s[n] == '\0')
			return 1;
		if (s[n] != '.')
			return 0;
		s += n + 1;
	}
}

int
domain(struct parser *p, const char *name)
{
	if (once_global(p, G_DOMAIN, "domain") == -1)
		return -1;
	if (!is_domain(name)) {
		conf_error(p, "invalid domain: %s", name);
		return -1;
	}
	return set_string(p, &p->conf->domain, name);
}
