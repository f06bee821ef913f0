#ifndef UNIT_PRIV_WORLD_H
#define UNIT_PRIV_WORLD_H

#include "regress/unit/priv_rig.h"

/* Somebody beyond this host, and frames for them as the guest of rig.fds[0]. */

#define VNET  10 /* bytes before a frame, as long as nobody says otherwise */
#define WORLD 0xcb007105 /* 203.0.113.5 */

/* `where' is for ip link set: a VRF it is in, or nothing. */
void world_make(const char *where);
void world_end(void);
/* How many packets have left for it, of both families. */
int world_left(void);

void world_send_udp4_to(uint32_t src, uint32_t dst);
/* To WORLD. */
void world_send_udp4(uint32_t src);
/* From WORLD to this host, from port 2000 to 2000. */
void world_enter_udp4(uint32_t dst);
void world_send_udp6(const uint8_t src[16]);

#endif
