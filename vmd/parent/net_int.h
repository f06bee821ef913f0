#ifndef PARENT_NET_INT_H
#define PARENT_NET_INT_H

#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

#include "lib/proto/privmsg.h"
#include "vmd/parent/net.h"
#include "vmd/parent/parent.h"

/*
 * Inside the network part of the parent.
 */

#define NET_WHY_LEN 1024

struct event;
struct macs;

/* --- netorder.c: orders to priv ------------------------------------------ */

/*
 * Called once: the answer, or one made here if priv is gone.  Descriptors
 * that are taken are set to -1.  The order is gone afterwards.
 */
typedef void
order_fn(void *arg, const struct priv_result *r, int *fds, size_t nfds);
struct order {
	TAILQ_ENTRY(order) entry;
	uint64_t id;
	uint32_t type;
	struct ibuf *body;
	size_t nfds;	     /* that a good answer has */
	uint32_t forwarding; /* PRIVFWD_*: what it may need */
	order_fn *done;
	void *arg;
};
TAILQ_HEAD(orders, order);

/*
 * Order something; `body' (may be NULL) is taken.  One is at priv at a time,
 * the others wait for their turn.  NULL with errno, EPIPE: there is no priv.
 */
struct order *order_new(struct parent *p, uint32_t type, struct ibuf *body,
    size_t nfds, order_fn *done, void *arg);
/* Order an interface: a new one, or with PRIVF_ADOPT one that is there. */
struct order *order_new_nic(struct parent *p, const struct priv_nic *n,
    order_fn *done, void *arg);
/* Somebody else gets the answer. */
void order_redirect(struct order *o, order_fn *done, void *arg);
/* All fail; what they lead to is not ordered any more. */
void orders_fail(struct parent *p);
void orders_free(struct parent *p);

/* A body; NULL with errno. */
struct ibuf *order_name(const char *ifname);

/* --- netswitch.c: switches ----------------------------------------------- */

enum netswitch_state {
	NETSW_NEW,
	NETSW_ASKED,
	NETSW_READY,
	NETSW_FAILED
};
struct netswitch {
	TAILQ_ENTRY(netswitch) entry;
	struct parent *parent;
	char *ifname;
	char *alias;
	char where[NET_WHY_LEN]; /* "FILE:LINE: switch "NAME"" */
	uint32_t flags;		 /* PRIVF_*, as last told */
	uint32_t rdomain;
	int wanted; /* the configuration has it */
	int ours;   /* made by priv, */
	int raised; /* or brought up by it */
	enum netswitch_state state;
	unsigned int orders; /* that are not answered yet */
	char *why;	     /* it failed */
};
TAILQ_HEAD(netswitches, netswitch);

/* Make p->net->switches what the configuration says. */
void switches_reconcile(struct parent *p);
/* Those that nobody wants or uses any more. */
void switches_tidy(struct parent *p);
/* Tell a new priv of all. */
void switches_tell(struct parent *p);
void switches_free(struct parent *p);
const struct conf_switch *switch_of(const struct parent *p, const char *name);
/* That of a bridge, ordered again if it has failed; NULL: none. */
struct netswitch *switch_need(struct parent *p, const char *ifname);
struct netswitch *switch_find(struct parent *p, const char *ifname);

/* --- net.c ---------------------------------------------------------------- */

/* An interface of a run. */
struct vmnic {
	int made;
	struct priv_nic conf; /* as priv was told; ifname as it answered */
};
struct vmnet {
	struct vm *vm;
	uint32_t at; /* the one that is being made */
	int complete;
	struct order *order;
	char *pending; /* said of it in the log, or NULL */
	struct vmnic nics[VM_MAX_NICS];
};

/* The start fails because of an interface. */
void vm_net_failed(struct vm *v, uint32_t idx, enum vmerr e, const char *why);
/* This one is there: on to the next. */
void vm_net_made(struct vm *v, uint32_t idx);
/* Does a running VM, or one that starts, have a port on this bridge? */
int net_bridge_used(const struct parent *p, const char *ifname);
/* Tell a new priv of interfaces in use. */
void net_adopt_all(struct parent *p);

/* --- netpending.c --------------------------------------------------------- */

/* The configuration has changed: say what guests that run do not have yet. */
void net_mention_pending(struct parent *p);

/* --- netspec.c: what an interface is ------------------------------------- */

/*
 * Compute v->run->nics[idx].net and `n', whose strings the caller frees by
 * priv_nic_fini().  0, or -1 with a sentence.
 */
int nic_describe(struct vm *v, uint32_t idx, struct priv_nic *n,
    char why[NET_WHY_LEN]);
/* How many queue pairs a tap has. */
uint32_t nic_pairs(const struct vm_spec *s);
/* The prefix of local interfaces, and the /64 of IPv6 (zeros: none). */
void net_prefix(const struct parent *p, uint32_t *prefix, uint32_t *mask);
void net_prefix6(struct parent *p, uint8_t prefix6[16]);

/* --- netport.c: ports of the host ---------------------------------------- */

/* NULL, or the sentence why a forward of this interface cannot be. */
const char *
net_port_taken(const struct vm *v, uint32_t idx, char why[NET_WHY_LEN]);

/* --- macs.c --------------------------------------------------------------- */

/* As ids_load(): the table of MACs chosen after a clash. */
struct macs *macs_load(int dirfd);
void macs_free(struct macs *t);
void macs_clear(struct macs *t);
/* The MAC of this interface.  0, or -1 with a sentence. */
int
macs_assign(struct vm *v, uint32_t idx, uint8_t mac[6], char why[NET_WHY_LEN]);

/* --- resolv.c ------------------------------------------------------------- */

struct resolvers {
	uint32_t n4, n6; /* at most NET_MAX_SERVERS */
	uint32_t addr4[NET_MAX_SERVERS];
	uint8_t addr6[NET_MAX_SERVERS][16];
	uint32_t own; /* how many were loopback addresses */
};
/* What a guest may ask of those that `path' names; no file: none. */
void resolv_read(const char *path, struct resolvers *r);
/* Of this host: its resolv.conf, or what stands behind a local stub. */
extern const char *resolv_conf, *resolv_behind; /* for tests */
void resolv_host(struct resolvers *r);

/* --- hosts.c -------------------------------------------------------------- */

#define HOSTS_FILE "hosts"
/* Write the file if what is in it has changed. */
void hosts_update(struct parent *p);

/* --- netd.c ---------------------------------------------------------------- */

struct net {
	struct orders orders; /* the first one is at priv */
	struct event *deadline;
	int greeted; /* this priv was told everything */
	int late;    /* and did not answer in time */
	uint32_t forwarding;
	char *kept; /* of single interfaces with it, or NULL */
	struct netswitches switches;
	struct macs *macs;
	char *machine; /* id of the host, or "" */
	char *boot;    /* and of its last start */
	uint8_t prefix6[16];
	struct priv_init told; /* tag NULL */
	char *hosts;	       /* as the file is, or NULL */
	int checked;
	char *notes; /* a line each; NULL: not known */
};
/* An answer came that says which forwarding priv turned on. */
void net_forwarding(struct parent *p, uint32_t forwarding, const char *kept);
/*
 * An order is about to be given that needs `want'.  What of it is off is
 * noted first: whoever comes after a crash knows that we turned it on.
 */
void net_forwarding_before(struct parent *p, uint32_t want);

#endif
