/*
 * Taps, made by priv: /dev/net/tun is all of the file system that it sees,
 * beside /proc/sys/net.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <bsd/string.h>
#include <linux/if_tun.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "vmd/priv/priv_int.h"

#define TUN	  "/dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE)

static int tun_dir = -1;

void
tap_grant(void)
{
	tun_dir = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (tun_dir != -1)
		sandbox_landlock_grant(tun_dir);
}

void
tap_granted(void)
{
	fd_close(&tun_dir);
}

static int
open_queue(char name[IFNAMSIZ], int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(TAP_FLAGS | flags) };
	int fd, saved_errno;

	if ((fd = open(TUN, O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		return priv_fail("tap: %s", TUN);
	strlcpy(ifr.ifr_name, name[0] == '\0' ? "tap%d" : name,
	    sizeof(ifr.ifr_name));
	if (ioctl(fd, TUNSETIFF, &ifr) == -1) {
		saved_errno = errno;
		close(fd);
		errno = saved_errno;
		nl_said_clear();
		return priv_fail("tap: %s", ifr.ifr_name);
	}
	strlcpy(name, ifr.ifr_name, IFNAMSIZ);
	return fd;
}

int
tap_open(char name[IFNAMSIZ], int *fds, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		fds[i] = open_queue(name, i == 0 ? IFF_TUN_EXCL : 0);
		if (fds[i] == -1) {
			while (i > 0)
				fd_close(&fds[--i]);
			return -1;
		}
	}
	return 0;
}
