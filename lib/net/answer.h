#ifndef NET_ANSWER_H
#define NET_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/proto/netconf.h"

/*
 * What a local interface answers itself: DHCP and BOOTP, router
 * solicitations, DHCPv6.  Frames start with the Ethernet header; vnet
 * headers are the caller's.  No state but the lease, no allocation, no
 * system calls; any thread.
 *
 * For each frame of a guest the caller gathers the first NET_HEAD bytes
 * (or all, if it is shorter) and asks net_wants(); if that says yes, it
 * copies the whole frame and calls net_answer() with the copy, before
 * net_filter(): a guest with a foreign address is told so.
 */

#define NET_HEAD      128  /* bytes that decide about a frame */
#define NET_FRAME_MAX 1514 /* longer ones are never answered */
#define NET_REPLY_MAX 1514 /* room that is always enough for a reply */

#define NET_EATEN     -1 /* taken, nothing to send back, not to be forwarded */

/* How the frame came. */
#define NET_PARTIAL 0x01 /* VIRTIO_NET_HDR_F_NEEDS_CSUM: do not check it */

/* What the guest was told last; all zeros at first. */
struct net_lease {
	uint64_t until;	   /* end, in the caller's seconds; 0: none */
	uint64_t grants;   /* acknowledged requests, renewals too, BOOTP too */
	uint64_t refused;  /* negative answers */
	uint64_t declined; /* the guest saw its address in use */
};

#define NET_LEASE_FOREVER UINT64_MAX /* of `until' */

/*
 * Is this perhaps a frame that net_answer() takes?  `len' bytes at `head'
 * are there: NET_HEAD or the whole frame.  Cheap, for every frame; never
 * no for one that net_answer() would take.
 */
int net_wants(const struct net_conf *n, const uint8_t *head, size_t len);

/*
 * Answer a whole frame.  `how' is 0 or NET_PARTIAL; `now' is in seconds of
 * any clock that does not go back.  Returns the length of the reply, a
 * frame for the guest with all checksums made; NET_EATEN; or 0: not ours,
 * forward it.  `reply' has room for `size' bytes, NET_REPLY_MAX is enough;
 * a reply that does not fit is not made.
 */
int net_answer(const struct net_conf *n, const uint8_t *frame, size_t len,
    int how, uint64_t now, struct net_lease *l, uint8_t *reply, size_t size);

#endif
