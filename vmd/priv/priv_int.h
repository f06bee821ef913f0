#ifndef PRIV_PRIV_INT_H
#define PRIV_PRIV_INT_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <libmnl/libmnl.h>

#include "lib/proto/privmsg.h"
#include "lib/proto/vmerr.h"

/*
 * Inside priv.  One thread, one request at a time; what is said of a failure
 * is kept until the next one (priv_why()).  Addresses of IPv4 are in host
 * byte order here too, until they are put into a message.
 */

/* --- why something failed (name.c) --------------------------------------- */

/*
 * The sentence for the person who asked.  priv_fail() adds the text of errno,
 * or what the kernel itself said of its last refusal; both return -1.  The
 * first one counts: what fails while things are undone is not told.
 */
int priv_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int priv_failx(enum vmerr e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *priv_why(void);
enum vmerr priv_why_err(void);
int priv_failed(void); /* since that was cleared */
void priv_why_clear(void);

/* --- names from outside (name.c): 1 if it is one ------------------------- */

int name_is_ifname(const char *s);
/* Letters, then a decimal number of 32 bits: the names of taps, bridges. */
int name_is_numbered(const char *s, const char *type);
int name_is_group(const char *s);
int name_is_tag(const char *s);
int name_is_text(const char *s, size_t max); /* printable, not empty */

/* --- netlink (nl.c) ------------------------------------------------------ */

#define NL_REQ_LEN 2048

struct nl_req {
	union {
		char buf[NL_REQ_LEN];
		struct nlmsghdr nh;
	};
};

/*
 * One message of an answer, or NULL: it is told again from the beginning.
 * 0 to go on, -1 with errno to fail.
 */
typedef int (*nl_fn)(const struct nlmsghdr *nh, void *arg);

/* Sockets of NETLINK_ROUTE and NETLINK_NETFILTER.  0 or -1 with errno. */
int nl_open(void);
/* A request with room for `extra' bytes, which are returned zeroed. */
void *nl_begin(struct nl_req *r, uint16_t type, uint16_t flags, size_t extra);
/*
 * Send and read the answer up to its end.  NLM_F_ACK is added unless it is
 * a dump; a dump that was disturbed is begun again.  0 or -1 with errno.
 */
int nl_talk(struct nl_req *r, nl_fn fn, void *arg);
int nl_talk_nft(struct nl_req *r, nl_fn fn, void *arg);
/* What the kernel said of the last failure of nl_talk(); "" if nothing. */
const char *nl_said(void);
void nl_said_clear(void);

/* How far an answer is, after some bytes of it. */
enum nl_state {
	NL_MORE,
	NL_DONE,
	NL_ERROR, /* errno */
};
/*
 * Go through `len' bytes of an answer to sequence number `seq'.  Messages
 * that are not part of it are passed over.  `*disturbed' becomes 1 if what
 * is told was changing meanwhile.  No socket: any bytes will do.
 */
enum nl_state nl_parse(const void *buf, size_t len, uint32_t seq,
    int *disturbed, nl_fn fn, void *arg);
/*
 * Attributes that follow `hdrlen' bytes of the payload by type, those above
 * `max' left out; the last of a type counts.
 */
void nl_attrs(const struct nlmsghdr *nh, size_t hdrlen,
    const struct nlattr **tb, uint16_t max);
void nl_nested(const struct nlattr *a, const struct nlattr **tb, uint16_t max);
/* Values; what is absent or too short is `none', or an empty string. */
uint32_t nl_u32(const struct nlattr *a, uint32_t none);
uint8_t nl_u8(const struct nlattr *a, uint8_t none);
void nl_str(const struct nlattr *a, char *s, size_t size);
/* Exactly `len' bytes: 1, else 0 and nothing is written. */
int nl_bytes(const struct nlattr *a, void *p, size_t len);

/* --- links (link.c) ------------------------------------------------------ */

#define LINK_ALIAS_LEN 256

struct link {
	int index;
	unsigned int flags; /* IFF_* */
	uint32_t mtu;
	uint32_t master; /* index, 0: none */
	uint32_t group;
	uint32_t table; /* of a VRF */
	int persist;	/* of a tap, as the next: */
	uint32_t queues, owner;
	uint8_t mac[6];
	char name[IFNAMSIZ];
	char kind[16]; /* "bridge", "tun", "vrf", "" ... */
	char alias[LINK_ALIAS_LEN];
};

/* From a message; 0, or -1 if it is none about a link. */
int link_parse(const struct nlmsghdr *nh, struct link *l);
/* 0, or -1 with errno (ENODEV). */
int link_by_name(const char *name, struct link *l);
int link_by_index(int index, struct link *l);
/* Call `fn' for each; its -1 ends it. */
int link_each(int (*fn)(const struct link *l, void *arg), void *arg);
/* All in an array, which the caller frees; -1 with errno. */
int link_all(struct link **links, size_t *n);
int link_is_ours(const struct link *l); /* by its alias, or half made */
/* Killed while it was made: it has a name that is nobody's but ours. */
int link_is_half_made(const struct link *l);
/*
 * Properties of a link; what is NULL, or -1, is left as it is.  `up': 0, 1.
 * `alias' is what goes behind our tag.  All in one request: whoever is killed
 * has done all of it or nothing.
 */
struct link_set {
	const char *name; /* while it is down */
	const char *alias;
	const uint8_t *mac;
	int64_t mtu, group, master;
	int up;
};
#define LINK_SET_INIT                                                          \
	{                                                                      \
		NULL, NULL, NULL, -1, -1, -1, -1                               \
	}
int link_set(int index, const struct link_set *s);
/* A new bridge (no STP), or VRF; the index, or -1 with errno. */
int link_add_bridge(const char *name, const char *alias);
int link_add_vrf(const char *name, const char *alias, uint32_t table);
int link_del(int index);
/* As a member of a bridge. */
int link_port(int index, int isolated, int locked);
int link_fdb(int index, const uint8_t *mac);

/* --- addresses, routes, rules (addr.c) ----------------------------------- */

int addr_add4(int index, uint32_t addr, uint8_t bits);
int addr_add6(int index, const uint8_t *addr, uint8_t bits);
int addr_route6(int index, const uint8_t *dst, uint32_t table);
/*
 * Is that network, of `bits' bits, in use on an interface that is not ours?
 * 0, or -1 with the sentence in priv_why().  `table' of routes to look at,
 * 0: those of the host.  `addr' has 4 or 16 bytes, network order.
 */
int addr_unused(int family, const void *addr, uint8_t bits, uint32_t table);
/* An address, or a route that is connected or of an address. */
struct addr_entry {
	int family;
	uint32_t index; /* of its link */
	uint32_t table; /* of a route */
	uint8_t bits;	/* not checked */
	uint8_t addr[16], local[16];
};
/* 0, or -1 if the message is none about one. */
int addr_parse(const struct nlmsghdr *nh, struct addr_entry *e);
int route_parse(const struct nlmsghdr *nh, struct addr_entry *e);
int rule_is_vrf(const struct nlmsghdr *nh);
/* The rule l3mdev of the first VRF: is it there? 1, 0; -1 with errno. */
int addr_has_vrf_rule(int family);
int addr_vrf_rule(int family, int add);

/* --- VRFs (vrf.c) -------------------------------------------------------- */

/* Index of the VRF of that table, made if there is none; -1: priv_why(). */
int vrf_get(uint32_t table);
/* Remove ours that no record asks for; `all': every one of ours. */
void vrf_tidy(int all);
/* PRIVFWD_RULE if the rule is not ours; and what an earlier priv found. */
uint32_t vrf_rule(void);
void vrf_inherit(uint32_t forwarding);

/* --- /proc/sys/net (sysctl.c) -------------------------------------------- */

/* Before the root changes; a failure is found when it is used. */
void sysctl_open(void);
void sysctl_grant(void); /* to Landlock */
/* Before a link goes up: nothing is learned from what it receives. */
int sysctl_quiet(const char *ifname, int inet6);
/* -1 with errno, else the value. */
int sysctl_get(const char *path);
int sysctl_set(const char *path, int value);
/* Turn forwarding on or, if it was off before, off: PRIVFWD_* wanted. */
int sysctl_forward(uint32_t want);
/* Would this host not forward without us, by PRIVFWD_4 or 6? */
int sysctl_is_ours(uint32_t bit);
/* What is on because of us; and what an earlier priv left on. */
uint32_t sysctl_forwarding(void);
void sysctl_inherit(uint32_t forwarding, const char *kept);
/* What is to be put back with it, as priv_result.kept; the caller frees. */
char *sysctl_kept(void);

/* --- taps (tap.c) -------------------------------------------------------- */

void tap_grant(void); /* to Landlock */
void tap_granted(void);
/* `name' "" for the first free; it is written back.  0, or -1: priv_why(). */
int tap_open(char name[IFNAMSIZ], int *fds, uint32_t n);

/* --- the rules of the packet filter (nft.c) ------------------------------ */

int nft_open(void); /* 0 or -1 */
/* Make the table as all records say; 0, or -1: priv_why(). */
int nft_apply(void);
void nft_close(void);

/* --- groups (group.c) ---------------------------------------------------- */

void group_read(void);			/* before the root changes */
int64_t group_number(const char *name); /* -1: it has none */

/* --- interfaces and switches --------------------------------------------- */

struct nic {
	TAILQ_ENTRY(nic) entry;
	char name[IFNAMSIZ];
	int index;
	uint8_t tapmac[6];
	struct priv_nic conf; /* strings are its own */
};

struct sw {
	TAILQ_ENTRY(sw) entry;
	char name[IFNAMSIZ];
	char alias[PRIV_ALIAS_MAX + 1];
	int index;
	int ours;
	uint32_t flags; /* as asked for */
	uint32_t rdomain;
	int raised;	/* somebody else's, was down */
	int lent;	/* somebody else's, had no members and */
	uint8_t mac[6]; /* these, which change with ours */
	uint32_t mtu;
};

struct priv {
	int init;
	char tag[PRIV_TAG_MAX + 1];
	uint32_t prefix, mask;
	uint8_t prefix6[16];
	TAILQ_HEAD(, nic) nics;
	TAILQ_HEAD(, sw) sws;
};
extern struct priv priv;

/*
 * nic.c: all of it or nothing, but one in use stays known.  Takes the
 * strings of `conf'.  `fds' are the caller's, then; *l as the tap is.  0 or
 * -1: priv_why().
 */
int nic_add(struct priv_nic *conf, int *fds, struct link *l);
int nic_del(const char *name);
int nic_want_forwarding(void); /* for all of them, 0 or -1 */
const struct nic *nic_by_name(const char *name);

/* switch.c */
int switch_add(const struct priv_switch *s, uint32_t *created);
int switch_del(const char *name);
const struct sw *switch_by_name(const char *name);
/* One of ours that somebody has removed: made again.  0, or -1 with errno. */
int switch_again(const char *name, struct link *l);
/* One of our taps is about to become its member. */
void switch_lend(const struct link *l);
/* Some tap is gone: what has no members any more is as it was before. */
void switches_give_back(void);
/* Somebody else's that were down are down again. */
void switches_lower(void);

/* sweep.c: what is ours and was not named; at the end, all but taps. */
int sweep(void);
void sweep_end(void);

#define CHAIN_NAME_LEN 128

struct chain { /* of the packet filter */
	int family;
	int forward; /* it sees what is forwarded, */
	int drop;    /* and its policy is that */
	char table[CHAIN_NAME_LEN];
	char name[CHAIN_NAME_LEN];
};
/* 0, or -1 if the message is none about a chain. */
int chain_parse(const struct nlmsghdr *nh, struct chain *c);
/* check.c: sentences for the administrator; strings are the caller's. */
void check_host(struct priv_result *r);

#endif
