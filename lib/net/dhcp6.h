#ifndef NET_DHCP6_H
#define NET_DHCP6_H

#include "lib/net/answer.h"

/*
 * Stateless DHCPv6 (RFC 8415): DNS servers (RFC 3646) and domain.  Clients
 * that want addresses or prefixes are told that there are none.  Messages
 * to All_DHCP_Relay_Agents_and_Servers are taken; the server's DUID is made
 * of the tap's MAC.  Arguments and result are those of net_answer().
 */
int net_dhcp6(const struct net_conf *n, const uint8_t *frame, size_t len,
    int how, uint8_t *reply, size_t size);

#endif
