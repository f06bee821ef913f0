#ifndef NET_MAC_H
#define NET_MAC_H

#include <stdint.h>

/*
 * The MAC of an interface that has none in the configuration:
 * fe:e1:bb:xx:xx:xx, always the same for the same arguments.  `machine' is
 * the machine's id, `tag' the daemon's, `vm' the name of the VM, `idx' the
 * interface from 0; `nth' starts at 0 and is raised by a caller who finds
 * that the MAC is taken.  SHA-256 of them all; link with -lmd.
 */
void net_mac(const char *machine, const char *tag, const char *vm,
    unsigned int idx, unsigned int nth, uint8_t mac[6]);

#endif
