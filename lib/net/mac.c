/*
 * MACs of interfaces that have none in the configuration; in the parent.
 * Only 24 bits are left, so two may meet: a caller who sees that asks for the
 * next one.
 */

#include <string.h>

#include <sha2.h>

#include "lib/net/mac.h"

/* With the NUL, so that two strings do not run into each other. */
static void
add(SHA2_CTX *c, const char *s)
{
	SHA256Update(c, (const uint8_t *)s, strlen(s) + 1);
}

static void
add32(SHA2_CTX *c, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
		(uint8_t)(v >> 8), (uint8_t)v };

	SHA256Update(c, b, sizeof(b));
}

void
net_mac(const char *machine, const char *tag, const char *vm, unsigned int idx,
    unsigned int nth, uint8_t mac[6])
{
	static const uint8_t ours[3] = { 0xfe, 0xe1, 0xbb };
	uint8_t sum[SHA256_DIGEST_LENGTH];
	SHA2_CTX c;

	SHA256Init(&c);
	add(&c, machine);
	add(&c, tag);
	add(&c, vm);
	add32(&c, idx);
	add32(&c, nth);
	SHA256Final(sum, &c);
	memcpy(mac, ours, 3);
	memcpy(mac + 3, sum, 3);
}
