/*
 * The packet filter, in priv: one table of ours, made anew as a whole, in
 * one transaction, whenever an interface that is in it comes or goes.
 *
 * It belongs to our netlink socket (flags owner): nobody else can change it,
 * and it vanishes with this process.  All that is put into the text was
 * checked to be a name, or is a number.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <nftables/libnftables.h>

#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

static struct nft_ctx *ctx;
static int there; /* the table is */

int
nft_open(void)
{
	if ((ctx = nft_ctx_new(NFT_CTX_DEFAULT)) == NULL)
		return -1;
	if (nft_ctx_buffer_error(ctx) != 0 || nft_ctx_buffer_output(ctx) != 0) {
		nft_close();
		return -1;
	}
	nft_ctx_clear_include_paths(ctx);
	return 0;
}

void
nft_close(void)
{
	if (ctx != NULL)
		nft_ctx_free(ctx);
	ctx = NULL;
	there = 0;
}

/* --- its text ------------------------------------------------------------ */

typedef int (*pick)(const struct nic *n);

static int
is_routed(const struct nic *n)
{
	return (n->conf.flags & PRIVF_NAT) != 0 || n->conf.nforwards > 0;
}

static int
is_local(const struct nic *n)
{
	return (n->conf.flags & PRIVF_LOCAL) != 0;
}

static int
is_nat(const struct nic *n)
{
	return (n->conf.flags & PRIVF_NAT) != 0;
}

static int
is_nat6(const struct nic *n)
{
	return is_nat(n) && (n->conf.flags & PRIVF_INET6) != 0;
}

static int
is_forwarded(const struct nic *n)
{
	return n->conf.nforwards > 0;
}

static int
is_forwarded6(const struct nic *n)
{
	return is_forwarded(n) && (n->conf.flags & PRIVF_INET6) != 0;
}

/*
 * Who may begin a connection: those that are masqueraded, and all that are
 * routed where this host forwards anyway.
 */
static int
is_source(const struct nic *n)
{
	return is_nat(n) || (is_routed(n) && !sysctl_is_ours(PRIVFWD_4));
}

static int
is_source6(const struct nic *n)
{
	return is_nat6(n) || (is_forwarded6(n) && !sysctl_is_ours(PRIVFWD_6));
}

static void
put_name(FILE *f, const struct nic *n)
{
	fprintf(f, "\"%s\"", n->name);
}

static void
put_addr4(FILE *f, const struct nic *n)
{
	const struct in_addr a = { htonl(n->conf.guest4) };
	char s[INET_ADDRSTRLEN];

	fputs(inet_ntop(AF_INET, &a, s, sizeof(s)), f);
}

static void
put_addr6(FILE *f, const struct nic *n)
{
	char s[INET6_ADDRSTRLEN];

	fputs(inet_ntop(AF_INET6, n->conf.guest6, s, sizeof(s)), f);
}

static void
put_source4(FILE *f, const struct nic *n)
{
	put_name(f, n);
	fputs(" . ", f);
	put_addr4(f, n);
}

static void
put_source6(FILE *f, const struct nic *n)
{
	put_name(f, n);
	fputs(" . ", f);
	put_addr6(f, n);
}

/* A set; one without elements cannot be written as such. */
static void
put_set(FILE *f, const char *name, const char *type, pick in,
    void (*put)(FILE *f, const struct nic *n))
{
	const struct nic *n;
	int count = 0;

	fprintf(f, "\tset %s { type %s;", name, type);
	TAILQ_FOREACH(n, &priv.nics, entry) {
		if (!in(n))
			continue;
		fputs(count++ == 0 ? " elements = { " : ", ", f);
		put(f, n);
	}
	fputs(count > 0 ? " }; }\n" : " }\n", f);
}

/* Where guests are: taps that are on no bridge, and bridges of ours. */
static void
put_near(FILE *f)
{
	const struct nic *n;
	const struct sw *s;
	const char *sep = "";

	fputs("\tset near { type ifname; elements = { ", f);
	TAILQ_FOREACH(n, &priv.nics, entry) {
		if (n->conf.bridge != NULL)
			continue;
		fputs(sep, f);
		put_name(f, n);
		sep = ", ";
	}
	TAILQ_FOREACH(s, &priv.sws, entry)
		if (s->ours)
			fprintf(f, ", \"%s\"", s->name);
	fputs(" }; }\n", f);
}

/*
 * From port to port of a bridge nothing is forwarded; but where br_netfilter
 * shows it to this chain it comes in and leaves by the bridge.
 */
static void
put_bridged(FILE *f)
{
	const struct sw *s;

	TAILQ_FOREACH(s, &priv.sws, entry)
		if (s->ours)
			fprintf(f, "\t\tiifname \"%s\" oifname \"%s\" accept\n",
			    s->name, s->name);
}

/*
 * Ports of the host that lead to a guest.  Not those of 127.0.0.1: its
 * packets never leave the host.
 */
static void
put_forwards(FILE *f)
{
	const struct nic *n;
	const struct net_forward *w;
	uint32_t i;

	TAILQ_FOREACH(n, &priv.nics, entry) {
		for (i = 0; i < n->conf.nforwards; i++) {
			w = &n->conf.forwards[i];
			fprintf(f,
			    "\t\tfib daddr type local ip daddr != 127.0.0.0/8 "
			    "meta l4proto %u th dport %u dnat ip to ",
			    w->proto, w->port);
			put_addr4(f, n);
			fprintf(f, ":%u\n", w->to);
			if ((n->conf.flags & PRIVF_INET6) == 0)
				continue;
			fprintf(f,
			    "\t\tfib daddr type local ip6 daddr != ::1 "
			    "meta l4proto %u th dport %u dnat ip6 to [",
			    w->proto, w->port);
			put_addr6(f, n);
			fprintf(f, "]:%u\n", w->to);
		}
	}
}

/*
 * A guest is routed with the addresses that are its own: what it sends with
 * others would not be masqueraded, and leave this host as somebody else's.
 * One that only has ports of the host answers those who came through these,
 * and asks at those of other guests.  `in' is where it came in; in a routing
 * domain iifname is that.
 */
static void
put_sources(FILE *f, const char *in)
{
	static const char family[][4] = { "ip", "ip6" };
	static const char nr[] = "46";
	size_t i;

	for (i = 0; i < 2; i++)
		fprintf(f,
		    "\t\t%s . %s saddr @source%c accept\n"
		    "\t\t%s . %s saddr @own%c "
		    "ct state established,related accept\n"
		    "\t\t%s . %s saddr @own%c oifname @routed "
		    "ct status dnat accept\n",
		    in, family[i], nr[i], in, family[i], nr[i], in, family[i],
		    nr[i]);
	fprintf(f, "\t\t%s @routed drop\n", in);
}

static void
put_chains(FILE *f)
{
	fputs("\tchain forward {\n"
	      "\t\ttype filter hook forward priority 0; policy accept;\n",
	    f);
	put_sources(f, "iifname");
	put_sources(f, "meta sdifname");
	fputs("\t\toifname @routed ct state established,related accept\n"
	      "\t\toifname @routed ct status dnat accept\n",
	    f);
	put_bridged(f);
	/* What forwards only because of us does it for those only. */
	if (sysctl_is_ours(PRIVFWD_4))
		fputs("\t\tiifname @near ip version 4 drop\n"
		      "\t\tmeta sdifname @near ip version 4 drop\n",
		    f);
	if (sysctl_is_ours(PRIVFWD_6))
		fputs("\t\tiifname @near ip6 version 6 drop\n"
		      "\t\tmeta sdifname @near ip6 version 6 drop\n",
		    f);
	fputs("\t}\n"
	      "\tchain prerouting {\n"
	      "\t\ttype nat hook prerouting priority -100; policy accept;\n",
	    f);
	put_forwards(f);
	fputs("\t}\n"
	      "\tchain output {\n"
	      "\t\ttype nat hook output priority -100; policy accept;\n",
	    f);
	put_forwards(f);
	fputs("\t}\n"
	      "\tchain postrouting {\n"
	      "\t\ttype nat hook postrouting priority 100; policy accept;\n"
	      "\t\tip saddr @nat4 oifname != @local masquerade\n"
	      "\t\tip6 saddr @nat6 oifname != @local masquerade\n"
	      "\t}\n",
	    f);
}

/* Each group once; the interfaces that are in it, or whose switch is. */
static int
in_group(const struct nic *n, const char *group)
{
	return (n->conf.group != NULL && strcmp(n->conf.group, group) == 0) ||
	    (n->conf.swgroup != NULL && strcmp(n->conf.swgroup, group) == 0);
}

static void
put_group(FILE *f, const struct nic *first, const char *group)
{
	const struct nic *n;
	const char *sep = "";

	if (group == NULL)
		return;
	TAILQ_FOREACH(n, &priv.nics, entry) {
		if (n == first)
			break;
		if (in_group(n, group))
			return; /* done with that one */
	}
	fprintf(f, "\tset group_%s { type ifname; elements = { ", group);
	for (; n != NULL; n = TAILQ_NEXT(n, entry)) {
		if (!in_group(n, group))
			continue;
		fputs(sep, f);
		put_name(f, n);
		sep = ", ";
	}
	fputs(" }; }\n", f);
}

static void
put_groups(FILE *f)
{
	const struct nic *n;

	TAILQ_FOREACH(n, &priv.nics, entry) {
		put_group(f, n, n->conf.group);
		if (n->conf.group == NULL || n->conf.swgroup == NULL ||
		    strcmp(n->conf.group, n->conf.swgroup) != 0)
			put_group(f, n, n->conf.swgroup);
	}
}

static void
put_table(FILE *f, int routed)
{
	fprintf(f, "table inet vmd-%s {\n\tflags owner\n", priv.tag);
	put_groups(f);
	if (routed) {
		put_set(f, "local", "ifname", is_local, put_name);
		put_near(f); /* who is routed is among them */
		put_set(f, "routed", "ifname", is_routed, put_name);
		put_set(f, "source4", "ifname . ipv4_addr", is_source,
		    put_source4);
		put_set(f, "source6", "ifname . ipv6_addr", is_source6,
		    put_source6);
		put_set(f, "own4", "ifname . ipv4_addr", is_forwarded,
		    put_source4);
		put_set(f, "own6", "ifname . ipv6_addr", is_forwarded6,
		    put_source6);
		put_set(f, "nat4", "ipv4_addr", is_nat, put_addr4);
		put_set(f, "nat6", "ipv6_addr", is_nat6, put_addr6);
		put_chains(f);
	}
	fputs("}\n", f);
}

/* --- the transaction ----------------------------------------------------- */

/* The first line of what it said, without "Error: ". */
static int
run(const char *text)
{
	static const char prefix[] = "Error: ";
	const char *e;

	if (ctx == NULL)
		return priv_failx(VMERR_UNSUPPORTED,
		    "the packet filter (nftables) is not available");
	if (nft_run_cmd_from_buffer(ctx, text) == 0)
		return 0;
	e = nft_ctx_get_error_buffer(ctx);
	if (e == NULL || e[0] == '\0')
		e = strerror(errno);
	log_debug("nftables: %s", text);
	if (strncmp(e, prefix, strlen(prefix)) == 0)
		e += strlen(prefix);
	return priv_failx(VMERR_FAILED, "nftables: %.*s", (int)strcspn(e, "\n"),
	    e);
}

int
nft_apply(void)
{
	const struct nic *n;
	int rc, routed = 0, any = 0;
	size_t len = 0;
	char *text = NULL;
	FILE *f;

	TAILQ_FOREACH(n, &priv.nics, entry) {
		routed |= is_routed(n);
		any |= n->conf.group != NULL || n->conf.swgroup != NULL;
	}
	if (!routed && !any && !there)
		return 0;
	if ((f = open_memstream(&text, &len)) == NULL)
		return priv_fail("nftables");
	if (there)
		fprintf(f, "delete table inet vmd-%s\n", priv.tag);
	if (routed || any)
		put_table(f, routed);
	if (fclose(f) == EOF) {
		free(text);
		return priv_fail("nftables");
	}
	if ((rc = run(text)) == 0)
		there = routed || any;
	free(text);
	return rc;
}
