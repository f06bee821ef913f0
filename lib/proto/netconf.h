#ifndef PROTO_NETCONF_H
#define PROTO_NETCONF_H

#include <stdint.h>

#include "lib/imsg/imsg.h"

/*
 * What a network interface of a guest is, for the process that serves it:
 * made by the parent when the VM starts, part of its specification.  All
 * addresses and ports are in host byte order, IPv6 ones in network order.
 */

#define NET_MAX_PAIRS	 4 /* of queues */
#define NET_MAX_SERVERS	 3 /* of a kind: DNS, NTP */
#define NET_MAX_FORWARDS 32
#define NET_MIN_MTU	 576
#define NET_MIN_MTU6	 1280
#define NET_MAX_MTU	 16384
#define NET_DEFAULT_MTU	 1500
#define NET_NAME_MAX	 64   /* of a host, with the NUL */
#define NET_DOMAIN_MAX	 254  /* with the NUL */
#define NET_IFNAME_MAX	 16   /* with the NUL */
#define NET_LEASE	 3600 /* seconds */

enum {
	NETF_LOCAL = 0x01,  /* DHCP is answered */
	NETF_INET6 = 0x02,  /* and router solicitations, and DHCPv6 */
	NETF_LOCKED = 0x04, /* sources are checked */
	NETF_USER = 0x08,   /* a stream of frames instead of a tap */
	NETF_BOOT = 0x10,   /* boot device net, and the first interface */
	NETF_ALL = 0x1f,
};

struct net_forward {
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t port; /* of the host */
	uint16_t to;   /* of the guest */
};

struct net_conf {
	uint32_t flags;		/* NETF_* */
	uint32_t mtu;		/* NET_MIN_MTU to NET_MAX_MTU; 0: none yet */
	uint32_t pairs;		/* of queues, 1 to NET_MAX_PAIRS */
	uint32_t lease;		/* seconds */
	uint8_t mac[6];		/* of the guest */
	uint8_t host_mac[6];	/* of the tap */
	uint32_t host4, guest4; /* a /31; 0: none */
	uint8_t host6[16], guest6[16];
	uint32_t ndns4, ndns6, nntp4; /* at most NET_MAX_SERVERS */
	uint32_t dns4[NET_MAX_SERVERS];
	uint32_t ntp4[NET_MAX_SERVERS];
	uint8_t dns6[NET_MAX_SERVERS][16];
	char ifname[NET_IFNAME_MAX]; /* of the tap, "" if there is none */
	char host[NET_NAME_MAX];     /* name of the guest, "" if none */
	char domain[NET_DOMAIN_MAX]; /* "" if none */
};

/* 0, or -1 with errno as wire.h says.  All zeros but pairs is valid. */
int net_conf_put(struct ibuf *b, const struct net_conf *n);
/* Every count, flag, length and string is checked. */
int net_conf_get(struct ibuf *b, struct net_conf *n);
int net_forward_put(struct ibuf *b, const struct net_forward *f);
int net_forward_get(struct ibuf *b, struct net_forward *f);

#endif
