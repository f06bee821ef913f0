#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include <stdint.h>

#include "lib/util/fdlist.h"

/* Message types, from msg.def. */
enum imsg_type {
	IMSG_NONE,
#define IMSG(name, fds) IMSG_##name,
#include "lib/proto/msg.def"
#undef IMSG
	IMSG_TYPE_MAX
};

/* Every body begins with this: two u64. */
struct msg_hdr {
	uint64_t reqid; /* of the request this is or answers; 0: none */
	uint64_t conn;	/* client connection it is for, 0: none */
};
#define MSG_HDR_LEN 16
#define MSG_MAXSIZE (256 * 1024) /* with all headers */

/* "VMDOP_LOAD"; "unknown" for anything else. */
const char *msg_name(uint32_t type);
/* Most descriptors of `type', or -1 if there is no such type. */
int msg_maxfds(uint32_t type);

#endif
