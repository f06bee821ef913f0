/*
 * A user-mode interface: passt(1) is the other side.  Gets a lease from it,
 * finds its router, and serves one TCP connection that comes by a forwarded
 * port: what the client sends comes back once, with the case changed.
 */
#include "net.h"

#define MEM   0x2000000ULL /* 32 MiB up */
#define PORT  22
#define UDP   42
#define TCP   54
#define LONG  20 /* seconds for a client to come */
#define FIN   0x01
#define SYN   0x02
#define PUSH  0x08
#define ACK   0x10
#define WINSZ 8192

static struct nic nic;
static uint32_t me, router;
static uint8_t router_mac[6];
static uint8_t out[2048], in[NET_BIG + 4096];
static struct net_hdr in_hdr;
static const struct net_hdr none;

/* `len' bytes at out + 34 are the packet; its checksum is at `sum'. */
static int
send_ip(unsigned int proto, uint32_t from, uint32_t to, unsigned int len,
    unsigned int sum)
{
	net_ip(out, proto, from, to, len);
	net_put16(out + 34 + sum, 0);
	net_put16(out + 34 + sum, ~net_ip_sum(out, len) & 0xffff);
	return net_send(&nic, 0, &none, out, 34 + len);
}

/* The next frame that `match' likes: its length, or 0 after `s' seconds. */
static unsigned int
await(int (*match)(unsigned int len), unsigned int s)
{
	unsigned int len;
	uint32_t from;

	for (; s > 0; s--) {
		from = pm_now();
		do {
			len = net_poll(&nic, 0, &in_hdr, in);
			if (len > 0 && match(len))
				return len;
		} while (pm_since(from) < PM_HZ);
	}
	return 0;
}

/* --- the lease ------------------------------------------------------------- */

static unsigned int dhcp_type;

/* An option of `n' bytes, or NULL. */
static const uint8_t *
option(unsigned int len, unsigned int code, unsigned int n)
{
	unsigned int i = UDP + 240;

	while (i + 2 + n <= len && in[i] != 255) {
		if (in[i] == code && in[i + 1] == n)
			return in + i + 2;
		i += in[i] == 0 ? 1 : 2u + in[i + 1];
	}
	return NULL;
}

static int
is_dhcp(unsigned int len)
{
	const uint8_t *t;

	return len >= UDP + 240 && net_get16(in + 12) == 0x800 &&
	    in[23] == 17 && net_get16(in + 36) == 68 &&
	    (t = option(len, 53, 1)) != NULL && *t == dhcp_type;
}

static int
dhcp(unsigned int type, unsigned int answer)
{
	uint8_t *u = out + 34;
	const uint8_t *r;
	unsigned int len;

	net_ethernet(out, &nic, net_all, 0x800);
	net_dhcp(out + UDP, &nic, type, me);
	net_put16(u, 68);
	net_put16(u + 2, 67);
	net_put16(u + 4, 8 + NET_DHCP);
	dhcp_type = answer;
	if (!send_ip(17, 0, 0xffffffff, 8 + NET_DHCP, 6) ||
	    (len = await(is_dhcp, 3)) == 0)
		return 0;
	me = net_get32(in + UDP + 16);
	if ((r = option(len, 3, 4)) != NULL)
		router = net_get32(r);
	return me != 0 && router != 0;
}

static int
is_arp(unsigned int len)
{
	return len >= 42 && net_get16(in + 12) == 0x806 &&
	    net_get16(in + 20) == 2 && net_get32(in + 28) == router;
}

static int
arp(void)
{
	net_arp(out, &nic, me, router);
	if (!net_send(&nic, 0, &none, out, 60) || !await(is_arp, 3))
		return 0;
	memcpy(router_mac, in + 22, 6);
	return 1;
}

/* --- the connection -------------------------------------------------------- */

static uint32_t client, seq, ack;
static unsigned int client_port;

static int
is_tcp(unsigned int len)
{
	return len >= TCP && net_get16(in + 12) == 0x800 && in[23] == 6 &&
	    net_get16(in + 36) == PORT;
}

static int
is_syn(unsigned int len)
{
	return is_tcp(len) && (in[47] & (SYN | ACK)) == SYN;
}

static unsigned int
data_len(void)
{
	return net_get16(in + 16) - 20u - (in[46] >> 4) * 4u;
}

static int
is_data(unsigned int len)
{
	return is_tcp(len) && net_get32(in + 38) == ack && data_len() > 0;
}

static int
is_end(unsigned int len)
{
	return is_tcp(len) && (in[47] & FIN);
}

/* With `len' bytes of data at out + TCP. */
static int
send_tcp(unsigned int flags, unsigned int len)
{
	uint8_t *t = out + 34;

	net_ethernet(out, &nic, router_mac, 0x800);
	memset(t, 0, 20);
	net_put16(t, PORT);
	net_put16(t + 2, client_port);
	net_put32(t + 4, seq);
	net_put32(t + 8, ack);
	t[12] = 0x50;
	t[13] = (uint8_t)flags;
	net_put16(t + 14, WINSZ);
	seq += len + ((flags & (SYN | FIN)) != 0);
	return send_ip(6, me, client, 20 + len, 16);
}

static void
serve(void)
{
	const uint8_t *data;
	unsigned int i, n;

	put("listening\n");
	if (!await(is_syn, LONG)) {
		check(0, "a client");
		return;
	}
	client = net_get32(in + 26);
	client_port = net_get16(in + 34);
	ack = net_get32(in + 38) + 1;
	seq = 1000;
	check(send_tcp(SYN | ACK, 0), "its connection");
	check(await(is_data, LONG) > 0, "its data");
	n = data_len();
	data = in + 34 + (in[46] >> 4) * 4u;
	for (i = 0; i < n && i < 1000; i++)
		out[TCP + i] = data[i] ^ 0x20;
	ack += n;
	check(send_tcp(ACK | PUSH | FIN, i), "the answer");
	check(await(is_end, LONG) > 0, "its end");
}

static void
all(void)
{
	unsigned int i;

	check(net_find(&nic, 0), "interface");
	check(nic.pairs == 1, "one pair of queues");
	check((virtio_offered(&nic.dev) &
		  (NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 |
		      NET_F_GUEST_TSO4)) == 0,
	    "no offloads");
	check(load16(nic.dev.config + 6) == 1, "link");
	check(net_up(&nic, NET_F_MAC | NET_F_MRG | NET_F_STATUS, MEM,
		  VIRTIO_NOMSI),
	    "up");
	check(dhcp(1, 2), "offer");
	check(dhcp(3, 5), "lease");
	say_hex("address", me);
	say_hex("router", router);
	check(arp(), "router");
	serve();
	put("waiting\n");
	for (i = 0; i < LONG * 100 && load16(nic.dev.config + 6) == 1; i++)
		pm_wait_us(10000);
	check(load16(nic.dev.config + 6) == 0, "no link");
	put("end of tests\n");
	user_off();
}

void
guest_main(const struct start_info *si)
{
	user_mode(all);
}
