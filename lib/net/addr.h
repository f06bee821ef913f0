#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdint.h>

/*
 * Addresses of local interfaces, computed and never stored: prefix, id of
 * the VM and index of the interface say all.  IPv4 addresses are in host
 * byte order, IPv6 addresses and MACs in that of the network.  Nothing here
 * keeps state or allocates; any thread.
 */

/*
 * The two addresses (a /31) of interface `idx' (from 0) of VM `id' in
 * `prefix'/`len'; bits of `prefix' below `len' are ignored.  Returns 0, or
 * -1 with errno ERANGE if they leave the prefix or the index is above 126,
 * EINVAL if `len' is above 31.
 */
int net_addr4(uint32_t prefix, unsigned int len, uint32_t id, unsigned int idx,
    uint32_t *host, uint32_t *guest);

/*
 * The host's address beside `guest4', to be used with mask /96: eight bytes
 * of the prefix, the four of `guest4', three of the prefix, and 1.
 */
void
net_addr6_host(const uint8_t prefix[16], uint32_t guest4, uint8_t addr[16]);

/*
 * The address a guest gives itself in the /64 of `prefix': the modified
 * EUI-64 of its MAC.  RFC 4291, appendix A.
 */
void net_addr6_eui64(const uint8_t prefix[16], const uint8_t mac[6],
    uint8_t addr[16]);

/* The router of the guests: this address has the host's end of each tap. */
extern const uint8_t net_router6[16]; /* fe80::1 */

#endif
