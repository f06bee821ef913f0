#ifndef NET_VNET_H
#define NET_VNET_H

#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_net.h>

/*
 * The header of a guest's packet, Virtio 1.2, 5.1.6: checked and made clean
 * in place before it goes to a tap.  All fields are little-endian, before
 * and after; a tap of a big-endian host needs TUNSETVNETLE.
 *
 * `features' are those the driver accepted, `len' is the length of the frame
 * after the header.  Unknown flags are cleared, and fields that mean nothing.
 * Refused: a checksum outside of the frame or before the end of the shortest IP
 * header, offloads not agreed on, segments without size, checksum or the
 * headers to be repeated, frames too short for an Ethernet header - all that
 * Linux' tun would refuse, and what it would let through to a driver that
 * should not see it.
 * Returns 0, or -1 with errno EPROTO.  Any thread.
 */
int net_vnet_clean(struct virtio_net_hdr_v1 *h, uint64_t features, size_t len);

/* Where the checksum of a cleaned header goes, for net_filter(); or 0. */
size_t net_vnet_csum(const struct virtio_net_hdr_v1 *h);

#endif
