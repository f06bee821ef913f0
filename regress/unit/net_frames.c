/*
 * Frames for the tests of lib/net; see net_test.h.
 */

#include <stdio.h>

#include "lib/net/addr.h"
#include "regress/unit/net_test.h"

#define DIR "regress/fuzz/corpus/net/"

void
net_test_conf(struct net_conf *n)
{
	static const struct net_conf like = {
		.flags = NETF_LOCAL | NETF_INET6 | NETF_LOCKED,
		.mtu = 1400,
		.pairs = 1,
		.lease = 3600,
		.mac = { 0xfe, 0xe1, 0xbb, 0xd1, 0x02, 0x03 },
		.host_mac = { 0xfe, 0xe1, 0xba, 0xd1, 0x02, 0x03 },
		.host4 = HOST4,
		.guest4 = GUEST4,
		.ndns4 = 2,
		.dns4 = { HOST4, 0x09090909 },
		.nntp4 = 1,
		.ntp4 = { HOST4 },
		.ndns6 = 1,
		.host = "web",
		.domain = "example.org",
	};
	static const uint8_t prefix[16] = { 0xfd, 0x12, 0x34, 0x56, 0x78, 0x9a,
		0xbc, 0xde };

	*n = like;
	net_addr6_host(prefix, GUEST4, n->host6);
	net_addr6_eui64(prefix, n->mac, n->guest6);
	memcpy(n->dns6[0], n->host6, 16);
}

void
frame_new(struct frame *f, const void *p, size_t len)
{
	assert_non_null(f->p = malloc(len + (len == 0)));
	memcpy(f->p, p, len);
	f->len = len;
	f->how = 0;
}

void
frame_load(struct frame *f, const char *name)
{
	uint8_t buf[2048];
	char path[256];
	size_t n;
	FILE *in;

	snprintf(path, sizeof(path), DIR "%s", name);
	if ((in = fopen(path, "rb")) == NULL)
		fail_msg("%s: cannot open", path);
	n = fread(buf, 1, sizeof(buf), in);
	fclose(in);
	assert_true(n > 2);
	frame_new(f, buf + 2, n - 2);
	f->how = buf[1] & NET_PARTIAL;
}

void
frame_resize(struct frame *f, size_t len)
{
	uint8_t *p;

	assert_non_null(p = calloc(1, len + (len == 0)));
	memcpy(p, f->p, len < f->len ? len : f->len);
	free(f->p);
	f->p = p;
	f->len = len;
}

void
frame_free(struct frame *f)
{
	free(f->p);
	f->p = NULL;
}

uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

uint32_t
be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

void
set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
set32(uint8_t *p, uint32_t v)
{
	set16(p, v >> 16);
	set16(p + 2, v & 0xffff);
}

/* Byte by byte, with the carry brought back at once. */
static uint32_t
add(uint32_t s, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		s += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		s = s % 0x10000 + s / 0x10000;
	}
	return s;
}

/* The sum of what is at `at', with the addresses of `alen' bytes at `a'. */
static uint32_t
total(const uint8_t *p, size_t a, size_t alen, uint32_t proto, size_t at,
    size_t len)
{
	uint8_t b[4];

	set16(b, proto);
	set16(b + 2, (uint32_t)len);
	return add(add(add(0, b, 4), p + a, 2 * alen), p + at, len);
}

int
frame_good4(const uint8_t *p, size_t len)
{
	size_t udp;

	if (len < MSG || p[IP4] != 0x45 || be16(p + 12) != 0x0800 ||
	    be16(p + IP4 + 2) != len - ETH || add(0, p + IP4, 20) != 0xffff ||
	    p[IP4 + 9] != 17)
		return 0;
	udp = len - UDP4;
	return be16(p + UDP4 + 4) == udp && be16(p + UDP4 + 6) != 0 &&
	    total(p, IP4 + 12, 4, 17, UDP4, udp) == 0xffff;
}

int
frame_good6(const uint8_t *p, size_t len)
{
	if (len < NEXT6 + 4 || p[IP6] != 0x60 || be16(p + 12) != 0x86dd ||
	    be16(p + IP6 + 4) != len - NEXT6)
		return 0;
	if (p[IP6 + 6] == 17 &&
	    (be16(p + NEXT6 + 4) != len - NEXT6 || be16(p + NEXT6 + 6) == 0))
		return 0;
	return total(p, IP6 + 8, 16, p[IP6 + 6], NEXT6, len - NEXT6) == 0xffff;
}

/* Options of IPv4 too. */
void
frame_fix4(struct frame *f)
{
	size_t h = (size_t)(f->p[IP4] & 15) * 4, u = ETH + h;

	set16(f->p + IP4 + 2, (uint32_t)(f->len - ETH));
	set16(f->p + IP4 + 10, 0);
	set16(f->p + IP4 + 10, ~add(0, f->p + IP4, h) & 0xffff);
	set16(f->p + u + 4, (uint32_t)(f->len - u));
	set16(f->p + u + 6, 0);
	set16(f->p + u + 6,
	    ~total(f->p, IP4 + 12, 4, 17, u, f->len - u) & 0xffff);
	f->how = 0;
}

void
frame_fix6(struct frame *f)
{
	size_t at = f->p[IP6 + 6] == 17 ? NEXT6 + 6 : NEXT6 + 2;

	set16(f->p + IP6 + 4, (uint32_t)(f->len - NEXT6));
	if (f->p[IP6 + 6] == 17)
		set16(f->p + NEXT6 + 4, (uint32_t)(f->len - NEXT6));
	set16(f->p + at, 0);
	set16(f->p + at,
	    ~total(f->p, IP6 + 8, 16, f->p[IP6 + 6], NEXT6, f->len - NEXT6) &
		0xffff);
	f->how = 0;
}
