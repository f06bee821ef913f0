/*
 * rawframe: send one Ethernet frame as it is given, from inside a guest that
 * pretends to be what it is not.  Part of the guest's files, so static.
 * usage: rawframe interface hex
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	unsigned char frame[1514];
	unsigned int byte;
	size_t len;
	int s;

	if (argc != 3)
		errx(2, "usage: rawframe interface hex");
	for (len = 0; argv[2][2 * len] != '\0'; len++) {
		if (len == sizeof(frame) ||
		    sscanf(argv[2] + 2 * len, "%2x", &byte) != 1 ||
		    argv[2][2 * len + 1] == '\0')
			errx(2, "a frame of pairs of hexadecimal digits");
		frame[len] = (unsigned char)byte;
	}
	if ((to.sll_ifindex = (int)if_nametoindex(argv[1])) == 0)
		err(1, "%s", argv[1]);
	if ((s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))) == -1)
		err(1, "socket");
	if (sendto(s, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) !=
	    (ssize_t)len)
		err(1, "%s: %zu bytes", argv[1], len);
	return 0;
}
