/*
 * The parent's own sandbox: a system call filter.  It has to stay root and to
 * open what a new configuration may name, so there is no more; but what its
 * filter denies no process of the daemon can do.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

/* One that a signal handler can write to; syslog(3) is not for it. */
static int
open_syslog(void)
{
	const struct sockaddr_un un = { .sun_family = AF_UNIX,
		.sun_path = "/dev/log" };
	int fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 &&
	    connect(fd, (const struct sockaddr *)&un, sizeof(un)) == -1)
		fd_close(&fd);
	return fd;
}

void
parent_confine(const struct parent_args *a)
{
	static char prefix[64] = "parent: ";
	int fd = STDERR_FILENO, rc;

	if (!a->debug) {
		fd = open_syslog();
		snprintf(prefix, sizeof(prefix),
		    "<%d>vmd[%d]: parent: ", LOG_DAEMON | LOG_ERR,
		    (int)getpid());
	}
	hostile_init();
	if (sandbox_traps(fd, prefix) == -1 ||
	    (rc = sandbox_seccomp("parent", -1)) == -1)
		fatal("seccomp");
	if (rc == 1)
		log_info("this kernel has no seccomp");
}
