/*
 * Any bytes as an answer of the kernel to priv: the messages, and what is
 * made of those about links, addresses, routes, rules and chains.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmd/priv/priv_int.h"

#define SEQ 1

struct priv priv = { .tag = "0badcafe" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Strings end, and nothing is beyond its range. */
static int
look(const struct nlmsghdr *nh, void *arg)
{
	struct link l;
	struct chain c;
	struct addr_entry e;
	size_t *count = arg;

	if (link_parse(nh, &l) == 0) {
		if (l.index <= 0 || strlen(l.name) >= sizeof(l.name) ||
		    strlen(l.alias) >= sizeof(l.alias) ||
		    strlen(l.kind) >= sizeof(l.kind))
			abort();
		link_is_ours(&l);
	}
	if (chain_parse(nh, &c) == 0 &&
	    (strlen(c.table) >= sizeof(c.table) ||
		strlen(c.name) >= sizeof(c.name)))
		abort();
	addr_parse(nh, &e);
	route_parse(nh, &e);
	rule_is_vrf(nh);
	++*count;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = 0;
	int disturbed = 0;
	uint8_t *copy;

	/* As they are received: aligned. */
	if ((copy = aligned_alloc(8, (size + 8) & ~(size_t)7)) == NULL)
		abort();
	memcpy(copy, data, size);
	nl_parse(copy, size, SEQ, &disturbed, look, &count);
	if (count > size / sizeof(struct nlmsghdr) || strlen(nl_said()) > 1000)
		abort();
	free(copy);
	return 0;
}
