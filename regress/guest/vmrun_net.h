#ifndef VMRUN_NET_H
#define VMRUN_NET_H

#include "lib/proto/vmspec.h"
#include "proc/peer.h"

/*
 * The part of vmm that starts network devices: taps that are there already,
 * a process for each.
 */

/* "TAP[,local][,locked][,inet6][,pairs=N][,mtu=N][,noring]": 0, or -1 with errno. */
int net_add(struct vm_spec *s, char *what);
/* Start all, for the vm process behind `vm'.  0 or -1 with errno. */
int
net_launch(struct event_base *base, struct peer *vm, const char *exe, int idx);
/* How many there are. */
int net_count(void);
/* Kill device `idx', and start another in its place. */
int net_replace(int idx);

#endif
