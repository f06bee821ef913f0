/*
 * Sends frames out of an interface as fast as it takes them: the host's side
 * of the network benchmark.  netblast INTERFACE SIZE MILLISECONDS; frames
 * longer than 1514 bytes are TCP, to be segmented.  Prints how many went.
 *
 * A tap drops what it has no room for; then it sleeps for a moment, so that
 * those who take the frames away get the processor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#define BATCH 32
#define MSS   1448
#define PAUSE 100000 /* ns */

static uint8_t frame[sizeof(struct virtio_net_hdr) + 65536];

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static size_t
prepare(size_t size)
{
	struct virtio_net_hdr h = { 0 };
	uint8_t *f = frame + sizeof(h), *p = f + 14;

	memset(f, 0xff, 6);
	f[6] = 2;
	f[12] = 0x88;
	f[13] = 0xb5;
	if (size > 1514) {
		h.flags = 1;
		h.gso_type = 1;
		h.hdr_len = 54;
		h.gso_size = MSS;
		h.csum_start = 34;
		h.csum_offset = 16;
		f[12] = 8;
		f[13] = 0;
		p[0] = 0x45;
		p[2] = (uint8_t)((size - 14) >> 8);
		p[3] = (uint8_t)(size - 14);
		p[8] = 64;
		p[9] = 6;
		p[32] = 0x50;
		p[33] = 0x10;
	}
	memcpy(frame, &h, sizeof(h));
	return sizeof(h) + size;
}

static int
open_socket(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(name) };
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd == -1 || a.sll_ifindex == 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ==
		-1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one,
		sizeof(one)) == -1)
		return -1;
	return fd;
}

int
main(int argc, char **argv)
{
	const struct timespec pause = { 0, PAUSE };
	struct iovec iov = { .iov_base = frame };
	struct mmsghdr m[BATCH] = { 0 };
	uint64_t sent = 0, end;
	int fd, i, n;

	if (argc != 4 || (fd = open_socket(argv[1])) == -1) {
		perror("netblast");
		return 1;
	}
	iov.iov_len = prepare((size_t)atoi(argv[2]));
	for (i = 0; i < BATCH; i++) {
		m[i].msg_hdr.msg_iov = &iov;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	end = now() + (uint64_t)atoi(argv[3]) * 1000000;
	while (now() < end) {
		if ((n = sendmmsg(fd, m, BATCH, 0)) > 0)
			sent += (uint64_t)n;
		if (n == -1 && errno != ENOBUFS && errno != EAGAIN) {
			perror("netblast");
			return 1;
		}
		if (n < BATCH)
			nanosleep(&pause, NULL);
	}
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}
