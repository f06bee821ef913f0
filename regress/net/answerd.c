/*
 * A tap whose other end is answered by lib/net alone, for real clients: this
 * program is the network device process and the host, the tap itself is the
 * guest's interface.  It answers ARP and neighbour solicitations for the
 * host's addresses itself, as the host's kernel would.
 *
 *	answerd [-x] NAME [LEASE]
 *
 * Makes the tap NAME in its network namespace, prints "ready" and then a
 * line for every frame that was answered or eaten, with -x also the frame in
 * hexadecimal.  With TUN_F_CSUM, so that the kernel leaves checksums to us.
 * Ends when its standard input does.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include "lib/net/addr.h"
#include "lib/net/answer.h"
#include "lib/net/pkt.h"
#include "lib/net/ra.h"
#include "lib/net/vnet.h"

#define HDR sizeof(struct virtio_net_hdr_v1)

static struct net_conf conf = {
	.flags = NETF_LOCAL | NETF_INET6,
	.mtu = 1400,
	.lease = 3600,
	.mac = { 0xfe, 0xe1, 0xbb, 0xd1, 0x02, 0x03 },
	.host_mac = { 0xfe, 0xe1, 0xba, 0xd1, 0x02, 0x03 },
	.host4 = 0x64400102,
	.guest4 = 0x64400103,
	.ndns4 = 2,
	.dns4 = { 0x64400102, 0x09090909 },
	.nntp4 = 1,
	.ntp4 = { 0x64400102 },
	.ndns6 = 1,
	.host = "web",
	.domain = "example.org",
};

static struct net_lease lease;
static int hex;

static int
make_tap(const char *name)
{
	struct ifreq r;
	int fd, size = HDR;

	if ((fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC)) == -1)
		err(1, "/dev/net/tun");
	memset(&r, 0, sizeof(r));
	r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r) == -1)
		err(1, "%s", name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) == -1 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) == -1)
		err(1, "%s: offload", name);
	r.ifr_hwaddr.sa_family = 1;
	memcpy(r.ifr_hwaddr.sa_data, conf.mac, 6);
	if (ioctl(fd, SIOCSIFHWADDR, &r) == -1)
		err(1, "%s: address", name);
	return fd;
}

static void
send_frame(int fd, uint8_t *buf, size_t len)
{
	memset(buf, 0, HDR);
	if (write(fd, buf, HDR + len) != (ssize_t)(HDR + len))
		warn("write");
}

/* "Who has the host's address?" */
static size_t
arp(const uint8_t *f, size_t len, uint8_t *to)
{
	if (len < PKT_ETH + 28 || pkt_get16(f + 12) != PKT_TYPE_ARP ||
	    pkt_get16(f + 20) != 1 || pkt_get32(f + 38) != conf.host4)
		return 0;
	memcpy(to, f, PKT_ETH + 8);
	memcpy(to, f + 6, 6);
	memcpy(to + 6, conf.host_mac, 6);
	to[21] = 2;
	memcpy(to + 22, conf.host_mac, 6);
	pkt_put32(to + 28, conf.host4);
	memcpy(to + 32, f + 22, 10);
	return PKT_ETH + 28;
}

static size_t
neighbour(const uint8_t *f, size_t len, int how, uint8_t *to)
{
	struct pkt_to t = { .smac = conf.host_mac,
		.dmac = conf.mac,
		.src = net_router6,
		.len = 32 };
	uint8_t *m = to + PKT_ETH + PKT_IP6;
	struct pkt p;

	if (pkt_icmp6(f, len, how, &p) == -1 || p.data[0] != 135 ||
	    p.len < 24 || memcmp(p.data + 8, net_router6, 16) != 0)
		return 0;
	memset(m, 0, 32);
	m[0] = 136;
	m[4] = 0xe0;
	memcpy(m + 8, net_router6, 16);
	m[24] = 2;
	m[25] = 1;
	memcpy(m + 26, conf.host_mac, 6);
	t.dst = p.src;
	return pkt_put_icmp6(to, &t);
}

static void
dump(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		printf("%02x", p[i]);
	printf("\n");
}

static void
frame(int fd, uint8_t *buf, size_t len)
{
	uint8_t reply[HDR + NET_REPLY_MAX], *f = buf + HDR;
	struct virtio_net_hdr_v1 h;
	struct timespec now;
	size_t n;
	int k, how;

	memcpy(&h, buf, sizeof(h));
	how = (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0 ? NET_PARTIAL : 0;
	if ((n = arp(f, len, reply + HDR)) > 0 ||
	    (n = neighbour(f, len, how, reply + HDR)) > 0) {
		send_frame(fd, reply, n);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	k = net_answer(&conf, f, len, how, (uint64_t)now.tv_sec, &lease,
	    reply + HDR, NET_REPLY_MAX);
	if (k == 0)
		return;
	if (hex)
		dump(f, len);
	printf("%s %s %llu %llu %llu %llu\n", k > 0 ? "answered" : "eaten",
	    how ? "partial" : "summed", (unsigned long long)lease.until,
	    (unsigned long long)lease.grants, (unsigned long long)lease.refused,
	    (unsigned long long)lease.declined);
	if (k > 0) {
		if (hex)
			dump(reply + HDR, (size_t)k);
		send_frame(fd, reply, (size_t)k);
	}
}

static void
serve(int fd)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { 0, POLLIN, 0 } };
	uint8_t buf[HDR + 65536];
	ssize_t n;

	while (poll(p, 2, -1) > 0 && p[1].revents == 0)
		if ((n = read(fd, buf, sizeof(buf))) > (ssize_t)HDR)
			frame(fd, buf, (size_t)n - HDR);
}

int
main(int argc, char *argv[])
{
	static const uint8_t prefix[16] = { 0xfd, 0x12, 0x34, 0x56, 0x78, 0x9a,
		0xbc, 0xde };
	int fd;

	if (argc > 1 && strcmp(argv[1], "-x") == 0) {
		hex = 1;
		argv++;
		argc--;
	}
	if (argc < 2)
		errx(2, "usage: answerd [-x] NAME [LEASE]");
	if (argc > 2)
		conf.lease = (uint32_t)strtoul(argv[2], NULL, 10);
	net_addr6_host(prefix, conf.guest4, conf.host6);
	net_addr6_eui64(prefix, conf.mac, conf.guest6);
	memcpy(conf.dns6[0], conf.host6, 16);
	fd = make_tap(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	serve(fd);
	return 0;
}
