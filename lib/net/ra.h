#ifndef NET_RA_H
#define NET_RA_H

#include "lib/net/answer.h"

/*
 * Router advertisements (RFC 4861, 4862, 8106) from fe80::1: the /64 of
 * the host's address for autoconfiguration but not on-link, DNS servers and
 * domain, MTU, the tap's MAC; other configuration by DHCPv6.  None without
 * NETF_LOCAL and NETF_INET6 or with an MTU that is too small for IPv6.
 */

#define NET_RA_LIFETIME 1800 /* seconds of the router */
#define NET_RA_INTERVAL 600  /* seconds between unsolicited ones, at most */

/* Answer a router solicitation; as net_answer(). */
int net_ra(const struct net_conf *n, const uint8_t *frame, size_t len, int how,
    uint8_t *reply, size_t size);

/* An unsolicited one, to all nodes.  Returns its length, or 0 for none. */
int net_ra_make(const struct net_conf *n, uint8_t *frame, size_t size);

#endif
