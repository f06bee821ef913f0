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

#define MAX_TAPS  65536U

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

/* -1 with errno in `*err'; 0 in that: it has been said. */
static int
open_queue(const char *name, int flags, int *err)
{
	struct ifreq ifr = { .ifr_flags = (short)(TAP_FLAGS | flags) };
	int fd;

	*err = 0;
	if ((fd = open(TUN, O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		return priv_fail("tap: %s", TUN);
	strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	if (ioctl(fd, TUNSETIFF, &ifr) == 0)
		return fd;
	*err = errno;
	close(fd);
	return -1;
}

static int
open_named(const char *name, int flags)
{
	int err, fd;

	if ((fd = open_queue(name, flags, &err)) == -1 && err != 0) {
		nl_said_clear();
		errno = err;
		return priv_fail("tap: %s", name);
	}
	return fd;
}

/*
 * The first name that nobody has.  One of ours stays taken until its end was
 * ordered, though its tap may be gone: what is ordered is for that one.
 */
static int
open_first(char name[IFNAMSIZ])
{
	unsigned int i;
	int err = EBUSY, fd = -1;

	for (i = 0; i < MAX_TAPS; i++) {
		snprintf(name, IFNAMSIZ, "tap%u", i);
		if (nic_by_name(name) != NULL)
			continue;
		fd = open_queue(name, IFF_TUN_EXCL, &err);
		if (fd != -1 || err != EBUSY)
			break;
	}
	if (i == MAX_TAPS)
		return priv_failx(VMERR_LIMIT, "tap: all names are taken");
	if (fd == -1 && err != 0) {
		nl_said_clear();
		errno = err;
		return priv_fail("tap: %s", name);
	}
	return fd;
}

int
tap_open(char name[IFNAMSIZ], int *fds, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		fds[i] = i == 0 && name[0] == '\0' ?
		    open_first(name) :
		    open_named(name, i == 0 ? IFF_TUN_EXCL : 0);
		if (fds[i] == -1) {
			while (i > 0)
				fd_close(&fds[--i]);
			return -1;
		}
	}
	return 0;
}
