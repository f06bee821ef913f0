#ifndef NET_DHCP_H
#define NET_DHCP_H

#include "lib/net/answer.h"

/*
 * DHCP and BOOTP (RFC 951, 1542, 2131, 2132) for one guest that has one
 * address.  Arguments and result are those of net_answer().
 *
 * Taken are requests with the guest's MAC as source and client, to the
 * broadcast address or to the host; not those that came through a relay,
 * name another server or, without options in that field, a boot file.
 * DISCOVER is offered the address; REQUEST of it is acknowledged in all
 * states of the client, of any other one refused; INFORM is answered
 * without a lease; RELEASE and DECLINE end the lease.
 *
 * Options of the answer: 53, 54, 51, 58, 59, 61 as the RFCs demand; 1, 3
 * and 6 always; 12, 15, 26, 28 and 42 if there is a value and the client asks
 * for it or does not say what it wants.  What does not fit into the size
 * that the client takes is left out, the last ones first.
 */
int net_dhcp(const struct net_conf *n, const uint8_t *frame, size_t len,
    int how, uint64_t now, struct net_lease *l, uint8_t *reply, size_t size);

/*
 * Does this frame of another server tell the guest with that MAC what its
 * address is?  1 and the address, in host order, and for how many seconds,
 * UINT32_MAX: for ever; an address of 0 if it has lost it.  0: no.  Cheap for
 * all other frames.
 */
int net_dhcp_seen(const uint8_t mac[6], const uint8_t *frame, size_t len,
    uint32_t *address, uint32_t *seconds);

#endif
