/*
 * The taps of a network device, real ones, in a network namespace of our
 * own: what a frame is told by one that is up, down or gone.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "vmd/dev/vionet.h"

static struct dev dev;
static struct net *net;
static int links, watched; /* how often it was set; asked to be told of */

void
net_set_link(struct net *n, int up)
{
	n->link = up;
	links++;
	errno = 0;
}

void
net_readable(struct net *n, unsigned int pair)
{
}

void
io_poll(struct io *io, struct io_op *op, int file)
{
}

void
io_poll_out(struct io *io, struct io_op *op, int file)
{
	watched++;
}

static void
sh(const char *command)
{
	assert_int_equal(system(command), 0);
}

static int
setup(void **state)
{
	struct ifreq ifr = { .ifr_name = "tap0",
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
		    IFF_MULTI_QUEUE };
	char why[DEV_WHYLEN];
	uint64_t features;
	int fd;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	sh("ip link set tap0 up");
	assert_non_null(net = calloc(1, sizeof(*net)));
	net->d = &dev;
	net->npairs = 1;
	net->pairs[0].fd = fd;
	net->pairs[0].net = net;
	links = watched = 0;
	assert_int_equal(net_tap.open(net, &features, why), 0);
	assert_int_equal(net->link, 1);
	return 0;
}

static int
teardown(void **state)
{
	close(net->pairs[0].fd);
	free(net);
	return 0;
}

/* 0, or errno. */
static int
send_one(void)
{
	static uint8_t frame[NET_HDR + 60];
	struct iovec iov = { frame, sizeof(frame) };

	return net_tap.write(net, 0, &iov, 1) == -1 ? errno : 0;
}

static void
down(void **state)
{
	assert_int_equal(send_one(), 0);
	sh("ip link set tap0 down");
	assert_int_equal(send_one(), EIO);
	assert_int_equal(send_one(), EIO);
	assert_int_equal(net->link, 0);
	assert_int_equal(links, 1);
	assert_int_equal(watched, 1);
	sh("ip link set tap0 up");
	net->linked.done(&net->linked, 0);
	assert_int_equal(net->link, 1);
	assert_int_equal(send_one(), 0);
}

/* Nobody waits for one that was removed. */
static void
removed(void **state)
{
	sh("ip link del tap0");
	assert_int_equal(send_one(), EBADFD);
	assert_int_equal(send_one(), EBADFD);
	assert_int_equal(net->link, 0);
	assert_int_equal(links, 1);
	assert_int_equal(watched, 0);
}

/* It was down before: the end of that wait is its end. */
static void
removed_down(void **state)
{
	sh("ip link set tap0 down");
	assert_int_equal(send_one(), EIO);
	sh("ip link del tap0");
	net->linked.done(&net->linked, 0);
	assert_int_equal(send_one(), EBADFD);
	assert_int_equal(net->link, 0);
	assert_int_equal(watched, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(down, setup, teardown),
		cmocka_unit_test_setup_teardown(removed, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_down, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (access("/dev/net/tun", R_OK | W_OK) == -1 ||
	    unshare(CLONE_NEWNET) == -1) {
		printf("1..0 # SKIP no taps in a namespace of our own\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
