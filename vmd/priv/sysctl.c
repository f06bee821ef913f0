/*
 * /proc/sys/net, in priv: by a descriptor taken before the root changes.
 *
 * No guest may give the host a route or an address, so what is ours hears
 * no router advertisement and makes no address of its own.  Forwarding is
 * for the whole host: it is turned on when a guest needs it, and back when
 * none does.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"

#define NET_DIR	      "/proc/sys/net"

#define GEN_MODE_NONE 1

static int net = -1;

void
sysctl_open(void)
{
	net = open(NET_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void
sysctl_grant(void)
{
	if (net != -1)
		sandbox_landlock_grant(net);
}

int
sysctl_get(const char *path)
{
	char buf[32];
	ssize_t n;
	int fd;

	if ((fd = openat(net, path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	fd_close(&fd);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	return atoi(buf);
}

int
sysctl_set(const char *path, int value)
{
	char buf[32];
	ssize_t n;
	int fd, len;

	if ((fd = openat(net, path, O_WRONLY | O_CLOEXEC)) == -1)
		return -1;
	len = snprintf(buf, sizeof(buf), "%d\n", value);
	n = write(fd, buf, (size_t)len);
	fd_close(&fd);
	return n == len ? 0 : -1;
}

static int
set_of(const char *ifname, const char *what, int value)
{
	char path[128];

	snprintf(path, sizeof(path), "ipv6/conf/%s/%s", ifname, what);
	return sysctl_set(path, value);
}

int
sysctl_quiet(const char *ifname, int inet6)
{
	if (net == -1) {
		errno = ENOENT;
		return -1;
	}
	/* A host without IPv6 has nothing that could be learned. */
	if (!inet6 && sysctl_get("ipv6/conf/all/forwarding") == -1 &&
	    errno == ENOENT)
		return 0;
	if (set_of(ifname, "accept_ra", 0) == -1 ||
	    set_of(ifname, "addr_gen_mode", GEN_MODE_NONE) == -1)
		return -1;
	return set_of(ifname, "disable_ipv6", !inet6);
}

/* --- forwarding ---------------------------------------------------------- */

/*
 * Turning it on or off changes more than it says: forwarding of each
 * interface and, for IPv4, accept_redirects; with IPv6 the routes learned
 * from routers are dropped but where accept_ra is 2.  What was there is kept
 * and put back.
 */
struct kept {
	SLIST_ENTRY(kept) entry;
	int value;
	char path[];
};

static struct fwd {
	uint32_t bit;
	const char *path;
	const char *dir;  /* one directory an interface */
	const char *keep; /* file in it to be put back ... */
	int keep_value;	  /* ... if it is this */
	SLIST_HEAD(, kept) kept;
} fwds[] = {
	{ PRIVFWD_4, "ipv4/ip_forward", "ipv4/conf", "forwarding", 1,
	    SLIST_HEAD_INITIALIZER(kept) },
	{ PRIVFWD_6, "ipv6/conf/all/forwarding", "ipv6/conf", "accept_ra", 1,
	    SLIST_HEAD_INITIALIZER(kept) },
};
#define NFWDS (sizeof(fwds) / sizeof(fwds[0]))

static const char redirects[] = "ipv4/conf/all/accept_redirects";

static uint32_t turned_on; /* by us; it was off */

static void
keep(struct fwd *f, const char *path, int value)
{
	size_t len = strlen(path) + 1;
	struct kept *k;

	if ((k = malloc(sizeof(*k) + len)) == NULL)
		return;
	k->value = value;
	memcpy(k->path, path, len);
	SLIST_INSERT_HEAD(&f->kept, k, entry);
}

static void
keep_path(const struct fwd *f, const char *ifname, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s/%s", f->dir, ifname, f->keep);
}

/* Each interface, and "all" and "default". */
static void
keep_all(struct fwd *f)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;
	int fd;

	fd = openat(net, f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		keep_path(f, e->d_name, path);
		if (sysctl_get(path) == f->keep_value)
			keep(f, path, f->keep_value);
	}
	closedir(d);
}

static void
put_back(struct fwd *f)
{
	struct kept *k;

	while ((k = SLIST_FIRST(&f->kept)) != NULL) {
		SLIST_REMOVE_HEAD(&f->kept, entry);
		/* Of an interface that has gone there is nothing to do. */
		if (sysctl_set(k->path, k->value) == -1 && errno != ENOENT)
			log_warn("%s", k->path);
		free(k);
	}
}

static int
turn_on(struct fwd *f)
{
	const struct kept *k;
	int value;

	if (sysctl_get(f->path) > 0)
		return 0; /* somebody's, or done */
	keep_all(f);
	if (f->bit == PRIVFWD_4) {
		value = sysctl_get(redirects);
		turned_on &= ~(uint32_t)PRIVFWD_NO_REDIRECTS;
		if (value == 0)
			turned_on |= PRIVFWD_NO_REDIRECTS;
		keep(f, redirects, value);
	}
	if (f->bit == PRIVFWD_6)
		SLIST_FOREACH(k, &f->kept, entry)
			sysctl_set(k->path, 2);
	if (sysctl_set(f->path, 1) == -1) {
		priv_fail(NET_DIR "/%s", f->path);
		put_back(f);
		return -1;
	}
	turned_on |= f->bit;
	log_info(NET_DIR "/%s: turned on", f->path);
	return 0;
}

static int
turn_off(struct fwd *f)
{
	if ((turned_on & f->bit) == 0)
		return 0;
	turned_on &= ~f->bit;
	if (f->bit == PRIVFWD_4)
		turned_on &= ~(uint32_t)PRIVFWD_NO_REDIRECTS;
	if (sysctl_set(f->path, 0) == -1) {
		priv_fail(NET_DIR "/%s", f->path);
		return -1;
	}
	put_back(f);
	log_info(NET_DIR "/%s: turned off again", f->path);
	return 0;
}

int
sysctl_forward(uint32_t want)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < NFWDS; i++)
		if ((want & fwds[i].bit ? turn_on(&fwds[i]) :
					  turn_off(&fwds[i])) == -1)
			rc = -1;
	return rc;
}

int
sysctl_is_ours(uint32_t bit)
{
	size_t i;

	if (turned_on & bit)
		return 1;
	for (i = 0; i < NFWDS; i++)
		if (fwds[i].bit == bit)
			return sysctl_get(fwds[i].path) == 0;
	return 0;
}

uint32_t
sysctl_forwarding(void)
{
	return turned_on;
}

static const char *
letter(const struct fwd *f)
{
	return f->bit == PRIVFWD_4 ? "4" : "6";
}

/* One for the words of a text, from the path that it was made of. */
static void
put_kept(const struct fwd *f, const struct kept *k, char *text, size_t size)
{
	const char *name = k->path + strlen(f->dir) + 1;
	size_t at = strlen(text), len = strcspn(name, "/");

	if (strcmp(k->path, redirects) != 0 && at + len + 3 <= size)
		snprintf(text + at, size - at, "%s%s%.*s", at > 0 ? " " : "",
		    letter(f), (int)len, name);
}

char *
sysctl_kept(void)
{
	char text[PRIV_KEPT_MAX + 1] = "";
	const struct kept *k;
	size_t i;

	for (i = 0; i < NFWDS; i++)
		SLIST_FOREACH(k, &fwds[i].kept, entry)
			put_kept(&fwds[i], k, text, sizeof(text));
	return text[0] != '\0' ? strdup(text) : NULL;
}

static void
inherit_kept(uint32_t forwarding, char *text)
{
	char *word, *last, path[PATH_MAX];
	size_t i;

	for (word = strtok_r(text, " ", &last); word != NULL;
	     word = strtok_r(NULL, " ", &last))
		for (i = 0; i < NFWDS; i++) {
			if ((forwarding & fwds[i].bit) == 0 ||
			    word[0] != letter(&fwds[i])[0] ||
			    !name_is_ifname(word + 1))
				continue;
			keep_path(&fwds[i], word + 1, path);
			keep(&fwds[i], path, fwds[i].keep_value);
		}
}

void
sysctl_inherit(uint32_t forwarding, const char *kept)
{
	char *text;

	if (kept != NULL && (text = strdup(kept)) != NULL) {
		inherit_kept(forwarding, text);
		free(text);
	}
	turned_on |= forwarding;
	if (forwarding & PRIVFWD_4)
		keep(&fwds[0], redirects,
		    (forwarding & PRIVFWD_NO_REDIRECTS) == 0);
}
