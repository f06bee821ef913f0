/*
 * The real passt(1), as the parent runs it, in a network namespace with an
 * uplink that leads nowhere.
 */

#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "regress/unit/passt_test.h"

#define FRAME_MAX 65536
#define IP	  14 /* offsets in a frame */
#define UDP	  (IP + 20)
#define BOOTP	  (UDP + 8)
#define OPTIONS	  (BOOTP + 240)

static const uint8_t guest_mac[6] = { 0xfe, 0xe1, 0xbb, 1, 2, 3 };
static const uint8_t host_mac[6] = { 0xfe, 0xe1, 0xba, 1, 2, 3 };

static void
put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned int
get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static void
ip_sum(uint8_t *ip)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < 20; i += 2)
		sum += get16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
}

static void
send_frame(int fd, const uint8_t *f, size_t len)
{
	uint32_t n = htonl((uint32_t)len);

	assert_int_equal(write(fd, &n, 4), 4);
	assert_int_equal(write(fd, f, len), (ssize_t)len);
}

static void
read_all(int fd, void *buf, size_t len)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		n = read(fd, (char *)buf + got, len - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
}

static size_t
read_frame(int fd, uint8_t *f)
{
	uint32_t n;

	read_all(fd, &n, 4);
	assert_in_range(ntohl(n), 14, FRAME_MAX);
	read_all(fd, f, ntohl(n));
	return ntohl(n);
}

/* A DISCOVER that asks for everything. */
static void
send_discover(int fd)
{
	static const uint8_t opts[] = { 99, 130, 83, 99, 53, 1, 1, 55, 5, 1, 3,
		6, 26, 119, 255 };
	uint8_t f[BOOTP + 300] = { 0 };

	memset(f, 0xff, 6);
	memcpy(f + 6, guest_mac, 6);
	put16(f + 12, ETHERTYPE_IP);
	f[IP] = 0x45;
	put16(f + IP + 2, sizeof(f) - IP);
	f[IP + 8] = 64;
	f[IP + 9] = IPPROTO_UDP;
	memset(f + IP + 16, 0xff, 4);
	ip_sum(f + IP);
	put16(f + UDP, 68);
	put16(f + UDP + 2, 67);
	put16(f + UDP + 4, sizeof(f) - UDP);
	f[BOOTP] = f[BOOTP + 1] = 1;
	f[BOOTP + 2] = 6;
	memcpy(f + BOOTP + 28, guest_mac, 6);
	memcpy(f + BOOTP + 236, opts, sizeof(opts));
	send_frame(fd, f, sizeof(f));
}

static const uint8_t *
option(const uint8_t *f, size_t len, uint8_t code, uint8_t want)
{
	size_t i = OPTIONS;

	while (i + 1 < len && f[i] != 255) {
		if (f[i] == code && f[i + 1] == want && i + 2 + want <= len)
			return f + i + 2;
		i += 2u + f[i + 1];
	}
	fail_msg("no option %u of %u bytes", code, want);
	return NULL;
}

/* The OFFER, in `f'. */
static size_t
get_offer(int fd, uint8_t *f)
{
	size_t len;

	send_discover(fd);
	do
		len = read_frame(fd, f);
	while (len < OPTIONS || get16(f + 12) != ETHERTYPE_IP ||
	    f[IP + 9] != IPPROTO_UDP || get16(f + UDP) != 67);
	assert_memory_equal(f, guest_mac, 6);
	return len;
}

static int
real_setup(void **state)
{
	if (setup(state) == -1)
		return -1;
	args.passt = VMD_PASST;
	memcpy(specs[0].nics[0].net.host_mac, host_mac, 6);
	specs[0].nics[0].net.mtu = 1400;
	specs[0].nics[0].net.ndns4 = 1;
	specs[0].nics[0].net.dns4[0] = 0xc0000235;
	strcpy(specs[0].nics[0].net.domain, "example.org");
	return 0;
}

static void
test_dhcp(void **state)
{
	static const uint8_t dns[] = { 192, 0, 2, 53 };
	static const uint8_t mtu[] = { 1400 >> 8, 1400 & 0xff };
	static const uint8_t address[] = { 192, 0, 2, 2 };
	static const uint8_t router[] = { 192, 0, 2, 1 };
	uint8_t f[FRAME_MAX];
	size_t len;

	assert_null(run(0, 2222));
	len = get_offer(fdlist_get(&vms[0].fds, FD_TAP, 0, 0), f);
	assert_memory_equal(f + 6, host_mac, 6);
	assert_memory_equal(f + BOOTP + 16, address, 4);
	assert_memory_equal(option(f, len, 6, 4), dns, 4);
	assert_memory_equal(option(f, len, 3, 4), router, 4);
	assert_memory_equal(option(f, len, 26, 2), mtu, 2);
	assert_memory_equal(option(f, len, 119, 13), "\7example\3org", 13);
	stop(0);
	nothing_left();
}

/* Who connects to the port of the host: the guest gets a SYN for its own. */
static void
test_forward(void **state)
{
	const struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(2222),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	uint8_t f[FRAME_MAX];
	size_t len;
	int fd, s;

	assert_null(run(0, 2222));
	fd = fdlist_get(&vms[0].fds, FD_TAP, 0, 0);
	get_offer(fd, f);
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_not_equal(s, -1);
	if (connect(s, (const struct sockaddr *)&sin, sizeof(sin)) == -1)
		assert_int_equal(errno, EINPROGRESS);
	do
		len = read_frame(fd, f);
	while (len < UDP + 20 || get16(f + 12) != ETHERTYPE_IP ||
	    f[IP + 9] != IPPROTO_TCP);
	assert_int_equal(get16(f + UDP + 2), 22);
	assert_int_equal(f[UDP + 13] & 0x12, 0x02);
	close(s);
	stop(0);
	nothing_left();
}

static void
test_port_taken(void **state)
{
	const struct sockaddr_in6 sin = { .sin6_family = AF_INET6,
		.sin6_port = htons(2222) };
	const char *why;
	int s;

	s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (const struct sockaddr *)&sin, sizeof(sin)),
	    0);
	assert_int_equal(listen(s, 1), 0);
	assert_non_null(why = run(0, 2222));
	assert_non_null(strstr(why, "2222"));
	close(s);
	/* The same guest again: it waits for nothing that is not there. */
	assert_null(run(0, 2222));
	stop(0);
	assert_null(run(0, 2222));
	stop(0);
	nothing_left();
}

/* Last: the namespace has nothing then. */
static void
test_no_uplink(void **state)
{
	assert_int_equal(system("ip link del up0"), 0);
	assert_non_null(strstr(run(0, 2222), "xternal interface not usable"));
	nothing_left();
}

int
main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, real_setup, teardown)
		T(test_dhcp),
		T(test_forward),
		T(test_port_taken),
		T(test_no_uplink),
	};
	const char *skip_why = NULL;
	/* clang-format on */

	if (getuid() != 0)
		skip_why = "needs root";
	else if (access(VMD_PASST, X_OK) == -1)
		skip_why = VMD_PASST " is not there";
	else if (unshare(CLONE_NEWNET) == -1)
		skip_why = "no network namespace can be made";
	else if (system("ip link set lo up && "
			"ip link add up0 type veth peer name up1 && "
			"ip link set up0 up && ip link set up1 up && "
			"ip addr add 192.0.2.2/24 dev up0 && "
			"ip route add default via 192.0.2.1") != 0)
		skip_why = "no uplink can be made";
	if (skip_why != NULL) {
		printf("1..0 # SKIP %s\n", skip_why);
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
