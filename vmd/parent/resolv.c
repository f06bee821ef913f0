/*
 * The host's resolvers, as its resolv.conf names them, for guests.
 *
 * The file is the administrator's, but what writes it may be a DHCP client:
 * lines that make no sense are passed over, and no more is read than what
 * such a file has.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmd/parent/net_int.h"

#define RESOLV_MAX 65536 /* bytes */

const char *resolv_conf = "/etc/resolv.conf";
const char *resolv_behind = "/run/systemd/resolve/resolv.conf";

static void
add4(struct resolvers *r, uint32_t a)
{
	if (a >> 24 == 127 || a == 0) /* 0.0.0.0 is this host, too */
		r->own++;
	else if (a >> 28 < 14 && r->n4 < NET_MAX_SERVERS)
		r->addr4[r->n4++] = a;
}

static void
add6(struct resolvers *r, const struct in6_addr *a)
{
	if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a))
		r->own++;
	else if (!IN6_IS_ADDR_LINKLOCAL(a) && !IN6_IS_ADDR_MULTICAST(a) &&
	    !IN6_IS_ADDR_V4MAPPED(a) && r->n6 < NET_MAX_SERVERS)
		memcpy(r->addr6[r->n6++], a, 16);
}

static void
parse_line(struct resolvers *r, char *line)
{
	static const char blank[] = " \t\r\n";
	struct in6_addr a6;
	struct in_addr a4;
	char *word, *addr, *save;

	if ((word = strtok_r(line, blank, &save)) == NULL ||
	    strcmp(word, "nameserver") != 0 ||
	    (addr = strtok_r(NULL, blank, &save)) == NULL)
		return;
	if (inet_pton(AF_INET, addr, &a4) == 1)
		add4(r, ntohl(a4.s_addr));
	else if (inet_pton(AF_INET6, addr, &a6) == 1)
		add6(r, &a6);
}

void
resolv_read(const char *path, struct resolvers *r)
{
	char line[512];
	size_t total = 0;
	FILE *f;
	int fd, begins = 1, ends;

	memset(r, 0, sizeof(*r));
	if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) == -1)
		return;
	if ((f = fdopen(fd, "r")) == NULL) {
		close(fd);
		return;
	}
	while (total < RESOLV_MAX && fgets(line, sizeof(line), f) != NULL) {
		total += strlen(line) + 1;
		ends = strchr(line, '\n') != NULL;
		/* The rest of a line that is too long is none. */
		if (begins && (ends || feof(f)))
			parse_line(r, line);
		begins = ends;
	}
	fclose(f);
}

void
resolv_host(struct resolvers *r)
{
	struct resolvers behind;

	resolv_read(resolv_conf, r);
	if (r->n4 != 0 || r->n6 != 0)
		return;
	resolv_read(resolv_behind, &behind);
	behind.own += r->own;
	*r = behind;
}
