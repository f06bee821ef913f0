/*
 * Netlink, in the process priv: a request, and its answer read to the end.
 *
 * Answers come from the kernel, but what is in them (names, aliases, VF
 * tables) others may have set; nothing is believed to have the length that
 * it should have.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

#define ANSWER_LEN 65536
#define PATIENCE_S 10
#define TRIES	   10 /* of a dump that is disturbed */

static struct mnl_socket *route, *netfilter;
static uint32_t seq;
static char said[160];

const char *
nl_said(void)
{
	return said;
}

void
nl_said_clear(void)
{
	said[0] = '\0';
}

/* --- values -------------------------------------------------------------- */

static void
attrs(const void *p, size_t len, const struct nlattr **tb, uint16_t max)
{
	const struct nlattr *a;
	uint16_t type;
	size_t step;

	memset(tb, 0, (max + 1U) * sizeof(tb[0]));
	for (a = p; len >= sizeof(*a);) {
		if (a->nla_len < sizeof(*a) || a->nla_len > len)
			return;
		type = mnl_attr_get_type(a);
		if (type <= max)
			tb[type] = a;
		if ((step = MNL_ALIGN(a->nla_len)) > len)
			return;
		a = (const void *)((const char *)a + step);
		len -= step;
	}
}

void
nl_attrs(const struct nlmsghdr *nh, size_t hdrlen, const struct nlattr **tb,
    uint16_t max)
{
	size_t len = mnl_nlmsg_get_payload_len(nh), off = MNL_ALIGN(hdrlen);

	if (len < off)
		len = off;
	attrs((const char *)mnl_nlmsg_get_payload(nh) + off, len - off, tb,
	    max);
}

void
nl_nested(const struct nlattr *a, const struct nlattr **tb, uint16_t max)
{
	if (a == NULL)
		memset(tb, 0, (max + 1U) * sizeof(tb[0]));
	else
		attrs(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a), tb,
		    max);
}

int
nl_bytes(const struct nlattr *a, void *p, size_t len)
{
	if (a == NULL || mnl_attr_get_payload_len(a) != len)
		return 0;
	memcpy(p, mnl_attr_get_payload(a), len);
	return 1;
}

uint32_t
nl_u32(const struct nlattr *a, uint32_t none)
{
	uint32_t v;

	return nl_bytes(a, &v, sizeof(v)) ? v : none;
}

uint8_t
nl_u8(const struct nlattr *a, uint8_t none)
{
	uint8_t v;

	return nl_bytes(a, &v, sizeof(v)) ? v : none;
}

void
nl_str(const struct nlattr *a, char *s, size_t size)
{
	size_t len;

	s[0] = '\0';
	if (a == NULL)
		return;
	len = mnl_attr_get_payload_len(a);
	if (len >= size)
		len = size - 1;
	memcpy(s, mnl_attr_get_payload(a), len);
	s[len] = '\0';
}

/* --- answers ------------------------------------------------------------- */

/* The sentence in an error message, behind the request it quotes. */
static void
keep_said(const struct nlmsghdr *nh, const struct nlmsgerr *e)
{
	const struct nlattr *tb[NLMSGERR_ATTR_MSG + 1];
	size_t off = sizeof(*e);

	if ((nh->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
		return;
	if ((nh->nlmsg_flags & NLM_F_CAPPED) == 0) {
		if (e->msg.nlmsg_len < sizeof(e->msg) ||
		    e->msg.nlmsg_len > mnl_nlmsg_get_payload_len(nh))
			return;
		off += e->msg.nlmsg_len - sizeof(e->msg);
	}
	nl_attrs(nh, off, tb, NLMSGERR_ATTR_MSG);
	nl_str(tb[NLMSGERR_ATTR_MSG], said, sizeof(said));
}

/* 0, or its errno; an error message too short to have one is EPROTO. */
static int
error_of(const struct nlmsghdr *nh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nh);
	int32_t code;

	if (mnl_nlmsg_get_payload_len(nh) < sizeof(*e))
		return EPROTO;
	memcpy(&code, &e->error, sizeof(code));
	if (code == 0)
		return 0;
	keep_said(nh, e);
	return code < 0 && code > -4096 ? -code : EPROTO;
}

static int
done_of(const struct nlmsghdr *nh)
{
	int32_t code = 0;

	if (mnl_nlmsg_get_payload_len(nh) >= sizeof(code))
		memcpy(&code, mnl_nlmsg_get_payload(nh), sizeof(code));
	return code < 0 && code > -4096 ? -code : 0;
}

/* One message: NL_MORE if the answer goes on. */
static enum nl_state
parse_one(const struct nlmsghdr *nh, int *disturbed, nl_fn fn, void *arg)
{
	int e;

	if (nh->nlmsg_flags & NLM_F_DUMP_INTR)
		*disturbed = 1;
	if (nh->nlmsg_type == NLMSG_ERROR || nh->nlmsg_type == NLMSG_DONE) {
		e = nh->nlmsg_type == NLMSG_DONE ? done_of(nh) : error_of(nh);
		errno = e;
		return e == 0 ? NL_DONE : NL_ERROR;
	}
	if (nh->nlmsg_type < NLMSG_MIN_TYPE || fn == NULL)
		return NL_MORE;
	return fn(nh, arg) == -1 ? NL_ERROR : NL_MORE;
}

/* Not mnl_nlmsg_ok(): to that a length above INT_MAX is a small one. */
enum nl_state
nl_parse(const void *buf, size_t len, uint32_t want, int *disturbed, nl_fn fn,
    void *arg)
{
	const struct nlmsghdr *nh;
	enum nl_state st = NL_MORE;
	size_t step;

	while (st == NL_MORE && len >= sizeof(*nh)) {
		nh = buf;
		if (nh->nlmsg_len < sizeof(*nh) || nh->nlmsg_len > len)
			break;
		if (nh->nlmsg_seq == want)
			st = parse_one(nh, disturbed, fn, arg);
		if ((step = MNL_ALIGN((size_t)nh->nlmsg_len)) > len)
			break;
		buf = (const char *)buf + step;
		len -= step;
	}
	return st;
}

/* --- requests ------------------------------------------------------------ */

static struct mnl_socket *
open_one(int family)
{
	const struct timeval tv = { .tv_sec = PATIENCE_S };
	const int on = 1;
	struct mnl_socket *s;
	int fd;

	if ((s = mnl_socket_open2(family, SOCK_CLOEXEC)) == NULL)
		return NULL;
	fd = mnl_socket_get_fd(s);
	/* What the kernel has to say of an error; old ones know it not. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1 ||
	    mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == -1) {
		mnl_socket_close(s);
		return NULL;
	}
	return s;
}

int
nl_open(void)
{
	if ((route = open_one(NETLINK_ROUTE)) == NULL)
		return -1;
	return (netfilter = open_one(NETLINK_NETFILTER)) == NULL ? -1 : 0;
}

void *
nl_begin(struct nl_req *r, uint16_t type, uint16_t flags, size_t extra)
{
	memset(r, 0, sizeof(*r));
	mnl_nlmsg_put_header(r->buf);
	r->nh.nlmsg_type = type;
	r->nh.nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(&r->nh, extra);
}

/* Some bytes of the kernel: nobody else may answer for it. */
static ssize_t
receive(int fd, void *buf, size_t len)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr m;
	ssize_t n;

	do {
		m = (struct msghdr){ .msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1 };
		memset(&from, 0, sizeof(from));
		if ((n = recvmsg(fd, &m, 0)) == -1) {
			if (errno == EAGAIN)
				errno = ETIMEDOUT;
			return -1;
		}
	} while (from.nl_pid != 0);
	if (m.msg_flags & MSG_TRUNC) {
		errno = EMSGSIZE;
		return -1;
	}
	return n;
}

static int
once(int fd, struct nl_req *r, nl_fn fn, void *arg)
{
	static char buf[ANSWER_LEN] __attribute__((aligned(8)));
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct iovec iov = { .iov_base = r->buf, .iov_len = r->nh.nlmsg_len };
	struct msghdr m = { .msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &iov,
		.msg_iovlen = 1 };
	enum nl_state st = NL_MORE;
	int disturbed = 0;
	ssize_t n;

	r->nh.nlmsg_seq = ++seq;
	if (sendmsg(fd, &m, 0) == -1)
		return -1;
	while (st == NL_MORE) {
		if ((n = receive(fd, buf, sizeof(buf))) == -1)
			return -1;
		st = nl_parse(buf, (size_t)n, seq, &disturbed, fn, arg);
	}
	if (st == NL_ERROR)
		return -1;
	if (disturbed)
		errno = EINTR;
	return disturbed ? -1 : 0;
}

static int
talk(struct mnl_socket *s, struct nl_req *r, nl_fn fn, void *arg)
{
	int i, dump = (r->nh.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	if (s == NULL) {
		errno = ENOTCONN;
		return -1;
	}
	said[0] = '\0';
	if (!dump)
		r->nh.nlmsg_flags |= NLM_F_ACK;
	for (i = 0; i < TRIES; i++) {
		if (i > 0 && fn != NULL && fn(NULL, arg) == -1)
			return -1;
		if (once(mnl_socket_get_fd(s), r, fn, arg) == 0)
			return 0;
		if (!dump || errno != EINTR)
			return -1;
	}
	return -1;
}

int
nl_talk(struct nl_req *r, nl_fn fn, void *arg)
{
	return talk(route, r, fn, arg);
}

int
nl_talk_nft(struct nl_req *r, nl_fn fn, void *arg)
{
	return talk(netfilter, r, fn, arg);
}
