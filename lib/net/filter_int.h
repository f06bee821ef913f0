#ifndef NET_FILTER_INT_H
#define NET_FILTER_INT_H

#include "lib/net/filter.h"

/* Where a checksum may be stored, said of what begins at `at'. */
int filter_csum(uint8_t proto, size_t at, size_t csum);

/* As net_filter(), of a frame with IPv6 on a locked local interface. */
int filter_ip6(const struct net_conf *n, const uint8_t *head, size_t len,
    size_t csum);

#endif
