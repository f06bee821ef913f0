/*
 * Names and limits of all messages, from msg.def.
 */

#include <stddef.h>

#include "lib/proto/msg.h"

static const struct {
	const char *name;
	int maxfds;
} types[IMSG_TYPE_MAX] = {
#define IMSG(type, fds) [IMSG_##type] = { #type, fds },
#include "lib/proto/msg.def"
#undef IMSG
};

const char *
msg_name(uint32_t type)
{
	if (type >= IMSG_TYPE_MAX || types[type].name == NULL)
		return "unknown";
	return types[type].name;
}

int
msg_maxfds(uint32_t type)
{
	if (type >= IMSG_TYPE_MAX || types[type].name == NULL)
		return -1;
	return types[type].maxfds;
}
