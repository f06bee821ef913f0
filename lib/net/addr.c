/*
 * Addresses of local interfaces; in the parent, which gives them out.
 */

#include <errno.h>
#include <string.h>

#include "lib/net/addr.h"

#define INDEX_MAX 126

const uint8_t net_router6[16] = { 0xfe, 0x80, [15] = 1 };

int
net_addr4(uint32_t prefix, unsigned int len, uint32_t id, unsigned int idx,
    uint32_t *host, uint32_t *guest)
{
	uint32_t low;
	uint64_t at;

	if (len > 31) {
		errno = EINVAL;
		return -1;
	}
	low = UINT32_MAX >> len;
	at = (uint64_t)id << 8 | (idx + 1) * 2;
	if (idx > INDEX_MAX || at + 1 > low) {
		errno = ERANGE;
		return -1;
	}
	*host = (prefix & ~low) | (uint32_t)at;
	*guest = *host + 1;
	return 0;
}

void
net_addr6_host(const uint8_t prefix[16], uint32_t guest4, uint8_t addr[16])
{
	int i;

	memmove(addr, prefix, 16);
	for (i = 0; i < 4; i++)
		addr[8 + i] = (uint8_t)(guest4 >> (24 - 8 * i));
	addr[15] = 1;
}

void
net_addr6_eui64(const uint8_t prefix[16], const uint8_t mac[6],
    uint8_t addr[16])
{
	memmove(addr, prefix, 8);
	memcpy(addr + 8, mac, 3);
	addr[8] ^= 2;
	addr[11] = 0xff;
	addr[12] = 0xfe;
	memcpy(addr + 13, mac + 3, 3);
}
