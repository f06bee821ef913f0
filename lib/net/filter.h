#ifndef NET_FILTER_H
#define NET_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/proto/netconf.h"

/*
 * The source filter of `locked lladdr': what a guest may send.
 *
 * `head' holds the first NET_HEAD bytes of the frame (answer.h) or all of
 * it, `len' of them; it is the caller's copy, sent as it was looked at.
 * `csum' is where the kernel will store a checksum: csum_start plus
 * csum_offset of the vnet header with NEEDS_CSUM, else 0; a guest could
 * otherwise have its addresses changed behind this filter.
 *
 * Without NETF_LOCKED everything passes.  With it the source MAC must be
 * the interface's; on local interfaces only ARP, IPv4 and IPv6 pass, with
 * the guest's addresses (of link-local ones any but the router's; the
 * unspecified ones where a guest needs them to get an address), without
 * tags of VLANs, router advertisements and redirects; fragments must begin
 * with all headers (RFC 7112).
 *
 * Returns 1 if the frame may pass, 0 if it is to be dropped.  Any thread.
 */
int net_filter(const struct net_conf *n, const uint8_t *head, size_t len,
    size_t csum);

/*
 * The other direction: is a frame of the host meant for this guest?  Always,
 * without NETF_LOCKED; else if its destination is the guest's MAC, multicast
 * or broadcast.  `len' is at least 6 for any yes.
 */
int net_filter_in(const struct net_conf *n, const uint8_t *head, size_t len);

#endif
